//! Open files that are no more. CRIU 4.2: `files.c: fill_fd_params` asks each for its state.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires on each descriptor and each held directory of which the file system says that it is gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vanished {}

impl Match for Vanished {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let open = view.fds().filter(|(_, fd)| fd.vanished);
        let open = open.map(|(process, fd)| Subject::fd(process, fd).with("as", format!("fd {}", fd.number)));
        let held = view.facts.processes.iter().flat_map(|process| process.held.iter().map(move |file| (process, file)));
        let held = held.filter(|(_, file)| file.vanished).map(|(process, file)| {
            let subject = Subject { path: Some(file.link.clone()), ..Subject::process(process) };
            subject.with("as", file.described())
        });
        open.chain(held).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, HeldAs, HeldFile, Process};
    use crate::rules::testing::*;

    #[test]
    fn a_list_of_descriptors_goes_with_its_process() {
        let fds = vec![Fd { vanished: true, ..fd(3, "/proc/99/fd") }, fd(4, "/proc/99 (deleted)")];
        let file = HeldFile { role: HeldAs::WorkingDirectory, link: "/proc/99/fd".into(), ..HeldFile::default() };
        let held = vec![file.clone(), HeldFile { vanished: true, ..file }];
        assert_eq!(fired("proc-fd-gone", &facts(vec![Process { held, ..holder(7, fds) }]), &[]), ["7", "7 fd 3"]);
    }
}
