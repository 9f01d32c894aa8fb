//! Processes in a frozen cgroup. CRIU 4.2 takes over a frozen cgroup only if it is told of it
//! (`seize.c: freeze_processes`); otherwise it waits for processes that never run (`compel/infect.c`). What it thaws in
//! the end is that very cgroup: of one that another above it keeps frozen, the processes never run.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Process};
use crate::finding::Subject;
use crate::text::RawText;

/// Fires on the first process of each frozen cgroup, unless just the one that was told to freeze is passed. `{cgroup}`
/// is its path, `{freezer}` the directory to pass.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {}

impl Match for Frozen {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let named = named(view);
        let mut seen = BTreeSet::new();
        let frozen = view.facts.processes.iter().filter(|process| process.frozen == Some(true) && !process.is_zombie());
        frozen
            .filter(|process| named.as_ref().is_none_or(|named| stays_frozen(process, named)))
            .filter(|process| seen.insert((cgroup(process), &process.frozen_by)))
            .map(subject)
            .collect()
    }
}

fn subject(process: &Process) -> Subject {
    let subject = Subject::process(process).with("cgroup", cgroup(process));
    match process.frozen_by.as_slice() {
        [one] => subject.with("freezer", one.clone()),
        _ => subject,
    }
}

/// Whether it is known that another cgroup than the one that is passed keeps it frozen.
fn stays_frozen(process: &Process, named: &RawText) -> bool {
    process.frozen_by.iter().any(|directory| directory != named)
}

/// The directory that `--freeze-cgroup` names, as far as it is absolute or was looked at.
pub(super) fn named(view: View<'_>) -> Option<RawText> {
    let value = view.profile.values("freeze-cgroup").last()?;
    let looked_at = view.facts.host.named_paths.iter().find(|path| path.option == "freeze-cgroup");
    let path = looked_at.map_or(value.as_bytes(), |path| path.path.as_bytes());
    Some(path.strip_suffix(b"/").unwrap_or(path).into())
}

/// The path on the freezer's line of v1 (`N:freezer:/PATH`), else on the one of v2 (`0::/PATH`).
fn cgroup(process: &Process) -> RawText {
    let path = |line: &RawText, mark: &str| {
        let line = line.to_string();
        line.split_once(mark).map(|(_, path)| path.to_owned())
    };
    let find = |mark: &str| process.cgroups.iter().find_map(|line| path(line, mark));
    find(":freezer:").filter(|path| path != "/").or_else(|| find("0::")).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    fn frozen(process: Process, by: &[&str]) -> Process {
        let frozen_by = by.iter().map(|path| (*path).into()).collect();
        Process { frozen: Some(true), frozen_by, cgroups: vec!["0::/pod/box".into()], ..process }
    }

    #[test]
    fn a_frozen_cgroup_is_named_once_and_lifted_by_passing_it() {
        let facts = facts(vec![frozen(process(7), &["/cg/pod/box"]), frozen(child(8, 7), &["/cg/pod/box"])]);
        let found = findings("process-frozen", &facts, &profile("4.2", &[]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].lifted_by[0].to_string(), "freeze-cgroup /cg/pod/box");
        assert!(fired("process-frozen", &facts, &["freeze-cgroup /cg/pod/box/"]).is_empty());
    }

    #[test]
    fn a_cgroup_that_another_one_keeps_frozen_is_lifted_by_that_one_only() {
        let facts = facts(vec![frozen(process(7), &["/cg/pod"])]);
        let found = findings("process-frozen", &facts, &profile("4.2", &[]));
        assert_eq!(found[0].lifted_by[0].to_string(), "freeze-cgroup /cg/pod");
        assert_eq!(fired("process-frozen", &facts, &["freeze-cgroup /cg/pod/box"]), ["7"]);
        assert!(fired("process-frozen", &facts, &["freeze-cgroup /cg/pod"]).is_empty());
    }

    #[test]
    fn two_frozen_cgroups_are_beyond_the_option() {
        let facts = facts(vec![frozen(process(7), &["/cg/pod/box", "/cg/pod"])]);
        let found = findings("process-frozen", &facts, &profile("4.2", &["freeze-cgroup /cg/pod"]));
        assert!(found[0].lifted_by.is_empty());
    }

    #[test]
    fn a_thawed_or_unreadable_cgroup_is_fine() {
        let facts = facts(vec![Process { frozen: Some(false), ..process(7) }, child(8, 7)]);
        assert!(fired("process-frozen", &facts, &[]).is_empty());
    }
}
