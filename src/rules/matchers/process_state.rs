//! Processes and threads in a state in which CRIU can't stop them. CRIU 4.2: `compel/infect.c: compel_wait_task`,
//! `seize.c: collect_threads`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Pid, Process, Thread};
use crate::finding::{Confidence, Subject};
use crate::procfs::cgroup::{self, Freezer};
use crate::text::RawText;
use crate::version::Version;

const SIGTRAP: u64 = 1 << 4;
const SIGSTOP: u8 = 19;
const SIGTSTP: u8 = 20;
const KNOWS_SIGTSTP: Version = Version::new(3, 18, 0);

/// Fires on processes in one state. `{tid}` is the thread, `{tracer}` who traces it,
/// `{signal}` what stopped it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessState {
    state: State,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Traced by another process.
    Traced,
    /// In uninterruptible sleep.
    Uninterruptible,
    /// The leader has ended, other threads have not.
    DeadLeader,
    /// The root process has ended, with all its threads.
    DeadRoot,
    /// A thread that is not the leader has ended.
    DeadThread,
    /// A SIGTRAP is pending.
    PendingSigtrap,
    /// Stopped by a signal that CRIU does not know as one that stops.
    StoppedBySignal,
    /// Stopped by any signal, and to be frozen by cgroup v1 before CRIU attaches to it.
    StoppedInFreezer,
}

impl Match for ProcessState {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let found = view.facts.processes.iter().filter_map(|process| Some((process, self.thread(view, process)?)));
        found.map(|(process, thread)| self.subject(view, process, thread)).collect()
    }
}

impl ProcessState {
    /// The first thread of the process that is in the state.
    fn thread<'a>(&self, view: View<'_>, process: &'a Process) -> Option<&'a Thread> {
        let is_dead = |thread: &Thread| matches!(thread.state, 'Z' | 'X');
        let (leader, others) = process.threads.split_first()?;
        match self.state {
            // Who has ended is traced until the tracer waits for it, and CRIU does not attach to it.
            State::Traced if process.is_zombie() && others.iter().all(is_dead) => None,
            State::Traced => process.threads.iter().find(|thread| thread.tracer > 0),
            State::Uninterruptible => process.threads.iter().find(|thread| thread.state == 'D'),
            State::DeadLeader => (is_dead(leader) && !others.iter().all(is_dead)).then_some(leader),
            State::DeadRoot if view.facts.root().is_none_or(|root| root.pid != process.pid) => None,
            State::DeadRoot => process.threads.iter().all(is_dead).then_some(leader),
            State::DeadThread => others.iter().find(|thread| is_dead(thread) && !is_dead(leader)),
            State::PendingSigtrap if process.pending_signals & SIGTRAP != 0 => Some(leader),
            State::PendingSigtrap => others.iter().find(|thread| thread.pending_signals & SIGTRAP != 0),
            State::StoppedInFreezer if freezes_by_v1(view, process) => process.threads.iter().find(|t| t.state == 'T'),
            State::StoppedInFreezer => None,
            State::StoppedBySignal => (leader.state == 'T' && is_unknown_stop(view, process)).then_some(leader),
        }
    }

    fn subject(&self, view: View<'_>, process: &Process, thread: &Thread) -> Subject {
        let subject = Subject::process(process).with("tid", thread.tid.to_string());
        match self.state {
            State::Traced => subject.with("tracer", name(view, thread.tracer)),
            State::StoppedBySignal => match process.stop_signal {
                0 => subject.with("signal", "an unknown signal, maybe of its terminal").at_most(Confidence::Possible),
                signal => subject.with("signal", format!("signal {signal}")).with("number", signal.to_string()),
            },
            _ => subject,
        }
    }
}

/// Whether CRIU refuses what stopped the process. While that is not known it may have been its terminal.
/// CRIU 4.2: `compel/infect.c: sig_stop`, before 3.18 SIGSTOP only.
fn is_unknown_stop(view: View<'_>, process: &Process) -> bool {
    match process.stop_signal {
        0 => process.tty != 0,
        SIGSTOP => false,
        SIGTSTP => view.profile.criu_version() < KNOWS_SIGTSTP,
        _ => true,
    }
}

/// Whether CRIU freezes the process's cgroup of the v1 freezer first: a stopped task never gets out of that freezer to
/// become a traced one, which the kernel waits for. Linux: `kernel/ptrace.c: ptrace_attach` (`JOBCTL_TRAPPING`).
pub(super) fn freezes_by_v1(view: View<'_>, process: &Process) -> bool {
    let own_freezer = |line: &RawText| matches!(cgroup::freezer(line.as_bytes()), Some((Freezer::V1, path)) if path != b"/");
    view.profile.has("freeze-cgroup", None) && process.cgroups.iter().any(own_freezer)
}

fn name(view: View<'_>, pid: Pid) -> String {
    match view.index.processes.get(&pid) {
        Some(process) => format!("{} ({pid}), inside the tree", process.comm),
        None => format!("process {pid}, outside the tree"),
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Process, Thread};
    use crate::finding::{Confidence, Finding};
    use crate::rules::testing::*;

    fn with_threads(threads: Vec<Thread>) -> Process {
        Process { state: threads[0].state, threads, ..process(7) }
    }

    #[test]
    fn a_traced_thread_is_named_with_its_tracer() {
        let threads = vec![thread(7), Thread { tracer: 9, ..thread(8) }];
        let found = findings("process-traced", &facts(vec![with_threads(threads), child(9, 7)]), &profile("4.2", &[]));
        assert!(found[0].what.contains("p9 (9)") && found[0].printed.line.contains("non-zombie 8 found"), "{found:?}");
    }

    #[test]
    fn who_has_ended_may_be_traced() {
        let dead = Thread { tracer: 9, state: 'Z', ..thread(8) };
        let tree = facts(vec![process(7), Process { state: 'Z', threads: vec![dead], ..child(8, 7) }]);
        assert!(fired("process-traced", &tree, &[]).is_empty());
    }

    #[test]
    fn a_dead_leader_with_live_threads_blocks_and_a_plain_zombie_does_not() {
        let dead = |tid| Thread { state: 'Z', ..thread(tid) };
        let tree = vec![
            with_threads(vec![dead(7), thread(8)]),
            Process { state: 'Z', threads: vec![dead(9)], ..child(9, 7) },
            Process { threads: vec![thread(10), dead(11)], ..child(10, 7) },
        ];
        let facts = facts(tree);
        assert_eq!(fired("thread-leader-dead", &facts, &[]), ["7"]);
        assert_eq!(fired("zombie-thread", &facts, &[]), ["10"]);
        assert!(fired("root-ended", &facts, &[]).is_empty());
    }

    #[test]
    fn a_root_that_has_ended_can_not_be_dumped() {
        let dead = |pid| Process { state: 'Z', threads: vec![Thread { state: 'Z', ..thread(pid) }], ..child(pid, 7) };
        assert_eq!(fired("root-ended", &facts(vec![dead(7)]), &[]), ["7"]);
        assert!(fired("root-ended", &facts(vec![process(7), dead(8)]), &[]).is_empty());
    }

    #[test]
    fn a_pending_sigtrap_is_refused_since_3_16() {
        let waiting = vec![thread(7), Thread { pending_signals: 1 << 4, ..thread(9) }];
        let shared = Process { pending_signals: 1 << 4, ..child(8, 7) };
        let facts = facts(vec![with_threads(waiting), shared, child(10, 7)]);
        assert_eq!(fired("pending-sigtrap", &facts, &[]), ["7", "8"]);
        assert!(findings("pending-sigtrap", &facts, &profile("3.15", &[])).is_empty());
    }

    #[test]
    fn processes_stopped_by_sigstop_or_sigtstp_are_fine() {
        let stopped = |pid, tty, stop_signal| {
            let threads = vec![Thread { state: 'T', ..thread(pid) }];
            Process { tty, stop_signal, threads, ..child(pid, 7) }
        };
        let all = [stopped(8, 0, 0), stopped(9, 34816, 0), stopped(10, 0, 19), stopped(11, 0, 20), stopped(12, 0, 21)];
        let facts = facts([process(7)].into_iter().chain(all).collect());
        let found = findings("stop-signal", &facts, &profile("4.2", &[]));
        let named = |finding: &Finding| (finding.subject.pid, finding.confidence);
        assert_eq!(
            found.iter().map(named).collect::<Vec<_>>(),
            [(Some(9), Confidence::Possible), (Some(12), Confidence::Likely)]
        );
        assert_eq!(findings("stop-signal", &facts, &profile("3.17", &[])).len(), 3);
    }

    #[test]
    fn a_stopped_process_hangs_a_dump_that_freezes_by_cgroup_v1_first() {
        let tree = |line: &str| {
            let threads = vec![Thread { state: 'T', ..thread(8) }];
            let stopped = Process { threads, stop_signal: 19, cgroups: vec![line.into()], ..child(8, 7) };
            facts(vec![process(7), stopped])
        };
        let freeze = &["freeze-cgroup /sys/fs/cgroup/freezer/web"];
        assert_eq!(fired("stopped-in-freezer", &tree("5:freezer:/web"), freeze), ["8"]);
        assert!(fired("stopped-in-freezer", &tree("5:freezer:/web"), &[]).is_empty());
        assert!(fired("stopped-in-freezer", &tree("0::/web"), freeze).is_empty());
    }
}
