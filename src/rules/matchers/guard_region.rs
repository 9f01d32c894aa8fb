//! Guard regions (`MADV_GUARD_INSTALL`). CRIU 4.1: `pagemap-cache.c: pmc_fill` takes them for pages that were swapped out,
//! and `pie/parasite.c: dump_pages` can't read them. Those in shared memory it does not look at.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires on each process with a guard region, at the first one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardRegion {}

impl Match for GuardRegion {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let processes = view.facts.processes.iter();
        processes.filter_map(|process| Some(Subject::memory(process, process.guard_region?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn before_4_2_a_guard_region_is_refused() {
        let tree = |guard_region| facts(vec![Process { guard_region, ..process(7) }, child(8, 7)]);
        let fires = |release, tree| findings("guard-region", tree, &profile(release, &[])).len();
        let guarded = tree(Some((0x1000, 0x2000)));
        assert_eq!((fires("4.1.1", &guarded), fires("4.2", &guarded), fires("4.1.1", &tree(None))), (1, 0, 0));
    }
}
