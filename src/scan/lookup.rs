//! Looking up paths below the target's root, on file systems that can't hang, within a deadline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags, open, openat2, statx};
use rustix::io::Result;

use crate::facts::{Mount, Pid};
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
    /// The mount it lies on.
    pub(super) mount_id: u64,
}

/// Look-ups below the root directory of one process.
pub(super) struct Lookup {
    root: OwnedFd,
    /// Mount points that are never touched: their file system may wait for somebody else.
    avoid: Vec<Vec<u8>>,
    deadline: Instant,
    left: u32,
}

impl Lookup {
    /// Look-ups below the root of a process, which `mounts` belong to; `hangs` tells which to leave alone.
    pub(super) fn below(pid: Pid, mounts: &[Mount], hangs: impl Fn(&Mount) -> bool) -> Result<Self> {
        let root = open(format!("/proc/{pid}/root"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let avoid = mounts.iter().filter(|mount| hangs(mount)).map(|mount| mount.mount_point.as_bytes().to_vec());
        Ok(Self { root, avoid: avoid.collect(), deadline: Instant::now() + DEADLINE, left: ENTRIES })
    }

    /// What lies under an absolute path; a symlink at its end is not followed.
    pub(super) fn find(&self, path: &[u8]) -> Result<Found> {
        if self.avoid.iter().any(|mount_point| is_below(path, mount_point)) {
            return Err(rustix::io::Errno::ACCESS);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.open(path, flags)?;
        stat(file.as_fd(), c"", AtFlags::EMPTY_PATH)
    }

    /// What the symlink under an absolute path holds.
    pub(super) fn link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let link = self.open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        let mut text = Vec::new();
        link_at(&link, c"", &mut text)?;
        Ok(text)
    }

    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, path, flags, Mode::empty(), resolve)
    }

    /// Opens a mount point for handles of files on it.
    pub(super) fn open_mount(&self, mount_point: &[u8]) -> Result<OwnedFd> {
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
    fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Found)>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = self.open(path, flags | OFlags::NOATIME).or_else(|_| self.open(path, flags))?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let child = [path.strip_suffix(b"/").unwrap_or(path), b"/", name.to_bytes()].concat();
            if matches!(name.to_bytes(), b"." | b"..") || self.avoid.contains(&child) {
                continue;
            }
            if let Ok(found) = stat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
                entries.push((child, found));
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }
}

fn stat(at: rustix::fd::BorrowedFd<'_>, name: &std::ffi::CStr, flags: AtFlags) -> Result<Found> {
    let flags = flags | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    let stat = statx(at, name, flags, StatxFlags::TYPE | StatxFlags::INO | StatxFlags::MNT_ID)?;
    Ok(Found {
        identity: (u64::from(stat.stx_dev_major) << 20 | u64::from(stat.stx_dev_minor), stat.stx_ino),
        is_directory: FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory,
        mount_id: stat.stx_mnt_id,
    })
}

/// Whether a path is `directory` or lies below it.
pub(super) fn is_below(path: &[u8], directory: &[u8]) -> bool {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
