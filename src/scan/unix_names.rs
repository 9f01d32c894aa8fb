//! Unix sockets bound to relative names whose file has another path by now, as far as the working directory of who holds
//! them shows it.
//!
//! CRIU wants the path to end with the name (`sk-unix.c: unix_resolve_name`). sock_diag tells the inode number of the
//! file, and not where it is.

use std::collections::HashMap;

use super::lookup::{Found, Lookup};
use crate::facts::{Facts, Link, MountNamespace, Process, Socket};

/// Fills in which sockets have moved.
pub(super) fn unix_names(facts: &mut Facts) {
    let of_inode: HashMap<u64, &Process> =
        facts.processes.iter().flat_map(|p| sockets_of(p).map(move |i| (i, p))).collect();
    for socket in facts.net_namespaces.iter_mut().flat_map(|namespace| &mut namespace.sockets) {
        let (Some(file), Some(holder)) = (socket.file, of_inode.get(&socket.inode)) else { continue };
        socket.moved = has_moved(socket, file, holder, &facts.mount_namespaces).unwrap_or(false);
    }
}

fn sockets_of(process: &Process) -> impl Iterator<Item = u64> + '_ {
    process.fds.iter().filter_map(|fd| match fd.link() {
        Link::Socket(inode) => Some(inode),
        _ => None,
    })
}

/// `None` where the file was not found: another working directory may have been meant, or the file is deleted.
fn has_moved(socket: &Socket, file: u32, holder: &Process, namespaces: &[MountNamespace]) -> Option<bool> {
    let Link::Path { path: directory, deleted: false } = Link::parse(holder.cwd.as_ref()?.as_bytes()) else {
        return None;
    };
    let namespace = namespaces.iter().find(|namespace| Some(namespace.id) == holder.namespaces.mnt)?;
    let lookup = Lookup::below(namespace).ok()?;
    let name = socket.relative_name()?;
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let path = [directory.strip_suffix(b"/").unwrap_or(directory), b"/", name].concat();
    let is_it = |found: &Found| !found.is_symlink && found.identity.1 & u64::from(u32::MAX) == u64::from(file);
    if lookup.find(&path).is_ok_and(|found| is_it(&found)) {
        return Some(parents(&path, name).any(|parent| lookup.find(parent).is_ok_and(|found| found.is_symlink)));
    }
    let parent = path.get(..path.iter().rposition(|byte| *byte == b'/')?)?;
    let entries = lookup.list(if parent.is_empty() { b"/" } else { parent }).ok()?;
    entries.iter().any(|(_, found)| is_it(found)).then_some(true)
}

/// The directories that a name leads through, of a path that ends with it.
fn parents<'a>(path: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(index, _)| index);
    slashes.filter_map(move |index| path.get(..path.len() - name.len() + index))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::facts::{Mount, Namespaces, family};

    #[test]
    fn a_file_is_known_by_its_inode_whatever_name_it_has() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        symlink("sub", at("link")).unwrap();
        let _sockets = ["s", "sub/s", "moved"].map(|name| UnixDatagram::bind(at(name)).unwrap());
        let holder = Process {
            cwd: Some(top.path().as_os_str().as_encoded_bytes().into()),
            namespaces: Namespaces { mnt: Some(1), ..Namespaces::default() },
            ..Process::default()
        };
        let mount = Mount { id: 1, fs_type: "ext4".into(), mount_point: "/".into(), ..Mount::default() };
        let namespaces = [MountNamespace { id: 1, mounts: vec![mount], ..MountNamespace::default() }];
        let moved = |bound: &str, file: &str| {
            let inode = std::fs::metadata(at(file)).map_or(1, |meta| meta.ino());
            let socket = Socket { family: family::UNIX, local: bound.into(), ..Socket::default() };
            has_moved(&socket, inode as u32, &holder, &namespaces)
        };
        assert_eq!(moved("s", "s"), Some(false));
        assert_eq!(moved("./sub/s", "sub/s"), Some(false));
        assert_eq!(moved("link/s", "sub/s"), Some(true));
        assert_eq!(moved("before", "moved"), Some(true));
        assert_eq!(moved("gone", "gone"), None);
    }
}
