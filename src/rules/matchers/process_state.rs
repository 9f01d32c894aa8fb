//! Processes and threads in a state in which CRIU can't stop them. CRIU 4.2: `compel/infect.c: compel_wait_task`,
//! `seize.c: collect_threads`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Pid, Process, Thread};
use crate::finding::Subject;

const SIGTRAP: u64 = 1 << 4;

/// Fires on processes in one state. `{tid}` is the thread, `{tracer}` who traces it.
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
    /// A thread that is not the leader has ended.
    DeadThread,
    /// A SIGTRAP is pending.
    PendingSigtrap,
    /// Stopped, with a terminal that may have stopped it (SIGTTIN, SIGTTOU).
    StoppedAtTerminal,
}

impl Match for ProcessState {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let tid = |process: &Process| self.thread(process).map(|thread| (thread.tid, thread.tracer));
        view.facts
            .processes
            .iter()
            .filter_map(|process| {
                let (tid, tracer) = tid(process)?;
                let subject = Subject::process(process).with("tid", tid.to_string());
                Some(if tracer > 0 { subject.with("tracer", name(view, tracer)) } else { subject })
            })
            .collect()
    }
}

impl ProcessState {
    /// The first thread of the process that is in the state.
    fn thread<'a>(&self, process: &'a Process) -> Option<&'a Thread> {
        let is_dead = |thread: &Thread| matches!(thread.state, 'Z' | 'X');
        let (leader, others) = process.threads.split_first()?;
        match self.state {
            State::Traced => process.threads.iter().find(|thread| thread.tracer > 0),
            State::Uninterruptible => process.threads.iter().find(|thread| thread.state == 'D'),
            State::DeadLeader => (is_dead(leader) && !others.iter().all(is_dead)).then_some(leader),
            State::DeadThread => others.iter().find(|thread| is_dead(thread) && !is_dead(leader)),
            State::PendingSigtrap => process.threads.iter().find(|thread| thread.pending_signals & SIGTRAP != 0),
            State::StoppedAtTerminal => (leader.state == 'T' && process.tty != 0).then_some(leader),
        }
    }
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
    use crate::rules::testing::*;

    fn with_threads(threads: Vec<Thread>) -> Process {
        Process { state: threads[0].state, threads, ..process(7) }
    }

    #[test]
    fn a_traced_thread_is_named_with_its_tracer() {
        let threads = vec![thread(7), Thread { tracer: 9, ..thread(8) }];
        let found = findings("process-traced", &facts(vec![with_threads(threads), child(9, 7)]), &profile("4.2", &[]));
        assert!(found[0].what.contains("p9 (9)") && found[0].error.contains("non-zombie 8 found"), "{found:?}");
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
    }

    #[test]
    fn a_pending_sigtrap_is_refused_since_3_16() {
        let facts = facts(vec![with_threads(vec![Thread { pending_signals: 1 << 4, ..thread(7) }]), child(8, 7)]);
        assert_eq!(fired("pending-sigtrap", &facts, &[]), ["7"]);
        assert!(findings("pending-sigtrap", &facts, &profile("3.15", &[])).is_empty());
    }

    #[test]
    fn a_stopped_process_without_a_terminal_is_fine() {
        let stopped = |pid, tty| Process { tty, threads: vec![Thread { state: 'T', ..thread(pid) }], ..child(pid, 7) };
        let facts = facts(vec![process(7), stopped(8, 0), stopped(9, 34816)]);
        assert_eq!(fired("stop-signal", &facts, &[]), ["9"]);
    }
}
