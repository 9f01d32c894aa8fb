//! POSIX timers that signal a thread which has gone. CRIU 4.2: `timer.c: encode_notify_thread_id`, in a pid namespace of
//! the tree's own only.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind};
use crate::finding::Subject;

/// Fires on each process with such a timer. `{tid}` is the thread that has gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimerThread {}

impl Match for TimerThread {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.facts.host.namespaces.pid.is_none() || view.facts.shares_with_host(NamespaceKind::Pid) {
            return Vec::new();
        }
        let processes = view.facts.processes.iter();
        let gone = processes.filter_map(|process| {
            let lives = |tid: &i32| process.threads.iter().any(|thread| thread.tid == *tid);
            let tid = process.timer_threads.iter().find(|tid| **tid != 0 && !lives(tid))?;
            Some(Subject::process(process).with("tid", tid.to_string()))
        });
        gone.collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn a_timer_of_a_thread_that_has_gone_is_refused_in_a_pid_namespace() {
        let with = |namespaces, timer_threads| facts(vec![Process { namespaces, timer_threads, ..process(7) }]);
        assert_eq!(fired("timer-thread-gone", &with(container_namespaces(), vec![7, 9]), &[]), ["7"]);
        assert!(fired("timer-thread-gone", &with(container_namespaces(), vec![7]), &[]).is_empty());
        assert!(fired("timer-thread-gone", &with(host_namespaces(), vec![9]), &[]).is_empty());
    }
}
