//! Mounts, once for each mount namespace of the tree, and which of them can not hang.

use std::collections::{HashMap, HashSet};

use super::Scanner;
use crate::facts::{Area, Mount, MountNamespace, NsId, is_below};
use crate::procfs::{ProcessDir, mountinfo, read_lines_at};

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

    /// Whether a device is mounted somewhere and its file system may hang.
    pub(super) fn may_hang_device(&self, device: (u32, u32)) -> bool {
        self.devices.get(&device) == Some(&false)
    }

    /// The mount on which a path ends in a namespace that was read.
    pub(super) fn at(&self, namespace: NsId, path: &[u8]) -> Option<&Mount> {
        self.namespaces.iter().find(|read| read.id == namespace)?.mount_at(path)
    }

    /// Whether everything that is mounted at a path or above it is local.
    pub(super) fn are_local_above(&self, namespace: NsId, path: &[u8]) -> bool {
        let read = self.namespaces.iter().find(|read| read.id == namespace);
        let mut above =
            read.into_iter().flat_map(|read| &read.mounts).filter(|m| is_below(path, m.mount_point.as_bytes()));
        above.all(|mount| !mount.may_hang())
    }

    /// The mount namespaces of the tree, in the order they were met.
    pub(super) fn take(&mut self) -> Vec<MountNamespace> {
        std::mem::take(&mut self.namespaces)
    }

    fn learn(&mut self, mounts: &[Mount]) {
        for mount in mounts {
            let local = !mount.may_hang();
            self.local_ids.insert(mount.id, local);
            *self.devices.entry(mount.device).or_insert(true) &= local;
        }
    }
}

impl Scanner {
    /// Reads the mounts of the namespace a process is in, unless it was seen before. In its own namespace criu reads
    /// its own mountinfo: that of a process in a chroot shows less.
    pub(super) fn mounts_of(&mut self, dir: &ProcessDir, namespace: Option<NsId>) {
        let Some(id) = namespace else { return };
        if self.mounts.seen.insert(id) {
            let (pid, mounts) = if namespace == self.own_namespace {
                (0, self.own_mounts.clone())
            } else {
                (dir.pid(), read(self, dir))
            };
            self.mounts.namespaces.push(MountNamespace { id, pid, mounts });
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
