//! What only the root process is asked: the user namespace it is in, and what its `/proc` shows.

use rustix::io::Errno;

use super::lookup::Lookup;
use super::mounts::is_local_type;
use super::{Scanner, reason};
use crate::facts::{Area, Facts, Mount, NamespaceKind, UserNamespace};
use crate::procfs::user_ns::{owners, parse_map};
use crate::procfs::{ProcessDir, is_gone};

/// The user namespace of the root process, unless it is the scanner's.
pub(super) fn user_namespace(scanner: &mut Scanner, dir: &ProcessDir, facts: &Facts) -> Option<UserNamespace> {
    let id = facts.root()?.namespaces.user.filter(|_| !facts.shares_with_host(NamespaceKind::User))?;
    let uids = scanner.read(dir, Area::Namespaces, c"uid_map", parse_map)?;
    let gids = scanner.read(dir, Area::Namespaces, c"gid_map", parse_map)?;
    let mut namespace = UserNamespace { id, uids, gids, owners: Vec::new() };
    let links = [
        (NamespaceKind::Ipc, c"ns/ipc"),
        (NamespaceKind::Mnt, c"ns/mnt"),
        (NamespaceKind::Net, c"ns/net"),
        (NamespaceKind::Time, c"ns/time"),
        (NamespaceKind::Uts, c"ns/uts"),
    ];
    for (kind, link) in links {
        match owners(dir.dir(), link) {
            Ok(owners) => namespace.owners.push((kind, owners)),
            Err(errno) if is_gone(errno) => {}
            Err(errno) => scanner.gap(Area::Namespaces, dir.pid(), format_args!("ns/{}", kind.name()), reason(errno)),
        }
    }
    Some(namespace)
}

/// Whether the `/proc` of the root process shows the pid namespace it is in; `None` when that can't be told.
///
/// The link `self` there names the reader, or is missing for a reader whom that pid namespace does not know.
/// Kernel: `fs/proc/self.c: proc_self_get_link`.
pub(super) fn sees_own_proc(facts: &Facts) -> Option<bool> {
    let root = facts.root().filter(|root| !root.is_zombie())?;
    let mounts = &facts.mount_namespaces.iter().find(|ns| Some(ns.id) == root.namespaces.mnt)?.mounts;
    let is_proc = |mount: &Mount| mount.fs_type.as_bytes() == b"proc";
    if !mounts.iter().any(|mount| mount.mount_point.as_bytes() == b"/proc" && is_proc(mount)) {
        return Some(false);
    }
    let lookup = Lookup::below(root.pid, mounts, |mount| !is_local_type(mount) && !is_proc(mount)).ok()?;
    let shows_reader = match lookup.link(b"/proc/self") {
        Ok(_) => true,
        Err(Errno::NOENT) => false,
        Err(_) => return None,
    };
    Some(shows_reader == facts.shares_with_host(NamespaceKind::Pid))
}
