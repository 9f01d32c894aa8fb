//! A root directory that is not the root of the mount namespace. CRIU 4.2: `mount.c: __mntns_get_root_fd`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind};
use crate::finding::Subject;

/// Fires on the first process of each mount namespace when it is chrooted and the namespace is not the host's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootChanged {}

impl Match for RootChanged {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.facts.shares_with_host(NamespaceKind::Mnt) {
            return Vec::new();
        }
        let mut seen = Vec::new();
        let first = view.facts.processes.iter().filter(|process| !process.is_zombie()).filter(move |process| {
            let known = seen.contains(&process.namespaces.mnt);
            seen.push(process.namespaces.mnt);
            !known
        });
        let changed = first.filter_map(|process| Some((process, process.root.as_ref()?)));
        let changed = changed.filter(|(_, root)| root.as_bytes() != b"/");
        changed.map(|(process, root)| Subject::process(process).with("root", root.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn a_chroot_is_refused_in_a_mount_namespace_of_its_own_only() {
        let chrooted = || Process { root: Some("/srv/jail".into()), ..process(7) };
        let inside = Process { namespaces: container_namespaces(), ..chrooted() };
        assert_eq!(fired("root-changed", &facts(vec![inside]), &[]), ["7"]);
        assert!(fired("root-changed", &facts(vec![chrooted()]), &[]).is_empty());
    }

    #[test]
    fn a_chrooted_child_is_fine() {
        let init = Process { namespaces: container_namespaces(), ..process(7) };
        let jailed = Process { root: Some("/var/empty".into()), namespaces: container_namespaces(), ..child(8, 7) };
        assert!(fired("root-changed", &facts(vec![init, jailed]), &[]).is_empty());
    }
}
