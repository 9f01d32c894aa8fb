//! Room for the images. CRIU 4.2: `page-xfer.c: write_pages_loc` writes each page that no file holds, those of every
//! process, into the images directory.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires where less is free than the resident memory of the tree, as far as no file holds it. `{size}` and `{free}` are
/// MiB.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRoom {}

impl Match for ImageRoom {
    fn needs(&self) -> &'static [Area] {
        &[]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let needed: u64 = view.facts.processes.iter().map(|process| process.anonymous_bytes).sum();
        let paths = view.facts.host.named_paths.iter().filter(|named| named.fault.is_none());
        let in_effect = paths.filter(|named| view.profile.has(&named.option, Some(&named.value)));
        let full = in_effect.filter_map(|named| Some((named, named.free_bytes.filter(|free| *free < needed)?)));
        full.map(|(named, free)| {
            let about = Subject::host(&named.path.to_string());
            about.with("size", mebibytes(needed.saturating_add((1 << 20) - 1))).with("free", mebibytes(free))
        })
        .collect()
    }
}

fn mebibytes(bytes: u64) -> String {
    (bytes >> 20).to_string()
}

#[cfg(test)]
mod tests {
    use crate::facts::{NamedPath, Process};
    use crate::finding::Confidence;
    use crate::rules::testing::*;

    #[test]
    fn what_all_processes_hold_has_to_fit() {
        let found = |free_bytes, option: &str| {
            let process = |pid| Process { anonymous_bytes: 3 << 20, ..process(pid) };
            let mut tree = facts(vec![process(7), process(8)]);
            let (option_name, value) = ("images-dir".to_owned(), "d".to_owned());
            tree.host.named_paths =
                vec![NamedPath { option: option_name, value, path: "/d".into(), fault: None, free_bytes }];
            findings("images-without-room", &tree, &profile("4.2", &[option]))
        };
        let full = found(Some(5 << 20), "images-dir d");
        assert_eq!(full.iter().map(|finding| finding.confidence).collect::<Vec<_>>(), [Confidence::Possible]);
        assert_eq!(full[0].what, "/d has 5 MiB free, and the memory to be saved takes 6 MiB");
        assert!(found(Some(6 << 20), "images-dir d").is_empty());
        assert!(found(Some(0), "images-dir e").is_empty() && found(None, "images-dir d").is_empty());
    }
}
