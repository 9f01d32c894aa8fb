//! More pipes or named pipes than CRIU has room for. CRIU 4.2: `pipes.c: dump_one_pipe_data`, `NR_PIPES_WITH_DATA`; named
//! ones have a list of their own (`fifo.c`).

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, FileType, Link};
use crate::finding::{Confidence, Subject};


/// Fires on the process that holds most of the pipes, or of the named pipes, when the tree can read from more than `limit`
/// different ones. `{kind}` is which.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipeCount {
    limit: usize,
}

impl Match for PipeCount {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        ["pipes", "named pipes"].into_iter().filter_map(|kind| self.of_kind(view, kind)).collect()
    }
}

impl PipeCount {
    fn of_kind(&self, view: View<'_>, kind: &str) -> Option<Subject> {
        let mut pipes = HashMap::<u64, bool>::new();
        let mut holders = BTreeMap::<i32, usize>::new();
        for (process, fd) in view.fds() {
            if let Some((inode, surely)) = readable(fd, kind) {
                *pipes.entry(inode).or_default() |= surely;
                *holders.entry(process.pid).or_default() += 1;
            }
        }
        let sure = pipes.values().filter(|surely| **surely).count();
        let most = holders.iter().max_by_key(|(_, count)| **count).and_then(|(pid, _)| view.index.processes.get(pid));
        let process = most.filter(|_| pipes.len() > self.limit)?;
        let subject = Subject::process(process).with("count", pipes.len().to_string()).with("kind", kind);
        Some(if sure > self.limit { subject } else { subject.at_most(Confidence::Possible) })
    }
}

/// The inode of a pipe of that kind, and whether it is known that this end can be read.
fn readable(fd: &Fd, kind: &str) -> Option<(u64, bool)> {
    let (inode, found) = match (fd.link(), fd.stat) {
        (Link::Pipe(inode), _) => (inode, "pipes"),
        (Link::Path { .. }, Some(stat)) if stat.file_type == FileType::Fifo => (stat.inode, "named pipes"),
        _ => return None,
    };
    let reads = found == kind && fd.flags.is_none_or(|flags| flags & Fd::O_WRONLY == 0);
    reads.then_some((inode, fd.flags.is_some()))
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, FileStat, FileType};
    use crate::finding::Confidence;
    use crate::rules::testing::*;

    fn pipes(count: i32, flags: Option<u32>) -> Facts {
        let ends = (0..count).map(|n| Fd { flags, ..fd(n + 3, &format!("pipe:[{}]", 1000 + n)) }).collect();
        facts(vec![process(6), holder(7, ends)])
    }

    #[test]
    fn only_readable_ends_count() {
        assert_eq!(fired("pipe-count", &pipes(1025, Some(0)), &[]), ["7"]);
        assert!(fired("pipe-count", &pipes(1024, Some(0)), &[]).is_empty());
        assert!(fired("pipe-count", &pipes(2000, Some(1)), &[]).is_empty());
    }

    #[test]
    fn named_pipes_count_for_themselves() {
        let named = |n: i32| FileStat { inode: n.cast_unsigned().into(), ..stat(FileType::Fifo) };
        let named = |n| Fd { flags: Some(2), stat: Some(named(n)), ..fd(n + 3, &format!("/run/{n}")) };
        let mut facts = pipes(1000, Some(0));
        facts.processes[0].fds = (0..1024).map(named).collect();
        assert!(fired("pipe-count", &facts, &[]).is_empty());
        facts.processes[0].fds.push(named(1024));
        assert_eq!(fired("pipe-count", &facts, &[]), ["6"]);
    }

    #[test]
    fn unread_flags_make_it_possible_only() {
        let found = findings("pipe-count", &pipes(1025, None), &profile("4.2", &[]));
        assert_eq!(found[0].confidence, Confidence::Possible);
    }
}
