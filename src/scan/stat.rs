//! `statx` through a magic link of `/proc`, which looks nothing up on the way and asks no server
//! (`AT_STATX_DONT_SYNC`). Callers use it on local file systems only.

use std::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType as Mode, Statx, StatxFlags, statx};
use rustix::io::Result;
use rustix::path::Arg;

use super::watches::handle::is_in_upper;
use crate::facts::{FileStat, FileType, Permissions};

/// Type, links, size, blocks, inode and devices of what a magic link points to, which reads so.
pub(super) fn stat(dir: impl AsFd, name: impl Arg, link: &[u8]) -> Result<FileStat> {
    stat_on_mount(dir, name, link).map(|(found, _)| found)
}

/// The same, and the id of the mount it lies on (since Linux 5.8).
pub(super) fn stat_on_mount(dir: impl AsFd, name: impl Arg, link: &[u8]) -> Result<(FileStat, Option<u64>)> {
    let dir = dir.as_fd();
    name.into_with_c_str(|name| named(dir, name, link))
}

fn named(dir: BorrowedFd<'_>, name: &CStr, link: &[u8]) -> Result<(FileStat, Option<u64>)> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let basic = StatxFlags::TYPE
        | StatxFlags::MODE
        | OWNER
        | StatxFlags::NLINK
        | StatxFlags::SIZE
        | StatxFlags::BLOCKS
        | StatxFlags::INO;
    let found = statx(dir, name, flags, basic | StatxFlags::MNT_ID)?;
    let mount_id = (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id);
    let file_type = file_type(found.stx_mode);
    // Asked only where it matters. An overlay has no device of its own.
    let is_left = link.ends_with(b" (deleted)") && found.stx_nlink > 0;
    let may_be_lower = is_left && found.stx_dev_major == 0 && file_type == FileType::Regular;
    let stat = FileStat {
        file_type,
        links: found.stx_nlink,
        size: found.stx_size,
        blocks: found.stx_blocks,
        inode: found.stx_ino,
        device: (found.stx_dev_major, found.stx_dev_minor),
        rdev: (found.stx_rdev_major, found.stx_rdev_minor),
        mode: found.stx_mode.into(),
        unreadable: file_type == FileType::Regular && found.stx_mode & 0o444 == 0,
        in_upper: may_be_lower && is_in_upper(dir, name),
        permissions: (file_type == FileType::Regular && found.stx_mode & 0o004 == 0).then(|| permissions(&found)),
    };
    Ok((stat, mount_id))
}

/// Owner and group.
pub(super) const OWNER: StatxFlags = StatxFlags::UID.union(StatxFlags::GID);

/// Whose it is, and what its mode says.
pub(super) fn permissions(found: &Statx) -> Permissions {
    Permissions { uid: found.stx_uid, gid: found.stx_gid, mode: found.stx_mode & 0o777 }
}

fn file_type(mode: u16) -> FileType {
    match Mode::from_raw_mode(mode.into()) {
        Mode::RegularFile => FileType::Regular,
        Mode::Directory => FileType::Directory,
        Mode::Symlink => FileType::Symlink,
        Mode::CharacterDevice => FileType::CharDevice,
        Mode::BlockDevice => FileType::BlockDevice,
        Mode::Fifo => FileType::Fifo,
        Mode::Socket => FileType::Socket,
        Mode::Unknown => FileType::None,
    }
}
