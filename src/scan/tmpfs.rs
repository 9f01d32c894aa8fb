//! Files of a tmpfs that the root of a user namespace may not read, as whom CRIU lets tar save it.
//!
//! Only directories are opened, and only in a user namespace that is not the scanner's. Kernel: `fs/namei.c:
//! generic_permission`; `CAP_DAC_OVERRIDE` of a user namespace counts for files whose owner and group it maps.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::{Errno, Result};

use super::lookup::Lookup;
use crate::facts::{Area, Facts, Gap, IdExtent, Mount, MountNamespace, UserNamespace};
use crate::text::RawText;

/// No more entries of one tmpfs are looked at.
const ENTRIES: u32 = 20_000;

/// Fills in what can't be read of each tmpfs.
pub(super) fn unreadable(facts: &mut Facts) {
    let Some(user) = &facts.user_namespace else { return };
    let host = facts.host.namespaces.mnt;
    for namespace in facts.mount_namespaces.iter_mut().filter(|namespace| Some(namespace.id) != host) {
        let tmpfs = namespace.mounts.iter().enumerate().filter(|(_, mount)| mount.fs_type.as_bytes() == b"tmpfs");
        let found: Vec<_> = tmpfs.map(|(index, mount)| (index, look(namespace, mount, user))).collect();
        for (index, unreadable) in found {
            let Some(mount) = namespace.mounts.get_mut(index) else { continue };
            match unreadable {
                Ok(unreadable) => mount.unreadable = unreadable,
                // Another mount hides it.
                Err(Errno::BUSY) => {}
                Err(error) => facts.gaps.push(Gap {
                    area: Area::Mounts,
                    pid: Some(namespace.pid),
                    path: format!("{} below /proc/{}/root", mount.mount_point, namespace.pid).into(),
                    reason: error.to_string(),
                }),
            }
        }
    }
}

fn look(namespace: &MountNamespace, mount: &Mount, user: &UserNamespace) -> Result<Option<RawText>> {
    let lookup = Lookup::below(namespace)?;
    let point = mount.mount_point.as_bytes();
    if ![0, mount.id].contains(&lookup.find(point)?.mount_id) {
        return Err(Errno::BUSY);
    }
    let top = lookup.open_mount(point)?;
    let device = statat(&top, c"", AtFlags::EMPTY_PATH)?.st_dev;
    Walk { user, device, left: ENTRIES }.below(&top, point)
}

struct Walk<'a> {
    user: &'a UserNamespace,
    device: u64,
    left: u32,
}

impl Walk<'_> {
    /// The first file below a directory that can't be read; an error when there are too many.
    fn below(&mut self, directory: &OwnedFd, path: &[u8]) -> Result<Option<RawText>> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.left = self.left.checked_sub(1).ok_or(Errno::TOOBIG)?;
            let stat = match statat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT) {
                Ok(stat) if stat.st_dev == self.device => stat,
                Err(error) if error != Errno::NOENT => return Err(error),
                _ => continue,
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            let path = [path, b"/", OsStr::from_bytes(name.to_bytes()).as_bytes()].concat();
            let is_saved = kind == FileType::Directory || (kind == FileType::RegularFile && stat.st_size > 0);
            if is_saved && !may_read(self.user, &stat) {
                return Ok(Some(path.into()));
            }
            if kind == FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let found = match openat(directory, name, flags, Mode::empty()) {
                    Ok(inner) => self.below(&inner, &path)?,
                    Err(Errno::NOENT) => None,
                    Err(error) => return Err(error),
                };
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }
}

/// Whether the root of the user namespace may read a file, or list and search a directory.
fn may_read(user: &UserNamespace, stat: &Stat) -> bool {
    let maps = |extents: &[IdExtent], id: u32| {
        extents.iter().any(|extent| id.checked_sub(extent.outside).is_some_and(|offset| offset < extent.count))
    };
    let is_root =
        |extents: &[IdExtent], id: u32| extents.iter().any(|extent| extent.inside == 0 && extent.outside == id);
    let wanted = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { 0o5 } else { 0o4 };
    let shift = match () {
        () if maps(&user.uids, stat.st_uid) && maps(&user.gids, stat.st_gid) => return true,
        () if is_root(&user.uids, stat.st_uid) => 6,
        () if is_root(&user.gids, stat.st_gid) => 3,
        () => 0,
    };
    (stat.st_mode >> shift) & wanted == wanted
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions, create_dir, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_file_of_an_owner_that_is_not_mapped_is_unreadable() {
        let top = tempfile::tempdir().unwrap();
        let (inner, file) = (top.path().join("a"), top.path().join("a/b"));
        create_dir(&inner).unwrap();
        std::fs::write(&file, "x").unwrap();
        let look = |outside, mode| {
            set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let own = statat(rustix::fs::CWD, &file, AtFlags::empty()).unwrap().st_uid;
            let all = vec![IdExtent { inside: 0, outside: own + outside, count: 1 }];
            let user = UserNamespace { uids: all.clone(), gids: all, ..UserNamespace::default() };
            let directory = OwnedFd::from(File::open(top.path()).unwrap());
            let device = statat(&directory, c"", AtFlags::EMPTY_PATH).unwrap().st_dev;
            Walk { user: &user, device, left: 9 }.below(&directory, b"/t").unwrap().map(|path| path.to_string())
        };
        assert_eq!(look(1000, 0o600).as_deref(), Some("/t/a/b"));
        assert_eq!(look(1000, 0o644), None);
        assert_eq!(look(0, 0o000), None);
    }
}
