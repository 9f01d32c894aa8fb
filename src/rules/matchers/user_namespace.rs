//! A root process in a user namespace of its own. CRIU 4.2: `namespaces.c: check_user_ns` becomes the root user of that
//! namespace and enters the other namespaces of the root process from there. CRIU 4.3 saves the binfmt_misc of each
//! user namespace and mounts it from inside, which takes a mount namespace of the same owner.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, IdExtent, NamespaceKind, Process};
use crate::finding::Subject;

/// Fires on the root process. `{kind}` is the namespace or the kind of id that is in the way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserNamespace {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// It still uses the mounts of the host.
    Alone,
    /// It still uses the pid namespace of the host, whose `/proc` it may not mount: CRIU does so when it restores
    /// (`cr-restore.c: mount_proc`).
    WithoutProc,
    /// It maps no user or no group 0.
    NoRoot,
    /// A namespace of another kind belongs to another user namespace.
    Foreign,
}

impl Match for UserNamespace {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(root) = view.facts.root().filter(|root| root.namespaces.user.is_some()) else { return Vec::new() };
        let shares = |kind| view.facts.shares_with_host(kind);
        if view.facts.host.namespaces.user.is_none() || shares(NamespaceKind::User) {
            return Vec::new();
        }
        match self.which {
            Which::Alone if shares(NamespaceKind::Mnt) => vec![Subject::process(root)],
            Which::WithoutProc if shares(NamespaceKind::Pid) => vec![Subject::process(root)],
            Which::Alone | Which::WithoutProc => Vec::new(),
            Which::NoRoot => without_root(view, root),
            Which::Foreign => foreign(view, root),
        }
    }
}

/// An entry for each map without an id 0. CRIU: `host_id`.
fn without_root(view: View<'_>, root: &Process) -> Vec<Subject> {
    let Some(namespace) = &view.facts.user_namespace else { return Vec::new() };
    let maps_root = |map: &[IdExtent]| map.iter().any(|extent| extent.inside == 0 && extent.count > 0);
    let maps = [("user", &namespace.uids), ("group", &namespace.gids)];
    let missing = maps.into_iter().filter(|(_, map)| !maps_root(map));
    missing.map(|(kind, _)| Subject::process(root).with("kind", kind)).collect()
}

/// They are entered after the ids are looked at. CRIU 4.2: `namespaces.c: check_user_ns`.
fn order(kind: NamespaceKind) -> usize {
    match kind {
        NamespaceKind::Net => 1,
        NamespaceKind::Uts => 2,
        NamespaceKind::Time => 3,
        NamespaceKind::Ipc => 4,
        _ => 5,
    }
}

/// Namespaces that can't be entered with the rights the user namespace gives: those that are neither owned by it nor
/// by one below it. Those of criu itself are not entered.
fn foreign(view: View<'_>, root: &Process) -> Vec<Subject> {
    let Some(namespace) = &view.facts.user_namespace else { return Vec::new() };
    let entered = namespace.owners.iter().filter(|(kind, _)| !view.facts.shares_with_host(*kind));
    let foreign = entered.filter(|(_, owners)| !owners.contains(&namespace.id));
    foreign.map(|(kind, _)| Subject::process(root).with("kind", kind.name()).nth(order(*kind))).collect()
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, IdExtent, NamespaceKind, Namespaces, Process, UserNamespace};
    use crate::rules::testing::*;

    fn tree(namespaces: Namespaces) -> Facts {
        facts(vec![Process { namespaces, ..process(7) }])
    }

    fn inside(uids: Vec<IdExtent>, owners: Vec<(NamespaceKind, Vec<u64>)>) -> Facts {
        let gids = vec![IdExtent { inside: 0, outside: 0, count: 1 }];
        let user_namespace = Some(UserNamespace { id: 1, uids, gids, owners, ..UserNamespace::default() });
        Facts { user_namespace, ..tree(Namespaces { user: Some(1), ..container_namespaces() }) }
    }

    #[test]
    fn a_user_namespace_needs_a_mount_namespace_of_its_own_since_4_3() {
        let user = Some(1);
        let alone = tree(Namespaces { user, ..host_namespaces() });
        assert_eq!(findings("user-namespace-alone", &alone, &profile("4.3", &[])).len(), 1);
        assert!(findings("user-namespace-alone", &alone, &profile("4.2", &[])).is_empty());
        for other in [host_namespaces(), Namespaces { user, ..container_namespaces() }] {
            assert!(findings("user-namespace-alone", &tree(other), &profile("4.3", &[])).is_empty());
        }
    }

    #[test]
    fn a_user_namespace_must_map_its_root_user() {
        let mapped = IdExtent { inside: 0, outside: 1000, count: 1 };
        let rule = "user-namespace-no-root";
        assert_eq!(fired(rule, &inside(vec![], vec![]), &[]), ["7"]);
        assert_eq!(fired(rule, &inside(vec![IdExtent { inside: 1, ..mapped }], vec![]), &[]), ["7"]);
        assert!(fired(rule, &inside(vec![mapped], vec![]), &[]).is_empty());
    }

    #[test]
    fn other_namespaces_must_belong_to_it_or_to_one_below() {
        let mapped = vec![IdExtent { inside: 0, outside: 1000, count: 1 }];
        let owners = vec![(NamespaceKind::Net, vec![9]), (NamespaceKind::Uts, vec![1, 9]), (NamespaceKind::Ipc, vec![2, 1])];
        let found = findings("user-namespace-foreign", &inside(mapped, owners), &profile("4.2", &[]));
        assert_eq!(found.iter().map(|f| f.subject.value("kind").unwrap()).collect::<Vec<_>>(), ["net"]);
    }
}
