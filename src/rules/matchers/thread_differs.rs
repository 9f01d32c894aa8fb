//! Threads that differ from the main thread. CRIU 3.9: `seize.c: creds_dumpable` wants them to be in the same seccomp mode;
//! 3.5 compares ids and pending signals as well.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Process, Thread};
use crate::finding::Subject;

/// Fires on each process with such a thread, at the first one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreadDiffers {
    #[serde(rename = "in")]
    what: What,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    /// User and group ids, or pending signals.
    Ids,
    /// Seccomp mode.
    Seccomp,
}

impl Match for ThreadDiffers {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        let first = alive.filter_map(|process| {
            let (main, others) = process.threads.split_first()?;
            let other = others.iter().find(|thread| self.differs(process, main, thread))?;
            Some(Subject::process(process).with("tid", other.tid.to_string()))
        });
        first.collect()
    }
}

impl ThreadDiffers {
    fn differs(&self, process: &Process, main: &Thread, thread: &Thread) -> bool {
        match self.what {
            What::Ids => thread.other_ids || thread.pending_signals != main.pending_signals,
            What::Seccomp => thread.seccomp != process.seccomp,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Process, Thread};
    use crate::rules::testing::*;

    #[test]
    fn old_releases_want_all_threads_alike() {
        let with = |second: Thread| facts(vec![Process { threads: vec![thread(7), second], ..process(7) }]);
        let fires = |rule, release, second| findings(rule, &with(second), &profile(release, &[])).len();
        let (ids, seccomp) = ("thread-ids-before-3-6", "thread-seccomp-before-3-10");
        let other = || Thread { other_ids: true, ..thread(8) };
        assert_eq!((fires(ids, "3.5", other()), fires(ids, "3.6", other())), (1, 0));
        assert_eq!(fires(ids, "3.5", Thread { pending_signals: 1, ..thread(8) }), 1);
        let filtered = || Thread { seccomp: 2, ..thread(8) };
        assert_eq!((fires(seccomp, "3.9", filtered()), fires(seccomp, "3.10", filtered())), (1, 0));
        assert_eq!((fires(ids, "3.5", thread(8)), fires(seccomp, "3.9", thread(8))), (0, 0));
    }
}
