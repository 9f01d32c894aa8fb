//! Anon inodes by their link text. CRIU: `files.c: dump_one_file`, an allow-list of exact link texts.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link};
use crate::finding::Subject;

/// Fires on each descriptor whose link is `anon_inode:NAME` with a name in `names`, or outside of `except`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnonInode {
    /// Fires on these only. Empty: on all.
    #[serde(default)]
    names: Vec<String>,
    /// Never fires on these.
    #[serde(default)]
    except: Vec<String>,
}

impl Match for AnonInode {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let listed = |list: &[String], name: &[u8]| list.iter().any(|entry| entry.as_bytes() == name);
        let fires = |name: &[u8]| (self.names.is_empty() || listed(&self.names, name)) && !listed(&self.except, name);
        view.fds()
            .filter_map(|(process, fd)| match fd.link() {
                Link::AnonInode(name) if fires(name) => Some(Subject::fd(process, fd).with("kind", name)),
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::*;

    #[test]
    fn only_kinds_that_criu_does_not_know_fire() {
        let links = [
            "anon_inode:[userfaultfd]",
            "anon_inode:seccomp notify",
            "anon_inode:[kind-of-a-later-kernel]",
            "anon_inode:[eventfd]",
            "anon_inode:inotify",
            "/tmp/anon_inode:[perf_event]",
        ];
        let fds = links.iter().zip(3..).map(|(link, number)| fd(number, link)).collect();
        assert_eq!(fired("anon-inode-unsupported", &facts(vec![holder(7, fds)]), &[]), ["7 fd 3", "7 fd 4", "7 fd 5"]);
    }
}
