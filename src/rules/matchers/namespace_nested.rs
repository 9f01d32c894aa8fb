//! Namespaces inside the tree that differ from the root process's. CRIU 4.2: `namespaces.c: generate_ns_id` takes any
//! kind for the root process, only mount and network namespaces for others, and knows its own; `dump_task_ns_ids`
//! refuses a process whose children will be in another time namespace than itself.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind, Process};
use crate::finding::Subject;

/// Fires on each process that is in a namespace of one of `kinds` which is neither the root process's nor criu's own.
///
/// Those that are dumped are restored only where the root process has a namespace of its own of that kind
/// (`pstree.c: prepare_pstree_ids`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceNested {
    kinds: Vec<NamespaceKind>,
    /// Only kinds of which the root process is in criu's own.
    #[serde(default)]
    root_shares: bool,
}

impl Match for NamespaceNested {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let nested = |process: &Process, kind: NamespaceKind| {
            let root = view.facts.root().and_then(|root| root.namespaces.get(kind));
            let own = process.namespaces.get(kind);
            let foreign = own.is_some() && root.is_some() && own != root && own != view.facts.host.namespaces.get(kind);
            foreign || (kind == NamespaceKind::Time && is_time_split(process))
        };
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        alive
            .flat_map(|process| {
                let kinds = self.kinds.iter().filter(|kind| !self.root_shares || view.facts.shares_with_host(**kind));
                let kinds = kinds.filter(move |kind| nested(process, **kind));
                kinds.map(move |kind| Subject::process(process).with("kind", kind.name()).nth(SHARED + order(*kind)))
            })
            .collect()
    }
}

/// What processes share is looked at before.
const SHARED: usize = 4;

/// CRIU 4.2: `namespaces.c: dump_task_ns_ids`.
fn order(kind: NamespaceKind) -> usize {
    match kind {
        NamespaceKind::Pid => 0,
        NamespaceKind::Net => 1,
        NamespaceKind::Ipc => 2,
        NamespaceKind::Uts => 3,
        NamespaceKind::Time => 4,
        NamespaceKind::Mnt => 5,
        NamespaceKind::User => 6,
        NamespaceKind::Cgroup => 7,
    }
}

fn is_time_split(process: &Process) -> bool {
    let namespaces = &process.namespaces;
    namespaces.time.zip(namespaces.time_for_children).is_some_and(|(own, children)| own != children)
}

#[cfg(test)]
mod tests {
    use crate::facts::{Namespaces, Process};
    use crate::rules::testing::*;

    #[test]
    fn only_mount_and_network_namespaces_may_be_nested() {
        let inside = Process { namespaces: container_namespaces(), ..process(7) };
        let own_mounts = Namespaces { mnt: Some(1), net: Some(2), pid_for_children: Some(3), ..container_namespaces() };
        let browser = Process { namespaces: own_mounts, ..child(8, 7) };
        let sandbox = Process { namespaces: Namespaces { pid: Some(4), user: Some(5), ..own_mounts }, ..child(9, 8) };
        let facts = facts(vec![inside, browser, sandbox]);
        assert_eq!(fired("namespace-nested", &facts, &[]), ["9", "9"]);
    }

    #[test]
    fn one_below_a_root_that_shares_that_of_criu_is_not_restored() {
        let nested = Process { namespaces: Namespaces { net: Some(2), ..host_namespaces() }, ..child(8, 7) };
        let root = |namespaces| Process { namespaces, ..process(7) };
        assert_eq!(fired("namespace-below-shared", &facts(vec![root(host_namespaces()), nested.clone()]), &[]), ["8"]);
        let own = Namespaces { net: Some(3), ..host_namespaces() };
        assert!(fired("namespace-below-shared", &facts(vec![root(own), nested]), &[]).is_empty());
    }

    #[test]
    fn children_must_stay_in_the_same_time_namespace() {
        let split = Namespaces { time_for_children: Some(1), ..host_namespaces() };
        let facts = facts(vec![Process { namespaces: split, ..process(7) }, child(8, 7)]);
        assert_eq!(fired("namespace-nested", &facts, &[]), ["7"]);
    }

    #[test]
    fn a_namespace_of_the_host_is_known_to_criu() {
        let inside = Process { namespaces: container_namespaces(), ..process(7) };
        let joined = Namespaces { ipc: host_namespaces().ipc, ..container_namespaces() };
        let facts = facts(vec![inside, Process { namespaces: joined, ..child(8, 7) }]);
        assert!(fired("namespace-nested", &facts, &[]).is_empty());
    }
}
