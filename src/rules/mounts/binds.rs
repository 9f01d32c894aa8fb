//! Which mounts show the same file system, and which of them CRIU leaves to others. CRIU 4.2: `mount.c:
//! mounts_sb_equal`, `mnt_is_external_bind`, `mnt_is_root_bind`, `try_resolve_ext_mount`.

use super::{Collected, Mounts};
use crate::facts::{Mount, is_below};
use crate::profile::Profile;

/// Who provides a mount at restore, by options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum External {
    /// The restore binds something there: `external mnt[POINT]:KEY`.
    Mount,
    /// The restore mounts that device: `external dev[MAJOR/MINOR]:KEY`.
    Device,
}

impl<'a> Mounts<'a> {
    /// Whether CRIU checks mounts at all: some process of the tree is in a mount namespace that is not criu's own.
    pub(in crate::rules) fn are_validated(&self) -> bool {
        self.all.iter().any(|mount| Some(mount.namespace) != self.host)
    }

    /// Whether CRIU saves the mounts themselves: the root process is in a mount namespace of its own.
    pub(in crate::rules) fn are_saved(&self) -> bool {
        self.root != self.host
    }

    /// Whether the mount is in the root process's own mount namespace, where mount points can be declared external.
    pub(in crate::rules) fn is_of_root_process(&self, mount: &Collected<'a>) -> bool {
        self.are_saved() && Some(mount.namespace) == self.root
    }

    /// The mount itself and all others of the same file system.
    fn same_fs(&self, mount: &Collected<'a>) -> impl Iterator<Item = &Collected<'a>> {
        let (own, own_index) = (mount.mount, mount.index);
        self.all.iter().filter(move |other| {
            let same = other.mount.device == own.device && other.mount.fs_type == own.fs_type;
            let alike = other.mount.source == own.source || other.external.is_some();
            other.index == own_index || (same && alike && is_same_volume(own, other.mount))
        })
    }

    /// Whether a mount of the same file system that satisfies `is` shows all of this one.
    fn any_above(&self, mount: &Collected<'a>, is: impl Fn(&Collected<'a>) -> bool) -> bool {
        self.same_fs(mount).any(|other| is(other) && is_below(self.root_of(mount), self.root_of(other)))
    }

    /// Whether the restore gets this mount, or one that it can be bound from, from outside.
    pub(in crate::rules) fn is_external_bind(&self, mount: &Collected<'a>) -> bool {
        self.any_above(mount, |other| other.external.is_some())
    }

    /// Whether it can be bound from the root mount of the root process's namespace.
    pub(in crate::rules) fn is_root_bind(&self, mount: &Collected<'a>) -> bool {
        self.any_above(mount, |other| self.is_tree_root(other))
    }

    /// Whether it shows the file system from its root.
    pub(in crate::rules) fn shows_whole_fs(&self, mount: &Collected<'a>) -> bool {
        self.root_of(mount) == b"/"
    }

    /// Whether another mount shows the file system from its root, or a root mount shows what this one shows.
    /// CRIU 4.2: `mount.c: find_fsroot_mount_for`.
    pub(in crate::rules) fn has_fs_root(&self, mount: &Collected<'a>) -> bool {
        let others = self.same_fs(mount).filter(|other| other.index != mount.index);
        let shows = |other: &Collected<'a>| {
            let begins = self.root_of(mount).starts_with(self.root_of(other));
            self.shows_whole_fs(other) || (other.parent.is_none() && begins)
        };
        others.into_iter().any(shows)
    }

    /// Whether the peer group that it receives mounts from is in the tree or comes with what it is bound from.
    /// CRIU 4.2: `mount.c: resolve_shared_mounts`.
    pub(in crate::rules) fn reaches_master(&self, mount: &Collected<'a>) -> bool {
        let Some(master) = mount.mount.master else { return true };
        let peer = self.all.iter().any(|other| other.index != mount.index && other.mount.shared == Some(master));
        let brings = |other: &Collected<'a>| {
            let given = other.external == Some(External::Mount) || self.is_tree_root(other);
            given && other.mount.master == Some(master)
        };
        peer || self.any_above(mount, brings)
    }

    fn is_tree_root(&self, mount: &Collected<'a>) -> bool {
        mount.mount.mount_point.as_bytes() == b"/" && Some(mount.namespace) == self.root
    }

    /// What it shows of its file system. Inside an own cgroup namespace CRIU takes every cgroup mount for a whole one
    /// (`filesystems.c: cgroup_parse`).
    fn root_of(&self, mount: &Collected<'a>) -> &'a [u8] {
        let root = mount.mount.root.as_bytes();
        match mount.mount.fs_type.as_bytes() {
            b"cgroup" | b"cgroup2" if self.own_cgroup => b"/",
            _ => root.strip_suffix(b"//deleted").unwrap_or(root),
        }
    }
}

/// Whether two mounts of a btrfs show the same subvolume; all of them have the same device. CRIU 4.2: `filesystems.c:
/// btrfs_sb_equal`.
fn is_same_volume(one: &Mount, other: &Mount) -> bool {
    let around = |mount: &Mount| {
        let options = mount.super_options.to_string();
        let (before, rest) = options.split_once("subvol=")?;
        let after = rest.split_once(',').map(|(_, after)| after.to_owned());
        Some((before.to_owned(), after))
    };
    one.fs_type.as_bytes() != b"btrfs" || around(one).is_some_and(|own| around(other) == Some(own))
}

/// Types of file systems of which CRIU takes no device from outside, as it can mount them anew.
/// CRIU 4.2: `filesystems.c: fstypes`.
const MOUNTED_ANEW: [&str; 19] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "binfmt_misc",
    "tmpfs",
    "devpts",
    "simfs",
    "pstore",
    "mqueue",
    "securityfs",
    "fusectl",
    "debugfs",
    "tracefs",
    "cgroup",
    "cgroup2",
    "aufs",
    "fuse",
    "overlay",
    "autofs",
];

/// What the options say of the mount. Mount points count in the root process's mount namespace only.
pub(super) fn external(profile: &Profile, mount: &Collected<'_>, in_root_namespace: bool) -> Option<External> {
    let (point, (major, minor)) = (mount.mount.mount_point.to_string(), mount.mount.device);
    let mut declared = profile.values("external");
    let fs_type = mount.mount.fs_type.to_string();
    let is_device =
        mount.mount.root.as_bytes() == b"/" && !MOUNTED_ANEW.contains(&fs_type.split('.').next().unwrap_or_default());
    let given = |value: &str, kind: &str, key: &str| {
        let rest = value.strip_prefix(kind).and_then(|rest| rest.strip_prefix(key));
        rest.is_some_and(|rest| rest.starts_with("]:"))
    };
    declared.find_map(|value| {
        if in_root_namespace && mount.parent.is_some() && given(value, "mnt[", &point) {
            Some(External::Mount)
        } else if is_device && given(value, "dev[", &format!("{major}/{minor}")) {
            Some(External::Device)
        } else {
            None
        }
    })
}
