//! Ptys of which the tree has only the slave, or an end that CRIU can't read. CRIU 4.2: `tty.c: tty_verify_active_pairs`,
//! `tty_dump_queued_data`.

use std::collections::{BTreeSet, HashSet};

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd};
use crate::finding::{Confidence, Subject};
use crate::rules::terminals::{End, Terminal, external, terminals};

const O_ACCMODE: u32 = 3;

/// Fires on ptys by the ends that the tree has open.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TtyPair {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// Slaves without their master, the first descriptor of each process and pty: of the pty with the lowest number,
    /// which CRIU takes when it is told to expect one.
    First,
    /// Those of all others, which it never takes.
    Further,
    /// Both ends are there, and the first descriptor of one can only be written: it is the one that CRIU reads from.
    WriteOnly,
}

impl Match for TtyPair {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let ends: Vec<Terminal<'_>> = terminals(view).collect();
        let masters: BTreeSet<u32> = ends.iter().filter_map(master).collect();
        if let Which::WriteOnly = self.which {
            return write_only(&ends);
        }
        let unnumbered = ends.iter().any(|terminal| terminal.end == End::Master(None));
        let alone = |terminal: &Terminal<'_>| slave(terminal).filter(|index| !masters.contains(index));
        let Some(lowest) = ends.iter().filter_map(alone).min() else { return Vec::new() };
        let expected = view.profile.has("orphan-pts-master", None);
        let fires = |index: u32| match self.which {
            Which::First => index == lowest && !expected,
            Which::Further => index != lowest,
            Which::WriteOnly => false,
        };
        let mut seen = BTreeSet::new();
        ends.iter()
            .filter(|end| alone(end).is_some_and(|index| fires(index) && seen.insert((end.process.pid, index))))
            .map(|end| end.subject().with("external", external(&end.stat)))
            .map(|subject| if unnumbered { subject.at_most(Confidence::Possible) } else { subject })
            .collect()
    }
}

fn write_only(ends: &[Terminal<'_>]) -> Vec<Subject> {
    let mut seen = HashSet::new();
    let first: Vec<&Terminal<'_>> = ends.iter().filter(|end| seen.insert(end.end)).collect();
    let has_peer = |end: &Terminal<'_>| match end.end {
        End::Master(index) => index.is_some_and(|index| seen.contains(&End::Slave(index))),
        End::Slave(index) => seen.contains(&End::Master(Some(index))),
        _ => false,
    };
    let is_write_only = |end: &Terminal<'_>| end.fd.flags.is_some_and(|flags| flags & O_ACCMODE == Fd::O_WRONLY);
    let fired = first.into_iter().filter(|end| has_peer(end) && is_write_only(end));
    fired.map(|end| end.subject().with("external", external(&end.stat))).collect()
}

fn master(terminal: &Terminal<'_>) -> Option<u32> {
    match terminal.end {
        End::Master(index) => index,
        _ => None,
    }
}

fn slave(terminal: &Terminal<'_>) -> Option<u32> {
    match terminal.end {
        End::Slave(index) => Some(index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Fd;
    use crate::rules::testing::*;

    fn slaves(indices: &[u32]) -> Vec<Fd> {
        indices.iter().zip(3..).map(|(index, number)| pts(number, *index)).collect()
    }

    #[test]
    fn a_slave_alone_needs_shell_job_or_an_engine_that_expects_it() {
        let facts = facts(vec![holder(7, vec![pts(0, 4), pts(1, 4)])]);
        assert_eq!(fired("tty-without-master", &facts, &[]), ["7 fd 0"]);
        assert!(fired("tty-without-master", &facts, &["shell-job"]).is_empty());
        assert!(fired("tty-without-master", &facts, &["orphan-pts-master"]).is_empty());
    }

    #[test]
    fn a_master_anywhere_in_the_tree_is_enough() {
        let facts = facts(vec![holder(7, vec![ptmx(3, 4)]), holder(8, slaves(&[4]))]);
        assert!(fired("tty-without-master", &facts, &[]).is_empty());
    }

    #[test]
    fn a_pty_whose_master_closed_is_fine() {
        let hung_up = Fd { link: "/dev/pts/4 (deleted)".into(), ..pts(3, 4) };
        assert!(fired("tty-without-master", &facts(vec![holder(7, vec![hung_up])]), &[]).is_empty());
    }

    #[test]
    fn the_first_descriptor_of_either_end_must_be_readable_where_both_are_there() {
        let by = |flags, fd| Fd { flags: Some(flags), ..fd };
        let judged = |fds| fired("tty-write-only", &facts(vec![holder(7, fds)]), &[]);
        assert_eq!(judged(vec![by(2, ptmx(3, 4)), by(0o400_001, pts(4, 4)), by(2, pts(5, 4))]), ["7 fd 4"]);
        assert!(judged(vec![by(2, ptmx(3, 4)), by(2, pts(4, 4)), by(1, pts(5, 4))]).is_empty());
        assert!(judged(vec![by(1, pts(4, 4)), by(2, ptmx(3, 5))]).is_empty());
    }

    #[test]
    fn a_second_pty_from_outside_is_never_taken_unless_it_is_external() {
        let facts = facts(vec![holder(7, slaves(&[4, 6, 6]))]);
        assert_eq!(fired("tty-many-outside", &facts, &["shell-job"]), ["7 fd 4"]);
        let found = findings("tty-many-outside", &facts, &profile("4.2", &["orphan-pts-master"]));
        assert_eq!(found[0].lifted_by[0].to_string(), "external tty[8806:18]");
        assert!(fired("tty-many-outside", &facts, &["external tty[8806:18]"]).is_empty());
    }
}
