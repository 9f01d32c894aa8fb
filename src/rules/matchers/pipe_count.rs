//! More pipes than CRIU has room for. CRIU 4.2: `pipes.c: dump_one_pipe_data`, `NR_PIPES_WITH_DATA`.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, Link, Process};
use crate::finding::{Confidence, Subject};

const O_WRONLY: u32 = 1;

/// Fires on the process that holds most of the pipes when the tree can read from more than `limit` different ones.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipeCount {
    limit: usize,
}

impl Match for PipeCount {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mut pipes = HashMap::<u64, bool>::new();
        let mut holders = BTreeMap::<i32, usize>::new();
        for (process, fd) in view.fds() {
            if let Some((inode, surely)) = readable(fd) {
                *pipes.entry(inode).or_default() |= surely;
                *holders.entry(process.pid).or_default() += 1;
            }
        }
        let sure = pipes.values().filter(|surely| **surely).count();
        let most = holders.iter().max_by_key(|(_, count)| **count).and_then(|(pid, _)| view.index.processes.get(pid));
        let subject = |process: &&Process| {
            let subject = Subject::process(process).with("count", pipes.len().to_string());
            if sure > self.limit { subject } else { subject.at_most(Confidence::Possible) }
        };
        most.filter(|_| pipes.len() > self.limit).iter().map(|process| subject(process)).collect()
    }
}

/// The pipe's inode, and whether it is known that this end can be read.
fn readable(fd: &Fd) -> Option<(u64, bool)> {
    match (fd.link(), fd.flags) {
        (Link::Pipe(_), Some(flags)) if flags & O_WRONLY != 0 => None,
        (Link::Pipe(inode), flags) => Some((inode, flags.is_some())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd};
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
    fn unread_flags_make_it_possible_only() {
        let found = findings("pipe-count", &pipes(1025, None), &profile("4.2", &[]));
        assert_eq!(found[0].confidence, Confidence::Possible);
    }
}
