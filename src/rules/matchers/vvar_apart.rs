//! Clock pages that the process moved apart. CRIU 4.2: `proc_parse.c: parse_smaps` merges neighbours, and refuses two
//! that follow one another in the list but not in memory.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Mapping, Process};
use crate::finding::Subject;

/// Fires on each mapping of clock pages that is the next one behind another of them, but not adjacent to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VvarApart {}

impl Match for VvarApart {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let pairs = view.facts.processes.iter().flat_map(|process| {
            let pairs = process.mappings.iter().zip(process.mappings.iter().skip(1));
            pairs.map(move |(before, behind)| (process, before, behind))
        });
        let apart = pairs.filter(|(_, before, behind)| {
            is_vvar(before) && is_vvar(behind) && before.end != behind.start
        });
        let subject = |(process, before, behind): (&Process, &Mapping, &Mapping)| {
            let first = format!("{:x}-{:x}", start(process, before), before.end);
            Subject::mapping(process, behind).with("first", first)
        };
        apart.map(subject).collect()
    }
}

/// Where the pages begin that CRIU has merged with these.
fn start(process: &Process, pages: &Mapping) -> u64 {
    let before = process.mappings.iter().rev().filter(|mapping| is_vvar(mapping));
    before.fold(pages.start, |start, mapping| if mapping.end == start { mapping.start } else { start })
}

fn is_vvar(mapping: &Mapping) -> bool {
    matches!(mapping.path.as_bytes(), b"[vvar]" | b"[vvar_vclock]")
}

#[cfg(test)]
mod tests {
    use crate::facts::{Mapping, Process};
    use crate::rules::testing::*;

    fn at(start: u64, path: &str) -> Mapping {
        Mapping { start, end: start + 0x1000, ..mapping(path) }
    }

    #[test]
    fn clock_pages_fire_when_only_a_hole_lies_between_them() {
        let tree = |mappings| facts(vec![Process { mappings, ..process(7) }]);
        let whole = vec![at(0x1000, "[vvar]"), at(0x2000, "[vvar_vclock]"), at(0x3000, "[vdso]")];
        assert!(fired("vvar-apart", &tree(whole), &[]).is_empty());
        let between = vec![at(0x1000, "[vvar]"), at(0x3000, ""), at(0x5000, "[vvar_vclock]")];
        assert!(fired("vvar-apart", &tree(between), &[]).is_empty());
        let apart = vec![at(0x1000, "[vvar]"), at(0x5000, "[vvar_vclock]")];
        assert_eq!(fired("vvar-apart", &tree(apart), &[]), ["7 5000-6000"]);
    }
}
