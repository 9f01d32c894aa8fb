//! Where the names of files lead to, looked up only where that decides.
//!
//! CRIU finds a file by its mount id, and then looks its name up, ` (deleted)` included: it must lead to the file
//! (`files-reg.c: check_path_remap`). It does unless the file was deleted by this name, something is mounted over it,
//! or its mount is not in the namespace that the name is looked up in. Where an overlay is among the mounts CRIU tries
//! the names of files on unknown mounts below each overlay, and takes what has the same device and inode (`files.c:
//! fixup_overlayfs`, `mount.c: lookup_overlayfs`).

use std::collections::HashMap;

use rustix::io::Errno;

use super::lookup::{Found, Lookup, root_directory};
use crate::facts::{
    Area, Facts, FileStat, FileType, Gap, Link, MountNamespace, NameLookup, NamespaceKind, NsId, Process,
};
use crate::text::RawText;

/// Looks up the names of open files, mapped files, programs and directories.
pub(super) fn names(facts: &mut Facts) {
    let in_own = facts.shares_with_host(NamespaceKind::Mnt);
    let mut names = Names::new(&facts.mount_namespaces, in_own);
    for process in &mut facts.processes {
        let pid = process.pid;
        for (link, mount_id, identity, name) in files(process) {
            let (Some(mount_id), Some(identity)) = (mount_id, identity) else { continue };
            let Some((namespace, points)) = names.wanted(link, mount_id, identity) else { continue };
            *name = names.find(namespace, &points, link.as_bytes(), identity);
            if *name == NameLookup::Unknown {
                let path = format!("{link} below {}", root_directory(namespace)).into();
                let reason = "could not be looked up".to_owned();
                facts.gaps.push(Gap { area: Area::Mounts, pid: Some(pid), path, reason });
            }
        }
    }
}

/// What is known of a file: all, or on a mount that nobody knows, the inode number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Stat(FileStat),
    Inode(u64),
}

type File<'a> = (&'a RawText, Option<u64>, Option<Identity>, &'a mut NameLookup);

fn files(process: &mut Process) -> impl Iterator<Item = File<'_>> {
    let known = |stat: Option<FileStat>, inode: Option<u64>| stat.map(Identity::Stat).or(inode.map(Identity::Inode));
    let open = process.fds.iter_mut().map(move |fd| (&fd.link, fd.mount_id, known(fd.stat, fd.inode), &mut fd.name));
    let mapped = process.mappings.iter_mut();
    let mapped = mapped.map(move |map| (&map.path, map.mount_id, known(map.stat, Some(map.inode)), &mut map.name));
    let held =
        process.held.iter_mut().map(move |file| (&file.link, file.mount_id, known(file.stat, None), &mut file.name));
    open.chain(mapped).chain(held)
}

struct Names<'a> {
    /// The namespaces of the tree, the root process's first.
    namespaces: &'a [MountNamespace],
    /// Whether the root process is in criu's own mount namespace: then criu looks all names up there.
    in_own: bool,
    known: HashMap<u64, &'a MountNamespace>,
    overlays: Vec<Vec<u8>>,
    lookups: HashMap<NsId, rustix::io::Result<Lookup>>,
    /// What was found: many processes hold the same files.
    found: HashMap<(NsId, RawText, Identity), NameLookup>,
}

impl<'a> Names<'a> {
    fn new(namespaces: &'a [MountNamespace], in_own: bool) -> Self {
        let known = namespaces.iter().flat_map(|ns| ns.mounts.iter().map(move |mount| (mount.id, ns))).collect();
        let (lookups, found) = (HashMap::new(), HashMap::new());
        Self { namespaces, in_own, known, overlays: overlays(namespaces), lookups, found }
    }

    /// Where to look a name up: in which namespace, and below which points of it. `None` where no name decides.
    fn wanted(&self, link: &RawText, mount_id: u64, identity: Identity) -> Option<(&'a MountNamespace, Vec<Vec<u8>>)> {
        let Link::Path { path, deleted } = Link::parse(link.as_bytes()) else { return None };
        let root = self.namespaces.first()?;
        let Some(own) = self.known.get(&mount_id) else {
            return Some((root, self.overlays.clone())).filter(|(_, overlays)| !overlays.is_empty());
        };
        let namespace = if self.in_own { root } else { own };
        let leads_there = || namespace.mount_at(path).is_some_and(|mount| mount.id == mount_id);
        let is_linked = matches!(identity, Identity::Stat(stat) if stat.links > 0);
        (is_linked && (deleted || !leads_there())).then(|| (namespace, vec![Vec::new()]))
    }

    fn find(&mut self, namespace: &MountNamespace, points: &[Vec<u8>], name: &[u8], identity: Identity) -> NameLookup {
        let key = (namespace.id, RawText::from(name), identity);
        if let Some(found) = self.found.get(&key) {
            return *found;
        }
        let lookup = self.lookups.entry(namespace.id).or_insert_with(|| Lookup::below(namespace));
        let found = lookup.as_ref().map_or(NameLookup::Unknown, |lookup| find(lookup, points, name, identity));
        self.found.insert(key, found);
        found
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

fn find(lookup: &Lookup, points: &[Vec<u8>], name: &[u8], identity: Identity) -> NameLookup {
    let below = |point: &Vec<u8>| {
        let path = [point.as_slice(), name].concat();
        let is_link = matches!(identity, Identity::Stat(stat) if stat.file_type == FileType::Symlink);
        match if is_link { lookup.find(&path) } else { lookup.follow(&path) } {
            Ok(found) => compare(&found, identity),
            // ` (deleted)` may make a name longer than one can be.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => NameLookup::Other,
            Err(Errno::NOENT) => NameLookup::Missing,
            Err(_) => NameLookup::Unknown,
        }
    };
    let found: Vec<NameLookup> = points.iter().map(below).collect();
    let best = [NameLookup::Same, NameLookup::Unknown, NameLookup::SameDevice, NameLookup::Other];
    best.into_iter().find(|kind| found.contains(kind)).unwrap_or(NameLookup::Missing)
}

fn compare(found: &Found, identity: Identity) -> NameLookup {
    let encoded = |(major, minor): (u32, u32)| u64::from(major) << 20 | u64::from(minor);
    match identity {
        Identity::Inode(inode) if found.identity.1 == inode => NameLookup::Same,
        Identity::Stat(stat) if found.identity == (encoded(stat.device), stat.inode) => NameLookup::Same,
        Identity::Stat(FileStat { file_type: FileType::CharDevice | FileType::BlockDevice, rdev, .. })
            if found.rdev == rdev =>
        {
            NameLookup::SameDevice
        }
        _ => NameLookup::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::facts::{Fd, Mount, Pid};

    fn found(fs_type: &str, link: &str, inode: u64) -> NameLookup {
        let pid = Pid::try_from(std::process::id()).unwrap();
        let meta = std::fs::metadata("/").unwrap();
        let device = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let stat = FileStat { file_type: FileType::Regular, links: 1, device, inode, ..FileStat::default() };
        let fd = Fd { link: link.into(), mount_id: Some(30), stat: Some(stat), ..Fd::default() };
        let mount = Mount { id: 1, fs_type: fs_type.into(), mount_point: "/".into(), ..Mount::default() };
        let mut facts = Facts {
            mount_namespaces: vec![MountNamespace { id: 1, pid, mounts: vec![mount], closed: Vec::new() }],
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
        assert_eq!(found("overlay", &format!("/{}", "x".repeat(256)), root), NameLookup::Other);
    }

    #[test]
    fn without_an_overlay_the_name_of_a_file_on_an_unknown_mount_does_not_matter() {
        assert_eq!(found("ext4", "/no/such/file", 1), NameLookup::NotNeeded);
    }
}
