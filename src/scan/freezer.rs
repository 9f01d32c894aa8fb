//! Whether a process's cgroup is frozen: `cgroup.events` of version 2, `freezer.state` of version 1, both of which
//! tell of frozen ancestors as well.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;

use super::Scanner;
use crate::facts::{Area, FreezerMount, Mount, Process};
use crate::procfs::cgroup::{self, Freezer as Hierarchy};
use crate::text::RawText;

/// Where the hierarchies are mounted, and what was read there.
#[derive(Debug, Default)]
pub(super) struct Freezer {
    pub(super) mounts: Vec<FreezerMount>,
    seen: HashMap<PathBuf, Option<bool>>,
}

impl Freezer {
    /// Finds the hierarchies among the scanner's own mounts.
    pub(super) fn new(own: &[Mount]) -> Self {
        let find = |hierarchy, wanted: fn(&Mount) -> bool| {
            let mount = own.iter().find(|mount| wanted(mount))?;
            Some(FreezerMount { hierarchy, root: mount.root.clone(), mount_point: mount.mount_point.clone() })
        };
        let is_v1 =
            |mount: &Mount| mount.fs_type.as_bytes() == b"cgroup" && names_freezer(mount.super_options.as_bytes());
        let is_v2 = |mount: &Mount| mount.fs_type.as_bytes() == b"cgroup2";
        let mounts = [find(Hierarchy::V1, is_v1), find(Hierarchy::V2, is_v2)].into_iter().flatten().collect();
        Self { mounts, seen: HashMap::new() }
    }

    /// The directory of a cgroup, when its hierarchy is mounted and holds it, with that mount.
    fn directory(&self, line: &[u8]) -> Option<(&FreezerMount, RawText)> {
        self.mounts.iter().find_map(|mount| Some((mount, mount.directory(line)?)))
    }

    /// The file that tells whether a cgroup is frozen.
    fn file(&self, line: &[u8]) -> Option<PathBuf> {
        let (mount, directory) = self.directory(line)?;
        let name = match mount.hierarchy {
            Hierarchy::V1 => "freezer.state",
            Hierarchy::V2 => "cgroup.events",
        };
        Some(directory.as_bytes().to_path().ok()?.join(name))
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
        for line in process.cgroups.iter().map(RawText::as_bytes) {
            // The root, or the top of the scanner's own cgroup namespace: were it frozen, so would be the scanner.
            if cgroup::freezer(line).is_none_or(|(_, path)| path == b"/") {
                continue;
            }
            let file = self.freezer.file(line);
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

    /// The directories, from its cgroup up, that were themselves told to freeze.
    pub(super) fn frozen_by(&self, process: &Process) -> Vec<RawText> {
        let told = |directory: &Path, hierarchy| {
            let name = if hierarchy == Hierarchy::V1 { "freezer.self_freezing" } else { "cgroup.freeze" };
            std::fs::read(directory.join(name)).is_ok_and(|text| text.trim_ascii() == b"1")
        };
        let mut found = Vec::new();
        for (mount, directory) in process.cgroups.iter().filter_map(|line| self.freezer.directory(line.as_bytes())) {
            let Ok(directory) = directory.as_bytes().to_path() else { continue };
            let top = mount.mount_point.as_bytes().to_path().ok();
            let up = directory.ancestors().take_while(|path| top.is_some_and(|top| path.starts_with(top)));
            found.extend(
                up.filter(|path| told(path, mount.hierarchy))
                    .map(|path| RawText::from(path.as_os_str().as_encoded_bytes())),
            );
        }
        found
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
        let file = |line: &str| freezer.file(line.as_bytes()).map(|p| p.display().to_string());
        assert_eq!(file("7:freezer:/a/b").as_deref(), Some("/sys/fs/cgroup/freezer/a/b/freezer.state"));
        assert_eq!(file("7:freezer:/").as_deref(), Some("/sys/fs/cgroup/freezer/freezer.state"));
        assert_eq!(file("0::/pod/x").as_deref(), Some("/cg/x/cgroup.events"));
        for hidden in ["0::/podium", "0::/../else", "7:freezer:/../else", "6:cpu:/a"] {
            assert_eq!(file(hidden), None, "{hidden}");
        }
        assert_eq!(Freezer::default().file(b"0::/"), None);
    }

    #[test]
    fn both_versions_are_understood() {
        assert!(says_frozen(b"populated 1\nfrozen 1\n") && says_frozen(b"FROZEN\n") && says_frozen(b"FREEZING\n"));
        assert!(!says_frozen(b"populated 1\nfrozen 0\n") && !says_frozen(b"THAWED\n") && !says_frozen(b""));
    }
}
