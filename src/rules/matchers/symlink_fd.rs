//! Descriptors of symbolic links, which only `O_PATH` opens. CRIU: `files.c: dump_one_file`, which takes them for files
//! since 3.14.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, FileType};
use crate::finding::Subject;

/// Fires on each descriptor of a symbolic link itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SymlinkFd {}

impl Match for SymlinkFd {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let links = view.fds().filter(|(_, fd)| fd.stat.is_some_and(|stat| stat.file_type == FileType::Symlink));
        links.map(|(process, fd)| Subject::fd(process, fd).with_mode(fd.stat)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FileType};
    use crate::rules::testing::*;

    #[test]
    fn a_link_is_refused_before_3_14_and_what_it_leads_to_is_not() {
        let held = |number, kind| Fd { stat: Some(stat(kind)), ..fd(number, "/etc/mtab") };
        let facts = facts(vec![holder(7, vec![held(3, FileType::Symlink), held(4, FileType::Regular)])]);
        let old = |criu| findings("symlink-before-3-14", &facts, &profile(criu, &[])).len();
        assert_eq!((old("3.13"), old("3.14")), (1, 0));
    }
}
