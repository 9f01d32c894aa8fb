//! Looking up paths below the target's root, on file systems that can't hang, within a deadline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags, open, openat2, statx};
use rustix::io::{Errno, Result};

use super::walk::Walk;
use crate::facts::{Mount, MountNamespace};
use crate::procfs::link_at;

/// All look-ups of one scan together end by then.
const DEADLINE: Duration = Duration::from_millis(1500);
/// And look at no more entries than this.
const ENTRIES: u32 = 200_000;

/// A file: device as fdinfo encodes it (major << 20 | minor), and inode.
pub(super) type Identity = (u64, u64);

/// What was found under a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Which file it is.
    pub(super) identity: Identity,
    /// Whether it is a directory.
    pub(super) is_directory: bool,
    /// Whether it is a symlink.
    pub(super) is_symlink: bool,
    /// The mount it lies on.
    pub(super) mount_id: u64,
    /// Device number of a device node: major, minor.
    pub(super) rdev: (u32, u32),
}

/// Look-ups below the root directory of one mount namespace.
pub(super) struct Lookup {
    root: OwnedFd,
    mounts: Vec<Mount>,
    deadline: Instant,
    left: u32,
}

/// The root directory as criu would open it.
pub(super) fn root_directory(namespace: &MountNamespace) -> String {
    if namespace.pid == 0 { "/".to_owned() } else { format!("/proc/{}/root", namespace.pid) }
}

impl Lookup {
    /// Look-ups below the root of the process that stands for the namespace.
    pub(super) fn below(namespace: &MountNamespace) -> Result<Self> {
        let root = open(root_directory(namespace), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, mounts: namespace.mounts.clone(), deadline: Instant::now() + DEADLINE, left: ENTRIES })
    }

    /// What lies under an absolute path; a symlink at its end is not followed.
    pub(super) fn find(&self, path: &[u8]) -> Result<Found> {
        Walk::new(&self.root, &self.mounts).to(path, false)
    }

    /// What the symlink under an absolute path holds.
    pub(super) fn link(&self, path: &[u8]) -> Result<Vec<u8>> {
        self.find(path)?;
        let link = self.open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        let mut text = Vec::new();
        link_at(&link, c"", &mut text)?;
        Ok(text)
    }

    /// What lies under an absolute path, a symlink at its end followed.
    pub(super) fn follow(&self, path: &[u8]) -> Result<Found> {
        Walk::new(&self.root, &self.mounts).to(path, true)
    }

    /// Opens what was found under a path before, which is when all on its way was seen not to hang.
    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, path, flags, Mode::empty(), resolve)
    }

    /// Opens a mount point for handles of files on it.
    pub(super) fn open_mount(&self, mount_point: &[u8]) -> Result<OwnedFd> {
        if !self.find(mount_point)?.is_directory {
            return Err(Errno::NOTDIR);
        }
        self.open(mount_point, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)
    }

    /// Walks breadth-first below these directories, themselves included, until all that is `reachable` there has a
    /// path. Tells whether it got to the end.
    pub(super) fn walk(
        &mut self,
        starts: &[&[u8]],
        paths: &mut BTreeMap<Identity, Option<Vec<u8>>>,
        reachable: impl Fn(&Identity) -> bool,
    ) -> bool {
        let mut missing: BTreeSet<Identity> =
            paths.iter().filter(|(id, path)| path.is_none() && reachable(id)).map(|(id, _)| *id).collect();
        let tops = starts.iter().filter_map(|start| Some((start.to_vec(), self.find(start).ok()?)));
        let mut queue: VecDeque<(Vec<u8>, Found)> = tops.collect();
        while let Some((path, found)) = queue.pop_front() {
            if missing.is_empty() {
                return true;
            }
            if self.left == 0 || Instant::now() > self.deadline {
                return false;
            }
            self.left -= 1;
            if found.is_directory {
                queue.extend(self.list(&path).unwrap_or_default());
            }
            if missing.remove(&found.identity) {
                paths.insert(found.identity, Some(path));
            }
        }
        true
    }

    /// The entries of a directory, by name. CRIU: `irmap.c: irmap_update_dir`.
    pub(super) fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Found)>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = self.open(path, flags | OFlags::NOATIME).or_else(|_| self.open(path, flags))?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let child = [path.strip_suffix(b"/").unwrap_or(path), b"/", name.to_bytes()].concat();
            if matches!(name.to_bytes(), b"." | b"..") || self.may_hang_at(&child) {
                continue;
            }
            if let Ok(found) = stat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
                entries.push((child, found));
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    fn may_hang_at(&self, path: &[u8]) -> bool {
        self.mounts.iter().any(|mount| mount.mount_point.as_bytes() == path && mount.may_hang())
    }
}

/// What a name in a directory, or with an empty one the directory itself, is.
pub(super) fn stat(at: rustix::fd::BorrowedFd<'_>, name: &std::ffi::CStr, flags: AtFlags) -> Result<Found> {
    let flags = flags | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    let stat = statx(at, name, flags, StatxFlags::TYPE | StatxFlags::INO | StatxFlags::MNT_ID)?;
    let file_type = FileType::from_raw_mode(stat.stx_mode.into());
    Ok(Found {
        identity: (u64::from(stat.stx_dev_major) << 20 | u64::from(stat.stx_dev_minor), stat.stx_ino),
        is_directory: file_type == FileType::Directory,
        is_symlink: file_type == FileType::Symlink,
        mount_id: stat.stx_mnt_id,
        rdev: (stat.stx_rdev_major, stat.stx_rdev_minor),
    })
}
