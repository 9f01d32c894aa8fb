//! The protocol name of a socket that no table lists.
//!
//! The kernel keeps the name of the protocol with the socket's inode (`net/socket.c: sockfs_xattr_get`), readable
//! without entering its network namespace. It is read only through a handle that has shown to be a socket, since
//! getxattr on anything else could reach a file system that hangs.

use rustix::fd::AsRawFd;
use rustix::fs::{CWD, Mode, OFlags, getxattr, openat, readlinkat_raw};
use rustix::io::{Errno, Result};

use crate::facts::{Link, Pid};
use crate::text::RawText;

/// The name of the protocol: `TCP`, `MPTCP`, `AF_VSOCK` ... `None` when the fd is another file by now.
pub(super) fn name(pid: Pid, fd: i32, inode: u64) -> Result<Option<RawText>> {
    let path = format!("/proc/{pid}/fd/{fd}");
    let handle = match openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
        handle => handle?,
    };
    let own = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let mut link = [0; 32];
    let length = readlinkat_raw(CWD, own.as_str(), &mut link)?;
    if link.get(..length).map(Link::parse) != Some(Link::Socket(inode)) {
        return Ok(None);
    }
    let mut name = [0; 64];
    let length = getxattr(own, "system.sockprotoname", &mut name)?;
    let name = name.get(..length).unwrap_or_default();
    Ok(Some(name.split(|&byte| byte == 0).next().unwrap_or_default().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unbound_socket_tells_its_protocol_and_another_file_nothing() {
        use rustix::net::{AddressFamily, SocketType, socket};
        let pid = i32::try_from(std::process::id()).unwrap();
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let inode = link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        assert_eq!(name(pid, socket.as_raw_fd(), inode).unwrap(), Some("TCP".into()));
        assert_eq!(name(pid, socket.as_raw_fd(), inode + 1).unwrap(), None);
    }
}
