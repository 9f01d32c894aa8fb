//! What to change in the image or its environment, so that nothing is held that no option lifts.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::assess::Case;
use crate::facts::Pid;
use crate::finding::Finding;
use crate::profile::Profile;
use crate::rules::about_programs;

/// Of how many kinds of findings it is asked whether programs hold them.
const MOST_KINDS: usize = 100;

/// A change to make before the target is started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    /// The rule that says it: one about a program that holds what blocks, or the one about what is held.
    pub rule: String,
    /// Whether it is about a program.
    pub is_program: bool,
    /// How many of the findings that no option lifts it is about.
    pub blockers: usize,
    /// What to do.
    pub how: String,
}

/// Programs first, and those first that hold most; each only if it holds something of `left`, which no option lifts.
pub(super) fn actions(case: Case<'_>, profile: &Profile, left: &[Finding]) -> Vec<Action> {
    let programs = about_programs(case.facts, case.index, profile, case.rules, left);
    let count = |finding: &Finding| finding.subject.value("count").and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut actions: Vec<Action> = programs
        .iter()
        .map(|finding| Action {
            rule: finding.rule.clone(),
            is_program: true,
            blockers: count(finding),
            how: finding.fix.clone(),
        })
        .collect();
    let mut fixes = BTreeMap::<(&str, &str), usize>::new();
    left.iter().for_each(|finding| *fixes.entry((&finding.rule, &finding.fix)).or_default() += 1);
    actions.extend(fixes.into_iter().map(|((rule, fix), blockers)| Action {
        rule: rule.to_owned(),
        is_program: false,
        blockers,
        how: fix.to_owned(),
    }));
    actions.sort_by_key(|action| (!action.is_program, Reverse(action.blockers)));
    actions
}

/// Whether programs hold all of `left`, so that nothing is in the way of a target that runs without that.
pub(super) fn programs_hold_all(case: Case<'_>, profile: &Profile, left: &[Finding]) -> bool {
    let mut kinds = BTreeMap::<(&str, Option<Pid>), &Finding>::new();
    for finding in left {
        kinds.entry((&finding.rule, finding.subject.pid)).or_insert(finding);
    }
    let is_held = |finding: &Finding| {
        let held = std::slice::from_ref(finding);
        !about_programs(case.facts, case.index, profile, case.rules, held).is_empty()
    };
    kinds.len() <= MOST_KINDS && kinds.into_values().all(is_held)
}

#[cfg(test)]
mod tests {
    use crate::assess::assess;
    use crate::facts::{Facts, Process};
    use crate::rules::RuleSet;
    use crate::rules::testing::{facts, fd, holder, profile};

    #[test]
    fn programs_are_enough_only_where_they_hold_all() {
        let enough = |comm, links| {
            let plan = assess(&running(comm, links), &profile("4.2", &[]), &RuleSet::built_in().unwrap()).plan;
            plan.actions_suffice
        };
        assert!(enough("node", &["anon_inode:[io_uring]"]));
        assert!(!enough("node", &["anon_inode:[io_uring]", "anon_inode:[some-new-kind]"]));
    }

    fn told(tree: &Facts) -> Vec<(String, usize, String)> {
        let plan = assess(tree, &profile("4.2", &[]), &RuleSet::built_in().unwrap()).plan;
        plan.actions.into_iter().map(|action| (action.rule, action.blockers, action.how)).collect()
    }

    fn running(comm: &str, links: &[&str]) -> Facts {
        let fds = links.iter().zip(3..).map(|(link, number)| fd(number, link)).collect();
        facts(vec![Process { comm: comm.into(), ..holder(7, fds) }])
    }

    #[test]
    fn a_program_is_told_how_to_do_without_what_blocks_and_only_then() {
        let node = told(&running("node", &["anon_inode:[io_uring]", "anon_inode:[io_uring]"]));
        let rules: Vec<(&str, usize)> = node.iter().map(|(rule, blockers, _)| (rule.as_str(), *blockers)).collect();
        assert_eq!(rules, [("node-io-uring", 2), ("io-uring", 2)]);
        assert!(node[0].2.contains("UV_USE_IO_URING=0"));
        assert_eq!(told(&running("node", &["pipe:[5]"])), []);
        assert!(told(&running("other", &["anon_inode:[io_uring]"])).iter().all(|(rule, ..)| rule == "io-uring"));
    }
}
