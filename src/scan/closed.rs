//! Directories above files of the tree that not everybody may search. CRIU looks the path of each file up with the rights
//! of its caller (`files-reg.c: check_path_remap`), who need not be the one who scans.

use std::collections::BTreeSet;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags, open, openat2, statx};
use rustix::io::{Errno, Result};

use super::lookup::root_directory;
use super::stat::{OWNER, permissions};
use crate::facts::{
    ClosedDirectory, Facts, Link, Mount, MountNamespace, NamespaceKind, NsId, Permissions, Process, is_below,
};

/// Looks at each directory once, as far as nothing on the way may hang.
pub(super) fn directories(facts: &mut Facts) {
    let in_own = facts.shares_with_host(NamespaceKind::Mnt);
    let root = facts.mount_namespaces.first().map(|namespace| namespace.id);
    for namespace in &mut facts.mount_namespaces {
        // Where the root process is in criu's own mount namespace, criu looks all paths up there.
        let looked_up = |of: Option<NsId>| if in_own { Some(namespace.id) == root } else { of == Some(namespace.id) };
        let processes = facts.processes.iter().filter(|process| looked_up(process.namespaces.mnt));
        let wanted: BTreeSet<&[u8]> = processes.flat_map(paths).flat_map(above).collect();
        namespace.closed = closed(namespace, wanted).unwrap_or_default();
    }
}

/// The paths of what a process has open, mapped or is in.
fn paths(process: &Process) -> impl Iterator<Item = &[u8]> {
    let open = process.fds.iter().map(|fd| &fd.link);
    let mapped = process.mappings.iter().map(|mapping| &mapping.path);
    let links = open.chain(mapped).chain(process.held.iter().map(|file| &file.link));
    links.filter_map(|link| match Link::parse(link.as_bytes()) {
        Link::Path { path, .. } => Some(path),
        _ => None,
    })
}

/// The directories that a path leads through, the root directory left out.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
    slashes.filter_map(|(at, _)| path.get(..at))
}

/// Those of the directories, ordered from the top, that are closed; none below one that lets the scanner itself not in.
fn closed(namespace: &MountNamespace, wanted: BTreeSet<&[u8]>) -> Result<Vec<ClosedDirectory>> {
    let root = open(root_directory(namespace), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let mut found: Vec<ClosedDirectory> = Vec::new();
    for path in wanted.into_iter().filter(|path| !may_hang(&namespace.mounts, path)) {
        let is_behind =
            |closed: &ClosedDirectory| closed.permissions.is_none() && is_below(path, closed.path.as_bytes());
        if found.iter().any(is_behind) {
            continue;
        }
        match ask(&root, path) {
            Ok(permissions) if permissions.mode & 0o001 != 0 => {}
            Ok(permissions) => found.push(ClosedDirectory { path: path.into(), permissions: Some(permissions) }),
            Err(Errno::ACCESS) => found.push(ClosedDirectory { path: path.into(), permissions: None }),
            // Gone, or not what it was: of that other rules tell.
            Err(_) => {}
        }
    }
    Ok(found)
}

fn may_hang(mounts: &[Mount], path: &[u8]) -> bool {
    mounts.iter().any(|mount| mount.may_hang() && is_below(path, mount.mount_point.as_bytes()))
}

fn ask(root: &OwnedFd, path: &[u8]) -> Result<Permissions> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let directory = openat2(root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    Ok(permissions(&statx(&directory, c"", flags, StatxFlags::MODE | OWNER)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::facts::{Fd, HeldFile, Pid};

    #[test]
    fn a_path_leads_through_all_directories_above_it() {
        let names: Vec<&[u8]> = above(b"/a/b/c").collect();
        assert_eq!(names, [&b"/a"[..], b"/a/b"]);
        assert_eq!((above(b"/a").count(), above(b"/").count()), (0, 0));
    }

    #[test]
    fn only_what_is_closed_to_somebody_is_told() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("open/shut/deep")).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(dir.join("open/shut"), std::fs::Permissions::from_mode(0o710)).unwrap();
        let link = format!("{}/open/shut/deep/file", dir.display());
        let fds = vec![Fd { link: link.as_str().into(), ..Fd::default() }];
        let held = vec![HeldFile { link: "/none/such".into(), ..HeldFile::default() }];
        let mut process = Process { fds, held, ..Process::default() };
        process.namespaces.mnt = Some(1);
        let mounts = vec![Mount { mount_point: "/".into(), fs_type: "ext4".into(), ..Mount::default() }];
        let pid = Pid::try_from(std::process::id()).unwrap();
        let mount_namespaces = vec![MountNamespace { id: 1, pid, mounts, closed: Vec::new() }];
        let mut facts = Facts { processes: vec![process], mount_namespaces, ..Facts::default() };
        directories(&mut facts);
        let found: Vec<_> = facts.mount_namespaces[0]
            .closed
            .iter()
            .filter(|closed| closed.path.as_bytes().starts_with(dir.as_os_str().as_encoded_bytes()))
            .collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].path.to_string(), found[0].permissions.unwrap().mode),
            (format!("{}/open/shut", dir.display()), 0o710)
        );
        facts.mount_namespaces[0].mounts[0].fs_type = "nfs".into();
        directories(&mut facts);
        assert!(facts.mount_namespaces[0].closed.is_empty(), "a server may not answer");
    }
}
