//! Where inotify and fanotify watches point to, for those that CRIU can dump only by a path.
//!
//! The kernel knows a watch by inode. CRIU (`fsnotify.c: check_open_handle`) opens the file handle that fdinfo shows
//! on a mount of the same device; where the file system opens no handles, it searches a few directories for the inode
//! (`irmap.c: irmap_lookup`), and gives up when it is elsewhere. So a path is looked for here only in the second case.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rustix::fd::AsFd;
use rustix::io::Errno;

use super::lookup::{Identity, Lookup, root_directory};
use crate::facts::{
    Area, Capability, Facts, Fd, FdInfo, Gap, InotifyWatch, Mount, MountNamespace, Pid, WatchPath, is_below,
};

pub(super) mod handle;

/// Directories that CRIU searches with all below them (`irmap.c: hints`), and of `/` the directory alone.
const HINTS: [&[u8]; 8] = [
    b"/etc",
    b"/var/spool",
    b"/var/log",
    b"/usr/share/dbus-1/services",
    b"/usr/share/dbus-1/system-services",
    b"/var/lib/polkit-1/localauthority",
    b"/usr/share/polkit-1/actions",
    b"/lib/udev",
];

/// Where programs put watches besides, searched for a path to name.
const LIKELY: [&[u8]; 7] = [b"/root", b"/home", b"/run", b"/tmp", b"/usr", b"/var", b"/opt"];

/// Fills in where the watches of the tree point to.
pub(super) fn watches(facts: &mut Facts, own_mounts: &[Mount]) {
    let watches: BTreeMap<Identity, &InotifyWatch> =
        facts.processes.iter().flat_map(|process| &process.fds).flat_map(of).map(|w| (identity(w), w)).collect();
    if watches.is_empty() {
        return;
    }
    let namespaces = &facts.mount_namespaces;
    let may_open = facts.host.caller.has_over_host(Capability::DacReadSearch);
    let mut search = Search { namespaces, own_mounts, may_open, lookups: BTreeMap::new(), gaps: Vec::new() };
    let found = search.paths(&watches);
    let mut gaps = search.gaps;
    facts.gaps.append(&mut gaps);
    for fd in facts.processes.iter_mut().flat_map(|process| &mut process.fds) {
        if let FdInfo::Inotify { watches } | FdInfo::Fanotify { watches, .. } = &mut fd.info {
            for watch in watches {
                watch.path = found.get(&identity(watch)).cloned().unwrap_or_default();
            }
        }
    }
}

fn of(fd: &Fd) -> &[InotifyWatch] {
    match &fd.info {
        FdInfo::Inotify { watches } | FdInfo::Fanotify { watches, .. } => watches,
        _ => &[],
    }
}

fn identity(watch: &InotifyWatch) -> Identity {
    (watch.device, watch.inode)
}

fn is_on(mount: &Mount, (device, _): Identity) -> bool {
    u64::from(mount.device.0) << 20 | u64::from(mount.device.1) == device
}

/// How CRIU gets at a watched file.
enum Way {
    /// By its handle.
    Handle,
    /// By its handle and a path, and none leads there.
    HandleNoPath,
    /// By its handle; no path leads there.
    HandleOnly,
    /// By a path that it has to search for.
    Path,
}

/// What is searched, and what could not be.
struct Search<'a> {
    /// Mount namespaces of the tree, the root process's first: the one that CRIU searches in.
    namespaces: &'a [MountNamespace],
    /// Those of the scanner, in which the layers of an overlay are named.
    own_mounts: &'a [Mount],
    /// Whether the caller may open file handles at all. Kernel: `fs/fhandle.c: may_decode_fh`.
    may_open: bool,
    lookups: BTreeMap<Pid, Lookup>,
    gaps: Vec<Gap>,
}

impl Search<'_> {
    /// Where the watches point to, as far as CRIU needs a path.
    fn paths(&mut self, watches: &BTreeMap<Identity, &InotifyWatch>) -> BTreeMap<Identity, WatchPath> {
        let mut found = BTreeMap::new();
        let mut wanted = BTreeMap::new();
        for (&id, &watch) in watches {
            match self.way(watch) {
                Ok(Way::Handle) => {}
                Ok(Way::HandleNoPath) => {
                    found.insert(id, WatchPath::Unreachable);
                }
                Ok(Way::HandleOnly) => {
                    found.insert(id, WatchPath::HandleOnly);
                }
                Ok(Way::Path) => {
                    wanted.insert(id, watch);
                }
                Err(reason) => {
                    self.gap(format!("watch on inode {} of device {:#x}", id.1, id.0), reason);
                    found.insert(id, WatchPath::Unknown);
                }
            }
        }
        if !wanted.is_empty() {
            found.extend(self.search(&wanted));
        }
        found
    }

    fn gap(&mut self, path: String, reason: impl ToString) {
        self.gaps.push(Gap { area: Area::Watches, pid: None, path: path.into(), reason: reason.to_string() });
    }

    /// Whether CRIU can open the file handle: on a directory mount of that device which nothing is mounted over; the
    /// first on which a path leads back to the file is the best. CRIU: `fsnotify.c: alloc_openable`.
    fn way(&mut self, watch: &InotifyWatch) -> Result<Way, String> {
        let mut best = Way::Path;
        for namespace in self.namespaces {
            for mount in namespace.mounts.iter().filter(|mount| is_on(mount, identity(watch))) {
                if mount.may_hang() {
                    return Err(format!("a file system of type {} is never looked at", mount.fs_type));
                }
                if self.may_open && mount.opens_handles() {
                    let lookup = self.lookup(namespace).map_err(|error| error.to_string())?;
                    match lookup.find(mount.mount_point.as_bytes()) {
                        Ok(top) if top.is_directory && [0, mount.id].contains(&top.mount_id) => {
                            match way_by_handle(watch, mount, lookup).map_err(|error| error.to_string())? {
                                Way::Handle => return Ok(Way::Handle),
                                Way::Path => {}
                                other => best = other,
                            }
                        }
                        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                        Err(error) => return Err(error.to_string()),
                    }
                }
            }
        }
        Ok(best)
    }

    fn lookup(&mut self, namespace: &MountNamespace) -> Result<&mut Lookup, Errno> {
        match self.lookups.entry(namespace.pid) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Lookup::below(namespace)?)),
        }
    }

    /// Finds paths as `irmap_lookup` would, and names where a watch points to when CRIU would not find it.
    fn search(&mut self, watches: &BTreeMap<Identity, &InotifyWatch>) -> Vec<(Identity, WatchPath)> {
        let (own_mounts, namespaces) = (self.own_mounts, self.namespaces);
        let Some(namespace) = namespaces.first() else { return Vec::new() };
        let lookup = match self.lookup(namespace) {
            Ok(lookup) => lookup,
            Err(error) => {
                self.gap(root_directory(namespace), error);
                return watches.keys().map(|&id| (id, WatchPath::Unknown)).collect();
            }
        };
        let mut paths: BTreeMap<Identity, Option<Vec<u8>>> =
            watches.iter().map(|(&id, w)| (id, path_by_mounts(w, &namespace.mounts, own_mounts, lookup))).collect();
        let reachable =
            |id: &Identity, tops: &[&[u8]]| tops.iter().any(|top| is_seen_below(top, *id, &namespace.mounts));
        let is_whole = lookup.walk(&HINTS, &mut paths, |id| reachable(id, &HINTS));
        let unknown = |id: &Identity| !is_whole && reachable(id, &HINTS);
        lookup.walk(&LIKELY, &mut paths, |id| reachable(id, &LIKELY));
        lookup.walk(&[b"/sys"], &mut paths, |id| reachable(id, &[b"/sys"]));
        let hints: Vec<Identity> = HINTS.iter().filter_map(|hint| Some(lookup.find(hint).ok()?.identity)).collect();
        let found: Vec<(Identity, WatchPath)> = paths
            .into_iter()
            .map(|(id, path)| match path {
                Some(path) if is_hinted(&path, &hints, lookup) => (id, WatchPath::Hinted(path.into())),
                Some(path) => (id, WatchPath::Elsewhere(path.into())),
                None if unknown(&id) => (id, WatchPath::Unknown),
                None => (id, WatchPath::NotHinted),
            })
            .collect();
        if found.iter().any(|(_, path)| *path == WatchPath::Unknown) {
            self.gap("CRIU's hint directories".to_owned(), "too large to be searched in time");
        }
        found
    }
}

/// Whether a file system is seen at or below a directory: mounted below it, or around it with nothing in between.
fn is_seen_below(directory: &[u8], id: Identity, mounts: &[Mount]) -> bool {
    let around = mounts.iter().filter(|mount| is_below(directory, mount.mount_point.as_bytes()));
    around.max_by_key(|mount| mount.mount_point.as_bytes().len()).is_some_and(|mount| is_on(mount, id))
        || mounts.iter().any(|mount| is_on(mount, id) && is_below(mount.mount_point.as_bytes(), directory))
}

/// On tmpfs CRIU needs a path besides, since such a file system is made anew on restore; on others under
/// `--force-irmap` only.
fn way_by_handle(watch: &InotifyWatch, mount: &Mount, lookup: &Lookup) -> Result<Way, Errno> {
    let needs_path = matches!(mount.fs_type.as_bytes(), b"tmpfs" | b"devtmpfs");
    let link = lookup.open_mount(mount.mount_point.as_bytes()).and_then(|top| handle::link(watch, top.as_fd()));
    match link {
        Ok(link) if lookup.find(&link).is_ok_and(|found| found.identity.1 == watch.inode) => Ok(Way::Handle),
        Ok(_) if needs_path => Ok(Way::HandleNoPath),
        Ok(_) => Ok(Way::HandleOnly),
        // The file system does not find the file any more.
        Err(Errno::STALE) => Ok(Way::Path),
        Err(error) if needs_path => Err(error),
        // The scanner may not open handles, CRIU may.
        Err(_) => Ok(Way::Handle),
    }
}

/// The path of a watch on a mount point, or on overlayfs by its file handle: without a search.
fn path_by_mounts(watch: &InotifyWatch, mounts: &[Mount], own: &[Mount], lookup: &Lookup) -> Option<Vec<u8>> {
    let id = identity(watch);
    let is_it = |path: &Vec<u8>| lookup.find(path).is_ok_and(|found| found.identity == id);
    let on_device = || mounts.iter().filter(|mount| is_on(mount, id));
    on_device().map(|mount| mount.mount_point.as_bytes().to_vec()).find(is_it).or_else(|| {
        let real = on_device().find_map(|mount| handle::real_path(watch, mount, own))?;
        // Which part of the real path leads to the layer is not needed: the inode tells when the rest is right.
        let tails = real.iter().enumerate().filter(|(_, byte)| **byte == b'/').filter_map(|(at, _)| real.get(at..));
        let seen = tails.flat_map(|tail| on_device().filter_map(move |mount| seen_through(tail, mount)));
        seen.into_iter().find(is_it)
    })
}

/// The path under which a file of a file system is seen through a mount.
fn seen_through(path: &[u8], mount: &Mount) -> Option<Vec<u8>> {
    let root = mount.root.as_bytes();
    let below = is_below(path, root).then(|| path.strip_prefix(root.strip_suffix(b"/").unwrap_or(root)))??;
    let top = mount.mount_point.as_bytes();
    Some([top.strip_suffix(b"/").unwrap_or(top), below].concat())
}

/// Whether CRIU's own search comes across the path: `/` itself, or a hint directory and all below it.
fn is_hinted(path: &[u8], hints: &[Identity], lookup: &Lookup) -> bool {
    let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let mut upwards = ends.chain([path.len()]).filter_map(|end| path.get(..end));
    path == b"/" || upwards.any(|at| lookup.find(at).is_ok_and(|found| hints.contains(&found.identity)))
}

#[cfg(test)]
mod tests;
