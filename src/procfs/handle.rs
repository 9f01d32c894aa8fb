//! Directory handles on `/proc` and on one process. Everything is read relative to them into the caller's buffer.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::io::{Errno, Result, read};
use rustix::path::{Arg, DecInt};

use super::number::decimal;
use crate::facts::Pid;

/// Room for one read, and for the longest link the kernel prints (a page).
const ROOM: usize = 64 << 10;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A mounted proc file system.
#[derive(Debug)]
pub struct Proc {
    dir: OwnedFd,
}

impl Proc {
    /// The one at `path`, `/proc` for all but tests.
    ///
    /// # Errors
    /// What `open` says.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { dir: openat(CWD, path, DIRECTORY, Mode::empty())? })
    }

    /// A handle on process `pid`.
    ///
    /// # Errors
    /// `ENOENT` when there is none, or none that the reader may see (`hidepid`).
    pub fn process(&self, pid: Pid) -> Result<ProcessDir> {
        Ok(ProcessDir { pid, dir: openat(&self.dir, DecInt::new(pid), DIRECTORY, Mode::empty())? })
    }

    /// The directory itself, for files that belong to no process.
    #[must_use]
    pub fn dir(&self) -> &OwnedFd {
        &self.dir
    }
}

/// A handle on one process, good for that process only, even when its pid is used again.
#[derive(Debug)]
pub struct ProcessDir {
    pid: Pid,
    dir: OwnedFd,
}

impl ProcessDir {
    /// Process id in the scanner's pid namespace.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The directory of the process.
    #[must_use]
    pub fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// Opens a directory below.
    ///
    /// # Errors
    /// What `openat` says.
    pub fn open_dir(&self, name: &CStr) -> Result<OwnedFd> {
        openat(&self.dir, name, DIRECTORY, Mode::empty())
    }

    /// Reads a file of one record, see [`read_at`].
    ///
    /// # Errors
    /// What `openat` and `read` say.
    pub fn read<'b>(&self, name: impl Arg, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        read_at(&self.dir, name, buffer)
    }

    /// Reads a link below.
    ///
    /// # Errors
    /// What `readlinkat` says.
    pub fn link<'b>(&self, name: impl Arg, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        link_at(&self.dir, name, buffer)
    }
}

/// Whether an error means that the process, or the file in it, is no longer there: not a gap.
#[must_use]
pub fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::SRCH)
}

/// Reads a file of one record, which the kernel prints whole: a read that leaves room in the buffer was the last.
///
/// # Errors
/// What `openat` and `read` say.
pub fn read_at(dir: impl AsFd, name: impl Arg, buffer: &mut Vec<u8>) -> Result<&[u8]> {
    let file = openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    buffer.clear();
    loop {
        buffer.reserve(ROOM);
        let room = buffer.capacity() - buffer.len();
        if read(&file, spare_capacity(buffer))? < room {
            return Ok(buffer);
        }
    }
}

/// Calls `each` with every line of a file of many records, without its newline. Only unfinished lines are kept.
///
/// # Errors
/// What `openat` and `read` say; lines before the error were already passed on.
pub fn read_lines_at(dir: impl AsFd, name: impl Arg, buffer: &mut Vec<u8>, mut each: impl FnMut(&[u8])) -> Result<()> {
    let file = openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    buffer.clear();
    loop {
        buffer.reserve(ROOM);
        if read(&file, spare_capacity(buffer))? == 0 {
            break;
        }
        let mut lines = buffer.split(|&byte| byte == b'\n');
        let rest = lines.next_back().map_or(0, <[u8]>::len);
        lines.for_each(&mut each);
        buffer.drain(..buffer.len() - rest);
    }
    if !buffer.is_empty() {
        each(buffer);
    }
    Ok(())
}

/// Reads a file of many records whole.
///
/// # Errors
/// What `openat` and `read` say.
pub fn read_all_at(dir: impl AsFd, name: impl Arg, buffer: &mut Vec<u8>) -> Result<&[u8]> {
    let file = openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    buffer.clear();
    loop {
        buffer.reserve(ROOM);
        if read(&file, spare_capacity(buffer))? == 0 {
            return Ok(buffer);
        }
    }
}

/// The entries of a directory that are numbers, in the order the kernel lists them: pids, tids.
///
/// # Errors
/// What `openat` and `getdents64` say.
pub fn numbers_at(dir: impl AsFd, name: &CStr) -> Result<Vec<Pid>> {
    let dir = openat(dir, name, DIRECTORY, Mode::empty())?;
    let mut room = [MaybeUninit::uninit(); 8 << 10];
    let mut entries = RawDir::new(&dir, &mut room);
    let mut numbers = Vec::new();
    while let Some(entry) = entries.next() {
        numbers.extend(decimal::<Pid>(entry?.file_name().to_bytes()));
    }
    Ok(numbers)
}

/// Reads a link; it is empty where the path is longer than a page, which the kernel shows to nobody.
///
/// # Errors
/// What `readlinkat` says.
pub fn link_at(dir: impl AsFd, name: impl Arg, buffer: &mut Vec<u8>) -> Result<&[u8]> {
    buffer.clear();
    buffer.reserve(ROOM);
    match readlinkat_raw(dir, name, spare_capacity(buffer)) {
        Ok(_) | Err(Errno::NAMETOOLONG) => Ok(buffer),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_longer_than_the_buffer_arrive_whole() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(3 * ROOM);
        std::fs::write(dir.path().join("lines"), format!("a\n\n{long}\nlast")).unwrap();
        let (proc, mut lines) = (Proc::open(dir.path()).unwrap(), Vec::new());
        read_lines_at(proc.dir(), "lines", &mut Vec::new(), |line| lines.push(line.to_vec())).unwrap();
        assert_eq!(lines, [b"a".to_vec(), Vec::new(), long.clone().into_bytes(), b"last".to_vec()]);
        let mut buffer = Vec::new();
        assert_eq!(read_at(proc.dir(), "lines", &mut buffer).unwrap().len(), long.len() + 8);
    }

    #[test]
    fn a_handle_outlives_its_process_but_reads_no_other() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let proc = Proc::open(Path::new("/proc")).unwrap();
        let handle = proc.process(child.id().cast_signed()).unwrap();
        let mut buffer = Vec::new();
        assert!(handle.read(c"stat", &mut buffer).is_ok());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(handle.read(c"stat", &mut buffer).unwrap_err()));
    }
}
