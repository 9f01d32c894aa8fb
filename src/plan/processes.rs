//! Who is in the way, and who could be checkpointed alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Holder, Plan};
use crate::assess::Case;
use crate::facts::{Engine, Facts, NsId, OutsideSession, Pid, Process, Target};
use crate::finding::Finding;
use crate::profile::Profile;
use crate::rules::Index;
use crate::verdict::Verdict;

/// How many children of the root are tried as trees of their own.
const MOST_SUBTREES: usize = 32;

/// Who has to go under the profile's own criu, and which subtrees could be dumped without the rest.
pub(super) fn fill_in(plan: &mut Plan, case: Case<'_>, profile: &Profile, left: &[Finding]) {
    let mut blockers = BTreeMap::<Pid, usize>::new();
    for pid in left.iter().filter_map(|finding| finding.subject.pid) {
        *blockers.entry(pid).or_default() += 1;
    }
    let tree = &case.facts.processes;
    let Some(root) = case.facts.root() else { return };
    let holder = |process: &Process| Holder {
        pid: process.pid,
        inner_pid: process.inner_pid(),
        comm: process.comm.clone(),
        blockers: blockers.get(&process.pid).copied().unwrap_or(0),
        processes: descendants(tree, process.pid).len(),
    };
    plan.stop = tree.iter().filter(|process| blockers.contains_key(&process.pid)).map(holder).collect();
    plan.stop_suffices = !plan.stop.is_empty()
        && !blockers.contains_key(&root.pid)
        && left.iter().all(|finding| finding.subject.pid.is_some_and(|pid| tree.iter().any(|p| p.pid == pid)));
    if !plan.stop.is_empty() {
        let children = tree.iter().filter(|process| process.ppid == root.pid && !process.is_zombie());
        let alone = children.take(MOST_SUBTREES).filter(|child| passes_alone(case, profile, child));
        plan.free = alone.map(holder).collect();
    }
}

/// Whether bare criu dumps the subtree of a process, with the options that this needs.
fn passes_alone(case: Case<'_>, profile: &Profile, process: &Process) -> bool {
    let facts = subtree(case.facts, process);
    let mut alone = Profile { engine: Engine::Criu, ..profile.clone() };
    alone.options.retain(|given| given.is_from_command_line());
    let case = Case { facts: &facts, index: &Index::new(&facts), rules: case.rules };
    matches!(case.outlook(&alone), Verdict::Ready | Verdict::ReadyWithOptions)
}

/// The facts as they would be of a dump that starts from this process: all other processes are outside of it.
fn subtree(facts: &Facts, root: &Process) -> Facts {
    let pids = descendants(&facts.processes, root.pid);
    let processes: Vec<Process> = facts.processes.iter().filter(|p| pids.contains(&p.pid)).cloned().collect();
    let used = |id: NsId, of: fn(&Process) -> Option<NsId>| processes.iter().any(|process| of(process) == Some(id));
    let mut mount_namespaces = facts.mount_namespaces.clone();
    mount_namespaces.retain(|namespace| used(namespace.id, |process| process.namespaces.mnt));
    mount_namespaces.sort_by_key(|namespace| Some(namespace.id) != root.namespaces.mnt);
    let mut net_namespaces = facts.net_namespaces.clone();
    net_namespaces.retain(|namespace| used(namespace.id, |process| process.namespaces.net));
    net_namespaces.sort_by_key(|namespace| Some(namespace.id) != root.namespaces.net);
    let leads = |process: &&Process| process.sid == process.pid && process.tty != 0 && !pids.contains(&process.pid);
    let mut outside_sessions = facts.outside_sessions.clone();
    outside_sessions.extend(facts.processes.iter().filter(leads).map(|leader| OutsideSession {
        tty: leader.tty,
        sid: leader.sid,
        pid: leader.pid,
        comm: leader.comm.clone(),
    }));
    let mut gaps = facts.gaps.clone();
    gaps.retain(|gap| gap.pid.is_none_or(|pid| pids.contains(&pid)));
    let has_root = |look: &&Facts| look.processes.iter().any(|process| process.pid == root.pid);
    let looks = facts.looks.iter().filter(has_root).map(|look| subtree(look, root)).collect();
    Facts {
        target: Target { root: root.pid, ..Target::default() },
        host: facts.host.clone(),
        bystanders: Vec::new(),
        user_namespace: facts.user_namespace.clone().filter(|namespace| Some(namespace.id) == root.namespaces.user),
        cgroup_views: Vec::new(),
        sees_own_proc: facts.sees_own_proc,
        proc_unreachable: facts.proc_unreachable,
        proc_name_taken: facts.proc_name_taken,
        outside_ends: facts.outside_ends.clone(),
        outside_sessions,
        processes,
        mount_namespaces,
        net_namespaces,
        gaps,
        looks,
    }
}

/// The process and everything below it.
fn descendants(tree: &[Process], root: Pid) -> BTreeSet<Pid> {
    let mut found = BTreeSet::from([root]);
    for process in tree {
        if found.contains(&process.ppid) {
            found.insert(process.pid);
        }
    }
    found
}
