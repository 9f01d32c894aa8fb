//! What the mappings of a process leave of its address space, and where its private memory lies.

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};

use super::Scanner;
use crate::facts::{Area, Process};
use crate::procfs::maps::Line;
use crate::procfs::{ProcessDir, is_gone, pagemap};

/// First address that no process gets unless it asks for one as high. Kernel: `DEFAULT_MAP_WINDOW` of x86 and arm64.
const END: u64 = if cfg!(target_arch = "x86_64") { (1 << 47) - 0x1000 } else { 1 << 48 };

/// Gathers the lines of `maps`.
#[derive(Default)]
pub(super) struct Space {
    private: u64,
    longest: u64,
    gap: u64,
    end: u64,
    /// Ranges of private memory, neighbours as one.
    ranges: Vec<(u64, u64)>,
}

impl Space {
    pub(super) fn add(&mut self, line: &Line<'_>) {
        let Some((start, end)) = line.range().filter(|(start, _)| *start < END) else { return };
        self.gap = self.gap.max(start.saturating_sub(self.end));
        self.end = end;
        let Some(bytes) = line.private_bytes() else { return };
        self.private += bytes;
        self.longest = self.longest.max(bytes);
        match self.ranges.last_mut() {
            Some((_, last)) if *last == start => *last = end,
            _ => self.ranges.push((start, end)),
        }
    }

    /// Tells the process what was found.
    pub(super) fn note(&self, scanner: &mut Scanner, dir: &ProcessDir, process: &mut Process) {
        process.private_bytes = self.private;
        process.longest_private = self.longest;
        if self.end == 0 {
            return;
        }
        process.largest_gap = Some(self.gap.max(END.saturating_sub(self.end)));
        match self.guard(dir) {
            Ok(region) => process.guard_region = region,
            // A kernel that knows no guard regions, or does not list them.
            Err(Errno::INVAL | Errno::NOTTY) => {}
            Err(errno) if is_gone(errno) => {}
            Err(errno) => scanner.failed(Area::Mappings, dir.pid(), "pagemap", errno),
        }
    }

    fn guard(&self, dir: &ProcessDir) -> Result<Option<(u64, u64)>> {
        let file = openat(dir.dir(), c"pagemap", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        for range in &self.ranges {
            if let Some(region) = pagemap::first_guard(&file, *range)? {
                return Ok(Some(region));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_gap_and_private_memory_are_told() {
        let mut space = Space::default();
        let lines: [&[u8]; 5] = [
            b"10000-20000 rw-p 00000000 00:00 0",
            b"20000-50000 ---p 00000000 00:00 0",
            b"7f0000000000-7f0000001000 rw-s 00000000 00:01 5 /dev/zero (deleted)",
            b"7ffffffff000-800000000000 r--p 00000000 00:00 0",
            b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
        ];
        lines.into_iter().for_each(|line| space.add(&Line::split(line).unwrap()));
        assert_eq!((space.private, space.longest, space.ranges.len()), (0x40000, 0x30000, 1));
        assert_eq!(space.gap, 0x7f00_0000_0000 - 0x50000);
    }
}
