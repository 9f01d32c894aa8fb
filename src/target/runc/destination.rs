//! Where a bind mount really lands: runc follows the links of the root file system, `/var/run` is `/run`.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::text::RawText;

/// A root file system to follow links in. runc: `criu_linux.go: addCriuDumpMount`.
pub(super) struct Resolver {
    root: Option<(OwnedFd, PathBuf)>,
}

impl Resolver {
    pub(super) fn new(rootfs: &Path) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rootfs.is_absolute().then(|| rustix::fs::openat(CWD, rootfs, flags, Mode::empty()).ok());
        Self { root: root.flatten().and_then(|fd| Some((link(&fd)?, fd)).map(|(path, fd)| (fd, path))) }
    }

    /// The destination without links; as it is written when the kernel does not find it.
    pub(super) fn resolve(&self, destination: &str) -> RawText {
        self.find(destination).unwrap_or_else(|| destination.into())
    }

    fn find(&self, destination: &str) -> Option<RawText> {
        let (root, base) = self.root.as_ref()?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let found = rustix::fs::openat2(root, destination, flags, Mode::empty(), resolve).ok()?;
        let path = link(&found)?;
        let inside = path.strip_prefix(base).ok()?;
        Some(Path::new("/").join(inside).as_os_str().as_bytes().into())
    }
}

/// The path the kernel gives for an open file.
fn link(fd: &impl AsFd) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_root_file_system_are_followed_but_never_out_of_it() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/secrets")).unwrap();
        std::fs::create_dir(root.path().join("var")).unwrap();
        std::os::unix::fs::symlink("/run", root.path().join("var/run")).unwrap();
        std::os::unix::fs::symlink("../../../../run", root.path().join("up")).unwrap();
        let resolver = Resolver::new(root.path());
        assert_eq!(resolver.resolve("/var/run/secrets").as_str(), Some("/run/secrets"));
        assert_eq!(resolver.resolve("/up").as_str(), Some("/run"));
        assert_eq!(resolver.resolve("/var/run/none").as_str(), Some("/var/run/none"));
        assert_eq!(Resolver::new(Path::new("gone")).resolve("/a").as_str(), Some("/a"));
    }
}
