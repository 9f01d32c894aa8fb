//! Threads under seccomp, whose filter has to stand aside for CRIU's code. CRIU: `ptrace.c: ptrace_suspend_seccomp`, for
//! which the kernel needs `PTRACE_O_SUSPEND_SECCOMP`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires on each process with a thread under seccomp.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeccompMode {}

impl Match for SeccompMode {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        let under = alive.filter(|p| p.seccomp != 0 || p.threads.iter().any(|thread| thread.seccomp != 0));
        under.map(Subject::process).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Process, Thread};
    use crate::profile::Profile;
    use crate::rules::testing::*;

    #[test]
    fn a_filter_is_in_the_way_on_kernels_that_can_not_suspend_it() {
        let filtered = Thread { seccomp: 2, ..thread(8) };
        let facts = facts(vec![Process { threads: vec![thread(7), filtered], ..process(7) }, process(9)]);
        let on = |kernel: &str| {
            let profile = Profile { kernel: kernel.parse().ok(), ..profile("4.2", &[]) };
            findings("seccomp-not-suspended", &facts, &profile).len()
        };
        assert_eq!((on("3.10"), on("4.3")), (1, 0));
    }
}
