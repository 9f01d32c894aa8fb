//! Mounts and their namespaces.

use serde::{Deserialize, Serialize};

use super::{NsId, Permissions, Pid};
use crate::text::RawText;

/// A mount namespace and its mounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MountNamespace {
    /// Inode number of the namespace.
    pub id: NsId,
    /// The process whose mountinfo was read; 0 for the scanner itself, which stands for criu in its own namespace.
    pub pid: Pid,
    /// Mounts in the order of mountinfo.
    pub mounts: Vec<Mount>,
    /// Directories above files of the tree that not everybody may search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<ClosedDirectory>,
}

/// A directory that not everybody may search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClosedDirectory {
    /// Its path.
    pub path: RawText,
    /// Who may search it; absent where the scanner itself was not let through to it.
    pub permissions: Option<Permissions>,
}

/// File systems of the kernel itself that answer without asking anyone. All others, unknown ones included, may wait
/// for a server or a program for ever.
const LOCAL: [&str; 32] = [
    "bcachefs",
    "bpf",
    "btrfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hugetlbfs",
    "iso9660",
    "jfs",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "vfat",
    "xfs",
];

/// Local file systems that open file handles. Kernel: those whose `s_export_op` has `fh_to_dentry`.
const OPENS_HANDLES: [&str; 17] = [
    "bcachefs", "btrfs", "cgroup", "cgroup2", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660",
    "jfs", "squashfs", "tmpfs", "vfat", "xfs",
];

impl Mount {
    /// Whether its file system opens file handles.
    #[must_use]
    pub fn opens_handles(&self) -> bool {
        let fs_type = self.fs_type.as_bytes();
        let exports = || self.super_options.as_bytes().split(|&byte| byte == b',').any(|o| o == b"nfs_export=on");
        OPENS_HANDLES.iter().any(|name| name.as_bytes() == fs_type) || fs_type == b"overlay" && exports()
    }

    /// Whether its file system may wait for somebody else, so that it must not be asked anything.
    #[must_use]
    pub fn may_hang(&self) -> bool {
        !LOCAL.iter().any(|name| name.as_bytes() == self.fs_type.as_bytes())
    }
}

impl MountNamespace {
    /// The mount on which a path without symlinks ends, as the kernel walks it from the root directory: into what is
    /// mounted on the way, whatever lies under it. `None` for a path that is not seen from there.
    #[must_use]
    pub fn mount_at(&self, path: &[u8]) -> Option<&Mount> {
        let has = |id: u64| self.mounts.iter().any(|mount| mount.id == id);
        let is_root = |mount: &&Mount| mount.mount_point.as_bytes() == b"/" && !has(mount.parent);
        let mut at = self.mounts.iter().find(is_root)?;
        let mut steps = 0;
        // What is mounted over `/` itself hides it from new processes only, not from those whose root it is.
        let step = |at: &Mount, first: bool| {
            let on_way = |mount: &&Mount| {
                let point = mount.mount_point.as_bytes();
                mount.parent == at.id && mount.id != at.id && is_below(path, point) && !(first && point == b"/")
            };
            self.mounts.iter().filter(on_way).min_by_key(|mount| mount.mount_point.as_bytes().len())
        };
        while let Some(next) = step(at, steps == 0) {
            at = next;
            steps += 1;
            if steps > self.mounts.len() {
                return None;
            }
        }
        Some(at)
    }
}

/// Whether a path is the other one or below it.
#[must_use]
pub fn is_below(path: &[u8], top: &[u8]) -> bool {
    let rest = path.strip_prefix(top.strip_suffix(b"/").unwrap_or(top));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// One line of mountinfo. Kernel: `fs/proc_namespace.c: show_mountinfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Mount id.
    pub id: u64,
    /// Mount id of the parent.
    pub parent: u64,
    /// Device of the file system: major, minor.
    pub device: (u32, u32),
    /// Root of the mount within the file system.
    pub root: RawText,
    /// Mount point, seen from the process's root.
    pub mount_point: RawText,
    /// Mount options.
    pub options: RawText,
    /// Peer group it is shared in.
    pub shared: Option<u64>,
    /// Peer group it receives from.
    pub master: Option<u64>,
    /// Type of the file system.
    pub fs_type: RawText,
    /// What was mounted.
    pub source: RawText,
    /// Options of the file system.
    pub super_options: RawText,
    /// An optional field of its line that is none of those that the kernel has had so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_field: Option<RawText>,
    /// Of an mqueue or pstore file system: the names of its message queues or records, sorted. Not read in the host's
    /// mount namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<RawText>,
    /// Of a tmpfs, where the root process is in a user namespace of its own: a file that the root user of that user
    /// namespace may not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<RawText>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_on_what_is_mounted_on_its_way() {
        let mount = |id, parent, point: &str| Mount { id, parent, mount_point: point.into(), ..Mount::default() };
        let mounts = vec![
            mount(1, 0, "/"),
            mount(2, 1, "/a"),
            mount(3, 2, "/a/b"),
            mount(4, 1, "/a/b/c"),
            mount(5, 3, "/a/b"),
            mount(6, 1, "/"),
        ];
        let namespace = MountNamespace { id: 1, pid: 7, mounts, closed: Vec::new() };
        let at = |path: &str| namespace.mount_at(path.as_bytes()).map(|mount| mount.id);
        assert_eq!(["/", "/x", "/a", "/ab", "/a/x", "/a/b", "/a/b/c/d"].map(at), [1, 1, 2, 1, 2, 5, 5].map(Some));
    }
}
