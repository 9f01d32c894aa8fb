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
