//! One path, step by step: no step is taken onto a file system that may wait for somebody else, not even by way of a
//! symlink. The kernel would follow those by itself, and leave a look-up hanging that nobody can call back.

use std::collections::VecDeque;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2, readlinkat};
use rustix::io::{Errno, Result};

use super::lookup::{Found, stat};
use crate::facts::Mount;

/// As many symlinks as the kernel follows.
const MOST_LINKS: u32 = 40;

/// A walk from a root directory.
pub(super) struct Walk<'a> {
    root: &'a OwnedFd,
    mounts: &'a [Mount],
    /// Each directory from the root on, its name and what it is.
    at: Vec<(Vec<u8>, OwnedFd, Found)>,
    links: u32,
}

impl<'a> Walk<'a> {
    /// A walk from `root`, in the namespace that has these mounts.
    pub(super) fn new(root: &'a OwnedFd, mounts: &'a [Mount]) -> Self {
        Self { root, mounts, at: Vec::new(), links: 0 }
    }

    /// What lies under an absolute path, with a symlink at its end followed or not.
    pub(super) fn to(mut self, path: &[u8], follow: bool) -> Result<Found> {
        let mut ahead: VecDeque<Vec<u8>> = names(path).collect();
        while let Some(name) = ahead.pop_front() {
            if name == b".." {
                self.at.pop();
                continue;
            }
            let (file, found) = self.step(&name)?;
            if found.is_symlink && (follow || !ahead.is_empty()) {
                for name in self.link(&file, found)?.into_iter().rev() {
                    ahead.push_front(name);
                }
            } else if found.is_directory || ahead.is_empty() {
                self.at.push((name, file, found));
            } else {
                return Err(Errno::NOTDIR);
            }
        }
        self.at.last().map_or_else(|| stat(self.root.as_fd(), c"", AtFlags::EMPTY_PATH), |(_, _, found)| Ok(*found))
    }

    /// Opens a name in the directory reached so far, onto what is mounted there.
    fn step(&self, name: &[u8]) -> Result<(OwnedFd, Found)> {
        let here = self.at.last().map_or(self.root, |(_, directory, _)| directory);
        let open =
            |resolve| openat2(here, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve);
        let file = match open(ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV) {
            Err(Errno::XDEV) if self.is_local_mount(name) => open(ResolveFlags::NO_SYMLINKS)?,
            Err(Errno::XDEV) => return Err(Errno::ACCESS),
            other => other?,
        };
        let found = stat(file.as_fd(), c"", AtFlags::EMPTY_PATH)?;
        Ok((file, found))
    }

    /// Whether all that is mounted on a name here is known and can't hang.
    fn is_local_mount(&self, name: &[u8]) -> bool {
        let names = self.at.iter().map(|(name, _, _)| name.as_slice()).chain([name]);
        let path: Vec<u8> = names.flat_map(|name| [b"/", name].concat()).collect();
        let mut there = self.mounts.iter().filter(|mount| mount.mount_point.as_bytes() == path).peekable();
        there.peek().is_some() && there.all(|mount| !mount.may_hang())
    }

    /// The names that a symlink stands for. What `/proc` shows as one may lead anywhere, whatever its text says.
    fn link(&mut self, file: &OwnedFd, found: Found) -> Result<Vec<Vec<u8>>> {
        let on_proc = |mount: &Mount| mount.id == found.mount_id && mount.fs_type.as_bytes() == b"proc";
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        if self.mounts.iter().any(on_proc) {
            return Err(Errno::ACCESS);
        }
        let target = readlinkat(file, "", Vec::new())?.into_bytes();
        if target.starts_with(b"/") {
            self.at.clear();
        }
        Ok(names(&target).collect())
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b".")).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn root(path: &std::path::Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    #[test]
    fn links_and_dots_lead_where_the_kernel_leads_them() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "").unwrap();
        symlink("/a", at("absolute")).unwrap();
        symlink("../a/./b/../b/file", at("a/relative")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let (root, inode) = (root(top.path()), fs::metadata(at("a/b/file")).unwrap().ino());
        let to = |path: &str, follow| Walk::new(&root, &[]).to(path.as_bytes(), follow).map(|found| found.identity.1);
        for path in ["/a/b/file", "/absolute/b/file", "/absolute/relative", "/../a//b/file"] {
            assert_eq!(to(path, true), Ok(inode), "{path}");
        }
        assert_ne!(to("/a/relative", false), Ok(inode));
        assert_eq!(to("/a/b/file/x", true), Err(Errno::NOTDIR));
        assert_eq!(to("/a/none", true), Err(Errno::NOENT));
        assert_eq!(to("/loop", true), Err(Errno::LOOP));
    }

    #[test]
    fn no_step_leads_onto_a_mount_that_is_not_known_to_be_local() {
        let root = root("/".as_ref());
        let proc = |fs_type: &str| Mount { mount_point: "/proc".into(), fs_type: fs_type.into(), ..Mount::default() };
        let to = |mounts: &[Mount]| Walk::new(&root, mounts).to(b"/proc/version", true).map(|_| ());
        assert_eq!(to(&[proc("proc")]), Ok(()));
        assert_eq!(to(&[proc("proc"), proc("nfs4")]), Err(Errno::ACCESS));
        assert_eq!(to(&[]), Err(Errno::ACCESS));
    }
}
