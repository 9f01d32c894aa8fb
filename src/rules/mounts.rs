//! The mounts that CRIU collects, as a tree. CRIU 4.2: `mount.c: collect_mnt_namespaces`, `namespaces.c:
//! walk_namespaces`, `proc_parse.c: parse_mountinfo`.
//!
//! CRIU looks up every file by its mount id here. A root process in the host's mount namespace makes it collect that
//! one; otherwise it leaves the host's out. Mounts that are skipped are as good as not there.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::View;
use crate::facts::{Mount, MountNamespace, NamespaceKind, NsId, Process};

mod binds;
mod index;

use binds::Declared;
pub(super) use binds::External;
use index::{Index, trimmed, upwards};

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
    /// Made when first asked: most rules look at few mounts.
    index: OnceCell<Index<'a>>,
    /// Whether each is hidden under another.
    hidden: OnceCell<Vec<bool>>,
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
        let mut all = Vec::new();
        for namespace in namespaces(view) {
            let kept = namespace.mounts.iter().filter(|mount| !is_skipped(view, mount));
            all.extend(kept.map(|mount| (mount, namespace.id)));
        }
        let ids: HashMap<u64, usize> = all.iter().enumerate().map(|(index, (mount, _))| (mount.id, index)).collect();
        let declared = Declared::new(view.profile);
        let collected = |(index, (mount, namespace)): (usize, (&'a Mount, NsId))| {
            let parent = ids.get(&mount.parent).copied().filter(|parent| *parent != index);
            let mut collected = Collected { mount, namespace, index, parent, external: None };
            let in_root = leave_host_out && Some(namespace) == root;
            collected.external = declared.of(&collected, in_root);
            collected
        };
        let all: Vec<Collected<'a>> = all.into_iter().enumerate().map(collected).collect();
        let own_cgroup = !view.facts.shares_with_host(NamespaceKind::Cgroup);
        let (index, hidden) = (OnceCell::new(), OnceCell::new());
        Self { all, ids, index, hidden, is_complete: is_complete(view), root, host, own_cgroup }
    }

    fn index(&self) -> &Index<'a> {
        self.index.get_or_init(|| Index::new(&self.all, |mount| binds::root_of(mount, self.own_cgroup)))
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
        mount.parent.is_none() && point(mount) != b"/" && self.index().is_rooted(mount.namespace)
    }

    /// Whether the root is an overlay: then CRIU looks up by path what it does not find by mount id, and takes it if
    /// device and inode agree. Below another overlay it looks for the whole path. CRIU 4.2: `files.c: fixup_overlayfs`,
    /// `mount.c: lookup_overlayfs`.
    pub(super) fn are_looked_up_by_path(&self) -> bool {
        self.all.iter().any(|mount| mount.mount.fs_type.as_bytes() == b"overlay" && point(mount) == b"/")
    }

    /// Whether another mount that was met before lies at the same point of the same mount.
    pub(super) fn has_twin_before(&self, mount: &Collected<'a>) -> bool {
        let first = mount.parent.and_then(|parent| self.index().children_at(parent, point(mount)).first());
        first.is_some_and(|first| *first < mount.index)
    }

    /// Whether the mount is hidden under another. CRIU 4.2: `mount.c: mnt_is_overmounted`.
    pub(super) fn is_overmounted(&self, index: usize) -> bool {
        let hidden = self.hidden.get_or_init(|| hidden(&self.all, self.index()));
        hidden.get(index).is_some_and(|hidden| *hidden)
    }
}

/// Which mounts are hidden: what is mounted beside them at their point or above it hides them and all that lies on
/// them, and what is mounted on them at their own point hides them alone.
fn hidden(all: &[Collected<'_>], index: &Index<'_>) -> Vec<bool> {
    let is_covered = |mount: &Collected<'_>| !index.children_at(mount.index, point(mount)).is_empty();
    let mut hidden: Vec<bool> = all.iter().map(is_covered).collect();
    let is_behind_sibling = |mount: &&Collected<'_>| {
        let mut beside = upwards(point(mount))
            .flat_map(|above| mount.parent.map_or(&[][..], |parent| index.children_at(parent, above)));
        beside.any(|other| *other != mount.index)
    };
    let mut open: Vec<usize> = all.iter().filter(is_behind_sibling).map(|mount| mount.index).collect();
    let mut seen = vec![false; all.len()];
    while let Some(place) = open.pop() {
        let Some(seen) = seen.get_mut(place).filter(|seen| !**seen) else { continue };
        *seen = true;
        hidden.get_mut(place).into_iter().for_each(|hidden| *hidden = true);
        open.extend(index.children(place));
    }
    hidden
}

/// The namespaces that CRIU collects.
fn namespaces(view: View<'_>) -> impl Iterator<Item = &MountNamespace> {
    let (host, shared) = (view.facts.host.namespaces.mnt, view.facts.shares_with_host(NamespaceKind::Mnt));
    view.facts.mount_namespaces.iter().filter(move |namespace| shared || Some(namespace.id) != host)
}

/// Every mount whose line CRIU reads, those that it skips then included.
pub(super) fn lines(view: View<'_>) -> impl Iterator<Item = &Mount> {
    namespaces(view).flat_map(|namespace| &namespace.mounts)
}

/// White space that the kernel prints as it is. Kernel: `fs/proc_namespace.c: mangle`.
pub(super) fn is_unescaped_space(byte: u8) -> bool {
    matches!(byte, 0x0b..=b'\r')
}

fn point<'a>(mount: &Collected<'a>) -> &'a [u8] {
    mount.mount.mount_point.as_bytes()
}

/// `--skip-mnt`, and tracefs, which CRIU leaves to debugfs (`filesystems.c: tracefs_parse`).
fn is_skipped(view: View<'_>, mount: &Mount) -> bool {
    let point = trimmed(mount.mount_point.as_bytes());
    mount.fs_type.as_bytes() == b"tracefs"
        || view.profile.values("skip-mnt").any(|path| trimmed(path.as_bytes()) == point)
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
        let below = || mount(4, 2, "/a/b/c", "tmpfs");
        assert_eq!(hidden(vec![root(), below(), mount(2, 1, "/a/b", "tmpfs"), mount(3, 1, "/a", "tmpfs")]), [4, 2]);
    }
}
