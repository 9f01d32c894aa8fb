//! Mapped files, from `maps`: `smaps` and `numa_maps` stall the target.

use std::collections::HashMap;

use rustix::io::Errno;

use super::lookup::Lookup;
use super::{Scanner, space, stat};
use crate::facts::{Area, Facts, FileStat, Mapping, Mount, MountNamespace, NsId, Process};
use crate::procfs::maps::Line;
use crate::procfs::{ProcessDir, read_lines_at};

/// Reads the mappings of a process.
pub(super) fn memory(scanner: &mut Scanner, dir: &ProcessDir, process: &mut Process) {
    let (mut misread, mut behind_vvar, mut seen_code) = (false, false, false);
    let mut space = space::Space::default();
    let result = read_lines_at(dir.dir(), c"maps", &mut scanner.buffer, |text| {
        process.mapping_count += 1;
        let line = Line::split(text);
        line.into_iter().for_each(|line| space.add(&line));
        match line {
            Some(line) if line.is_anonymous() && !behind_vvar && (seen_code || !line.is_executable()) => {}
            line => match line.and_then(|line| line.mapping()) {
                Some(mapping) => process.mappings.push(mapping),
                None => misread = true,
            },
        }
        // What comes next decides whether clock pages were moved apart.
        behind_vvar = line.is_some_and(|line| line.path.starts_with(b"[vvar"));
        // Into the first executable memory CRIU puts its code, whatever it is.
        seen_code |= line.is_some_and(|line| line.is_executable());
    });
    if let Err(errno) = result {
        scanner.failed(Area::Mappings, dir.pid(), "maps", errno);
    }
    if misread {
        scanner.gap(Area::Mappings, dir.pid(), "maps", super::NOT_UNDERSTOOD);
    }
    space.note(scanner, dir, process);
    files(scanner, dir, process);
}

/// Asks what the mapped files are, each once. CRIU as well looks at a file once (`proc_parse.c: vma_get_mapfile`).
fn files(scanner: &mut Scanner, dir: &ProcessDir, process: &mut Process) {
    let mut seen = HashMap::new();
    for mapping in process.mappings.iter_mut().filter(|mapping| is_file(mapping)) {
        let key = (mapping.device, mapping.inode, mapping.path.clone());
        let found = *seen.entry(key).or_insert_with(|| file(scanner, dir, process.namespaces.mnt, mapping));
        (mapping.stat, mapping.mount_id) = found.unwrap_or_default();
    }
}

type OnMount = (Option<FileStat>, Option<u64>);

fn file(scanner: &mut Scanner, dir: &ProcessDir, namespace: Option<NsId>, mapping: &Mapping) -> Option<OnMount> {
    let name = format!("map_files/{:x}-{:x}", mapping.start, mapping.end);
    let path = mapping.path.as_bytes();
    let is_local = scanner.mounts.is_local_device(mapping.device) || path.starts_with(b"/memfd:");
    if !is_local && (mapping.is_kernels_own() || !scanner.is_local_anywhere(mapping.device)) {
        if path.ends_with(DELETED) && scanner.mounts.may_hang_device(mapping.device) {
            scanner.gap(Area::FileStat, dir.pid(), name, super::NOT_ASKED);
        }
        return None;
    }
    match stat::stat_on_mount(dir.dir(), name.as_str(), path) {
        Ok((stat, mount_id)) => Some((Some(stat), mount_id)),
        // It takes a capability, and tells nothing new of a file that is where its path says.
        Err(Errno::PERM) if is_plain(scanner, namespace, mapping) => None,
        Err(errno) => {
            scanner.failed(Area::FileStat, dir.pid(), name, errno);
            None
        }
    }
}

/// Whether it is neither deleted nor a device, and the mount that its path leads to shows its file system.
fn is_plain(scanner: &Scanner, namespace: Option<NsId>, mapping: &Mapping) -> bool {
    let path = mapping.path.as_bytes();
    let shown = || namespace.and_then(|id| scanner.mounts.at(id, path)).is_some_and(|on| on.device == mapping.device);
    !path.ends_with(DELETED) && !path.starts_with(b"/dev/") && shown()
}

/// Looks for mapped files under their paths in the scanner's own mount namespace, as CRIU does when it may not open them
/// by their mappings. CRIU: `proc_parse.c: vma_get_mapfile_user`.
pub(super) fn unseen(facts: &mut Facts, own_mounts: &[Mount]) {
    let own = facts.host.namespaces.mnt;
    if facts.host.caller.opens_mapped() || facts.processes.iter().all(|process| process.namespaces.mnt == own) {
        return;
    }
    let namespace = MountNamespace { mounts: own_mounts.to_vec(), ..MountNamespace::default() };
    let Ok(lookup) = Lookup::below(&namespace) else { return };
    for process in facts.processes.iter_mut().filter(|process| process.namespaces.mnt != own) {
        for mapping in process.mappings.iter_mut().filter(|mapping| is_file(mapping)) {
            let path = mapping.path.as_bytes();
            if path.ends_with(DELETED) || path.starts_with(b"/memfd:") {
                continue;
            }
            mapping.unseen = match lookup.follow(path) {
                Ok(found) => found.identity.1 != mapping.inode,
                Err(errno) => matches!(errno, Errno::NOENT | Errno::NOTDIR),
            };
        }
    }
}

const DELETED: &[u8] = b" (deleted)";

fn is_file(mapping: &Mapping) -> bool {
    mapping.path.as_bytes().starts_with(b"/")
}
