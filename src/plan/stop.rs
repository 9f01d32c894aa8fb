//! Who has to be stopped so that the rest is dumped: judged again on the facts as they would be without them.

use std::collections::{BTreeMap, BTreeSet};

use super::Way;
use super::part::{Part, descendants};
use crate::assess::Case;
use crate::facts::{Facts, FdInfo, NamespaceKind, Pid, Process};
use crate::finding::Finding;
use crate::profile::Profile;
use crate::rules::Index;
use crate::text::RawText;
use crate::verdict::Verdict;

/// How often what processes leave behind may show that more have to go.
const ROUNDS: usize = 4;
/// How many processes are tried to be spared.
const MOST_SPARED: usize = 16;
/// Of how many it is asked first whether they have to go in any case.
const MOST_ASKED: usize = 64;

/// Whom to stop.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// Their process ids. The root process is never enough: with it the target ends.
    pub(super) pids: BTreeSet<Pid>,
    /// How the rest is dumped, once they are gone; absent where it is not.
    pub(super) way: Option<Way>,
    /// What else may happen when they are stopped, so that it has to be tried.
    pub(super) unsure: Option<String>,
}

/// The smallest set that was found. `left` is what no option lifts.
pub(super) fn smallest(case: Case<'_>, profile: &Profile, left: &[Finding]) -> Stop {
    let mut stop = Stop { pids: named(case.facts, left), ..Stop::default() };
    let Some(root) = case.facts.root().map(|root| root.pid) else { return stop };
    let mut tried = stop.pids.clone();
    tried.remove(&root);
    for _ in 0..ROUNDS {
        if tried.is_empty() {
            return stop;
        }
        match judge(case, profile, &tried) {
            Ok(way) => {
                (stop.pids, stop.way) = spare(case, profile, root, tried, way);
                stop.unsure = unsure(case.facts, &stop.pids);
                return stop;
            }
            Err(left) => {
                let more = named(case.facts, &left);
                if more.is_empty() || more.contains(&root) || more.is_subset(&tried) {
                    return stop;
                }
                tried.extend(more);
            }
        }
    }
    stop
}

/// Spares those of whom nothing remains in the way when the others are gone. Who is in the way even with nobody left but
/// the root process has to go: that is asked first, as it is soon judged.
fn spare(
    case: Case<'_>,
    profile: &Profile,
    root: Pid,
    mut pids: BTreeSet<Pid>,
    mut way: Way,
) -> (BTreeSet<Pid>, Option<Way>) {
    let has_to_go = |pid: Pid| {
        let all = case.facts.processes.iter().map(|process| process.pid);
        let others: BTreeSet<Pid> = all.filter(|other| *other != root && *other != pid).collect();
        judge_as(case, profile, &others, true).is_err_and(|left| named(case.facts, &left).contains(&pid))
    };
    let mut candidates: Vec<Pid> = if pids.len() > 1 { pids.iter().copied().collect() } else { Vec::new() };
    candidates.truncate(MOST_ASKED);
    candidates.retain(|pid| !has_to_go(*pid));
    for pid in candidates.into_iter().take(MOST_SPARED) {
        let fewer: BTreeSet<Pid> = pids.iter().copied().filter(|other| *other != pid).collect();
        if let Some(found) = (!fewer.is_empty()).then(|| judge(case, profile, &fewer).ok()).flatten() {
            (pids, way) = (fewer, found);
        }
    }
    (pids, Some(way))
}

/// Processes that findings are about; a mount that no process is named with is that of all in its namespace.
fn named(facts: &Facts, findings: &[Finding]) -> BTreeSet<Pid> {
    let root = facts.root().and_then(|root| root.namespaces.mnt);
    let users = |id: u64| {
        let has = |namespace: &&crate::facts::MountNamespace| namespace.mounts.iter().any(|mount| mount.id == id);
        let namespace = facts.mount_namespaces.iter().find(has).filter(|namespace| Some(namespace.id) != root);
        let users = facts
            .processes
            .iter()
            .filter(move |process| namespace.is_some_and(|ns| process.namespaces.mnt == Some(ns.id)));
        users.map(|process| process.pid).collect::<Vec<Pid>>()
    };
    let mut pids = BTreeSet::new();
    for finding in findings {
        match (finding.subject.pid, finding.subject.mount_id) {
            (Some(pid), _) => pids.extend(facts.processes.iter().any(|process| process.pid == pid).then_some(pid)),
            (None, Some(id)) => pids.extend(users(id)),
            (None, None) => {}
        }
    }
    pids
}

/// How the rest is dumped without these, or what then is in the way. Children that they leave behind become those of
/// the root process where it is the init of their pid namespace. Elsewhere they leave the tree, unless some process of it
/// asked to get them, which can't be seen: it has to pass in both cases.
fn judge(case: Case<'_>, profile: &Profile, pids: &BTreeSet<Pid>) -> Result<Way, Vec<Finding>> {
    let stays = judge_as(case, profile, pids, true)?;
    if is_init(case.facts) || orphans(case.facts, pids).is_empty() {
        return Ok(stays);
    }
    let leaves = judge_as(case, profile, pids, false)?;
    if stays.options == leaves.options { Ok(leaves) } else { Err(Vec::new()) }
}

fn judge_as(case: Case<'_>, profile: &Profile, pids: &BTreeSet<Pid>, adopted: bool) -> Result<Way, Vec<Finding>> {
    let facts = without(case.facts, pids, adopted);
    let rest = Case { facts: &facts, index: &Index::new(&facts), rules: case.rules };
    let (planned, _) = super::with_needed_options(rest, profile);
    let left: Vec<Finding> = rest.deciding(&planned).collect();
    let passes = left.is_empty() && matches!(rest.outlook(profile), Verdict::Ready | Verdict::ReadyWithOptions);
    if passes { Ok(Way::new(rest, profile)) } else { Err(left) }
}

/// The facts without these processes, what ends with them, and their children if those leave the tree.
fn without(facts: &Facts, pids: &BTreeSet<Pid>, adopted: bool) -> Facts {
    let gone = with_namespaces(facts, pids);
    let leave = if adopted { BTreeSet::new() } else { orphans(facts, &gone) };
    let all = facts.processes.iter().map(|process| process.pid);
    let kept: BTreeSet<Pid> = all.filter(|pid| !gone.contains(pid) && !leave.contains(pid)).collect();
    let root = facts.target.root;
    let part = Part { kept, gone };
    let mut rest = part.of(facts);
    for process in rest.processes.iter_mut().filter(|process| part.gone.contains(&process.ppid)) {
        process.ppid = root;
    }
    Facts {
        bystanders: facts.bystanders.clone(),
        user_namespace: facts.user_namespace.clone(),
        cgroup_views: facts.cgroup_views.clone(),
        sees_own_proc: facts.sees_own_proc,
        proc_unreachable: facts.proc_unreachable,
        proc_name_taken: facts.proc_name_taken,
        looks: facts.looks.iter().map(|look| without(look, pids, adopted)).collect(),
        ..rest
    }
}

/// With the init of a pid namespace end all processes in it.
fn with_namespaces(facts: &Facts, pids: &BTreeSet<Pid>) -> BTreeSet<Pid> {
    let mut gone = pids.clone();
    for init in facts.processes.iter().filter(|process| pids.contains(&process.pid) && process.inner_pid() == 1) {
        let below = descendants(&facts.processes, init.pid);
        let inside = |process: &&Process| below.contains(&process.pid) && process.ns_pids.len() >= init.ns_pids.len();
        gone.extend(facts.processes.iter().filter(inside).map(|process| process.pid));
    }
    gone
}

/// Who loses the parent, with all below.
fn orphans(facts: &Facts, gone: &BTreeSet<Pid>) -> BTreeSet<Pid> {
    let below = gone.iter().flat_map(|pid| descendants(&facts.processes, *pid));
    below.filter(|pid| !gone.contains(pid)).collect()
}

/// Whether the root process gets the children of those that end.
fn is_init(facts: &Facts) -> bool {
    let root = facts.root();
    root.is_some_and(|root| root.inner_pid() == 1) && !facts.shares_with_host(NamespaceKind::Pid)
}

/// A session whose leader ends, or whose terminal emulator does, loses its terminal, and most programs end of it.
fn unsure(facts: &Facts, pids: &BTreeSet<Pid>) -> Option<String> {
    let gone = || facts.processes.iter().filter(|process| pids.contains(&process.pid));
    let led: BTreeMap<u32, &RawText> =
        gone().filter(|process| process.tty != 0 && process.sid == process.pid).map(|p| (p.tty, &p.comm)).collect();
    let masters: BTreeMap<u32, &RawText> = gone()
        .flat_map(|process| process.fds.iter().map(move |fd| (process, fd)))
        .filter_map(|(process, fd)| match fd.info {
            FdInfo::Ptmx { index } => Some((crate::rules::tty_number((136, index)), &process.comm)),
            _ => None,
        })
        .collect();
    let rest = facts.processes.iter().filter(|process| process.tty != 0 && !pids.contains(&process.pid));
    let (process, stopped) =
        rest.filter_map(|process| Some((process, *led.get(&process.tty).or(masters.get(&process.tty))?))).next()?;
    Some(format!("with {stopped} {} ({}) loses its terminal, and may end", process.comm, process.pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::assess;
    use crate::facts::{Fd, Socket, family, tcp_state};
    use crate::plan::Plan;
    use crate::rules::RuleSet;
    use crate::rules::testing::{child, container_namespaces, facts, fd, holder, process, profile, ptmx, with_sockets};

    fn plan(tree: &Facts) -> Plan {
        assess(tree, &profile("4.2", &[]), &RuleSet::built_in().unwrap()).plan
    }

    fn stopped(plan: &Plan) -> Vec<Pid> {
        plan.stop.iter().map(|holder| holder.pid).collect()
    }

    fn blocker(pid: Pid, ppid: Pid, mut more: Vec<Fd>) -> Process {
        more.push(fd(3, "anon_inode:[some-new-kind]"));
        Process { ppid, ..holder(pid, more) }
    }

    fn unix(inode: u64, peer: Option<u64>) -> Socket {
        Socket { inode, family: family::UNIX, kind: 1, state: tcp_state::ESTABLISHED, peer, ..Socket::default() }
    }

    #[test]
    fn a_connection_to_who_is_stopped_is_closed_and_needs_no_option() {
        let rest = Process { ppid: 1, ..holder(4, vec![fd(5, "socket:[100]")]) };
        let tree = facts(vec![process(1), rest, blocker(7, 1, vec![fd(5, "socket:[101]")])]);
        let plan = plan(&with_sockets(tree, vec![unix(100, Some(101)), unix(101, Some(100))]));
        assert_eq!((stopped(&plan).as_slice(), plan.stop_suffices), ([7].as_slice(), true));
        assert!(plan.stopped.unwrap().options.is_empty());
    }

    #[test]
    fn a_client_that_is_stopped_while_it_waits_stays_in_the_queue() {
        let listener = Socket { state: tcp_state::LISTEN, pending: vec![101], ..unix(100, None) };
        let rest = Process { ppid: 1, ..holder(4, vec![fd(5, "socket:[100]")]) };
        let tree = facts(vec![process(1), rest, blocker(7, 1, vec![fd(5, "socket:[101]")])]);
        let plan = plan(&with_sockets(tree, vec![listener, unix(101, None)]));
        assert_eq!((stopped(&plan).as_slice(), plan.stop_suffices), ([4, 7].as_slice(), true));
    }

    #[test]
    fn children_of_who_is_stopped_leave_the_tree_but_for_that_of_an_init() {
        let tree = |make: fn(Process) -> Process| {
            let rest = Process { ppid: 1, ..holder(4, vec![fd(5, "socket:[100]")]) };
            let grandchild = Process { ppid: 7, ..holder(8, vec![fd(5, "socket:[101]")]) };
            let all = [process(1), rest, blocker(7, 1, vec![]), grandchild].map(make);
            plan(&with_sockets(facts(all.into()), vec![unix(100, Some(101)), unix(101, Some(100))]))
        };
        let on_host = tree(|process| Process { ns_pids: vec![process.pid], ..process });
        assert!(!on_host.stop_suffices, "connected or not, as who gets the child decides");
        let inside = tree(|process| Process {
            namespaces: container_namespaces(),
            ns_pids: vec![process.pid + 1000, process.pid],
            ..process
        });
        assert!(inside.stop_suffices);
    }

    #[test]
    fn who_only_waits_for_a_file_of_another_is_spared() {
        let targets = vec![(9, 50, 8)];
        let watching =
            Fd { info: FdInfo::Epoll { targets, holders: Some(vec![Some(7)]) }, ..fd(4, "anon_inode:[eventpoll]") };
        let waiter = Process { ppid: 1, ..holder(4, vec![watching]) };
        let tree = facts(vec![process(1), waiter, blocker(7, 1, vec![fd(9, "pipe:[50]")])]);
        let plan = plan(&tree);
        assert_eq!((stopped(&plan).as_slice(), plan.stop_suffices), ([7].as_slice(), true));
    }

    #[test]
    fn with_an_emulator_or_a_leader_goes_the_terminal() {
        let tty = crate::rules::tty_number((136, 4));
        let emulator = blocker(7, 1, vec![ptmx(5, 4)]);
        let shell = Process { tty, tty_group: 8, ..child(8, 1) };
        let plan = plan(&facts(vec![process(1), emulator, shell]));
        assert!(!plan.stop_suffices && plan.stopped.is_some());
        assert_eq!(plan.stop_unsure.as_deref(), Some("with p7 p8 (8) loses its terminal, and may end"));
    }

    #[test]
    fn the_root_process_is_never_stopped() {
        let plan = plan(&facts(vec![blocker(1, 0, vec![]), child(4, 1)]));
        assert!(!plan.stop_suffices && plan.stopped.is_none());
        assert_eq!(plan.free.iter().map(|part| part.root.pid).collect::<Vec<_>>(), [4]);
    }
}
