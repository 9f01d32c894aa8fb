//! Open files: the link of each descriptor, what `fdinfo` says, and `statx` where it is needed and can not hang.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, RawDir, fstat, statat};
use rustix::io::{Errno, Result};

use super::{Scanner, stat};
use crate::facts::{Area, Fd, FdInfo, Link, Pid, Process};
use crate::procfs::fdinfo::{self, Record};
use crate::procfs::number::{decimal, words};
use crate::procfs::{ProcessDir, link_at, read_at, read_lines_at};
use crate::text::RawText;

/// The directories descriptors are read from.
struct Dirs {
    pid: Pid,
    fd: OwnedFd,
    info: OwnedFd,
}

/// Reads all descriptors of a process.
pub(super) fn files(scanner: &mut Scanner, dir: &ProcessDir, process: &mut Process) {
    let opened = dir.open_dir(c"fd").and_then(|fd| Ok(Dirs { pid: dir.pid(), fd, info: dir.open_dir(c"fdinfo")? }));
    let listed = opened.and_then(|dirs| list(scanner, &dirs, &mut process.fds));
    if let Err(errno) = listed {
        for (area, name) in [(Area::Fds, "fd"), (Area::Fdinfo, "fdinfo"), (Area::FileStat, "fd")] {
            scanner.failed(area, dir.pid(), name, errno);
        }
    }
}

fn list(scanner: &mut Scanner, dirs: &Dirs, fds: &mut Vec<Fd>) -> Result<()> {
    // The size of the directory is the number of descriptors (since Linux 6.2).
    fds.reserve_exact(fstat(&dirs.fd).map_or(0, |found| usize::try_from(found.st_size).unwrap_or(0)));
    let mut room = [MaybeUninit::uninit(); 8 << 10];
    let mut entries = RawDir::new(&dirs.fd, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if let Some(number) = decimal(entry.file_name().to_bytes()) {
            fds.extend(descriptor(scanner, dirs, entry.file_name(), number));
        }
    }
    // The kernel lists them by number, but does not promise to.
    fds.sort_by_key(|fd| fd.number);
    forget_passing_targets(scanner, dirs, fds);
    Ok(())
}

/// Leaves out epoll targets that came or went since their descriptor was to be listed: those that are open by now, and
/// those that the epoll instance has dropped meanwhile, as it does when the last descriptor of a file is closed.
fn forget_passing_targets(scanner: &mut Scanner, dirs: &Dirs, fds: &mut [Fd]) {
    if !fds.iter().any(|fd| matches!(fd.info, FdInfo::Epoll { .. })) {
        return;
    }
    let listed: HashMap<i32, Option<u64>> = fds.iter().map(|fd| (fd.number, socket(&fd.link()))).collect();
    let as_listed = |&(number, inode, _): &(i32, u64, u64)| {
        listed.get(&number).is_some_and(|socket| socket.is_none_or(|found| found == inode))
    };
    for fd in fds {
        let FdInfo::Epoll { targets, .. } = &mut fd.info else { continue };
        let mut lost: Vec<_> = targets.iter().copied().filter(|target| !as_listed(target)).collect();
        lost.retain(|&(number, inode, _)| !is_open_now(scanner, dirs, number, inode));
        if !lost.is_empty() {
            let kept = targets_now(scanner, dirs, fd.number);
            lost.retain(|target| kept.contains(target));
        }
        targets.retain(|target| as_listed(target) || lost.contains(target));
    }
}

/// What the epoll instance watches by now; nothing when it was closed.
fn targets_now(scanner: &mut Scanner, dirs: &Dirs, number: i32) -> Vec<(i32, u64, u64)> {
    let Ok(name) = CString::new(number.to_string()) else { return Vec::new() };
    match read_at(&dirs.info, &name, &mut scanner.buffer).map(fdinfo::parse) {
        Ok(Some(Record { info: FdInfo::Epoll { targets, .. }, .. })) => targets,
        _ => Vec::new(),
    }
}

fn socket(link: &Link<'_>) -> Option<u64> {
    if let Link::Socket(inode) = link { Some(*inode) } else { None }
}

/// Whether the number is open, and if on a socket, on this one.
fn is_open_now(scanner: &mut Scanner, dirs: &Dirs, number: i32, inode: u64) -> bool {
    let Ok(name) = CString::new(number.to_string()) else { return false };
    let link = link_at(&dirs.fd, &name, &mut scanner.buffer);
    link.is_ok_and(|link| socket(&Link::parse(link)).is_none_or(|found| found == inode))
}

/// One descriptor; `None` when it was closed meanwhile or its link can not be read.
fn descriptor(scanner: &mut Scanner, dirs: &Dirs, name: &CStr, number: i32) -> Option<Fd> {
    let link = match link_at(&dirs.fd, name, &mut scanner.buffer) {
        Ok(link) => RawText::from(link),
        Err(errno) => {
            scanner.failed(Area::Fds, dirs.pid, format_args!("fd/{number}"), errno);
            return None;
        }
    };
    let mut fd = Fd { number, link, ..Fd::default() };
    if let Link::Socket(inode) = fd.link()
        && !scanner.locked.contains(&inode)
    {
        fd.flags = is_path_only(dirs, name).then_some(Fd::O_PATH);
        return Some(fd);
    }
    match read_at(&dirs.info, name, &mut scanner.buffer).map(fdinfo::parse) {
        Ok(Some(record)) if matches!(fd.link(), Link::Socket(_)) => {
            (fd.flags, fd.locks) = (Some(record.flags & Fd::O_PATH).filter(|flags| *flags != 0), record.locks);
        }
        Ok(Some(record)) => {
            (fd.flags, fd.mount_id, fd.inode) = (Some(record.flags), Some(record.mount_id), record.inode);
            (fd.locks, fd.info) = (record.locks, record.info);
        }
        Ok(None) => scanner.gap(Area::Fdinfo, dirs.pid, format_args!("fdinfo/{number}"), super::NOT_UNDERSTOOD),
        Err(Errno::NOENT | Errno::SRCH) => return None,
        Err(errno) => scanner.failed(Area::Fdinfo, dirs.pid, format_args!("fdinfo/{number}"), errno),
    }
    if can_stat(scanner, &fd) {
        match stat::stat(&dirs.fd, name, fd.link.as_bytes()) {
            Ok(found) => fd.stat = Some(found),
            // Not the descriptor is gone if its link is still there, but what it leads to.
            Err(Errno::NOENT) => fd.vanished = has_link(scanner, dirs, name, &fd.link),
            Err(errno) => scanner.failed(Area::FileStat, dirs.pid, format_args!("fd/{number}"), errno),
        }
    } else if matches!(fd.link(), Link::Path { deleted: true, .. })
        && fd.mount_id.is_some_and(|id| scanner.mounts.may_hang(id))
    {
        scanner.gap(Area::FileStat, dirs.pid, format_args!("fd/{number}"), super::NOT_ASKED);
    }
    Some(fd)
}

/// Whether a descriptor can neither read nor write, which its link shows at a third of the cost of its fdinfo. Kernel:
/// `fs/proc/fd.c: tid_fd_update_inode`.
fn is_path_only(dirs: &Dirs, name: &CStr) -> bool {
    statat(&dirs.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|link| link.st_mode & 0o700 == 0)
}

fn has_link(scanner: &mut Scanner, dirs: &Dirs, name: &CStr, link: &RawText) -> bool {
    link_at(&dirs.fd, name, &mut scanner.buffer).is_ok_and(|found| found == link.as_bytes())
}

/// Inodes of locked files, from `/proc/locks`: the fdinfo of a socket is read only for its locks. Empty where it can't be
/// read: locked sockets are rare.
pub(super) fn locked(scanner: &mut Scanner) -> HashSet<u64> {
    let mut inodes = HashSet::new();
    let Scanner { proc, buffer, .. } = scanner;
    // `1: FLOCK  ADVISORY  WRITE 123 00:08:1042 0 EOF`
    let inode = |line: &[u8]| decimal::<u64>(words(line).rev().nth(2)?.rsplit(|&byte| byte == b':').next()?);
    let _ = read_lines_at(proc.dir(), c"locks", buffer, |line| inodes.extend(inode(line)));
    inodes
}

/// Whether it is a file by path, on a file system that answers by itself.
fn can_stat(scanner: &Scanner, fd: &Fd) -> bool {
    match fd.link() {
        Link::Memfd(_) => true,
        Link::Path { .. } => fd.mount_id.is_some_and(|id| scanner.mounts.is_local(id)),
        _ => false,
    }
}
