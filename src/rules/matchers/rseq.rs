//! Threads that may have a restartable sequence. CRIU 3.17 and later: `cr-dump.c: check_thread_rseq`, which needs
//! `PTRACE_GET_RSEQ_CONFIGURATION` of the kernel.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;
use crate::version::Version;

/// First kernel with restartable sequences.
const RSEQ_SINCE: Version = Version::new(4, 18, 0);

/// glibc has had this name since 2.34, and each thread has a sequence since 2.35.
const LIBC: &[u8] = b"/libc.so.6";

/// Fires on each process with a glibc that may be new enough to use them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rseq {}

impl Match for Rseq {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.profile.kernel.is_none_or(|kernel| kernel < RSEQ_SINCE) {
            return Vec::new();
        }
        let mut found: Vec<Subject> = Vec::new();
        for (process, mapping) in view.mappings().filter(|(_, mapping)| mapping.path.as_bytes().ends_with(LIBC)) {
            if found.last().and_then(|last| last.pid) != Some(process.pid) {
                found.push(Subject::process(process).with("path", mapping.path.to_string()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::finding::Confidence;
    use crate::profile::Profile;
    use crate::rules::testing::*;

    #[test]
    fn a_new_glibc_may_be_too_new_for_a_kernel_that_does_not_tell() {
        let mappings = vec![mapping("/usr/lib/libc.so.6"), mapping("/usr/lib/libc.so.6")];
        let old = vec![mapping("/usr/lib/libc-2.31.so")];
        let facts = facts(vec![Process { mappings, ..process(7) }, Process { mappings: old, ..process(8) }]);
        let on = |criu: &str, kernel: &str| {
            let profile = Profile { kernel: kernel.parse().ok(), ..profile(criu, &[]) };
            findings("rseq-not-told", &facts, &profile)
        };
        assert_eq!(on("3.17", "5.10").len(), 1);
        assert!(on("3.17", "5.10").iter().all(|finding| finding.confidence == Confidence::Possible));
        assert!(on("3.16", "5.10").is_empty() && on("4.2", "5.13").is_empty() && on("4.2", "4.17").is_empty());
    }
}
