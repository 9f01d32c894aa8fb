//! Where the names of files lead to, looked up only where that decides.
//!
//! CRIU finds a file by its mount id. Where an overlay is among the mounts it tries the name besides, below each
//! overlay, and takes what has the same device and inode (`files.c: fixup_overlayfs`, `mount.c: lookup_overlayfs`).
//! A file that was deleted and has another hard link it opens by the text of the link, ` (deleted)` included, and
//! refuses what it finds there if that is another file (`files-reg.c: check_path_remap`).

use std::collections::HashMap;

use rustix::io::Errno;

use super::lookup::Lookup;
use super::mounts::is_local_type;
use crate::facts::{Area, Facts, Fd, FileStat, Gap, Link, MountNamespace, NameLookup, NsId};

/// Looks up the names of open files on mounts outside of the tree, if the tree has an overlay, and of deleted ones.
pub(super) fn names(facts: &mut Facts) {
    let namespaces = &facts.mount_namespaces;
    let known: HashMap<u64, &MountNamespace> =
        namespaces.iter().flat_map(|ns| ns.mounts.iter().map(move |mount| (mount.id, ns))).collect();
    let overlays = overlays(namespaces);
    let mut lookups = HashMap::<NsId, rustix::io::Result<Lookup>>::new();
    for process in &mut facts.processes {
        for fd in &mut process.fds {
            let Some((namespace, points)) = wanted(fd, &known, namespaces.first(), &overlays) else { continue };
            let Some(stat) = fd.stat else { continue };
            let below = |ns: &MountNamespace| Lookup::below(ns.pid, &ns.mounts, |m| !is_local_type(m));
            fd.name = match lookups.entry(namespace.id).or_insert_with(|| below(namespace)) {
                Ok(lookup) => find(lookup, points, fd.link.as_bytes(), &stat),
                Err(_) => NameLookup::Unknown,
            };
            if fd.name == NameLookup::Unknown {
                let path = format!("{} below /proc/{}/root", fd.link, namespace.pid).into();
                let reason = "could not be looked up".to_owned();
                facts.gaps.push(Gap { area: Area::Mounts, pid: Some(process.pid), path, reason });
            }
        }
    }
}

/// Where to look the name of a file up: in which namespace, and below which points of it. `None` where no name decides.
fn wanted<'a>(
    fd: &Fd,
    known: &HashMap<u64, &'a MountNamespace>,
    root: Option<&'a MountNamespace>,
    overlays: &'a [Vec<u8>],
) -> Option<(&'a MountNamespace, &'a [Vec<u8>])> {
    const WHOLE: &[Vec<u8>] = &[Vec::new()];
    let Link::Path { deleted, .. } = fd.link() else { return None };
    match known.get(&fd.mount_id?) {
        Some(namespace) => (deleted && fd.stat?.links > 0).then_some((*namespace, WHOLE)),
        None => Some((root?, overlays)).filter(|_| !overlays.is_empty()),
    }
}

/// What stands before a name on each overlay of the tree.
fn overlays(namespaces: &[MountNamespace]) -> Vec<Vec<u8>> {
    let overlays = namespaces.iter().flat_map(|ns| &ns.mounts).filter(|mount| mount.fs_type.as_bytes() == b"overlay");
    let point = |point: &[u8]| point.strip_suffix(b"/").unwrap_or(point).to_vec();
    let mut points: Vec<Vec<u8>> = overlays.map(|mount| point(mount.mount_point.as_bytes())).collect();
    points.sort();
    points.dedup();
    points
}

fn find(lookup: &Lookup, overlays: &[Vec<u8>], name: &[u8], stat: &FileStat) -> NameLookup {
    let own = (u64::from(stat.device.0) << 20 | u64::from(stat.device.1), stat.inode);
    let below = |point: &Vec<u8>| match lookup.find(&[point.as_slice(), name].concat()) {
        Ok(found) if found.identity == own => NameLookup::Same,
        Ok(_) => NameLookup::Other,
        Err(Errno::NOENT | Errno::NOTDIR) => NameLookup::Missing,
        Err(_) => NameLookup::Unknown,
    };
    let found: Vec<NameLookup> = overlays.iter().map(below).collect();
    let best = [NameLookup::Same, NameLookup::Unknown, NameLookup::Other];
    best.into_iter().find(|kind| found.contains(kind)).unwrap_or(NameLookup::Missing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::facts::{FileType, Mount, Pid, Process};

    fn found(fs_type: &str, link: &str, inode: u64) -> NameLookup {
        let pid = Pid::try_from(std::process::id()).unwrap();
        let meta = std::fs::metadata("/").unwrap();
        let device = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let stat = FileStat { file_type: FileType::Regular, device, inode, ..FileStat::default() };
        let fd = Fd { link: link.into(), mount_id: Some(30), stat: Some(stat), ..Fd::default() };
        let mount = Mount { id: 1, fs_type: fs_type.into(), mount_point: "/".into(), ..Mount::default() };
        let mut facts = Facts {
            mount_namespaces: vec![MountNamespace { id: 1, pid, mounts: vec![mount] }],
            processes: vec![Process { pid, fds: vec![fd], ..Process::default() }],
            ..Facts::default()
        };
        names(&mut facts);
        facts.processes[0].fds[0].name
    }

    #[test]
    fn a_name_leads_to_the_file_to_another_or_nowhere() {
        let root = std::fs::metadata("/").unwrap().ino();
        assert_eq!(found("overlay", "/", root), NameLookup::Same);
        assert_eq!(found("overlay", "/", root + 1), NameLookup::Other);
        assert_eq!(found("overlay", "/no/such/file", root), NameLookup::Missing);
    }

    #[test]
    fn without_an_overlay_the_name_does_not_matter() {
        assert_eq!(found("ext4", "/no/such/file", 1), NameLookup::NotNeeded);
    }
}
