//! The mounts that CRIU collects, as a tree. CRIU 4.2: `mount.c: collect_mnt_namespaces`, `namespaces.c:
//! walk_namespaces`, `proc_parse.c: parse_mountinfo`.
//!
//! CRIU looks up every file by its mount id here. A root process in the host's mount namespace makes it collect that
//! one; otherwise it leaves the host's out. Mounts that are skipped are as good as not there.

use std::collections::HashMap;

use super::View;
use crate::facts::{Mount, NamespaceKind, NsId, Process, is_below};

mod binds;

pub(super) use binds::External;

/// One collected mount.
#[derive(Debug)]
pub(super) struct Collected<'a> {
    /// Its line of mountinfo.
    pub(super) mount: &'a Mount,
    /// Mount namespace that it is in.
    pub(super) namespace: NsId,
    /// Its place in [`Mounts::all`].
    pub(super) index: usize,
    /// Place of the mount that it is mounted on.
    pub(super) parent: Option<usize>,
    /// Whether the restore gets it from outside, by options.
    pub(super) external: Option<External>,
}

/// All collected mounts, namespace by namespace in the order of mountinfo.
#[derive(Debug)]
pub(super) struct Mounts<'a> {
    /// The mounts.
    pub(super) all: Vec<Collected<'a>>,
    ids: HashMap<u64, usize>,
    is_complete: bool,
    /// The root process's mount namespace and criu's own.
    root: Option<NsId>,
    host: Option<NsId>,
    /// Whether the root process has a cgroup namespace of its own.
    own_cgroup: bool,
}

impl<'a> Mounts<'a> {
    /// Collects the mounts as CRIU does.
    pub(super) fn collect(view: View<'a>) -> Self {
        let host = view.facts.host.namespaces.mnt;
        let root = view.facts.root().and_then(|root| root.namespaces.mnt);
        let leave_host_out = !view.facts.shares_with_host(NamespaceKind::Mnt);
        let namespaces = view.facts.mount_namespaces.iter();
        let mut all = Vec::new();
        for namespace in namespaces.filter(|namespace| !(leave_host_out && Some(namespace.id) == host)) {
            let kept = namespace.mounts.iter().filter(|mount| !is_skipped(view, mount));
            all.extend(kept.map(|mount| (mount, namespace.id)));
        }
        let ids: HashMap<u64, usize> = all.iter().enumerate().map(|(index, (mount, _))| (mount.id, index)).collect();
        let collected = |(index, (mount, namespace)): (usize, (&'a Mount, NsId))| {
            let parent = ids.get(&mount.parent).copied().filter(|parent| *parent != index);
            let mut collected = Collected { mount, namespace, index, parent, external: None };
            let in_root = leave_host_out && Some(namespace) == root;
            collected.external = binds::external(view.profile, &collected, in_root);
            collected
        };
        let all = all.into_iter().enumerate().map(collected).collect();
        let own_cgroup = !view.facts.shares_with_host(NamespaceKind::Cgroup);
        Self { all, ids, is_complete: is_complete(view), root, host, own_cgroup }
    }

    /// The mount with that id.
    pub(super) fn get(&self, id: u64) -> Option<&Collected<'a>> {
        self.all.get(*self.ids.get(&id)?)
    }

    /// Whether CRIU finds no mount with that id. False while some mount namespace of the tree could not be read.
    pub(super) fn lack(&self, id: u64) -> bool {
        self.is_complete && !self.ids.contains_key(&id)
    }

    /// Whether it lies on a mount that is not there, while the root of its namespace is.
    pub(super) fn has_lost_parent(&self, mount: &Collected<'a>) -> bool {
        let root = |other: &Collected<'a>| other.namespace == mount.namespace && point(other) == b"/";
        mount.parent.is_none() && point(mount) != b"/" && self.all.iter().any(root)
    }

    /// Whether an overlay is among the mounts: then CRIU looks up by path what it does not find by mount id, and takes
    /// it if device and inode agree. CRIU 4.2: `files.c: fixup_overlayfs`, `mount.c: lookup_overlayfs`.
    pub(super) fn are_looked_up_by_path(&self) -> bool {
        self.all.iter().any(|mount| mount.mount.fs_type.as_bytes() == b"overlay")
    }

    /// Mounts on this very mount.
    pub(super) fn children(&self, index: usize) -> impl Iterator<Item = &Collected<'a>> {
        self.all.iter().filter(move |mount| mount.parent == Some(index))
    }

    /// The mount and all that it lies on, up to the root.
    fn ancestors(&self, index: usize) -> impl Iterator<Item = &Collected<'a>> {
        let step = |mount: &&Collected<'a>| self.all.get(mount.parent?);
        std::iter::successors(self.all.get(index), step).take(self.all.len())
    }

    /// Whether the mount is hidden under another. CRIU 4.2: `mount.c: mnt_is_overmounted`.
    pub(super) fn is_overmounted(&self, index: usize) -> bool {
        let hidden_by_sibling = |mount: &Collected<'a>| {
            let siblings = mount.parent.into_iter().flat_map(|parent| self.children(parent));
            let covers = |other: &Collected<'a>| other.index != mount.index && is_below(point(mount), point(other));
            siblings.into_iter().any(covers)
        };
        let covered = |mount: &Collected<'a>| self.children(mount.index).any(|child| point(child) == point(mount));
        self.ancestors(index).any(hidden_by_sibling) || self.all.get(index).is_some_and(covered)
    }
}

fn point<'a>(mount: &Collected<'a>) -> &'a [u8] {
    mount.mount.mount_point.as_bytes()
}

/// `--skip-mnt`, and tracefs, which CRIU leaves to debugfs (`filesystems.c: tracefs_parse`).
fn is_skipped(view: View<'_>, mount: &Mount) -> bool {
    let trim = |path: &'_ [u8]| path.strip_suffix(b"/").unwrap_or(path).to_vec();
    let point = trim(mount.mount_point.as_bytes());
    mount.fs_type.as_bytes() == b"tracefs" || view.profile.values("skip-mnt").any(|path| trim(path.as_bytes()) == point)
}

/// Whether the mounts of every mount namespace of the tree were read.
fn is_complete(view: View<'_>) -> bool {
    let read = |process: &Process| {
        let id = process.namespaces.mnt;
        view.facts.mount_namespaces.iter().any(|namespace| Some(namespace.id) == id && !namespace.mounts.is_empty())
    };
    view.facts.processes.iter().filter(|process| !process.is_zombie()).all(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Mount;
    use crate::rules::Index;
    use crate::rules::testing::*;

    fn hidden(mounts: Vec<Mount>) -> Vec<u64> {
        let mut facts = facts(vec![process(7)]);
        facts.mount_namespaces[0].mounts = mounts;
        let (index, profile) = (Index::new(&facts), profile("4.2", &[]));
        let collected = Mounts::collect(View { facts: &facts, profile: &profile, index: &index, held: &[] });
        let hidden = collected.all.iter().filter(|mount| collected.is_overmounted(mount.index));
        hidden.map(|mount| mount.mount.id).collect()
    }

    #[test]
    fn a_mount_is_hidden_by_one_on_the_same_point_or_above_it() {
        let root = || mount(1, 0, "/", "ext4");
        assert_eq!(hidden(vec![root(), mount(2, 1, "/a", "tmpfs"), mount(3, 2, "/a", "tmpfs")]), [2]);
        assert_eq!(hidden(vec![root(), mount(2, 1, "/a/b", "tmpfs"), mount(3, 1, "/a", "tmpfs")]), [2]);
        assert!(hidden(vec![root(), mount(2, 1, "/a", "tmpfs"), mount(3, 2, "/a/b", "tmpfs")]).is_empty());
        assert!(hidden(vec![root(), mount(2, 1, "/ab", "tmpfs"), mount(3, 1, "/a", "tmpfs")]).is_empty());
    }
}
