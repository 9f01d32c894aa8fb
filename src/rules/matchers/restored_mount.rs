//! Mounts that are dumped and do not come back. CRIU 4.2: `mount-v2.c: do_new_mount_v2` mounts them anew with the source
//! and options that mountinfo shows, before the restored tree has its root directory.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Mount, NamespaceKind};
use crate::finding::{Confidence, Subject};
use crate::rules::mounts::Mounts;

/// Fires on such mounts of a mount namespace of the tree's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoredMount {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// Overlays that were mounted inside: the directories of their options are looked for on the host. Where the root
    /// directory is that of a whole file system, it may be the host's, and they are found.
    Overlay,
    /// Those with a control character in a name.
    OddName,
}

impl Match for RestoredMount {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mounts, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.facts.shares_with_host(NamespaceKind::Mnt) {
            return Vec::new();
        }
        let is_odd = |name: &[u8]| name.iter().any(u8::is_ascii_control);
        let mounts = Mounts::collect(view);
        let own = mounts.all.iter().filter(|mount| mount.external.is_none()).map(|collected| collected.mount);
        let fires = |mount: &&Mount| match self.which {
            Which::Overlay => mount.fs_type.as_bytes() == b"overlay" && mount.mount_point.as_bytes() != b"/",
            Which::OddName => [&mount.mount_point, &mount.root, &mount.source].iter().any(|name| is_odd(name.as_bytes())),
        };
        let is_root = |mount: &&Mount| mount.mount_point.as_bytes() == b"/";
        let is_whole = |mount: &Mount| mount.root.as_bytes() == b"/" && mount.fs_type.as_bytes() != b"overlay";
        let is_of_host = mounts.all.iter().map(|collected| collected.mount).find(is_root).is_some_and(is_whole);
        let subjects = own.filter(fires).map(Subject::mount);
        subjects.map(|subject| if is_of_host { subject.at_most(Confidence::Possible) } else { subject }).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Mount, MountNamespace, Process};
    use crate::finding::Confidence;
    use crate::rules::testing::*;

    fn inside(mounts: Vec<Mount>) -> Facts {
        let namespaces = container_namespaces();
        let mut facts = facts(vec![Process { namespaces, ..process(7) }]);
        facts.mount_namespaces = vec![MountNamespace { id: namespaces.mnt.unwrap(), pid: 7, mounts, ..MountNamespace::default() }];
        facts
    }

    #[test]
    fn an_overlay_below_the_root_is_looked_for_on_the_host() {
        let facts = inside(vec![mount(1, 0, "/", "overlay"), mount(2, 1, "/var/lib/x", "overlay")]);
        assert_eq!(fired("overlay-inside", &facts, &[]), ["/var/lib/x"]);
        assert!(fired("overlay-inside", &facts, &["external mnt[/var/lib/x]:x"]).is_empty());
    }

    #[test]
    fn below_the_root_of_a_whole_file_system_it_may_be_found() {
        let confidence = |root| {
            let facts = inside(vec![root, mount(2, 1, "/x", "overlay")]);
            findings("overlay-inside", &facts, &profile("4.2", &[]))[0].confidence
        };
        assert_eq!(confidence(mount(1, 0, "/", "ext4")), Confidence::Possible);
        let bound = Mount { root: "/var/lib/c".into(), ..mount(1, 0, "/", "ext4") };
        assert_ne!(confidence(bound), Confidence::Possible);
    }

    #[test]
    fn a_name_with_a_control_character_may_not_come_back() {
        let facts = inside(vec![mount(1, 0, "/", "ext4"), mount(2, 1, "/a\nb", "tmpfs"), mount(3, 1, "/a b", "tmpfs")]);
        assert_eq!(fired("mount-name-odd", &facts, &[]).len(), 1);
    }
}
