//! Who on this host holds the other end of a socket of the tree.
//!
//! Reads the links in `/proc/PID/fd` of every process outside the tree, so it is called only when such an end exists.
//! What can't be read there is left out: the end is outside in any case, only its holder stays unnamed.

use std::collections::HashSet;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat_raw};

use crate::facts::{Link, OutsideEnd, Pid};
use crate::text::RawText;

/// Holders of these sockets among the processes that are not in `tree`, by inode, pid and fd.
pub(super) fn find(inodes: &HashSet<u64>, tree: &HashSet<Pid>) -> Vec<OutsideEnd> {
    let mut ends: Vec<OutsideEnd> = pids()
        .filter(|pid| !tree.contains(pid))
        .flat_map(|pid| {
            let held = held_sockets(pid).unwrap_or_default();
            held.into_iter().filter(|(_, inode)| inodes.contains(inode)).map(move |(fd, inode)| (pid, fd, inode))
        })
        .map(|(pid, fd, inode)| OutsideEnd { inode, pid, comm: comm(pid), fd })
        .collect();
    ends.sort_by_key(|end| (end.inode, end.pid, end.fd));
    ends
}

/// Sockets that these processes hold by now.
pub(super) fn held_by(pids: impl Iterator<Item = Pid>) -> HashSet<u64> {
    pids.flat_map(|pid| held_sockets(pid).unwrap_or_default()).map(|(_, inode)| inode).collect()
}

fn pids() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn held_sockets(pid: Pid) -> rustix::io::Result<Vec<(i32, u64)>> {
    let path = format!("/proc/{pid}/fd");
    let directory = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut held = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
        if let Some(number) = number
            && let Some(inode) = socket_inode(directory.as_fd(), entry.file_name())
        {
            held.push((number, inode));
        }
    }
    Ok(held)
}

fn socket_inode(directory: rustix::fd::BorrowedFd<'_>, name: &std::ffi::CStr) -> Option<u64> {
    // `socket:[` and the digits of an inode number fit; a longer link is no socket.
    let mut buffer = [0; 32];
    let length = readlinkat_raw(directory, name, &mut buffer).ok()?;
    match Link::parse(buffer.get(..length)?) {
        Link::Socket(inode) => Some(inode),
        _ => None,
    }
}

fn comm(pid: Pid) -> RawText {
    let comm = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.strip_suffix(b"\n").unwrap_or(&comm).into()
}
