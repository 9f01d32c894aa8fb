//! Files with very long paths. CRIU 4.2: `files.c: fill_fdlink` reads them into what is left of a page behind a dot.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link};
use crate::finding::Subject;
use crate::text::RawText;

/// Fires on open files, programs, working and root directories whose path has at least `length` bytes, ` (deleted)`
/// included. Of mapped files the list of mappings decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathLength {
    length: usize,
}

impl Match for PathLength {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let open = view.fds().filter(|(_, fd)| self.is_long(&fd.link)).map(|(process, fd)| {
            Subject::fd(process, fd).with("as", format!("fd {}", fd.number)).with("owner", process.pid.to_string())
        });
        let held = view.facts.processes.iter().flat_map(|process| process.held.iter().map(move |file| (process, file)));
        let held = held.filter(|(_, file)| self.is_long(&file.link)).map(|(process, file)| {
            let subject = Subject { path: Some(file.link.clone()), ..Subject::process(process) };
            subject.with("as", file.described()).with("owner", "0")
        });
        open.chain(held).collect()
    }
}

impl PathLength {
    /// What is longer than a page the kernel does not even print.
    fn is_long(&self, link: &RawText) -> bool {
        let is_path = matches!(Link::parse(link.as_bytes()), Link::Path { .. });
        link.as_bytes().is_empty() || (is_path && link.as_bytes().len() >= self.length)
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{HeldAs, HeldFile, Process};
    use crate::rules::testing::*;

    #[test]
    fn a_path_must_fit_a_page_with_a_dot_before_it() {
        let path = |length: usize| format!("/{}", "d".repeat(length - 1));
        let fds = vec![fd(3, &path(4094)), fd(4, &path(4095)), fd(5, ""), fd(6, &"x".repeat(5000))];
        let held = |length| HeldFile { role: HeldAs::WorkingDirectory, link: path(length).into(), ..HeldFile::default() };
        let process = Process { held: vec![held(4095), held(4000)], ..holder(7, fds) };
        let found = findings("path-too-long", &facts(vec![process]), &profile("4.2", &[]));
        let told: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(found.len(), 3, "{told:?}");
        assert!(told[0].contains("its working directory") && told[1].contains("fd 4") && told[2].contains("fd 5"), "{told:?}");
    }
}
