//! Pidfds by what they refer to. CRIU 4.2: `pidfd.c: dump_one_pidfd`, before 4.1: `files.c: dump_one_file`.
//!
//! A pidfd is known by its link text: on Linux 6.9 and later it is a file of pidfs whose mode has a type, before that
//! it is an anon inode whose mode has none.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, FdInfo, Link, Pid};
use crate::finding::Subject;

/// `PIDFD_THREAD` in the open flags, the same bit as `O_EXCL`.
const PIDFD_THREAD: u32 = 0o200;

/// Fires on pidfds of one kind. `{target}` says what the pidfd refers to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pidfd {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// Every pidfd.
    Any,
    /// Of a process that is alive and not in the tree.
    OutsideTree,
    /// Of a single thread.
    Thread,
}

impl Match for Pidfd {
    fn needs(&self) -> &'static [Area] {
        match self.which {
            Which::Any => &[Area::Processes, Area::Fds],
            Which::OutsideTree | Which::Thread => &[Area::Processes, Area::Fds, Area::Fdinfo],
        }
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.fds()
            .filter(|(_, fd)| fd.link() == Link::AnonInode(b"[pidfd]") && self.fires(view, fd))
            .map(|(process, fd)| {
                let subject = Subject::fd(process, fd).with("target", target(view, fd));
                if let FdInfo::Pidfd { pid } = fd.info { subject.with("number", pid.to_string()) } else { subject }
            })
            .collect()
    }
}

impl Pidfd {
    fn fires(&self, view: View<'_>, fd: &Fd) -> bool {
        match (self.which, &fd.info) {
            (Which::Any, _) => true,
            (Which::OutsideTree, FdInfo::Pidfd { pid }) => *pid >= 0 && !view.index.processes.contains_key(pid),
            (Which::OutsideTree, _) => false,
            (Which::Thread, _) => fd.flags.is_some_and(|flags| flags & PIDFD_THREAD != 0),
        }
    }
}

fn target(view: View<'_>, fd: &Fd) -> String {
    match fd.info {
        FdInfo::Pidfd { pid: -1 } => "a process that has ended".to_owned(),
        FdInfo::Pidfd { pid: 0 } => "a process outside the tree, in a pid namespace that can't be seen from here".to_owned(),
        FdInfo::Pidfd { pid } => name(view, pid),
        _ => "a process that could not be read".to_owned(),
    }
}

fn name(view: View<'_>, pid: Pid) -> String {
    if let Some(process) = view.index.processes.get(&pid) {
        return format!("{} ({pid}), inside the tree", process.comm);
    }
    match view.facts.bystanders.iter().find(|bystander| bystander.pid == pid) {
        Some(bystander) => format!("{} ({pid}), outside the tree", bystander.comm),
        None => format!("process {pid}, outside the tree"),
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Fd;
    use crate::rules::testing::*;

    #[test]
    fn targets_inside_the_tree_and_dead_ones_are_fine_since_4_1() {
        let fds = vec![pidfd(3, 8), pidfd(4, -1), pidfd(5, 99), pidfd(6, 0), fd(7, "/tmp/anon_inode:[pidfd]")];
        let facts = facts(vec![holder(7, fds), child(8, 7)]);
        assert_eq!(fired("pidfd-outside-tree", &facts, &[]), ["7 fd 5", "7 fd 6"]);
        assert!(fired("pidfd-before-4-1", &facts, &[]).is_empty());
    }

    #[test]
    fn before_4_1_every_pidfd_is_refused_and_the_text_names_its_target() {
        let facts = facts(vec![holder(7, vec![pidfd(3, 8), pidfd(4, 99)]), child(8, 7)]);
        let found = findings("pidfd-before-4-1", &facts, &profile("4.0", &[]));
        assert!(found[0].what.contains("p8 (8), inside the tree") && found[1].what.contains("process 99, outside"));
        assert!(findings("pidfd-outside-tree", &facts, &profile("4.0", &[])).is_empty());
    }

    #[test]
    fn a_build_that_dumps_pidfds_can_be_vouched_for() {
        let facts = facts(vec![holder(7, vec![pidfd(3, 7)])]);
        let mut profile = profile("4.0", &[]);
        profile.criu.features.push("pidfd".into());
        assert!(findings("pidfd-before-4-1", &facts, &profile).is_empty());
    }

    #[test]
    fn a_thread_pidfd_is_known_by_its_flag() {
        let thread = Fd { flags: Some(0o2000202), ..pidfd(3, 7) };
        let facts = facts(vec![holder(7, vec![thread, pidfd(4, 7)])]);
        assert_eq!(fired("pidfd-thread", &facts, &[]), ["7 fd 3"]);
    }
}
