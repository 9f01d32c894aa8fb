//! Terminals of a session whose leader is not in the tree. CRIU 4.2: `tty.c: dump_verify_tty_sids`, `tty_verify_ctty`.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind, Pid};
use crate::finding::Subject;
use crate::rules::terminals::{End, Terminal, external, terminals, tty_number, with_external};

/// Fires on open terminals by their session. `{sid}` is the session.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TtySession {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// Terminals of a session whose leader is no process of the tree.
    LeaderOutside,
    /// `/dev/tty` in a process that is not the first one with the pty behind it, or while another process group than
    /// the session's first is in the foreground.
    ControllingAlone,
}

impl Match for TtySession {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        match self.which {
            Which::LeaderOutside => leader_outside(view),
            Which::ControllingAlone => controlling_alone(view).into_iter().collect(),
        }
    }
}

fn leader_outside(view: View<'_>) -> Vec<Subject> {
    let mut first_of_session = HashMap::<Pid, Pid>::new();
    for process in view.facts.processes.iter().filter(|process| process.sid > 0) {
        first_of_session.entry(process.sid).or_insert(process.pid);
    }
    let has_leader = |sid: Pid| first_of_session.get(&sid) == Some(&sid);
    with_external(view)
        .filter_map(|terminal| Some((terminal, session(view, &terminal)?)))
        .filter(|(_, sid)| !has_leader(*sid))
        .map(|(terminal, sid)| subject(view, &terminal, sid))
        .collect()
}

/// The session whose controlling terminal it is, as the process that has it open can ask for: of a slave only its own,
/// of a master any. Sessions outside of its pid namespace can't be seen from inside.
fn session(view: View<'_>, terminal: &Terminal<'_>) -> Option<Pid> {
    let process = terminal.process;
    let has_own = process.tty != 0 && process.ns_sid != 0;
    let own = |number: u32| (has_own && process.tty == number).then_some(process.sid);
    match terminal.end {
        End::Controlling => own(process.tty),
        End::Slave(_) | End::Other => own(tty_number(terminal.stat.rdev)),
        End::Master(index) => {
            let number = tty_number((136, index?));
            let inside = view.facts.processes.iter().find(|process| process.tty == number && process.ns_sid != 0);
            let visible = view.facts.shares_with_host(NamespaceKind::Pid);
            let outside = view.facts.outside_sessions.iter().find(|session| visible && session.tty == number);
            inside.map(|process| process.sid).or(outside.map(|session| session.sid))
        }
    }
}

/// CRIU judges the first `/dev/tty` of its walk, by the first open end of a pty of the same session; that counts only
/// with the session leader's process group in the foreground. Without a controlling terminal `/dev/tty` tells no session,
/// as any pty does that is nobody's here: those match.
fn controlling_alone(view: View<'_>) -> Option<Subject> {
    let tty = terminals(view).find(|terminal| terminal.end == End::Controlling)?;
    let sid = if tty.process.tty == 0 { 0 } else { session(view, &tty)? };
    let mut seen = HashSet::new();
    let first = terminals(view).find(|terminal| {
        let pty = matches!(terminal.end, End::Master(_) | End::Slave(_)) && seen.insert(terminal.end);
        pty && session(view, terminal).unwrap_or_default() == sid
    });
    let in_front = sid == 0 || [0, sid].contains(&tty.process.tty_group);
    let here = in_front && first.is_some_and(|terminal| terminal.process.pid == tty.process.pid);
    (!here).then(|| subject(view, &tty, sid))
}

/// `{inner_sid}` is the session as the processes see it, where that can be told.
fn subject(view: View<'_>, terminal: &Terminal<'_>, sid: Pid) -> Subject {
    let is_external = view.profile.has("external", Some(&external(&terminal.stat)));
    let subject = terminal.subject().with("sid", sid.to_string());
    let subject = if is_external { subject.with("driver", "ext") } else { subject };
    let leader = view.index.processes.get(&sid).map(|leader| leader.inner_pid());
    match leader.or((sid == 0 || view.facts.shares_with_host(NamespaceKind::Pid)).then_some(sid)) {
        Some(inner) => subject.with("inner_sid", inner.to_string()),
        None => subject,
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FileStat, FileType, OutsideSession, Process};
    use crate::rules::testing::*;

    const PTS_4: u32 = 136 << 8 | 4;

    fn on_tty(sid: i32, fds: Vec<Fd>) -> Process {
        Process { sid, ns_sid: sid, tty: PTS_4, ..holder(7, fds) }
    }

    #[test]
    fn the_terminal_of_a_shell_outside_needs_shell_job() {
        let facts_of = |sid| facts(vec![on_tty(sid, vec![pts(0, 4)])]);
        assert_eq!(fired("tty-session-outside", &facts_of(5), &[]), ["7 fd 0"]);
        assert_eq!(fired("tty-session-outside", &facts_of(5), &["external tty[8804:18]"]), ["7 fd 0"]);
        assert!(fired("tty-session-outside", &facts_of(5), &["shell-job"]).is_empty());
        assert!(fired("tty-session-outside", &facts_of(7), &[]).is_empty());
    }

    #[test]
    fn a_terminal_that_is_not_the_own_one_says_nothing_of_its_session() {
        let other = Process { sid: 5, ns_sid: 5, tty: 0, ..holder(7, vec![pts(0, 4)]) };
        assert!(fired("tty-session-outside", &facts(vec![other]), &[]).is_empty());
    }

    #[test]
    fn a_master_tells_the_session_of_its_slave() {
        let mut facts = facts(vec![holder(7, vec![ptmx(3, 4)])]);
        assert!(fired("tty-session-outside", &facts, &[]).is_empty());
        facts.outside_sessions.push(OutsideSession { tty: PTS_4, sid: 5, pid: 5, comm: "sh".into() });
        assert_eq!(fired("tty-session-outside", &facts, &[]), ["7 fd 3"]);
        facts.processes[0].namespaces = container_namespaces();
        assert!(fired("tty-session-outside", &facts, &[]).is_empty());
    }

    #[test]
    fn dev_tty_needs_its_terminal_open_in_the_same_process() {
        let dev_tty = || Fd { stat: Some(FileStat { rdev: (5, 0), ..stat(FileType::CharDevice) }), ..fd(3, "/dev/tty") };
        let alone = facts(vec![on_tty(7, vec![dev_tty()])]);
        assert_eq!(fired("tty-controlling-alone", &alone, &[]), ["7 fd 3"]);
        let both = facts(vec![on_tty(7, vec![dev_tty(), pts(4, 4)])]);
        assert!(fired("tty-controlling-alone", &both, &[]).is_empty());
        let emulator = facts(vec![holder(6, vec![ptmx(3, 4)]), on_tty(7, vec![dev_tty(), pts(4, 4)])]);
        assert_eq!(fired("tty-controlling-alone", &emulator, &[]), ["7 fd 3"]);
    }

    #[test]
    fn without_a_controlling_terminal_any_pty_of_no_session_will_do() {
        let dev_tty = || Fd { stat: Some(FileStat { rdev: (5, 0), ..stat(FileType::CharDevice) }), ..fd(3, "/dev/tty") };
        let daemon = |fds| Process { sid: 7, ns_sid: 7, tty_group: -1, ..holder(7, fds) };
        assert!(fired("tty-controlling-alone", &facts(vec![daemon(vec![dev_tty(), pts(4, 4)])]), &[]).is_empty());
        assert_eq!(fired("tty-controlling-alone", &facts(vec![daemon(vec![dev_tty()])]), &[]), ["7 fd 3"]);
    }
}
