//! Mappings with very long paths. CRIU 4.2: `bfd.c: breadline` reads the lines of smaps into one page.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Column in which the path begins. Kernel: `fs/proc/task_mmu.c: show_vma_header_prefix`, `seq_pad`.
const PATH_COLUMN: usize = 73;

/// Fires on each mapping whose line has at least `length` bytes, the line end not counted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingLine {
    length: usize,
}

impl Match for MappingLine {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let long = view.mappings().filter(|(_, mapping)| PATH_COLUMN + mapping.path.as_bytes().len() >= self.length);
        long.map(|(process, mapping)| {
            Subject::mapping(process, mapping).with("length", mapping.path.as_bytes().len().to_string())
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn a_line_of_a_page_is_too_long() {
        let mapped = |length: usize| {
            facts(vec![Process { mappings: vec![mapping(&"/d".repeat(length / 2))], ..process(7) }])
        };
        assert_eq!(fired("mapping-line-too-long", &mapped(4024), &[]), ["7 7000-8000"]);
        assert!(fired("mapping-line-too-long", &mapped(4022), &[]).is_empty());
    }
}
