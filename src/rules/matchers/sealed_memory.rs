//! Sealed memory that CRIU would have to make readable. CRIU 4.2: `mem.c: prep_dump_pages_args`,
//! `pie/parasite.c: mprotect_vmas`. Kernel: `mm/mseal.c`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires on private mappings that are sealed without read permission; nothing fires where `smaps` was not read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedMemory {}

impl Match for SealedMemory {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::MappingFlags]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let sealed = view.facts.processes.iter().flat_map(|process| {
            process.sealed.iter().flatten().map(move |mapping| (process, mapping))
        });
        sealed
            .filter(|(_, mapping)| !mapping.permissions.starts_with('r') && mapping.permissions.ends_with('p'))
            .map(|(process, mapping)| Subject::mapping(process, mapping))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Mapping, Process};
    use crate::rules::testing::*;

    #[test]
    fn what_is_sealed_as_readable_or_shared_needs_no_change() {
        let sealed = |start: u64, permissions: &str| Mapping {
            start,
            end: start + 0x1000,
            permissions: permissions.to_owned(),
            ..Mapping::default()
        };
        let all = vec![sealed(0x1000, "---p"), sealed(0x2000, "r--p"), sealed(0x3000, "---s"), sealed(0x4000, "-w-p")];
        let target = facts(vec![Process { sealed: Some(all), ..process(7) }, Process { sealed: None, ..process(8) }]);
        assert_eq!(fired("memory-sealed", &target, &[]), ["7 1000-2000", "7 4000-5000"]);
    }
}
