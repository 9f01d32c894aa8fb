//! `kcmp(2)`: whether two processes share a resource. It stops neither; the reader needs `PTRACE_MODE_READ` on both.

use std::cmp::Ordering;

use rustix::io::Errno;

use crate::facts::Pid;

/// What can be shared by `clone` flags, with the number of `include/uapi/linux/kcmp.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Address space.
    Vm = 1,
    /// Table of descriptors.
    Files = 2,
    /// Root, working directory and umask.
    Fs = 3,
    /// Signal handlers.
    Sighand = 4,
}

/// The kernel's order of the resource of one process and that of another; `Equal` means that they share it.
///
/// # Errors
/// `EPERM` without the right to look, `ESRCH` when one has gone, `ENOSYS` on kernels built without it.
#[allow(unsafe_code, reason = "no safe crate wraps kcmp; it takes numbers only and writes no memory")]
pub fn compare(one: Pid, other: Pid, resource: Resource) -> Result<Ordering, Errno> {
    // SAFETY: kcmp with these types reads no pointer: all five arguments are plain numbers.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, one, other, resource as libc::c_int, 0_usize, 0_usize) };
    match answer {
        0 => Ok(Ordering::Equal),
        1 => Ok(Ordering::Less),
        2 => Ok(Ordering::Greater),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}

/// A watch of an epoll instance. Kernel: `struct kcmp_epoll_slot`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EpollSlot {
    /// Number of the instance in its process.
    pub instance: u32,
    /// Number that the file had when it was registered.
    pub number: u32,
    /// Which one of those registered under this number.
    pub place: u32,
}

/// Whether the file that an epoll instance of `watcher` watches is this descriptor of `holder`.
///
/// # Errors
/// As [`compare`]; `ENOENT` when nothing is watched under that number, `EBADF` when a descriptor was closed.
#[allow(unsafe_code, reason = "no safe crate wraps kcmp; it reads the slot and writes no memory")]
pub fn is_watched(holder: Pid, fd: i32, watcher: Pid, slot: EpollSlot) -> Result<bool, Errno> {
    const KCMP_EPOLL_TFD: libc::c_int = 7;
    let slot: *const EpollSlot = &raw const slot;
    // SAFETY: kcmp of this type reads one `struct kcmp_epoll_slot`, which outlives the call, and keeps nothing.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, holder, watcher, KCMP_EPOLL_TFD, fd, slot) };
    match answer {
        0 => Ok(true),
        1..=3 => Ok(false),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}
