//! The plan: what to do so that the dump passes.
//!
//! Four ways: options added, a newer criu, processes stopped (or not started), or only those checkpointed that hold
//! nothing in the way. Options and release are claimed only after the same facts were judged again with them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::assess::Case;
use crate::facts::{Pid, Process};
use crate::finding::{Finding, Severity};
use crate::profile::{Profile, RELEASES, Reach};
use crate::text::RawText;
use crate::verdict::Verdict;
use crate::version::Version;

mod action;
mod alone;
mod command;
mod options;
mod part;
mod stop;
mod way;

pub use action::Action;
pub(crate) use options::with_needed_options;
pub use way::{ConfigLines, Loss, Way};

/// What to do so that the dump passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Whether nothing found is left in the way once options and upgrade are in force.
    pub suffices: bool,
    /// The release to upgrade criu to, when options alone do not do.
    pub upgrade: Option<Version>,
    /// How to dump with that; where it does not suffice but stopping processes does, how to dump then.
    #[serde(flatten)]
    pub way: Way,
    /// The smallest set of processes found that has to go under the profile's own criu, in CRIU's walk order; where that
    /// is not enough, those that hold what no option lifts.
    pub stop: Vec<Holder>,
    /// Whether it would pass with the profile's own criu and the options if these processes were gone.
    pub stop_suffices: bool,
    /// What else may happen when they are stopped, which has to be tried.
    pub stop_unsure: Option<String>,
    /// How to dump what is left when they are gone.
    pub stopped: Option<Way>,
    /// The largest subtrees that bare criu dumps, with options perhaps, as trees of their own: judged again as such. Only
    /// when something is in the way that no option lifts.
    pub free: Vec<Subtree>,
    /// Why there is none, or not more.
    pub not_free: Option<NotFree>,
    /// What to change in the target or its environment before it is started again, so that nothing is held that no
    /// option lifts under the profile's own criu.
    pub actions: Vec<Action>,
    /// Whether those about programs are enough.
    pub actions_suffice: bool,
    /// What no option lifts under the profile's own criu, one line for each rule.
    pub remaining: Vec<String>,
}

/// A subtree that is dumped alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subtree {
    /// Its root.
    #[serde(flatten)]
    pub root: Holder,
    /// How to dump it.
    #[serde(flatten)]
    pub way: Way,
}

/// What is in the way of subtrees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotFree {
    /// Rules by how many subtrees they are in the way of, the commonest first.
    pub rules: Vec<(String, usize)>,
    /// How many subtrees may be dumped alone or not, for what was only asked of the root of the whole target.
    pub unknown: usize,
    /// Whether not all subtrees were tried, to save time.
    pub cut_short: bool,
}

/// A process that holds something, or the root of a subtree that holds nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Process id in the scanner's pid namespace.
    pub pid: Pid,
    /// Process id in its own pid namespace.
    pub inner_pid: Pid,
    /// Its name.
    pub comm: RawText,
    /// In how many findings that no option lifts it is named.
    pub blockers: usize,
    /// How many processes the subtree has that it is the root of.
    pub processes: usize,
}

/// Makes the plan under the profile as it is.
pub(crate) fn make(case: Case<'_>, profile: &Profile) -> Plan {
    let (own, _) = with_needed_options(case, profile);
    let left: Vec<Finding> = case.deciding(&own).collect();
    let upgrade = if left.is_empty() { None } else { upgrade(case, profile) };
    let suffices = left.is_empty() || upgrade.is_some();
    let mut way = match upgrade {
        Some(release) => Way::new(case, &upgraded(profile, release)),
        None => Way::new(case, profile),
    };
    way.command = way.command.filter(|_| suffices);
    let plan = Plan { suffices, upgrade, way, remaining: remaining(case, profile, &left), ..Plan::default() };
    if left.is_empty() { plan } else { with_processes(plan, case, profile, &left) }
}

/// Adds who has to go under the profile's own criu, and which subtrees could be dumped without the rest.
fn with_processes(mut plan: Plan, case: Case<'_>, profile: &Profile, left: &[Finding]) -> Plan {
    let mut blockers = BTreeMap::<Pid, usize>::new();
    for pid in left.iter().filter_map(|finding| finding.subject.pid) {
        *blockers.entry(pid).or_default() += 1;
    }
    let tree = &case.facts.processes;
    let holder = |process: &Process| Holder {
        pid: process.pid,
        inner_pid: process.inner_pid(),
        comm: process.comm.clone(),
        blockers: blockers.get(&process.pid).copied().unwrap_or(0),
        processes: part::descendants(tree, process.pid).len(),
    };
    let search = alone::search(case, profile);
    let stop = stop::smallest(case, profile, left);
    plan.stop = tree.iter().filter(|process| stop.pids.contains(&process.pid)).map(holder).collect();
    plan.stop_suffices = stop.way.is_some() && stop.unsure.is_none();
    plan.stop_unsure = stop.unsure;
    plan.actions = action::actions(case, profile, left);
    plan.actions_suffice = action::programs_hold_all(case, profile, left);
    plan.stopped = stop.way;
    if let Some(way) = plan.stopped.as_ref().filter(|_| !plan.suffices) {
        plan.way = way.clone();
    }
    let subtree = |(pid, way): (Pid, Way)| Some(Subtree { root: holder(case.index.processes.get(&pid)?), way });
    plan.free = search.subtrees.into_iter().filter_map(subtree).collect();
    plan.not_free = search.not_free;
    plan
}

/// The first later release with which the options that it needs make it pass, run by the same caller.
fn upgrade(case: Case<'_>, profile: &Profile) -> Option<Version> {
    let later = |release: &Version| profile.criu.version.is_none_or(|own| *release > own);
    let passes = |release: &Version| {
        matches!(case.outlook(&upgraded(profile, *release)), Verdict::Ready | Verdict::ReadyWithOptions)
    };
    RELEASES.into_iter().filter(later).find(passes)
}

fn upgraded(profile: &Profile, release: Version) -> Profile {
    Profile { caller: profile.caller.clone(), ..profile.with_release(release) }
}

/// One line for each rule: what it is about, how often, and who holds it.
fn remaining(case: Case<'_>, profile: &Profile, left: &[Finding]) -> Vec<String> {
    let mut by_rule = BTreeMap::<(Severity, &str), Vec<&Finding>>::new();
    for finding in left {
        by_rule.entry((finding.severity, finding.rule.as_str())).or_default().push(finding);
    }
    let line = |(_, id): (Severity, &str), findings: Vec<&Finding>| {
        let title = case.rules.rules.iter().find(|rule| rule.id == id).map_or(id, |rule| rule.title.as_str());
        let names: BTreeSet<String> = findings.iter().filter_map(|f| f.subject.value("comm")).collect();
        let names: Vec<String> = names.into_iter().collect();
        let held = if names.is_empty() { String::new() } else { format!(", held by {}", names.join(", ")) };
        let lifts = findings.iter().flat_map(|finding| &finding.lifted_by);
        let unreachable = lifts.filter(|option| profile.reach(option) == Reach::Nowhere);
        let options: BTreeSet<&str> = unreachable.map(|option| option.name.as_str()).collect();
        let options: Vec<&str> = options.into_iter().collect();
        let vain = match options.as_slice() {
            [] => String::new(),
            names => format!(", and the engine has no way to pass {}", names.join(" or ")),
        };
        let often = if findings.len() == 1 { "once".to_owned() } else { format!("{} times", findings.len()) };
        format!("{id}: {title}, {often}{held}{vain}")
    };
    by_rule.into_iter().map(|(key, findings)| line(key, findings)).collect()
}

#[cfg(test)]
mod tests {
    use crate::assess::assess;
    use crate::facts::{ContainerFacts, Engine, Facts, Process};
    use crate::profile::{CriuOption, Profile};
    use crate::rules::testing::{child, facts, fd, holder, process, profile};
    use crate::rules::{Rule, RuleSet};

    use super::*;

    const RULES: [&str; 2] = [
        "id = 'liftable'\ntitle = 'what an option lifts'\nseverity = 'needs-option'\n\
         match = { matcher = 'anon-inode', names = ['[a]'] }\n\
         text = { what = '', why = '', fix = '' }\ncriu = { error = '', source = '' }\n\
         [[lift]]\noption = 'drop-it'\nloses = 'all of it'\n[[lift]]\noption = 'link-remap'\n",
        "id = 'hopeless'\ntitle = 'what nothing lifts'\nseverity = 'blocks'\n\
         match = { matcher = 'anon-inode', names = ['[b]'] }\n\
         text = { what = '', why = '', fix = '' }\ncriu = { error = '', source = '' }\n",
    ];

    fn plan(tree: &Facts, profile: &Profile) -> Plan {
        let rules = RULES.iter().map(|text| toml::from_str::<Rule>(text).unwrap()).collect();
        assess(tree, profile, &RuleSet { rules, ..RuleSet::default() }).plan
    }

    fn container(engine: Engine) -> Facts {
        let mut tree = facts(vec![holder(9, vec![fd(3, "anon_inode:[a]")])]);
        let name = (engine == Engine::Docker).then(|| "web".to_owned());
        tree.target.container = Some(ContainerFacts { engine, id: "c0ffee".into(), name, ..ContainerFacts::default() });
        tree
    }

    fn by(engine: Engine, runtime: &str) -> Profile {
        Profile {
            engine,
            runtime_version: runtime.parse().ok(),
            config_line_file: Some("/etc/criu/runc.conf".into()),
            ..profile("4.2", &[])
        }
    }

    #[test]
    fn each_engine_gets_the_option_in_its_own_spelling() {
        let told = |engine, runtime| {
            let plan = plan(&container(engine), &by(engine, runtime));
            (plan.way.command.unwrap(), plan.way.config.map(|config| (config.file, config.lines)))
        };
        let in_file = Some(("/etc/criu/runc.conf".to_owned(), vec!["link-remap".to_owned()]));
        let criu = "criu dump --tree 9 --images-dir DIR --link-remap";
        assert_eq!(told(Engine::Criu, ""), (criu.to_owned(), None));
        assert_eq!(
            told(Engine::Runc, "1.1.5"),
            ("runc checkpoint --image-path DIR c0ffee".to_owned(), in_file.clone())
        );
        let newer = "runc checkpoint --image-path DIR --link-remap c0ffee";
        assert_eq!(told(Engine::Runc, "1.3.6"), (newer.to_owned(), None));
        assert_eq!(told(Engine::Docker, ""), ("docker checkpoint create web CHECKPOINT".to_owned(), in_file));
    }

    #[test]
    fn an_engine_that_cannot_pass_the_option_gets_no_command() {
        let mute = Profile { config_line_file: None, ..by(Engine::Docker, "") };
        let plan = plan(&container(Engine::Docker), &mute);
        assert!(!plan.suffices && plan.way.options.is_empty());
        assert_eq!(
            plan.remaining,
            [
                "liftable: what an option lifts, once, held by p9, and the engine has no way to pass drop-it or link-remap"
            ]
        );
    }

    #[test]
    fn the_option_that_loses_nothing_is_preferred() {
        let plan = plan(&container(Engine::Criu), &by(Engine::Criu, ""));
        assert_eq!(
            (plan.way.options.as_slice(), plan.way.loses.len()),
            ([CriuOption::flag("link-remap")].as_slice(), 0)
        );
    }

    #[test]
    fn who_holds_what_nothing_lifts_is_named_and_so_is_who_does_not() {
        let blocker = Process { ppid: 5, ..holder(7, vec![fd(3, "anon_inode:[b]")]) };
        let tree = facts(vec![process(1), child(4, 1), child(5, 1), blocker]);
        let plan = plan(&tree, &profile("4.2", &[]));
        assert!(!plan.suffices && plan.upgrade.is_none());
        assert_eq!(plan.stop.iter().map(|p| (p.pid, p.blockers)).collect::<Vec<_>>(), [(7, 1)]);
        assert_eq!(plan.free.iter().map(|p| p.root.pid).collect::<Vec<_>>(), [4]);
        assert!(plan.stop_suffices && plan.way.command.is_some());
    }
}
