//! Mounts, once for each mount namespace of the tree, and which of them can not hang.

use std::collections::{HashMap, HashSet};

use super::Scanner;
use crate::facts::{Area, Mount, MountNamespace, NsId};
use crate::procfs::{ProcessDir, mountinfo, read_lines_at};

/// File systems of the kernel itself that answer without asking anyone. All others, unknown ones included, may wait
/// for a server or a program for ever.
const LOCAL: [&str; 31] = [
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

/// Whether the file system of a mount can not hang.
pub(super) fn is_local_type(mount: &Mount) -> bool {
    LOCAL.iter().any(|name| name.as_bytes() == mount.fs_type.as_bytes())
}

/// The mounts seen so far. Mount ids and device numbers are unique on the machine, so one table serves all.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    namespaces: Vec<MountNamespace>,
    seen: HashSet<NsId>,
    /// Whether the file system of a mount is local, by mount id.
    local_ids: HashMap<u64, bool>,
    /// Whether all mounts of a device are local.
    devices: HashMap<(u32, u32), bool>,
}

impl Mounts {
    /// Whether a mount is known and its file system local.
    pub(super) fn is_local(&self, id: u64) -> bool {
        self.local_ids.get(&id) == Some(&true)
    }

    /// Whether a mount is known and its file system may hang.
    pub(super) fn may_hang(&self, id: u64) -> bool {
        self.local_ids.get(&id) == Some(&false)
    }

    /// Whether a device is mounted somewhere and its file system local.
    pub(super) fn is_local_device(&self, device: (u32, u32)) -> bool {
        self.devices.get(&device).copied().unwrap_or(false)
    }

    /// The mount namespaces of the tree, in the order they were met.
    pub(super) fn take(&mut self) -> Vec<MountNamespace> {
        std::mem::take(&mut self.namespaces)
    }

    fn learn(&mut self, mounts: &[Mount]) {
        for mount in mounts {
            let local = is_local_type(mount);
            self.local_ids.insert(mount.id, local);
            *self.devices.entry(mount.device).or_insert(true) &= local;
        }
    }
}

impl Scanner {
    /// Reads the mounts of the namespace a process is in, unless it was seen before.
    pub(super) fn mounts_of(&mut self, dir: &ProcessDir, namespace: Option<NsId>) {
        let Some(id) = namespace else { return };
        if self.mounts.seen.insert(id) {
            let mounts = read(self, dir);
            self.mounts.namespaces.push(MountNamespace { id, pid: dir.pid(), mounts });
        }
    }
}

/// The mounts of the scanner's own namespace: a descriptor may lie on one that the target does not see.
pub(super) fn own(scanner: &mut Scanner) -> Vec<Mount> {
    let own = scanner.proc.process(rustix::process::getpid().as_raw_pid());
    own.map(|dir| read(scanner, &dir)).unwrap_or_default()
}

fn read(scanner: &mut Scanner, dir: &ProcessDir) -> Vec<Mount> {
    let (mut mounts, mut misread) = (Vec::new(), false);
    let result = read_lines_at(dir.dir(), c"mountinfo", &mut scanner.buffer, |line| match mountinfo::parse(line) {
        Some(mount) => mounts.push(mount),
        None => misread = true,
    });
    if let Err(errno) = result {
        scanner.failed(Area::Mounts, dir.pid(), "mountinfo", errno);
    }
    if misread {
        scanner.gap(Area::Mounts, dir.pid(), "mountinfo", super::NOT_UNDERSTOOD);
    }
    scanner.mounts.learn(&mounts);
    mounts
}
