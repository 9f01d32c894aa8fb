//! Mounts, once for each mount namespace of the tree, and which of them can not hang.

use std::collections::{HashMap, HashSet};

use super::Scanner;
use crate::facts::{Area, Mount, MountNamespace, NsId, is_below};
use crate::procfs::{ProcessDir, mountinfo, ns, numbers_at, read_lines_at};

/// The mounts seen so far. Mount ids and device numbers are unique on the machine, so one table serves all.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    namespaces: Vec<MountNamespace>,
    seen: HashSet<NsId>,
    /// Whether the file system of a mount is local, by mount id.
    local_ids: HashMap<u64, bool>,
    /// Whether all mounts of a device are local.
    devices: HashMap<(u32, u32), bool>,
    /// Whether the mount namespaces of all other processes were asked for their devices.
    asked_elsewhere: bool,
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
            self.local_ids.insert(mount.id, !mount.may_hang());
        }
        self.learn_devices(mounts);
    }

    fn learn_devices(&mut self, mounts: &[Mount]) {
        for mount in mounts {
            *self.devices.entry(mount.device).or_insert(true) &= !mount.may_hang();
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
            self.mounts.namespaces.push(MountNamespace { id, pid, mounts, closed: Vec::new() });
        }
    }
}

impl Scanner {
    /// Whether a device is mounted somewhere on this host and its file system local. A mapped file may lie where neither
    /// the tree nor criu has anything mounted; what all others have mounted is looked at once, and only then.
    pub(super) fn is_local_anywhere(&mut self, device: (u32, u32)) -> bool {
        if !self.mounts.devices.contains_key(&device) && !std::mem::replace(&mut self.mounts.asked_elsewhere, true) {
            self.ask_elsewhere();
        }
        self.mounts.is_local_device(device)
    }

    /// What can't be read there leaves a device unknown.
    fn ask_elsewhere(&mut self) {
        let mut seen = self.mounts.seen.clone();
        seen.extend(self.own_namespace);
        for pid in numbers_at(self.proc.dir(), c".").unwrap_or_default() {
            let Ok(dir) = self.proc.process(pid) else { continue };
            let namespace = dir.link(c"ns/mnt", &mut self.buffer).ok().and_then(ns::parse);
            if namespace.is_none_or(|id| !seen.insert(id)) {
                continue;
            }
            let mut mounts = Vec::new();
            let result = read_lines_at(dir.dir(), c"mountinfo", &mut self.buffer, |line| {
                mounts.extend(mountinfo::parse(line));
            });
            if result.is_ok() {
                self.mounts.learn_devices(&mounts);
            }
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
