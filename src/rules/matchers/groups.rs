//! Supplementary groups beyond what CRIU has room for. CRIU 4.2: `pie/parasite.c: dump_creds`
//! (`PARASITE_MAX_GROUPS`), `bfd.c: brefill` for the line of `/proc/PID/status`.

use std::iter;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Process};
use crate::finding::Subject;

/// Fires on each process of which a thread has at least `count` groups, or a `Groups:` line of more than `line` bytes,
/// whichever the rule names. `{tid}` is the thread.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    #[serde(default = "unlimited")]
    count: usize,
    #[serde(default = "unlimited")]
    line: usize,
}

const fn unlimited() -> usize {
    usize::MAX
}

impl Match for Groups {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        alive.filter_map(|process| self.subject(process)).collect()
    }
}

impl Groups {
    fn subject(&self, process: &Process) -> Option<Subject> {
        let of_threads = process.threads.iter().filter_map(|thread| Some((thread.tid, thread.groups.as_ref()?)));
        let mut all = iter::once((process.pid, &process.groups)).chain(of_threads);
        let (tid, groups) = all.find(|(_, ids)| ids.len() >= self.count || line_length(ids) > self.line)?;
        let subject = Subject::process(process).with("tid", tid.to_string());
        let subject = subject.with("count", groups.len().to_string());
        Some(if tid == process.pid { subject } else { subject.with("thread", "yes") })
    }
}

/// Length of `Groups:\t` and each id with the blank behind it.
fn line_length(groups: &[u32]) -> usize {
    let digits = |id: &u32| id.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    "Groups:\t".len() + groups.iter().map(|id| digits(id) + 1).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use crate::facts::{Process, Thread};
    use crate::rules::testing::*;

    #[test]
    fn many_groups_or_a_long_line_of_them_fire() {
        let member = |pid, groups: std::ops::Range<u32>| Process { groups: groups.collect(), ..child(pid, 7) };
        let tree = facts(vec![member(7, 0..100), member(8, 0..1000), member(9, 1_000_000_000..1_000_000_500)]);
        assert_eq!(fired("groups-too-many", &tree, &[]), ["8"]);
        assert_eq!(fired("groups-line-too-long", &tree, &[]), ["9"]);
    }

    #[test]
    fn a_thread_may_have_groups_of_its_own() {
        let alone = |count| Thread { groups: Some((0..count).collect()), ..thread(8) };
        let with = |count| facts(vec![Process { threads: vec![thread(7), alone(count)], ..process(7) }]);
        assert_eq!(fired("groups-too-many", &with(1000), &[]), ["7"]);
        assert!(fired("groups-too-many", &with(100), &[]).is_empty());
    }
}
