//! Open memfds. CRIU: `files.c: dump_one_file` sends them to `memfd.c: dump_one_memfd`; before 3.14 to `files-reg.c:
//! dump_one_reg_file`, which does not find the kernel's own mount that they lie on.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, Link};
use crate::finding::Subject;

/// Fires on each descriptor of a memfd.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memfd {}

impl Match for Memfd {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let memfds = view.fds().filter(|(_, fd)| matches!(fd.link(), Link::Memfd(_)));
        let mount = |fd: &Fd| fd.mount_id.unwrap_or_default().to_string();
        memfds.map(|(process, fd)| Subject::fd(process, fd).with("mount", mount(fd))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::*;

    #[test]
    fn memfds_are_refused_before_3_14() {
        let facts = facts(vec![holder(7, vec![fd(3, "/memfd:x (deleted)"), fd(4, "/tmp/memfd:x")])]);
        assert_eq!(findings("memfd-before-3-14", &facts, &profile("3.13", &[])).len(), 1);
        assert!(findings("memfd-before-3-14", &facts, &profile("3.14", &[])).is_empty());
    }
}
