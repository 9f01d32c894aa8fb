//! `/dev/tty` in a process without a controlling terminal. CRIU 4.2: `files-reg.c: do_open_reg` opens it by its name
//! again, which the kernel refuses there (`tty_io.c: tty_open_current_tty`).

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, FileType};
use crate::finding::Subject;

/// Device number of `/dev/tty`.
const CONTROLLING: (u32, u32) = (5, 0);

/// Fires on each such descriptor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerTerminal {}

impl Match for FormerTerminal {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let is_dev_tty = |stat: crate::facts::FileStat| stat.file_type == FileType::CharDevice && stat.rdev == CONTROLLING;
        let fds = view.fds().filter(|(process, fd)| process.tty == 0 && fd.stat.is_some_and(is_dev_tty));
        fds.map(|(process, fd)| Subject::fd(process, fd)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FileStat, FileType, Process};
    use crate::rules::testing::*;

    #[test]
    fn a_daemon_keeps_a_terminal_that_is_not_its_own() {
        let tty = || Fd { stat: Some(FileStat { rdev: (5, 0), ..stat(FileType::CharDevice) }), ..fd(3, "/dev/tty") };
        let daemon = holder(7, vec![tty()]);
        let shell = Process { tty: 34816, ..holder(8, vec![tty()]) };
        assert_eq!(fired("tty-former", &facts(vec![daemon, shell]), &[]), ["7 fd 3"]);
    }
}
