//! Which mounts show the same file system, and which of them CRIU leaves to others. CRIU 4.2: `mount.c:
//! mounts_sb_equal`, `mnt_is_external_bind`, `mnt_is_root_bind`, `try_resolve_ext_mount`.

use std::collections::HashMap;

use super::{Collected, Mounts};
use crate::facts::Mount;
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

    /// Whether a mount of the same file system that satisfies `is` shows all of this one.
    fn any_above(&self, mount: &Collected<'a>, is: impl Fn(&Collected<'a>) -> bool) -> bool {
        let showing = self.index().showing(mount, self.root_of(mount)).filter_map(|place| self.all.get(place));
        showing.into_iter().any(|other| is(other) && is_same_fs(mount, other))
    }

    /// Whether the restore gets this mount, or one that it can be bound from, from outside.
    pub(in crate::rules) fn is_external_bind(&self, mount: &Collected<'a>) -> bool {
        self.any_above(mount, |other| other.external.is_some())
    }

    /// Whether it can be bound from the root mount of the root process's namespace.
    pub(in crate::rules) fn is_root_bind(&self, mount: &Collected<'a>) -> bool {
        self.any_above(mount, |other| self.is_tree_root(other))
    }

    /// Whether a mount that satisfies `is` shows the same file system from its root.
    pub(in crate::rules) fn any_whole(&self, mount: &Collected<'a>, is: impl Fn(&Collected<'a>) -> bool) -> bool {
        let mut whole = self.index().showing_whole(mount).iter().filter_map(|place| self.all.get(*place));
        whole.any(|other| is(other) && is_same_fs(mount, other))
    }

    /// Whether it shows the file system from its root.
    pub(in crate::rules) fn shows_whole_fs(&self, mount: &Collected<'a>) -> bool {
        self.root_of(mount) == b"/"
    }

    /// Whether another mount shows the file system from its root, or a root mount shows what this one shows.
    /// CRIU 4.2: `mount.c: find_fsroot_mount_for`.
    pub(in crate::rules) fn has_fs_root(&self, mount: &Collected<'a>) -> bool {
        let at = |places: &[usize], is: &dyn Fn(&Collected<'a>) -> bool| {
            let mut others =
                places.iter().filter(|place| **place != mount.index).filter_map(|place| self.all.get(*place));
            others.any(|other| is(other) && is_same_fs(mount, other))
        };
        let begins = |other: &Collected<'a>| self.root_of(mount).starts_with(self.root_of(other));
        at(self.index().showing_whole(mount), &|_| true) || at(self.index().parentless(mount), &begins)
    }

    /// Whether the peer group that it receives mounts from is in the tree or comes with what it is bound from.
    /// CRIU 4.2: `mount.c: resolve_shared_mounts`.
    pub(in crate::rules) fn reaches_master(&self, mount: &Collected<'a>) -> bool {
        let Some(master) = mount.mount.master else { return true };
        let peer = self.index().peers(master).iter().any(|place| *place != mount.index);
        let brings = |other: &Collected<'a>| {
            let given = other.external == Some(External::Mount) || self.is_tree_root(other);
            given && other.mount.master == Some(master)
        };
        peer || self.any_above(mount, brings)
    }

    fn is_tree_root(&self, mount: &Collected<'a>) -> bool {
        mount.mount.mount_point.as_bytes() == b"/" && Some(mount.namespace) == self.root
    }

    fn root_of(&self, mount: &Collected<'a>) -> &'a [u8] {
        root_of(mount, self.own_cgroup)
    }
}

/// What it shows of its file system. Inside an own cgroup namespace CRIU takes every cgroup mount for a whole one
/// (`filesystems.c: cgroup_parse`).
pub(super) fn root_of<'a>(mount: &Collected<'a>, own_cgroup: bool) -> &'a [u8] {
    let root = mount.mount.root.as_bytes();
    match mount.mount.fs_type.as_bytes() {
        b"cgroup" | b"cgroup2" if own_cgroup => b"/",
        _ => root.strip_suffix(b"//deleted").unwrap_or(root),
    }
}

/// Whether two mounts of one device and type are of the same file system.
fn is_same_fs(mount: &Collected<'_>, other: &Collected<'_>) -> bool {
    let alike = other.mount.source == mount.mount.source || other.external.is_some();
    other.index == mount.index || (alike && is_same_volume(mount.mount, other.mount))
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

/// What `--external` says of mounts, by mount point and by device, each with its place among all values.
#[derive(Debug, Default)]
pub(super) struct Declared<'a> {
    points: HashMap<&'a str, usize>,
    devices: HashMap<&'a str, usize>,
}

impl<'a> Declared<'a> {
    pub(super) fn new(profile: &'a Profile) -> Self {
        let mut declared = Self::default();
        let key = |value: &'a str, kind: &str| Some(value.strip_prefix(kind)?.split_once("]:")?.0);
        for (place, value) in profile.values("external").enumerate() {
            if let Some(point) = key(value, "mnt[") {
                declared.points.entry(point).or_insert(place);
            } else if let Some(device) = key(value, "dev[") {
                declared.devices.entry(device).or_insert(place);
            }
        }
        declared
    }

    /// What the options say of the mount, the first of them that does. Mount points count in the root process's mount
    /// namespace only.
    pub(super) fn of(&self, mount: &Collected<'_>, in_root_namespace: bool) -> Option<External> {
        if self.points.is_empty() && self.devices.is_empty() {
            return None;
        }
        let (point, (major, minor)) = (mount.mount.mount_point.to_string(), mount.mount.device);
        let fs_type = mount.mount.fs_type.to_string();
        let is_device = mount.mount.root.as_bytes() == b"/"
            && !MOUNTED_ANEW.contains(&fs_type.split('.').next().unwrap_or_default());
        let as_mount = self.points.get(point.as_str()).filter(|_| in_root_namespace && mount.parent.is_some());
        let as_device = self.devices.get(format!("{major}/{minor}").as_str()).filter(|_| is_device);
        let found = [as_mount.map(|place| (place, External::Mount)), as_device.map(|place| (place, External::Device))];
        found.into_iter().flatten().min_by_key(|(place, _)| **place).map(|(_, external)| external)
    }
}
