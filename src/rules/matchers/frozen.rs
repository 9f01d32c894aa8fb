//! Processes in a frozen cgroup. CRIU 4.2 takes over a frozen cgroup only if it is told of it
//! (`seize.c: freeze_processes`); otherwise it waits for processes that never run (`compel/infect.c`).

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Process};
use crate::finding::Subject;
use crate::text::RawText;

/// Fires on the first process of each frozen cgroup, unless a freezer cgroup is passed. `{cgroup}` is its directory
/// where cgroups are usually mounted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {}

impl Match for Frozen {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.profile.has("freeze-cgroup", None) {
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let frozen = view.facts.processes.iter().filter(|process| process.frozen == Some(true));
        frozen
            .map(|process| (process, directory(process)))
            .filter(|(_, directory)| seen.insert(directory.clone()))
            .map(|(process, directory)| Subject::process(process).with("cgroup", directory))
            .collect()
    }
}

/// The freezer's line of v1 (`N:freezer:/PATH`), else the one of v2 (`0::/PATH`).
fn directory(process: &Process) -> RawText {
    let path = |line: &RawText, mark: &str| {
        let line = line.to_string();
        line.split_once(mark).map(|(_, path)| path.to_owned())
    };
    let find = |mark: &str| process.cgroups.iter().find_map(|line| path(line, mark));
    match find(":freezer:").filter(|path| path != "/") {
        Some(path) => format!("/sys/fs/cgroup/freezer{path}").into(),
        None => format!("/sys/fs/cgroup{}", find("0::").unwrap_or_default()).into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn a_frozen_cgroup_is_named_once_and_lifted_by_passing_it() {
        let frozen = |process| Process { frozen: Some(true), cgroups: vec!["0::/box".into()], ..process };
        let facts = facts(vec![frozen(process(7)), frozen(child(8, 7))]);
        let found = findings("process-frozen", &facts, &profile("4.2", &[]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].lifted_by[0].to_string(), "freeze-cgroup /sys/fs/cgroup/box");
        assert!(fired("process-frozen", &facts, &["freeze-cgroup /sys/fs/cgroup/unified/box"]).is_empty());
    }

    #[test]
    fn a_thawed_or_unreadable_cgroup_is_fine() {
        let facts = facts(vec![Process { frozen: Some(false), ..process(7) }, child(8, 7)]);
        assert!(fired("process-frozen", &facts, &[]).is_empty());
    }
}
