//! Whether a process's cgroup is frozen: `cgroup.events` of version 2, `freezer.state` of version 1, both of which
//! tell of frozen ancestors as well.

use std::collections::HashMap;
use std::path::PathBuf;

use bstr::ByteSlice as _;

use super::Scanner;
use crate::facts::{Area, Mount, Process};
use crate::procfs::cgroup::{self, Freezer as Hierarchy};

/// Where the hierarchies are mounted, and what was read there.
#[derive(Debug, Default)]
pub(super) struct Freezer {
    v1: Option<Mount>,
    v2: Option<Mount>,
    seen: HashMap<PathBuf, Option<bool>>,
}

impl Freezer {
    /// Finds the hierarchies among the scanner's own mounts.
    pub(super) fn new(own: &[Mount]) -> Self {
        let find = |wanted: fn(&Mount) -> bool| own.iter().find(|mount| wanted(mount)).cloned();
        Self {
            v1: find(|mount| mount.fs_type.as_bytes() == b"cgroup" && names_freezer(mount.super_options.as_bytes())),
            v2: find(|mount| mount.fs_type.as_bytes() == b"cgroup2"),
            seen: HashMap::new(),
        }
    }

    /// The file that tells about a cgroup, when its hierarchy is mounted and holds it.
    fn file(&self, hierarchy: Hierarchy, path: &[u8]) -> Option<PathBuf> {
        let (mount, name) = match hierarchy {
            Hierarchy::V1 => (self.v1.as_ref()?, "freezer.state"),
            Hierarchy::V2 => (self.v2.as_ref()?, "cgroup.events"),
        };
        let root = mount.root.as_bytes().strip_suffix(b"/").unwrap_or(mount.root.as_bytes());
        let below = path.strip_prefix(root)?.strip_prefix(b"/")?;
        Some(mount.mount_point.as_bytes().to_path().ok()?.join(below.to_path().ok()?).join(name))
    }

    fn frozen(&mut self, file: PathBuf) -> Option<bool> {
        *self.seen.entry(file).or_insert_with_key(|file| match std::fs::read(file) {
            Ok(text) => Some(says_frozen(&text)),
            Err(_) => None,
        })
    }
}

impl Scanner {
    /// Whether the cgroup of a process is frozen; `None`, and a gap, when that can not be told.
    pub(super) fn frozen(&mut self, process: &Process) -> Option<bool> {
        let mut known = Some(false);
        for (hierarchy, path) in process.cgroups.iter().filter_map(|line| cgroup::freezer(line.as_bytes())) {
            // The root, or the top of the scanner's own cgroup namespace: were it frozen, so would be the scanner.
            if path == b"/" {
                continue;
            }
            let file = self.freezer.file(hierarchy, path);
            match file.and_then(|file| self.freezer.frozen(file)) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => known = None,
            }
        }
        if known.is_none() {
            let reason = "its cgroup is not to be seen from here, so it may be frozen";
            self.gap(Area::Processes, process.pid, "cgroup", reason);
        }
        known
    }
}

fn names_freezer(options: &[u8]) -> bool {
    options.split_str(b",").any(|option| option == b"freezer")
}

/// `frozen 1` among other lines, or `FROZEN` or `FREEZING` alone.
fn says_frozen(text: &[u8]) -> bool {
    text.lines().any(|line| matches!(line, b"frozen 1" | b"FROZEN" | b"FREEZING"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::mountinfo;

    #[test]
    fn files_are_found_below_the_mounts_and_nowhere_else() {
        let own = [
            &b"37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer"[..],
            b"41 31 0:38 /pod /cg rw - cgroup2 cgroup2 rw",
        ]
        .map(|line| mountinfo::parse(line).unwrap());
        let freezer = Freezer::new(&own);
        let file = |hierarchy, path: &str| freezer.file(hierarchy, path.as_bytes()).map(|p| p.display().to_string());
        assert_eq!(file(Hierarchy::V1, "/a/b").as_deref(), Some("/sys/fs/cgroup/freezer/a/b/freezer.state"));
        assert_eq!(file(Hierarchy::V2, "/pod/x").as_deref(), Some("/cg/x/cgroup.events"));
        assert_eq!(file(Hierarchy::V2, "/podium"), None);
        assert_eq!(file(Hierarchy::V2, "/../else"), None);
        assert_eq!(Freezer::default().file(Hierarchy::V2, b"/"), None);
    }

    #[test]
    fn both_versions_are_understood() {
        assert!(says_frozen(b"populated 1\nfrozen 1\n") && says_frozen(b"FROZEN\n") && says_frozen(b"FREEZING\n"));
        assert!(!says_frozen(b"populated 1\nfrozen 0\n") && !says_frozen(b"THAWED\n") && !says_frozen(b""));
    }
}
