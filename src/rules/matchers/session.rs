//! Sessions whose leader is not in the checkpoint. CRIU 4.2: `pstree.c: dump_pstree`, `cr-dump.c: dump_one_task`,
//! `dump_zombies`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires on processes of a session without a leader in the checkpoint. `{sid}` is the session, `{inner}` the process
/// id, both as the process itself sees them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    which: Which,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// The root process is not the leader of its session.
    RootIsNoLeader,
    /// The leader is outside of the process's pid namespace.
    OutsidePidNamespace,
}

impl Match for Session {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let judged = match self.which {
            Which::RootIsNoLeader => 1,
            Which::OutsidePidNamespace => view.facts.processes.len(),
        };
        let depth = view.facts.root().map(|root| root.ns_pids.len());
        let processes = view.facts.processes.iter().take(judged);
        processes
            .filter(|process| match self.which {
                Which::RootIsNoLeader => process.ns_sid != 0 && process.ns_sid != process.inner_pid(),
                // A nested pid namespace is refused for itself. Of a zombie only its number there tells of it.
                Which::OutsidePidNamespace => process.ns_sid == 0 && Some(process.ns_pids.len()) == depth,
            })
            .map(|process| {
                let subject = Subject::process(process).with("sid", process.ns_sid.to_string());
                let subject = subject.with("inner", process.inner_pid().to_string());
                if process.is_zombie() { subject.with("ended", "yes") } else { subject }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Namespaces, Process};
    use crate::rules::testing::*;

    #[test]
    fn a_root_started_from_a_shell_needs_shell_job() {
        let job = Process { sid: 5, ns_sid: 5, ..process(7) };
        let facts = facts(vec![job, Process { sid: 5, ns_sid: 5, ..child(8, 7) }]);
        assert_eq!(fired("session-leader-outside", &facts, &[]), ["7"]);
        assert!(fired("session-leader-outside", &facts, &["shell-job"]).is_empty());
    }

    #[test]
    fn the_init_of_a_pid_namespace_leads_its_own_session_there() {
        let init = Process { ns_pids: vec![70, 1], sid: 70, ns_sid: 1, ..process(70) };
        assert!(fired("session-leader-outside", &facts(vec![init]), &[]).is_empty());
    }

    #[test]
    fn a_session_from_outside_the_pid_namespace_can_not_be_dumped() {
        let inside = |pid, last| Process { ns_pids: vec![pid, last], ..child(pid, 70) };
        let entered = Process { sid: 5, ns_sid: 0, ..inside(80, 4) };
        let reaped_late = Process { sid: 5, ns_sid: 0, state: 'Z', namespaces: Namespaces::default(), ..inside(81, 5) };
        let nested = Process { ns_pids: vec![82, 6, 1], sid: 5, ns_sid: 0, ..child(82, 70) };
        let facts = facts(vec![inside(70, 1), entered, reaped_late, nested]);
        assert_eq!(fired("session-outside-pidns", &facts, &["shell-job"]), ["80", "81"]);
    }
}
