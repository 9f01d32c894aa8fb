//! How CRIU keeps packets out while it dumps. CRIU 4.2: `net.c: network_lock`, for network namespaces other than its own.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind};
use crate::finding::Subject;

/// Fires where CRIU is told to lock the network of the target by this method.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkLock {
    method: String,
}

impl Match for NetworkLock {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let asked = view.profile.values("network-lock").last() == Some(&self.method);
        let own = !view.facts.shares_with_host(NamespaceKind::Net);
        let root = view.facts.root().filter(|_| asked && own);
        root.map(Subject::process).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn a_build_without_libnftables_can_not_lock_with_it() {
        let inside = facts(vec![Process { namespaces: container_namespaces(), ..process(7) }]);
        let without = profile("4.2", &["network-lock nftables"]);
        let mut with = without.clone();
        with.criu.features = vec!["nftables".into()];
        assert_eq!(findings("network-lock-nftables", &inside, &without).len(), 1);
        assert!(findings("network-lock-nftables", &inside, &with).is_empty());
        assert!(findings("network-lock-nftables", &inside, &profile("4.2", &[])).is_empty());
        assert!(findings("network-lock-nftables", &facts(vec![process(7)]), &without).is_empty());
    }
}
