//! When CRIU comes to what, and which finding it would stop at first. CRIU 4.2: `crtools.c: main`,
//! `cr-dump.c: cr_dump_tasks, dump_one_task`.

use serde::{Deserialize, Serialize};

use crate::facts::{Facts, HeldAs, Process};
use crate::finding::{Finding, Subject};

/// A stage of a dump, in CRIU's order. From [`Self::Maps`] to [`Self::Directories`] it goes through all of them for one
/// process before it comes to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// criu is started.
    Launch,
    /// Config files and command line are read.
    Options,
    /// What criu itself may do is looked at. `cr-check.c: check_caps`
    Caps,
    /// The directories for images and for work, and the log are opened.
    Images,
    /// The kernel is tried out. `kerndat.c: kerndat_init`
    Kernel,
    /// Options are looked at together. `config.c: check_options`
    Conflicts,
    /// Scripts, plugins, the CPU, the vDSO, cgroup properties, earlier images, the page server.
    Prepare,
    /// The cgroup is frozen, with whoever is in it. `seize.c: freeze_processes`
    Freeze,
    /// Processes and threads are stopped one by one. `seize.c: collect_pstree`
    Seize,
    /// What they share and which namespaces they are in. `cr-dump.c: collect_pstree_ids`
    Ids,
    /// The network is locked. `net.c: network_lock`
    NetworkLock,
    /// The user namespace. `namespaces.c: collect_user_namespaces`
    UserNamespace,
    /// Lists of mounts are read. `proc_parse.c: parse_mountinfo`
    MountLists,
    /// They are made trees. `mount.c: mnt_build_tree`
    MountTrees,
    /// Shared mounts are matched. `mount.c: resolve_shared_mounts`
    MountSharing,
    /// Mounts are checked. `mount.c: validate_mounts`
    MountChecks,
    /// Sockets are listed. `sockets.c: collect_sockets`
    Sockets,
    /// Mappings and mapped files of a process.
    Maps,
    /// Its rseq areas.
    Rseq,
    /// Code is brought into it. `parasite-syscall.c: parasite_infect_seized`
    Infect,
    /// That code looks around. `parasite-syscall.c: parasite_dump_misc_seized`
    Inside,
    /// Its descriptors are passed out. `parasite-syscall.c: parasite_drain_fds_seized`
    Drain,
    /// Its open files. What of a rule about files is mapped counts as [`Self::Maps`], and what is neither open nor
    /// mapped as [`Self::Program`] or [`Self::Directories`].
    Files,
    /// Targets of its epoll instances.
    Epoll,
    /// Its memory. `mem.c: parasite_dump_pages_seized`
    Pages,
    /// Its timers.
    Timers,
    /// Its limits, credentials and cgroups. `cr-dump.c: dump_task_core_all`
    Core,
    /// Its further threads.
    Threads,
    /// Its mappings once more, and its program. `cr-dump.c: dump_task_mm`
    Program,
    /// Its working and root directory. `cr-dump.c: dump_task_fs`
    Directories,
    /// What mounts hold. `mount.c: dump_mnt_namespaces`
    Mounts,
    /// File locks.
    Locks,
    /// Sessions of terminals. `tty.c: dump_verify_tty_sids`
    TerminalSessions,
    /// Processes that have ended. `cr-dump.c: dump_zombies`
    Zombies,
    /// The tree of processes. `pstree.c: dump_pstree`
    Tree,
    /// Shared memory.
    SharedMemory,
    /// Namespaces but for mounts. `namespaces.c: dump_namespaces`
    Namespaces,
    /// Cgroups.
    Cgroups,
    /// Ends of unix connections that nobody in the tree had. `sk-unix.c: fix_external_unix_sockets`
    ExternalSockets,
    /// Pairs and contents of terminals. `tty.c: tty_post_actions`
    Terminals,
}

impl Phase {
    /// Whether CRIU goes from this one to the next for one process, and not for all.
    #[must_use]
    pub fn is_of_one_process(self) -> bool {
        (Self::Maps..=Self::Directories).contains(&self)
    }
}

/// Marks the finding at which CRIU would stop first: of those that decide, or else of those that may be in the way.
pub(super) fn mark_first(findings: &mut [Finding], facts: &Facts) {
    let first = |findings: &[Finding], counts: fn(&Finding) -> bool| {
        let in_the_way = findings.iter().enumerate().filter(|(_, finding)| counts(finding));
        in_the_way.filter_map(|(n, finding)| Some((turn(finding, facts)?, n))).min().map(|(_, n)| n)
    };
    let first = first(findings, Finding::decides).or_else(|| first(findings, Finding::is_in_the_way));
    if let Some(finding) = first.and_then(|n| findings.get_mut(n)) {
        finding.first_hit = true;
    }
}

/// When CRIU comes to it: stage, process in the order of the walk, stage within the process, place there, and how many
/// other things of that place come before.
type Turn = (Phase, usize, Phase, u64, usize);

/// `None` where the rule does not say.
fn turn(finding: &Finding, facts: &Facts) -> Option<Turn> {
    let subject = &finding.subject;
    let walked = facts.processes.iter().enumerate().find(|(_, process)| Some(process.pid) == subject.pid);
    let phase = actual(finding.printed.phase?, subject, walked.map(|(_, process)| process));
    let stage = if phase.is_of_one_process() { Phase::Maps } else { phase };
    // What concerns no process in particular comes behind what does.
    let walk = walked.map_or(usize::MAX, |(n, _)| n);
    Some((stage, walk, phase, place(phase, subject, facts), subject.nth))
}

/// A file is met as what the process has it.
fn actual(phase: Phase, subject: &Subject, process: Option<&Process>) -> Phase {
    match phase {
        Phase::Files if subject.range.is_some() => Phase::Maps,
        Phase::Files if subject.fd.is_none() => {
            let held =
                process.and_then(|process| process.held.iter().find(|held| Some(&held.link) == subject.path.as_ref()));
            match held.map(|held| held.role) {
                Some(HeldAs::Program) => Phase::Program,
                Some(HeldAs::WorkingDirectory | HeldAs::Root) => Phase::Directories,
                None => phase,
            }
        }
        phase => phase,
    }
}

/// Where in its stage: descriptors by number, mappings by address. Mounts are read in their order, but what is done with
/// them then begins with the last one.
fn place(phase: Phase, subject: &Subject, facts: &Facts) -> u64 {
    if let Some((start, _)) = subject.range {
        return start;
    }
    if let Some(fd) = subject.fd {
        return u64::try_from(fd).unwrap_or_default();
    }
    let mut mounts = facts.mount_namespaces.iter().flat_map(|namespace| &namespace.mounts);
    let nth = mounts.position(|mount| Some(mount.id) == subject.mount_id).map_or(0, |nth| nth as u64);
    if phase == Phase::MountLists { nth } else { u64::MAX - nth }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fd, Mapping, Thread};
    use crate::rules::testing::*;
    use crate::rules::{Index, RuleSet, judge};

    fn packets(number: i32) -> Fd {
        Fd { flags: Some(0o40001), ..fd(number, "pipe:[5]") }
    }

    /// Rule, process and descriptor of the first hit.
    fn first(facts: &Facts) -> Option<(String, Option<i32>, Option<i32>)> {
        let found = judge(facts, &Index::new(facts), &profile("4.2", &[]), &RuleSet::built_in().unwrap());
        assert!(found.iter().filter(|finding| finding.first_hit).count() <= 1);
        let first = found.into_iter().find(|finding| finding.first_hit)?;
        Some((first.rule, first.subject.pid, first.subject.fd))
    }

    #[test]
    fn processes_come_in_the_order_of_the_walk_and_descriptors_by_number() {
        let tree =
            facts(vec![process(9), child_of_9(30, vec![packets(7)]), child_of_9(20, vec![packets(3), packets(4)])]);
        assert_eq!(first(&tree), Some(("pipe-packet-mode".to_owned(), Some(30), Some(7))));
    }

    fn child_of_9(pid: i32, fds: Vec<Fd>) -> Process {
        Process { ppid: 9, ..holder(pid, fds) }
    }

    #[test]
    fn mappings_come_before_descriptors_and_what_stops_all_before_both() {
        let mapped = |start| Mapping { start, end: start + 0x1000, ..mapping("anon_inode:[io_uring]") };
        let mut tree = facts(vec![Process { mappings: vec![mapped(0x9000)], ..holder(9, vec![packets(3)]) }]);
        assert_eq!(first(&tree), Some(("io-uring-mapping".to_owned(), Some(9), None)));
        tree.processes.push(Process { ppid: 9, threads: vec![thread(20)], ..process(20) });
        tree.processes[1].threads[0].tracer = 77;
        assert_eq!(first(&tree).map(|(rule, pid, _)| (rule, pid)), Some(("process-traced".to_owned(), Some(20))));
    }

    #[test]
    fn what_is_only_possible_is_marked_only_where_nothing_decides() {
        let asleep = || Process { threads: vec![Thread { state: 'D', ..thread(9) }], ..process(9) };
        let tree = facts(vec![asleep()]);
        assert_eq!(first(&tree), Some(("process-state-d".to_owned(), Some(9), None)));
        let both = facts(vec![Process { fds: vec![packets(3)], ..asleep() }]);
        assert_eq!(first(&both), Some(("pipe-packet-mode".to_owned(), Some(9), Some(3))));
        assert_eq!(first(&facts(vec![process(9)])), None);
    }
}
