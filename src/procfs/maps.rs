//! Lines of `/proc/PID/maps`. Kernel: `fs/proc/task_mmu.c: show_map_vma`.
//!
//! A path is printed with newlines as `\012` and nothing else escaped, so it is kept as printed.

use super::number::{decimal, device, hex};
use crate::facts::Mapping;
use crate::text::RawText;

/// One line, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    range: &'a [u8],
    permissions: &'a [u8],
    offset: &'a [u8],
    device: &'a [u8],
    inode: &'a [u8],
    /// Path or `[name]` as printed; empty for anonymous memory.
    pub path: &'a [u8],
}

impl<'a> Line<'a> {
    /// Splits a line; the path is all behind the blanks after the inode.
    #[must_use]
    pub fn split(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.splitn(6, |&byte| byte == b' ');
        let (range, permissions, offset) = (fields.next()?, fields.next()?, fields.next()?);
        let (device, inode) = (fields.next()?, fields.next()?);
        let path = fields.next().unwrap_or_default();
        let start = path.iter().position(|&byte| byte != b' ').unwrap_or(path.len());
        Some(Self { range, permissions, offset, device, inode, path: path.get(start..)? })
    }

    /// Whether it is memory of the process alone: no path, the heap, a stack, or a name given by prctl.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.path.is_empty()
            || self.path == b"[heap]"
            || self.path.starts_with(b"[stack")
            || self.path.starts_with(b"[anon:")
    }

    /// Whether it may be executed.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.permissions.get(2) == Some(&b'x')
    }

    /// Size, if the memory is private to the process and below the part of the kernel (`[vsyscall]`).
    #[must_use]
    pub fn private_bytes(&self) -> Option<u64> {
        let (start, end) = self.range()?;
        (self.permissions.ends_with(b"p") && self.path != b"[vsyscall]").then(|| end.saturating_sub(start))
    }

    /// First address, and that behind the last byte.
    #[must_use]
    pub fn range(&self) -> Option<(u64, u64)> {
        let dash = self.range.iter().position(|&byte| byte == b'-')?;
        let (start, end) = self.range.split_at(dash);
        Some((hex(start)?, hex(end.get(1..)?)?))
    }

    /// The numbers of the line; `None` when one of them is none.
    #[must_use]
    pub fn mapping(&self) -> Option<Mapping> {
        let (start, end) = self.range()?;
        Some(Mapping {
            start,
            end,
            permissions: std::str::from_utf8(self.permissions).ok()?.to_owned(),
            offset: hex(self.offset)?,
            device: device(self.device, hex)?,
            inode: decimal(self.inode)?,
            path: RawText::from(self.path),
            ..Mapping::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_blanks_and_escapes() {
        let line = b"7f0000000000-7f0000001000 rw-s 00002000 fe:1f 42                         /tmp/a b\\012 (deleted)";
        let mapping = Line::split(line).unwrap().mapping().unwrap();
        assert_eq!((mapping.start, mapping.end), (0x7f00_0000_0000, 0x7f00_0000_1000));
        assert_eq!((mapping.offset, mapping.device, mapping.inode), (0x2000, (0xfe, 0x1f), 42));
        assert_eq!((mapping.permissions.as_str(), mapping.path.as_bytes()), ("rw-s", &b"/tmp/a b\\012 (deleted)"[..]));
    }

    #[test]
    fn memory_of_the_process_alone_is_anonymous() {
        let anonymous = |path: &str| {
            Line::split(format!("1000-2000 rw-p 00000000 00:00 0 {path}").as_bytes()).unwrap().is_anonymous()
        };
        assert!(["", "     ", "[heap]", "[stack]", "[stack:42]", "[anon:glibc]"].into_iter().all(anonymous));
        assert!(!["[vdso]", "/x", "[anon_shmem:x]", "anon_inode:[io_uring]", "socket:[1]"].into_iter().any(anonymous));
    }

    #[test]
    fn a_cut_off_line_is_no_mapping() {
        assert_eq!(Line::split(b"7f-8f rw-p 0"), None);
        assert_eq!(Line::split(b"7f rw-p 0 0:0 1 /x").unwrap().mapping(), None);
    }
}
