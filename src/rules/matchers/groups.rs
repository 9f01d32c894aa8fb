//! Supplementary groups beyond what CRIU has room for. CRIU 4.2: `pie/parasite.c: dump_creds`
//! (`PARASITE_MAX_GROUPS`), `bfd.c: brefill` for the line of `/proc/PID/status`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Process};
use crate::finding::Subject;

/// Fires on each process with at least `count` groups, or whose `Groups:` line has more than `line` bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    count: usize,
    line: usize,
}

impl Match for Groups {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        alive
            .filter(|process| process.groups.len() >= self.count || line_length(process) > self.line)
            .map(|process| Subject::process(process).with("count", process.groups.len().to_string()))
            .collect()
    }
}

/// Length of `Groups:\t` and each id with the blank behind it.
fn line_length(process: &Process) -> usize {
    let digits = |id: &u32| id.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    "Groups:\t".len() + process.groups.iter().map(|id| digits(id) + 1).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn many_groups_or_a_long_line_of_them_fire() {
        let member = |pid, groups: std::ops::Range<u32>| Process { groups: groups.collect(), ..child(pid, 7) };
        let tree = vec![member(7, 0..100), member(8, 0..1000), member(9, 1_000_000_000..1_000_000_500)];
        assert_eq!(fired("groups-too-many", &facts(tree), &[]), ["8", "9"]);
    }
}
