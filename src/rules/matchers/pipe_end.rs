//! Pipes of which the tree holds one end only. CRIU 4.2: `pipes.c: open_pipe` makes a new pipe, whose other end nobody
//! has, unless the restore is given one to inherit.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Engine, Fd, Link, Process};
use crate::finding::Subject;

/// Last of the standard descriptors, which an engine hands to the root process anew.
const STDERR: i32 = 2;

/// `O_ACCMODE`, and `O_WRONLY` in it.
const ACCESS: u32 = 3;
const WRITE: u32 = 1;

/// Fires on the first descriptor of each such pipe. `{access}` is what the tree can do with it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipeEnd {}

#[derive(Default)]
struct Ends<'a> {
    read: Option<(&'a Process, &'a Fd)>,
    write: Option<(&'a Process, &'a Fd)>,
    unknown: bool,
    is_given: bool,
}

impl Match for PipeEnd {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mut pipes = BTreeMap::<u64, Ends<'_>>::new();
        for (process, fd) in view.fds() {
            let Link::Pipe(inode) = fd.link() else { continue };
            let ends = pipes.entry(inode).or_default();
            ends.is_given |= is_given(view, process, fd);
            match fd.flags.map(|flags| flags & ACCESS) {
                None => ends.unknown = true,
                Some(0) => ends.read = ends.read.or(Some((process, fd))),
                Some(WRITE) => ends.write = ends.write.or(Some((process, fd))),
                Some(_) => (ends.read, ends.write) = (Some((process, fd)), Some((process, fd))),
            }
        }
        let alone = |ends: &Ends<'_>| match (ends.read, ends.write) {
            _ if ends.unknown || ends.is_given => None,
            (Some((process, fd)), None) => Some(Subject::fd(process, fd).with("access", "read from")),
            (None, Some((process, fd))) => Some(Subject::fd(process, fd).with("access", "write to")),
            _ => None,
        };
        pipes.values().filter_map(alone).collect()
    }
}

fn is_given(view: View<'_>, process: &Process, fd: &Fd) -> bool {
    view.profile.engine != Engine::Criu && process.pid == view.facts.target.root && fd.number <= STDERR
}

#[cfg(test)]
mod tests {
    use crate::facts::{Engine, Fd};
    use crate::profile::Profile;
    use crate::rules::testing::*;

    #[test]
    fn an_end_without_the_other_is_broken_off() {
        let end = |number, inode: u64, flags| Fd { flags: Some(flags), ..fd(number, &format!("pipe:[{inode}]")) };
        let fds = vec![end(1, 10, 1), end(3, 11, 0), end(4, 11, 1), end(5, 12, 0), end(6, 13, 2)];
        let mut tree = facts(vec![holder(7, fds)]);
        tree.target.root = 7;
        assert_eq!(fired("pipe-end-outside", &tree, &[]), ["7 fd 1", "7 fd 5"]);
        let by_runc = Profile { engine: Engine::Runc, ..profile("4.2", &[]) };
        assert_eq!(findings("pipe-end-outside", &tree, &by_runc).len(), 1);
    }
}
