//! Epoll targets that the process itself has closed, or has under another number while an earlier process has the same
//! file open. CRIU 4.2: `eventpoll.c: dump_one_eventpoll`, `flush_eventpoll_dinfo_queue`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, FdInfo, Link, Pid, Process};
use crate::finding::{Confidence, Subject};
use crate::rules::terminals::stat_number;

/// Number registered, inode and device of a target.
type Target = (i32, u64, u64);

/// Fires on each epoll instance with a target that is open under no number in the first process that has the instance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpollTarget {}

impl Match for EpollTarget {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mut seen = BTreeSet::new();
        view.fds()
            .filter_map(|(process, fd)| match &fd.info {
                // An instance that a child inherited shows the same targets: CRIU looks at it in its first holder only.
                FdInfo::Epoll { targets, holders } if !targets.is_empty() && seen.insert(targets) => match holders {
                    Some(holders) => held_elsewhere(view, process, fd, targets, holders),
                    None => lost(process, fd, targets),
                },
                _ => None,
            })
            .collect()
    }
}

/// The first target that CRIU does not find in the process itself: one that is open elsewhere, or here under another
/// number on a device that fdinfo numbers in another way than stat.
fn held_elsewhere(
    view: View<'_>,
    process: &Process,
    epoll: &Fd,
    targets: &[Target],
    holders: &[Option<Pid>],
) -> Option<Subject> {
    let is_own = |holder: &Option<Pid>| *holder == Some(process.pid);
    let is_lost = |(target, holder): &(&Target, &Option<Pid>)| !is_own(holder) || is_misnumbered(process, target);
    let (&(number, inode, _), holder) = targets.iter().zip(holders).find(is_lost)?;
    let subject = Subject::fd(process, epoll).with("target", number.to_string()).with("inode", inode.to_string());
    let mut before = view.facts.processes.iter().map(|other| other.pid).take_while(|pid| *pid != process.pid);
    // CRIU knows the files of processes that it came to before.
    let seen = holder.filter(|holder| before.any(|pid| pid == *holder));
    Some(seen.map_or(subject.clone(), |holder| subject.with("holder", holder.to_string())))
}

/// Whether a target is open under other numbers only, where CRIU looks for it by a hash of inode and device. CRIU 4.2:
/// `files.c: make_gen_id`.
fn is_misnumbered(process: &Process, &(number, inode, device): &Target) -> bool {
    let mut found = process.fds.iter().filter(|fd| fd.file_inode() == Some(inode)).peekable();
    let is_it = |fd: &Fd| fd.number == number || has_device(fd, device);
    found.peek().is_some() && !found.any(is_it)
}

/// Whether stat gives the device in the same 32 bits as fdinfo: major numbers begin at bit 8 there, and at bit 20 here.
fn has_device(fd: &Fd, device: u64) -> bool {
    let in_fdinfo = (u32::try_from(device >> 20).unwrap_or_default(), device as u32 & 0xf_ffff);
    let by_stat = stat_number(fd.stat.map_or(in_fdinfo, |stat| stat.device));
    by_stat as u32 == device as u32
}

/// The first target that no fd of the process can be, as far as numbers and inodes tell.
fn lost(process: &Process, epoll: &Fd, targets: &[Target]) -> Option<Subject> {
    let others = || process.fds.iter().filter(|fd| fd.number != epoll.number);
    let is_open = |number: i32, wanted: u64| others().any(|fd| fd.number == number && fd.file_inode() == Some(wanted));
    let registered = |fd: &Fd| targets.iter().any(|(number, ..)| *number == fd.number);
    let can_be = |fd: &Fd, wanted: u64| fd.file_inode() == Some(wanted) && !(shares_inode(fd) && registered(fd));
    let is_lost = |target: &&Target| {
        let (number, wanted, _) = **target;
        let is_found = !is_misnumbered(process, target) && others().any(|fd| can_be(fd, wanted));
        !is_open(number, wanted) && !is_found
    };
    let (number, wanted, _) = targets.iter().find(is_lost)?;
    let subject = Subject::fd(process, epoll).with("target", number.to_string()).with("inode", wanted.to_string());
    let unsure = others().any(|fd| fd.file_inode().is_none_or(|found| found == *wanted));
    Some(if unsure { subject.at_most(Confidence::Possible) } else { subject })
}

/// Anon inodes of most kinds are one and the same inode.
fn shares_inode(fd: &Fd) -> bool {
    matches!(fd.link(), Link::AnonInode(_))
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FdInfo, FileStat, FileType};
    use crate::finding::Confidence;
    use crate::rules::testing::*;

    fn epoll(number: i32, targets: Vec<(i32, u64, u64)>) -> Fd {
        Fd { info: FdInfo::Epoll { targets, holders: None }, ..fd(number, "anon_inode:[eventpoll]") }
    }

    #[test]
    fn a_target_that_only_another_process_holds_is_lost() {
        let first = holder(7, vec![epoll(3, vec![(5, 50, 8)])]);
        let facts = facts(vec![first, holder(8, vec![fd(5, "socket:[50]")])]);
        assert_eq!(fired("epoll-target-lost", &facts, &[]), ["7 fd 3"]);
    }

    #[test]
    fn a_target_under_another_number_is_fine() {
        let facts = facts(vec![holder(7, vec![epoll(3, vec![(5, 50, 8)]), fd(9, "socket:[50]")])]);
        assert!(fired("epoll-target-lost", &facts, &[]).is_empty());
    }

    #[test]
    fn a_file_of_a_disk_is_not_found_under_another_number() {
        let on = |device| FileStat { device, inode: 50, ..stat(FileType::Fifo) };
        let judged = |sdev, device, holders| {
            let info = FdInfo::Epoll { targets: vec![(5, 50, sdev)], holders };
            let watching = Fd { info, ..fd(3, "anon_inode:[eventpoll]") };
            let fifo = Fd { stat: Some(on(device)), inode: Some(50), ..fd(6, "/run/fifo") };
            fired("epoll-target-lost", &facts(vec![holder(7, vec![watching, fifo])]), &[]).len()
        };
        for holders in [None, Some(vec![Some(7)])] {
            assert_eq!(judged(8 << 20 | 1, (8, 1), holders.clone()), 1);
            assert_eq!(judged(30, (0, 30), holders.clone()), 0);
            assert_eq!(judged(300, (0, 300), holders), 1);
        }
    }

    #[test]
    fn an_instance_that_a_child_inherited_is_judged_in_its_first_holder() {
        let targets = vec![(5, 50, 8)];
        let parent = holder(7, vec![epoll(3, targets.clone()), fd(5, "socket:[50]")]);
        let facts = facts(vec![parent, holder(8, vec![epoll(3, targets)])]);
        assert!(fired("epoll-target-lost", &facts, &[]).is_empty());
    }

    #[test]
    fn eventfds_share_one_inode_so_numbers_and_counts_decide() {
        let eventfd = |number| Fd { inode: Some(2), ..fd(number, "anon_inode:[eventfd]") };
        let watching = |targets| Fd { inode: Some(2), ..epoll(3, targets) };
        let judged = |fds| findings("epoll-target-lost", &facts(vec![holder(7, fds)]), &profile("4.2", &[]));
        assert_eq!(judged(vec![watching(vec![(5, 2, 0)])])[0].confidence, Confidence::Likely);
        assert!(judged(vec![watching(vec![(5, 2, 0)]), eventfd(9)]).is_empty());
        let one_left = judged(vec![watching(vec![(5, 2, 0), (9, 2, 0)]), eventfd(9)]);
        assert_eq!(one_left[0].confidence, Confidence::Possible);
    }

    #[test]
    fn where_the_kernel_tells_who_holds_a_target_it_must_be_the_process_itself() {
        let told = |holders: Vec<Option<i32>>| {
            let targets = vec![(5, 50, 8), (9, 51, 8)];
            let info = FdInfo::Epoll { targets, holders: Some(holders) };
            let watching = Fd { info, ..fd(3, "anon_inode:[eventpoll]") };
            let facts = facts(vec![holder(7, vec![watching, fd(5, "pipe:[50]"), fd(6, "pipe:[51]")])]);
            findings("epoll-target-lost", &facts, &profile("4.2", &[])).len()
        };
        assert_eq!(told(vec![Some(7), Some(7)]), 0);
        assert_eq!(told(vec![Some(7), Some(4)]), 1);
        assert_eq!(told(vec![None, Some(7)]), 1);
    }

    #[test]
    fn an_inode_that_was_not_read_makes_it_possible_only() {
        let unread = Fd { inode: None, ..fd(5, "/tmp/x") };
        let facts = facts(vec![holder(7, vec![epoll(3, vec![(5, 50, 8)]), unread])]);
        let found = findings("epoll-target-lost", &facts, &profile("4.2", &[]));
        assert_eq!(found[0].confidence, Confidence::Possible);
    }
}
