//! Selective checkpoint: the largest parts of a blocked target that bare criu dumps as trees of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::part::{Part, descendants};
use super::{NotFree, Way, with_needed_options};
use crate::assess::Case;
use crate::facts::{
    Area, Bystander, BystanderOf, CgroupView, Engine, Facts, Gap, NamespaceKind, OutsideSession, Pid, Process, Target,
};
use crate::finding::{Finding, Severity};
use crate::profile::Profile;
use crate::rules::Index;
use crate::text::RawText;
use crate::verdict::Verdict;

/// How many processes are judged in all, so that a large target does not take long: each subtree counts by its size.
const MOST_JUDGED: usize = 4000;
/// How many processes are judged alone before that: of the others a subtree is judged that might have been ruled out.
const MOST_ALONE: usize = 200;

/// What the search came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The subtrees, in CRIU's walk order. None is part of another.
    pub(super) subtrees: Vec<(Pid, Way)>,
    /// What is in the way of the others; absent where all were found.
    pub(super) not_free: Option<NotFree>,
}

/// Looks for them from the top: what is dumped with a process is not tried again without it.
pub(super) fn search(case: Case<'_>, profile: &Profile) -> Found {
    let alone = by_hand(profile);
    let Some(root) = case.facts.root() else { return Found::default() };
    let hopeless = hopeless(case, &alone);
    let mut search = Search {
        case,
        profile: &alone,
        hopeless,
        judged: 0,
        subtrees: Vec::new(),
        rules: BTreeMap::new(),
        unknown: 0,
        cut_short: false,
    };
    search.all(root.pid);
    let Search { subtrees, rules, unknown, cut_short, .. } = search;
    let mut rules: Vec<(String, usize)> = rules.into_iter().collect();
    rules.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    let not_free = (!rules.is_empty() || unknown > 0 || cut_short).then_some(NotFree { rules, unknown, cut_short });
    Found { subtrees, not_free }
}

/// The dump by bare criu, with the options that the user gave and those of its own config files.
fn by_hand(profile: &Profile) -> Profile {
    let mut alone = Profile { engine: Engine::Criu, config_line_file: None, ..profile.clone() };
    let file = profile.config_line_file.as_deref();
    alone.options.retain(|given| {
        let is_of_criu = profile.config_files.contains(&given.from) && Some(given.from.as_str()) != file;
        profile.engine == Engine::Criu || given.is_from_command_line() || is_of_criu
    });
    alone
}

/// Processes that hold by themselves what no option lifts, with the rule: no subtree with one of them is dumped. What
/// blocks in the whole target and in the process alone does not depend on what is around it.
fn hopeless(case: Case<'_>, profile: &Profile) -> BTreeMap<Pid, BTreeSet<String>> {
    let blocks = |finding: &Finding| finding.severity == Severity::Blocks;
    let mut suspected = BTreeMap::<Pid, BTreeSet<String>>::new();
    for finding in case.deciding(profile).filter(blocks) {
        suspected.entry(finding.subject.pid.unwrap_or_default()).or_default().insert(finding.rule);
    }
    let mut hopeless = BTreeMap::new();
    let all = case.facts.processes.iter();
    let held = all.filter_map(|process| Some((process, suspected.get(&process.pid)?)));
    for (process, rules) in held.take(MOST_ALONE) {
        let facts = rooted(case.facts, process, |_| BTreeSet::from([process.pid]));
        let single = Case { facts: &facts, index: &Index::new(&facts), rules: case.rules };
        let own: BTreeSet<String> = single.deciding(profile).filter(blocks).map(|finding| finding.rule).collect();
        let own: BTreeSet<String> = own.intersection(rules).cloned().collect();
        if !own.is_empty() {
            hopeless.insert(process.pid, own);
        }
    }
    hopeless
}

struct Search<'a> {
    case: Case<'a>,
    profile: &'a Profile,
    hopeless: BTreeMap<Pid, BTreeSet<String>>,
    judged: usize,
    subtrees: Vec<(Pid, Way)>,
    /// Rules by how many subtrees they are in the way of.
    rules: BTreeMap<String, usize>,
    unknown: usize,
    cut_short: bool,
}

impl Search<'_> {
    /// Tries the children of the root process, and what is below those that fail.
    fn all(&mut self, root: Pid) {
        let mut failed = BTreeSet::from([root]);
        for process in self.case.facts.processes.iter().filter(|process| process.pid != root && !process.is_zombie()) {
            if failed.contains(&process.ppid) && !self.passes(process) {
                failed.insert(process.pid);
            }
        }
    }

    fn passes(&mut self, root: &Process) -> bool {
        let pids = descendants(&self.case.facts.processes, root.pid);
        let own: BTreeSet<String> = pids.iter().filter_map(|pid| self.hopeless.get(pid)).flatten().cloned().collect();
        if !own.is_empty() {
            self.note(own);
            return false;
        }
        self.judged += pids.len();
        if self.judged > MOST_JUDGED {
            self.cut_short = true;
            return false;
        }
        let facts = rooted(self.case.facts, root, |tree| descendants(tree, root.pid));
        let case = Case { facts: &facts, index: &Index::new(&facts), rules: self.case.rules };
        match case.outlook(self.profile) {
            Verdict::Ready | Verdict::ReadyWithOptions => {
                self.subtrees.push((root.pid, Way::new(case, self.profile)));
                return true;
            }
            Verdict::Unknown => self.unknown += 1,
            Verdict::Blocked => {
                let (with_options, _) = with_needed_options(case, self.profile);
                self.note(case.deciding(&with_options).map(|finding| finding.rule).collect());
            }
        }
        false
    }

    fn note(&mut self, rules: BTreeSet<String>) {
        rules.into_iter().for_each(|rule| *self.rules.entry(rule).or_default() += 1);
    }
}

/// The facts as they would be of a dump of these processes that starts from `root`: all others are outside of it.
fn rooted(facts: &Facts, root: &Process, of: impl Fn(&[Process]) -> BTreeSet<Pid> + Copy) -> Facts {
    let part = Part { kept: of(&facts.processes), gone: BTreeSet::new() };
    let mut alone = part.of(facts);
    alone.target = Target { root: root.pid, ..Target::default() };
    alone
        .outside_sessions
        .extend(part.left_outside(facts).filter(|process| process.tty != 0 && process.sid > 0).map(session));
    alone.bystanders = bystanders(facts, root, &part);
    ask_of_root(&mut alone, facts, root);
    let has_root = |look: &&Facts| look.processes.iter().any(|process| process.pid == root.pid);
    alone.looks = facts.looks.iter().filter(has_root).map(|look| rooted(look, root, of)).collect();
    alone
}

fn session(process: &Process) -> OutsideSession {
    OutsideSession { tty: process.tty, sid: process.sid, pid: process.pid, comm: process.comm.clone() }
}

/// Those of the whole target, as far as they share the cgroup of this root too, and its other processes.
fn bystanders(facts: &Facts, root: &Process, part: &Part) -> Vec<Bystander> {
    let same_cgroup = facts.root().is_some_and(|whole| whole.cgroups == root.cgroups);
    let known = facts.bystanders.iter().filter(|_| same_cgroup).cloned();
    let own_pids = root.namespaces.pid != facts.host.namespaces.pid;
    let others = part.left_outside(facts).filter_map(|process| {
        let in_namespace = own_pids && process.namespaces.pid == root.namespaces.pid;
        let in_cgroup = process.cgroups == root.cgroups;
        let shares = [(in_namespace, BystanderOf::PidNamespace), (in_cgroup, BystanderOf::Cgroup)];
        let shares: Vec<BystanderOf> = shares.into_iter().filter(|(shared, _)| *shared).map(|(_, what)| what).collect();
        let stopped = process.state == 'T';
        let (pid, comm, tracer) = (process.pid, process.comm.clone(), process.tracer);
        (!shares.is_empty()).then_some(Bystander { pid, comm, shares, tracer, stopped })
    });
    known.chain(others).collect()
}

/// Whether its root directory is the top of its mount namespace.
fn is_top(process: &Process) -> bool {
    process.root.as_ref().is_some_and(|root| root.as_bytes() == b"/")
}

/// What only the root of the whole target was asked holds for another one in the same namespaces; elsewhere it is a gap.
fn ask_of_root(alone: &mut Facts, facts: &Facts, root: &Process) {
    let Some(whole) = facts.root() else { return };
    let same =
        |kinds: &[NamespaceKind]| kinds.iter().all(|kind| root.namespaces.get(*kind) == whole.namespaces.get(*kind));
    let of_host =
        |kind| root.namespaces.get(kind).is_some() && root.namespaces.get(kind) == facts.host.namespaces.get(kind);
    let mut unknown = Vec::new();
    if same(&[NamespaceKind::Pid, NamespaceKind::Mnt]) && root.root == whole.root {
        alone.sees_own_proc = facts.sees_own_proc;
        alone.proc_unreachable = facts.proc_unreachable;
        // Whether the name is taken was asked of another working directory.
        if facts.sees_own_proc == Some(false) && root.cwd != whole.cwd {
            unknown.push("cwd");
        }
    } else if !of_host(NamespaceKind::Pid) || !of_host(NamespaceKind::Mnt) || !is_top(root) {
        unknown.push("root/proc");
    }
    if !of_host(NamespaceKind::User) {
        let owned =
            [NamespaceKind::Ipc, NamespaceKind::Mnt, NamespaceKind::Net, NamespaceKind::Time, NamespaceKind::Uts];
        match facts.user_namespace.clone().filter(|_| same(&[NamespaceKind::User]) && same(&owned)) {
            Some(namespace) => alone.user_namespace = Some(namespace),
            None => unknown.push("ns/user"),
        }
    }
    if !of_host(NamespaceKind::Cgroup) {
        match views(&facts.cgroup_views, root).filter(|_| same(&[NamespaceKind::Cgroup])) {
            Some(views) => alone.cgroup_views = views,
            None => unknown.push("cgroup"),
        }
    }
    alone.gaps.extend(unknown.into_iter().map(|name| Gap {
        area: Area::Namespaces,
        pid: Some(root.pid),
        path: format!("/proc/{}/{name}", root.pid).into(),
        reason: "not asked of this process".to_owned(),
    }));
}

/// The cgroups of the threads of a process as seen from the cgroup namespace that `known` tells of.
fn views(known: &[CgroupView], process: &Process) -> Option<Vec<CgroupView>> {
    let known = known.first()?;
    let seen = |lines: &[RawText]| lines.iter().map(|line| inside(known, line)).collect::<Option<Vec<RawText>>>();
    let view = |thread: &crate::facts::Thread| {
        let outside = thread.cgroups.clone().unwrap_or_else(|| process.cgroups.clone());
        Some(CgroupView { tid: thread.tid, inside: seen(&outside)?, outside })
    };
    process.threads.iter().map(view).collect()
}

/// A line of `/proc/PID/cgroup` as seen from there; `None` for a cgroup that is not below the top of it.
fn inside(known: &CgroupView, line: &RawText) -> Option<RawText> {
    let split = |line: &'_ RawText| {
        let line = line.as_bytes();
        let colon = line.windows(2).position(|two| two == b":/")?;
        Some((line.get(..=colon)?.to_vec(), line.get(colon + 1..)?.to_vec()))
    };
    let (hierarchy, path) = split(line)?;
    let of = |lines: &[RawText]| lines.iter().filter_map(split).find(|(other, _)| *other == hierarchy);
    let ((_, outer), (_, inner)) = (of(&known.outside)?, of(&known.inside)?);
    let top = if inner == b"/" { outer.as_slice() } else { outer.strip_suffix(inner.as_slice())? };
    let below = path.strip_prefix(if top == b"/" { b"".as_slice() } else { top })?;
    let below = if below.is_empty() { b"/" } else { below };
    below.starts_with(b"/").then(|| [hierarchy.as_slice(), below].concat().as_slice().into())
}

#[cfg(test)]
mod tests;
