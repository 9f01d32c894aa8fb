//! Watches that a restore leaves out without a word. CRIU 4.2: `fsnotify.c: dump_one_inotify` saves a watch on a deleted
//! file by its handle; the restored file has another one.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, FdInfo, WatchPath};
use crate::finding::Subject;

/// Fires on each inotify watch on a deleted file, where CRIU is not told to look for a path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostWatch {}

impl Match for LostWatch {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::Watches]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.profile.has("force-irmap", None) {
            return Vec::new();
        }
        let mut subjects = Vec::new();
        for (process, fd) in view.fds() {
            let FdInfo::Inotify { watches } = &fd.info else { continue };
            let lost = watches.iter().filter(|watch| watch.path == WatchPath::HandleOnly);
            subjects.extend(lost.map(|watch| Subject::fd(process, fd).with("wd", watch.wd.to_string())));
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FdInfo, InotifyWatch, WatchPath};
    use crate::rules::testing::*;

    #[test]
    fn a_watch_on_a_deleted_file_is_lost() {
        let watches = [WatchPath::HandleOnly, WatchPath::NotNeeded];
        let watches = watches.map(|path| InotifyWatch { wd: 1, path, ..InotifyWatch::default() }).into();
        let inotify = Fd { info: FdInfo::Inotify { watches }, ..fd(3, "anon_inode:inotify") };
        assert_eq!(fired("watch-lost", &facts(vec![holder(7, vec![inotify])]), &[]), ["7 fd 3"]);
    }
}
