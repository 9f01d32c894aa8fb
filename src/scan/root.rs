//! What only the root process is asked: the user namespace it is in, and what its `/proc` shows.

use std::thread;

use rustix::fd::AsFd as _;
use rustix::fs::{Access, AtFlags, Mode, OFlags, accessat, openat};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::lookup::Lookup;
use super::{Scanner, reason};
use crate::facts::{Area, CgroupView, Facts, Gap, HeldAs, MountNamespace, NamespaceKind, Pid, Process, UserNamespace};
use crate::procfs::user_ns::{maker, owners, parse_map};
use crate::procfs::{ProcessDir, cgroup, is_gone, ns};
use crate::text::RawText;

/// The user namespace of the root process, unless it is the scanner's.
pub(super) fn user_namespace(scanner: &mut Scanner, dir: &ProcessDir, facts: &Facts) -> Option<UserNamespace> {
    let id = facts.root()?.namespaces.user.filter(|_| !facts.shares_with_host(NamespaceKind::User))?;
    let uids = scanner.read(dir, Area::Namespaces, c"uid_map", parse_map)?;
    let gids = scanner.read(dir, Area::Namespaces, c"gid_map", parse_map)?;
    let own = facts.host.namespaces.user;
    let maker = own.and_then(|own| maker(dir.dir(), own).ok().flatten());
    let mut namespace = UserNamespace { id, maker, uids, gids, owners: Vec::new() };
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

/// The cgroups of the threads of the root process, from outside and from inside its cgroup namespace, which a thread
/// enters to read them.
pub(super) fn cgroup_views(scanner: &mut Scanner, dir: &ProcessDir, facts: &Facts) -> Vec<CgroupView> {
    let alive = facts.root().filter(|root| !root.is_zombie());
    let Some(root) = alive.filter(|_| !facts.shares_with_host(NamespaceKind::Cgroup)) else { return Vec::new() };
    if root.namespaces.cgroup.is_none() || facts.host.namespaces.cgroup.is_none() {
        return Vec::new();
    }
    let tids: Vec<Pid> = root.threads.iter().map(|thread| thread.tid).collect();
    let read = || -> Result<Vec<_>, Errno> {
        let outside = lines_of(dir, &tids);
        let inside = thread::scope(|scope| scope.spawn(|| entered(dir, &tids)).join()).unwrap_or(Err(Errno::INTR))?;
        Ok(outside.into_iter().zip(inside).collect())
    };
    let views = read().map_err(|errno| scanner.failed(Area::Processes, dir.pid(), "cgroup", errno)).unwrap_or_default();
    let known = views
        .into_iter()
        .filter_map(|((tid, outside), (_, inside))| Some(CgroupView { tid, outside: outside?, inside: inside? }));
    known.collect()
}

/// A thread and the lines of its cgroup file; `None` when it has gone.
type ThreadLines = (Pid, Option<Vec<RawText>>);

fn entered(dir: &ProcessDir, tids: &[Pid]) -> Result<Vec<ThreadLines>, Errno> {
    let link = openat(dir.dir(), c"ns/cgroup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::ControlGroup))?;
    Ok(lines_of(dir, tids))
}

/// The cgroup file of each thread.
fn lines_of(dir: &ProcessDir, tids: &[Pid]) -> Vec<ThreadLines> {
    let mut buffer = Vec::new();
    let mut read = |tid: &Pid| dir.read(format!("task/{tid}/cgroup").as_str(), &mut buffer).ok().map(cgroup::lines);
    tids.iter().map(|tid| (*tid, read(tid))).collect()
}

/// Whether what CRIU would make to mount `/proc` on is there already. CRIU: `pie/parasite.c: get_proc_fd`.
pub(super) fn proc_name_taken(dir: &ProcessDir, facts: &Facts) -> bool {
    let root = facts.root().filter(|_| facts.sees_own_proc == Some(false));
    let cwd = root.and_then(|root| root.held.iter().find(|file| file.role == HeldAs::WorkingDirectory));
    let mounts = || facts.mount_namespaces.iter().flat_map(|namespace| &namespace.mounts);
    let is_local = cwd.is_some_and(|cwd| mounts().any(|mount| Some(mount.id) == cwd.mount_id && !mount.may_hang()));
    is_local && accessat(dir.dir(), c"cwd/proc.crtools", Access::EXISTS, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Whether the `/proc` of the root process shows the pid namespace it is in, and whether it can be looked up at all.
pub(super) fn own_proc(scanner: &mut Scanner, facts: &mut Facts) {
    let Some(root) = facts.root().filter(|root| !root.is_zombie()) else { return };
    match sees_own_proc(root, facts) {
        Ok(seen) => facts.sees_own_proc = seen,
        // As in a directory of a process that is gone. The errors of criu's own look-up, which is made by the process.
        Err(Errno::SRCH | Errno::NOTDIR | Errno::INVAL) => facts.proc_unreachable = true,
        Err(errno) => scanner.gaps.push(Gap {
            area: Area::Namespaces,
            pid: Some(root.pid),
            path: format!("/proc/{}/root/proc/self", root.pid).into(),
            reason: errno.to_string(),
        }),
    }
}

/// The link `self` names the reader, or is missing for a reader whom that pid namespace does not know; `None` where the
/// mount namespace is not known. Kernel: `fs/proc/self.c: proc_self_get_link`.
fn sees_own_proc(root: &Process, facts: &Facts) -> Result<Option<bool>, Errno> {
    let of_root = |namespace: &&MountNamespace| Some(namespace.id) == root.namespaces.mnt;
    let Some(namespace) = facts.mount_namespaces.iter().find(of_root) else { return Ok(None) };
    let lookup = Lookup::below(&MountNamespace { pid: root.pid, ..namespace.clone() })?;
    let shows_reader = unless_absent(lookup.link(b"/proc/self"))?.is_some();
    let there = unless_absent(lookup.find(b"/proc"))?;
    let is_proc = |id| namespace.mounts.iter().any(|mount| mount.id == id && mount.fs_type.as_bytes() == b"proc");
    if !there.is_some_and(|there| is_proc(there.mount_id)) {
        return Ok(Some(false));
    }
    // Where its first process may be asked for its namespace, that tells for sure.
    if let (Ok(link), Some(own)) = (lookup.link(b"/proc/1/ns/pid"), root.namespaces.pid) {
        return Ok(Some(ns::parse(&link) == Some(own)));
    }
    Ok(Some(shows_reader == facts.shares_with_host(NamespaceKind::Pid)))
}

fn unless_absent<T>(looked_up: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match looked_up {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}
