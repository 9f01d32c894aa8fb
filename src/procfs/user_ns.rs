//! Id maps of a user namespace, and which user namespace owns a namespace. Kernel: `kernel/user_namespace.c: uid_m_show`,
//! `fs/nsfs.c: ns_ioctl`.
//!
//! Opening a link below `/proc/PID/ns` has no effect but that the namespace lives while the descriptor does.

use std::ffi::CStr;

use bstr::ByteSlice as _;
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::io::{Errno, Result};

use super::number::{decimal, words};
use crate::facts::{IdExtent, NsId};

/// Takes `uid_map` or `gid_map` apart, a line `INSIDE OUTSIDE COUNT` for each extent.
#[must_use]
pub fn parse_map(text: &[u8]) -> Option<Vec<IdExtent>> {
    let extent = |line: &[u8]| {
        let mut fields = words(line).map(decimal::<u32>);
        let mut next = || fields.next().flatten();
        Some(IdExtent { inside: next()?, outside: next()?, count: next()? })
    };
    text.lines().map(extent).collect()
}

/// The user namespace that owns a namespace, and its parents as far as the reader may see them.
///
/// # Errors
/// What opening the link or asking for its owner says. That the reader may not see the owner gives an empty list.
pub fn owners(dir: impl AsFd, link: &CStr) -> Result<Vec<NsId>> {
    let mut namespace = openat(dir, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut owners = Vec::new();
    let mut request = NS_GET_USERNS;
    loop {
        namespace = match related(&namespace, request) {
            Ok(owner) => owner,
            Err(Errno::PERM) => return Ok(owners),
            Err(errno) => return Err(errno),
        };
        owners.push(fstat(&namespace)?.st_ino);
        request = NS_GET_PARENT;
    }
}

/// Who made the user namespace of a process, or that one above it whose parent is `own`; `None` when it is not below.
///
/// # Errors
/// What opening the link says.
pub fn maker(dir: impl AsFd, own: NsId) -> Result<Option<u32>> {
    let mut namespace = openat(dir, c"ns/user", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    while let Ok(parent) = related(&namespace, NS_GET_PARENT) {
        if fstat(&parent)?.st_ino == own {
            return Ok(owner_uid(&namespace));
        }
        namespace = parent;
    }
    Ok(None)
}

#[allow(unsafe_code, reason = "no safe crate wraps the nsfs ioctls")]
fn owner_uid(namespace: &OwnedFd) -> Option<u32> {
    let mut uid = 0_u32;
    // SAFETY: NS_GET_OWNER_UID writes one uid_t, which `uid` has room for.
    let result = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) };
    (result == 0).then_some(uid)
}

/// `include/uapi/linux/nsfs.h`
const NS_GET_USERNS: libc::Ioctl = 0xb701;
const NS_GET_PARENT: libc::Ioctl = 0xb702;
const NS_GET_OWNER_UID: libc::Ioctl = 0xb704;

/// Another namespace, related to this one.
#[allow(unsafe_code, reason = "no safe crate wraps the nsfs ioctls; these two take no argument")]
fn related(namespace: &OwnedFd, request: libc::Ioctl) -> Result<OwnedFd> {
    // SAFETY: the two requests of this module read and write no memory of the caller.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), request) };
    if fd < 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL));
    }
    // SAFETY: the kernel has just made this descriptor for the caller, who owns it alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_may_be_empty_and_are_not_half_understood() {
        let text = b"         0     100000       1000\n      1000       1000          1\n";
        let maps = parse_map(text).unwrap();
        assert_eq!((maps.len(), maps[0].outside, maps[1].count), (2, 100_000, 1));
        assert_eq!(parse_map(b""), Some(vec![]));
        assert_eq!(parse_map(b"0 1\n"), None);
    }

    #[test]
    fn the_owner_of_the_own_network_namespace_is_a_user_namespace() {
        let own = std::fs::File::open("/proc/self").unwrap();
        let user = openat(&own, c"ns/user", OFlags::RDONLY, Mode::empty()).and_then(fstat).unwrap().st_ino;
        let owners = owners(&own, c"ns/net").unwrap();
        assert!(owners.is_empty() || owners.contains(&user), "{owners:?} {user}");
    }
}
