//! Ptys with numbers that CRIU has no room for. CRIU 4.2: `tty.c: ptm_fd_get_index`, `pts_fd_get_index`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;
use crate::rules::terminals::{End, terminals};

/// CRIU: `tty.c: MAX_PTY_INDEX`.
const LAST: u32 = 1000;

/// Fires on each end of a pty whose number is over 1000.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TtyIndex {}

impl Match for TtyIndex {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        terminals(view)
            .filter(|terminal| {
                matches!(terminal.end, End::Master(Some(index)) | End::Slave(index) if index > LAST)
            })
            .map(|terminal| terminal.subject())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::*;

    #[test]
    fn both_ends_of_a_pty_over_1000_fire() {
        let facts = facts(vec![holder(7, vec![pts(3, 1000), ptmx(4, 1000), pts(5, 1001), ptmx(6, 1001)])]);
        assert_eq!(fired("tty-number-too-high", &facts, &[]), ["7 fd 5", "7 fd 6"]);
    }
}
