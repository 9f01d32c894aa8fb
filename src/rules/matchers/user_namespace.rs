//! A tree in a user namespace of its own that still uses the mounts of the host. CRIU 4.3 saves the binfmt_misc of
//! each user namespace and mounts it from inside, which takes a mount namespace of the same owner.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind};
use crate::finding::Subject;

/// Fires on the root process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserNamespace {}

impl Match for UserNamespace {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let shares = |kind| view.facts.shares_with_host(kind);
        let root = view.facts.root().filter(|root| root.namespaces.user.is_some());
        let alone = shares(NamespaceKind::Mnt) && !shares(NamespaceKind::User);
        root.filter(|_| alone && view.facts.host.namespaces.user.is_some()).map(Subject::process).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Namespaces, Process};
    use crate::rules::testing::*;

    #[test]
    fn a_user_namespace_needs_a_mount_namespace_of_its_own_since_4_3() {
        let user = Some(1);
        let tree = |namespaces| facts(vec![Process { namespaces, ..process(7) }]);
        let alone = tree(Namespaces { user, ..host_namespaces() });
        assert_eq!(findings("user-namespace-alone", &alone, &profile("4.3", &[])).len(), 1);
        assert!(findings("user-namespace-alone", &alone, &profile("4.2", &[])).is_empty());
        for other in [host_namespaces(), Namespaces { user, ..container_namespaces() }] {
            assert!(findings("user-namespace-alone", &tree(other), &profile("4.3", &[])).is_empty());
        }
    }
}
