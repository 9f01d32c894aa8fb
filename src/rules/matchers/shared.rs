//! Kernel resources that two processes share. CRIU 4.2: `cr-dump.c: dump_task_kobj_ids` refuses any that an earlier
//! process of its walk has, except a table of open files shared with the parent.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Pid};
use crate::finding::Subject;

/// Fires on each process that shares `resource` with an earlier one. `{other}` names that one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// `vm`, `fs`, `sighand`, `files`.
    resources: Vec<String>,
    /// Only where CRIU freezes the cgroup first.
    #[serde(default)]
    in_freezer: bool,
}

impl Match for Shared {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if self.in_freezer && !view.profile.has("freeze-cgroup", None) {
            return Vec::new();
        }
        self.resources.iter().flat_map(|resource| sharers(view, resource)).collect()
    }
}

fn sharers(view: View<'_>, resource: &str) -> Vec<Subject> {
    let mut owner = HashMap::<Pid, Pid>::new();
    let mut subjects = Vec::new();
    for process in &view.facts.processes {
        let recorded = process.shares.iter().filter(|(kind, _)| kind == resource).map(|(_, pid)| *pid);
        let reverse = view.facts.processes.iter().filter_map(|other| {
            let names = |(kind, pid): &(String, Pid)| kind == resource && *pid == process.pid;
            other.shares.iter().any(names).then_some(other.pid)
        });
        let first = recorded.chain(reverse).find_map(|pid| owner.get(&pid).copied());
        owner.insert(process.pid, first.unwrap_or(process.pid));
        let with_parent = resource == "files" && first.is_some() && owner.get(&process.ppid).copied() == first;
        if let Some(other) = first.filter(|_| !with_parent).and_then(|pid| view.index.processes.get(&pid)) {
            let (nth, id) = id(resource);
            let subject = Subject::process(process).with("resource", spelled(resource)).with("id", id).nth(nth);
            subjects.push(subject.with("other", format!("{} ({})", other.comm, other.pid)));
        }
    }
    subjects
}

/// When CRIU comes to it, and how it calls it. CRIU 4.2: `cr-dump.c: dump_task_kobj_ids`.
fn id(resource: &str) -> (usize, &str) {
    match resource {
        "vm" => (0, "VM"),
        "fs" => (1, "FS"),
        "files" => (2, "FILES"),
        "sighand" => (3, "IO"),
        other => (4, other),
    }
}

/// As people call it.
fn spelled(resource: &str) -> &str {
    match resource {
        "vm" => "memory",
        "fs" => "working directory and root",
        "sighand" => "signal handlers",
        "files" => "table of open files",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Pid, Process};
    use crate::rules::testing::*;

    fn sharing(pid: Pid, parent: Pid, resource: &str, with: Pid) -> Process {
        Process { shares: vec![(resource.to_owned(), with)], ..child(pid, parent) }
    }

    #[test]
    fn shared_memory_is_refused_whoever_recorded_it() {
        let facts_of = |tree| fired("process-shares-memory", &facts(tree), &[]);
        assert_eq!(facts_of(vec![process(7), sharing(8, 7, "vm", 7)]), ["8"]);
        assert_eq!(facts_of(vec![sharing(7, 1, "vm", 8), child(8, 7)]), ["8"]);
    }

    #[test]
    fn a_child_that_has_not_started_its_program_is_in_the_way_of_a_freezer_now_and_of_others_if_it_stays() {
        let mut tree = facts(vec![process(7), sharing(8, 7, "vm", 7)]);
        tree.looks = vec![facts(vec![process(7), sharing(9, 7, "vm", 7)])];
        assert_eq!(fired("vfork-in-freezer", &tree, &["freeze-cgroup /x"]), ["8", "9"]);
        assert!(fired("vfork-in-freezer", &tree, &[]).is_empty());
        assert!(fired("process-shares-memory", &tree, &["freeze-cgroup /x"]).is_empty());
    }

    #[test]
    fn open_files_may_be_shared_with_the_parent_only() {
        let family = vec![process(7), sharing(8, 7, "files", 7), sharing(9, 7, "files", 8)];
        assert!(fired("process-shares-files", &facts(family), &[]).is_empty());
        let siblings = vec![process(7), child(8, 7), sharing(9, 7, "files", 8)];
        assert_eq!(fired("process-shares-files", &facts(siblings), &[]), ["9"]);
    }
}
