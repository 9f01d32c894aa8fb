//! POSIX timers that signal one thread. CRIU 4.2: `timer.c: encode_notify_thread_id` looks for the number of that thread in
//! a pid namespace of the tree's own only; that of the main thread is filled in after that (`cr-dump.c:
//! dump_task_threads`).

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind};
use crate::finding::Subject;

/// Fires on each process with such a timer. `{tid}` is the thread.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimerThread {
    of: Of,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Of {
    /// A thread that has gone.
    Gone,
    /// The main thread.
    Main,
}

impl Match for TimerThread {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.facts.host.namespaces.pid.is_none() || view.facts.shares_with_host(NamespaceKind::Pid) {
            return Vec::new();
        }
        let processes = view.facts.processes.iter();
        let fired = processes.filter_map(|process| {
            let lives = |tid: i32| process.threads.iter().any(|thread| thread.tid == tid);
            let is_meant = |tid: &&i32| match self.of {
                Of::Gone => **tid != 0 && !lives(**tid),
                Of::Main => **tid == process.pid,
            };
            let tid = process.timer_threads.iter().find(is_meant)?;
            Some(Subject::process(process).with("tid", tid.to_string()))
        });
        fired.collect()
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

    #[test]
    fn one_of_the_main_thread_is_not_restored_in_a_pid_namespace() {
        let with = |namespaces, timer_threads| facts(vec![Process { namespaces, timer_threads, ..process(7) }]);
        assert_eq!(fired("timer-main-thread", &with(container_namespaces(), vec![7]), &[]), ["7"]);
        assert!(fired("timer-main-thread", &with(container_namespaces(), vec![9]), &[]).is_empty());
        assert!(fired("timer-main-thread", &with(host_namespaces(), vec![7]), &[]).is_empty());
    }
}
