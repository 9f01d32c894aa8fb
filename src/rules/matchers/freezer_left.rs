//! Threads outside of the cgroup that CRIU freezes. CRIU 4.2: `seize.c: seize_cgroup_tree` attaches to those in it, and
//! `collect_pstree`, `collect_children`, `collect_threads` to no others when `--freeze-cgroup` is passed.

use serde::Deserialize;

use super::frozen::named;
use super::{Match, View};
use crate::facts::{Area, FreezerMount, Process, is_below};
use crate::finding::Subject;
use crate::procfs::cgroup::freezer;
use crate::text::RawText;

/// Fires on processes of which a live thread is neither in that cgroup nor below it. `{cgroup}` is where it is, `{tid}`
/// which thread, `{freezer}` what is frozen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezerLeft {}

impl Match for FreezerLeft {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(named) = named(view) else { return Vec::new() };
        // The nearest mount: that of another hierarchy may be above it.
        let mounts = view.facts.host.freezers.iter();
        let holds = mounts.filter(|mount| is_below(named.as_bytes(), mount.mount_point.as_bytes()));
        let Some(mount) = holds.max_by_key(|mount| mount.mount_point.as_bytes().len()) else { return Vec::new() };
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        alive.filter_map(|process| subject(process, mount, &named)).collect()
    }
}

fn subject(process: &Process, mount: &FreezerMount, named: &RawText) -> Option<Subject> {
    let outside = |lines: &[RawText]| {
        let mut own = lines.iter().filter(|line| freezer(line.as_bytes()).is_some_and(|(h, _)| h == mount.hierarchy));
        let line = own.next()?;
        let directory = mount.directory(line.as_bytes());
        let inside = directory.is_some_and(|directory| is_below(directory.as_bytes(), named.as_bytes()));
        (!inside).then(|| line.clone())
    };
    let alive = process.threads.iter().filter(|thread| !matches!(thread.state, 'Z' | 'X'));
    let mut cgroups = alive.map(|thread| (thread.tid, thread.cgroups.as_ref().unwrap_or(&process.cgroups)));
    let (tid, cgroup) = cgroups.find_map(|(tid, lines)| Some((tid, outside(lines)?)))?;
    let subject = Subject::process(process).with("cgroup", cgroup).with("tid", tid.to_string());
    Some(subject.with("freezer", named.clone()))
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, FreezerMount, Process};
    use crate::procfs::cgroup::Freezer;
    use crate::rules::testing::*;

    const RULE: &str = "process-outside-freezer";

    fn tree(lines: &[&str]) -> Facts {
        let in_cgroup = |(pid, line): (i32, &&str)| Process { cgroups: vec![(*line).into()], ..child(pid, 7) };
        let mut facts = facts((7..).zip(lines).map(in_cgroup).collect());
        let mount = |hierarchy, point: &str| FreezerMount { hierarchy, root: "/".into(), mount_point: point.into() };
        facts.host.freezers = vec![mount(Freezer::V1, "/cg/freezer"), mount(Freezer::V2, "/cg")];
        facts
    }

    #[test]
    fn all_processes_must_be_in_the_cgroup_that_is_frozen_or_below_it() {
        let tree = tree(&["0::/box", "0::/box/x", "0::/boxes", "0::/"]);
        assert_eq!(fired(RULE, &tree, &["freeze-cgroup /cg/box/"]), ["9", "10"]);
        assert!(fired(RULE, &tree, &[]).is_empty());
        assert!(fired(RULE, &tree, &["freeze-cgroup /elsewhere/box"]).is_empty(), "where that is was not seen");
    }

    #[test]
    fn only_the_hierarchy_of_the_directory_counts() {
        let tree = tree(&["5:freezer:/box", "5:freezer:/", "0::/"]);
        assert_eq!(fired(RULE, &tree, &["freeze-cgroup /cg/freezer/box"]), ["8"]);
    }
}
