//! Ptys of which the tree has only the slave. CRIU 4.2: `tty.c: tty_verify_active_pairs`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::{Confidence, Subject};
use crate::rules::terminals::{End, Terminal, external, terminals};

/// Fires on open slaves whose master no process of the tree has: the first descriptor of each process and pty.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TtyPair {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// The pty with the lowest number, which CRIU takes when it is told to expect one.
    First,
    /// All others, which it never takes.
    Further,
}

impl Match for TtyPair {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let ends: Vec<Terminal<'_>> = terminals(view).collect();
        let masters: BTreeSet<u32> = ends.iter().filter_map(master).collect();
        let unnumbered = ends.iter().any(|terminal| terminal.end == End::Master(None));
        let alone = |terminal: &Terminal<'_>| slave(terminal).filter(|index| !masters.contains(index));
        let Some(lowest) = ends.iter().filter_map(alone).min() else { return Vec::new() };
        let expected = view.profile.has("shell-job", None) || view.profile.has("orphan-pts-master", None);
        let fires = |index: u32| match self.which {
            Which::First => index == lowest && !expected,
            Which::Further => index != lowest,
        };
        let mut seen = BTreeSet::new();
        ends.iter()
            .filter(|end| alone(end).is_some_and(|index| fires(index) && seen.insert((end.process.pid, index))))
            .map(|end| Subject::fd(end.process, end.fd).with("external", external(&end.stat)))
            .map(|subject| if unnumbered { subject.at_most(Confidence::Possible) } else { subject })
            .collect()
    }
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
    fn a_second_pty_from_outside_is_never_taken_unless_it_is_external() {
        let facts = facts(vec![holder(7, slaves(&[4, 6, 6]))]);
        assert_eq!(fired("tty-many-outside", &facts, &["shell-job"]), ["7 fd 4"]);
        let found = findings("tty-many-outside", &facts, &profile("4.2", &["orphan-pts-master"]));
        assert_eq!(found[0].lifted_by[0].to_string(), "external tty[8806:18]");
        assert!(fired("tty-many-outside", &facts, &["external tty[8806:18]"]).is_empty());
    }
}
