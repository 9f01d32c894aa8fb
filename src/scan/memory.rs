//! Mapped files, from `maps` alone: `smaps` and `numa_maps` stall the target.

use super::{Scanner, stat};
use crate::facts::{Area, Mapping, Process};
use crate::procfs::maps::Line;
use crate::procfs::{ProcessDir, read_lines_at};

/// Reads the mappings of a process.
pub(super) fn memory(scanner: &mut Scanner, dir: &ProcessDir, process: &mut Process) {
    let (mut misread, mut behind_vvar) = (false, false);
    let result = read_lines_at(dir.dir(), c"maps", &mut scanner.buffer, |text| {
        process.mapping_count += 1;
        let line = Line::split(text);
        process.private_bytes += line.and_then(|line| line.private_bytes()).unwrap_or(0);
        match line {
            Some(line) if line.is_anonymous() && !behind_vvar => {}
            line => match line.and_then(|line| line.mapping()) {
                Some(mapping) => process.mappings.push(mapping),
                None => misread = true,
            },
        }
        // What comes next decides whether clock pages were moved apart.
        behind_vvar = line.is_some_and(|line| line.path.starts_with(b"[vvar"));
    });
    if let Err(errno) = result {
        scanner.failed(Area::Mappings, dir.pid(), "maps", errno);
    }
    if misread {
        scanner.gap(Area::Mappings, dir.pid(), "maps", super::NOT_UNDERSTOOD);
    }
    for mapping in process.mappings.iter_mut().filter(|mapping| needs_stat(mapping)) {
        if scanner.mounts.is_local_device(mapping.device) || mapping.path.as_bytes().starts_with(b"/memfd:") {
            let name = format!("map_files/{:x}-{:x}", mapping.start, mapping.end);
            match stat::stat(dir.dir(), name.as_str()) {
                Ok(found) => mapping.stat = Some(found),
                Err(errno) => scanner.failed(Area::FileStat, dir.pid(), name, errno),
            }
        }
    }
}

/// Whether the path leaves open what the file is: deleted or only called so, a device or not.
fn needs_stat(mapping: &Mapping) -> bool {
    let path = mapping.path.as_bytes();
    path.starts_with(b"/") && (path.ends_with(b" (deleted)") || path.starts_with(b"/dev/"))
}
