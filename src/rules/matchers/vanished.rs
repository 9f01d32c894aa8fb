//! Open files that are no more. CRIU 4.2: `files.c: fill_fd_params` asks each for its state.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires on each descriptor of which the file system says that the file is gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vanished {}

impl Match for Vanished {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.fds().filter(|(_, fd)| fd.vanished).map(|(process, fd)| Subject::fd(process, fd)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Fd;
    use crate::rules::testing::*;

    #[test]
    fn a_list_of_descriptors_goes_with_its_process() {
        let fds = vec![Fd { vanished: true, ..fd(3, "/proc/99/fd") }, fd(4, "/proc/99 (deleted)")];
        assert_eq!(fired("proc-fd-gone", &facts(vec![holder(7, fds)]), &[]), ["7 fd 3"]);
    }
}
