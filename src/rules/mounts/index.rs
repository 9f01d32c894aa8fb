//! Look-ups over the collected mounts: a container may have thousands, and most rules ask of each what the others are.

use std::collections::HashMap;

use super::{Collected, point};
use crate::facts::NsId;

/// Places of mounts by what others ask for.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    children: HashMap<usize, Vec<usize>>,
    /// Mounts on one mount by their mount point.
    at: HashMap<(usize, &'a [u8]), Vec<usize>>,
    /// Members of a peer group.
    peers: HashMap<u64, Vec<usize>>,
    /// Mounts of one file system by the part of it that they show.
    shown: HashMap<(FileSystem<'a>, &'a [u8]), Vec<usize>>,
    /// Mounts of one file system that lie on no other.
    parentless: HashMap<FileSystem<'a>, Vec<usize>>,
    /// Namespaces whose root mount is among the mounts.
    rooted: Vec<NsId>,
}

/// Device and type.
type FileSystem<'a> = ((u32, u32), &'a [u8]);

fn file_system<'a>(mount: &Collected<'a>) -> FileSystem<'a> {
    (mount.mount.device, mount.mount.fs_type.as_bytes())
}

impl<'a> Index<'a> {
    /// Looks at each mount once; `root_of` says what it shows of its file system.
    pub(super) fn new(all: &[Collected<'a>], root_of: impl Fn(&Collected<'a>) -> &'a [u8]) -> Self {
        let mut index = Self::default();
        for mount in all {
            let place = mount.index;
            match mount.parent {
                Some(parent) => {
                    index.children.entry(parent).or_default().push(place);
                    index.at.entry((parent, trimmed(point(mount)))).or_default().push(place);
                }
                None => index.parentless.entry(file_system(mount)).or_default().push(place),
            }
            if let Some(group) = mount.mount.shared {
                index.peers.entry(group).or_default().push(place);
            }
            if point(mount) == b"/" && !index.rooted.contains(&mount.namespace) {
                index.rooted.push(mount.namespace);
            }
            index.shown.entry((file_system(mount), trimmed(root_of(mount)))).or_default().push(place);
        }
        index
    }

    pub(super) fn is_rooted(&self, namespace: NsId) -> bool {
        self.rooted.contains(&namespace)
    }

    pub(super) fn children(&self, parent: usize) -> &[usize] {
        self.children.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// Mounts on this one at a point.
    pub(super) fn children_at(&self, parent: usize, point: &'a [u8]) -> &[usize] {
        self.at.get(&(parent, trimmed(point))).map_or(&[], Vec::as_slice)
    }

    pub(super) fn peers(&self, group: u64) -> &[usize] {
        self.peers.get(&group).map_or(&[], Vec::as_slice)
    }

    /// Mounts of the same file system that show what lies at `root` and all below it.
    pub(super) fn showing(&self, mount: &Collected<'a>, root: &'a [u8]) -> impl Iterator<Item = usize> {
        let file_system = file_system(mount);
        upwards(root).filter_map(move |top| self.shown.get(&(file_system, top))).flatten().copied()
    }

    /// Mounts of the same file system that show all of it.
    pub(super) fn showing_whole(&self, mount: &Collected<'a>) -> &[usize] {
        self.shown.get(&(file_system(mount), b"".as_slice())).map_or(&[], Vec::as_slice)
    }

    /// Mounts of the same file system that lie on no other.
    pub(super) fn parentless(&self, mount: &Collected<'a>) -> &[usize] {
        self.parentless.get(&file_system(mount)).map_or(&[], Vec::as_slice)
    }
}

/// `/` is the beginning of all paths.
pub(super) fn trimmed(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

/// A path and all directories above it, without slashes at their ends.
pub(super) fn upwards(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let path = trimmed(path);
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
    ends.chain([path.len()]).filter_map(|end| path.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_every_directory_above_it() {
        let shown = |path: &str| upwards(path.as_bytes()).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
        assert_eq!([shown("/a/bc"), shown("/a/"), shown("/"), shown("x")], [" /a /a/bc", " /a", "", "x"]);
    }
}
