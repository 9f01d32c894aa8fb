//! Fanotify marks of mounts. CRIU 4.2: `fsnotify.c: check_one_mark` looks them up among the mounts of the tree.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, FdInfo};
use crate::finding::Subject;

/// Fires on each fanotify mark of a mount that is in no mount namespace of the tree.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountMark {}

impl Match for MountMark {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::Mounts]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let marks = view.fds().flat_map(|(process, fd)| {
            let FdInfo::Fanotify { mounts, .. } = &fd.info else { return Vec::new() };
            let foreign = mounts.iter().filter(|id| !view.index.mounts.contains_key(id));
            foreign.map(|id| Subject::fd(process, fd).with("mount", id.to_string()).with("mount_hex", format!("{id:x}"))).collect()
        });
        marks.collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FdInfo};
    use crate::rules::testing::*;

    #[test]
    fn only_marks_of_mounts_outside_fire() {
        let info = FdInfo::Fanotify { watches: Vec::new(), mounts: vec![1, 99] };
        let facts = facts(vec![holder(7, vec![Fd { info, ..fd(3, "anon_inode:[fanotify]") }])]);
        assert_eq!(facts.mount_namespaces[0].mounts[0].id, 1);
        let found = findings("fanotify-mount-outside", &facts, &profile("4.2", &[]));
        assert_eq!(found.iter().filter_map(|f| f.subject.value("mount")).collect::<Vec<_>>(), ["99"]);
    }
}
