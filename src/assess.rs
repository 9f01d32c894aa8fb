//! Facts, profile and rules in; findings, verdict and plan out.

use serde::Serialize;

use crate::facts::{Area, Facts, Gap};
use crate::finding::{Confidence, Finding, Severity};
use crate::plan::{self, Plan};
use crate::profile::{Profile, RELEASES};
use crate::rules::{Index, Rule, RuleSet, about_resources, is_always_blocked, judge};
use crate::verdict::{Counts, Verdict};
use crate::version::Version;

/// All that is said of a target under a profile.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// What the rules found, ordered by severity, rule and subject.
    pub findings: Vec<Finding>,
    /// What could not be read, sorted, each with what it may hide.
    pub gaps: Vec<GapReport>,
    /// Whether CRIU will be able to dump the target.
    pub verdict: Verdict,
    /// How many findings of each kind, how many gaps.
    pub counts: Counts,
    /// First known release of an ideal criu with which this target is ready under the same options.
    pub first_ready: Option<Version>,
    /// The same when the options that it needs are added.
    pub first_ready_with_options: Option<Version>,
    /// What to do to make it pass.
    pub plan: Plan,
}

/// A gap and what it may hide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapReport {
    /// What could not be read.
    #[serde(flatten)]
    pub gap: Gap,
    /// Ids of the rules that look at what is missing and apply under the profile, sorted.
    pub hides: Vec<String>,
    /// Whether one of them could decide the verdict.
    pub decides: bool,
}

/// Judges the facts under the profile, and again per release and with options added.
#[must_use]
pub fn assess(facts: &Facts, profile: &Profile, rules: &RuleSet) -> Assessment {
    let case = Case { facts, index: &Index::new(facts), rules };
    let findings = judge(facts, case.index, profile, rules);
    let gaps = case.gaps(profile);
    let hiding = gaps.iter().filter(|report| report.decides).count();
    let (first_ready, first_ready_with_options) = case.first_ready(profile);
    Assessment {
        verdict: Verdict::of(&findings, hiding > 0),
        counts: Counts { gaps: gaps.len(), hiding_gaps: hiding, ..Counts::of(&findings) },
        first_ready,
        first_ready_with_options,
        plan: if facts.is_of_host_only() { Plan::default() } else { plan::make(case, profile) },
        gaps,
        findings,
    }
}

/// Facts with their look-ups, and the rules: what stays the same while profiles are tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) index: &'a Index<'a>,
    pub(crate) rules: &'a RuleSet,
}

impl<'a> Case<'a> {
    /// What decides under the profile, in the order of the rules.
    pub(crate) fn deciding(self, profile: &'a Profile) -> impl Iterator<Item = Finding> + use<'a> {
        about_resources(self.facts, self.index, profile, self.rules).filter(Finding::decides)
    }

    /// The verdict under the profile; `ReadyWithOptions` only after it was judged again with the options added.
    pub(crate) fn outlook(self, profile: &Profile) -> Verdict {
        if !self.index.looks.is_empty() && is_always_blocked(self.facts, self.index, profile, self.rules) {
            return Verdict::Blocked;
        }
        let mut needs_option = false;
        for finding in self.deciding(profile) {
            if finding.severity == Severity::Blocks {
                return Verdict::Blocked;
            }
            needs_option = true;
        }
        if self.is_hidden(profile) {
            return Verdict::Unknown;
        }
        if !needs_option {
            return Verdict::Ready;
        }
        let (with_options, _) = plan::with_needed_options(self, profile);
        if self.deciding(&with_options).next().is_none() { Verdict::ReadyWithOptions } else { Verdict::Blocked }
    }

    /// The first releases of an ideal criu that dump the target: with the options in effect, and with those added that
    /// it needs.
    fn first_ready(self, profile: &Profile) -> (Option<Version>, Option<Version>) {
        let mut with_options = None;
        for release in RELEASES.into_iter().filter(|release| profile.is_understood_by(*release)) {
            match self.outlook(&profile.with_release(release)) {
                Verdict::Ready => return (Some(release), with_options.or(Some(release))),
                Verdict::ReadyWithOptions => with_options = with_options.or(Some(release)),
                Verdict::Blocked | Verdict::Unknown => {}
            }
        }
        (None, with_options)
    }

    fn is_hidden(self, profile: &Profile) -> bool {
        self.gaps(profile).iter().any(|report| report.decides)
    }

    fn gaps(self, profile: &Profile) -> Vec<GapReport> {
        self.index.gaps.iter().map(|gap| self.gap_report(gap, profile)).collect()
    }

    fn gap_report(self, gap: &Gap, profile: &Profile) -> GapReport {
        if gap.area == Area::Criu && profile.criu.version.is_none() {
            let hides = self.fired_under_some_release(profile);
            return GapReport { gap: gap.clone(), decides: !hides.is_empty(), hides };
        }
        let is_ideal = profile.caller.is_none();
        let looks = |rule: &&Rule| rule.matcher.needs().contains(&gap.area) && rule.applies(profile);
        let hidden: Vec<&Rule> = match gap.area {
            Area::Criu if is_ideal => Vec::new(),
            _ => self.rules.rules.iter().filter(|rule| !rule.matcher.is_about_programs()).filter(looks).collect(),
        };
        GapReport {
            gap: gap.clone(),
            decides: hidden.iter().any(|rule| self.could_decide(rule, profile)),
            hides: hidden.iter().map(|rule| rule.id.clone()).collect(),
        }
    }

    /// With the release unknown, all that some release would refuse here may be hidden.
    fn fired_under_some_release(self, profile: &Profile) -> Vec<String> {
        let mut fired = Vec::new();
        for release in RELEASES {
            fired.extend(self.deciding(&profile.with_release(release)).map(|finding| finding.rule));
        }
        fired.sort();
        fired.dedup();
        fired
    }

    /// Whether a finding of the rule, of which nothing is known but that it may exist, could decide.
    fn could_decide(self, rule: &Rule, profile: &Profile) -> bool {
        let sure = rule.criu.confidence != Confidence::Possible;
        let lifted = rule.lift.iter().any(|lift| lift.value.is_none() && profile.has(&lift.option, None));
        rule.severity <= Severity::NeedsOption && sure && !lifted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fd;
    use crate::rules::testing::{facts, fd, holder, profile};

    /// A set of rules about anon inodes, each with further lines in its `[criu]` and `[[lift]]` parts.
    fn rules(parts: &[(&str, &str, &str)]) -> RuleSet {
        let rule = |&(name, severity, more): &(&str, &str, &str)| {
            let text = format!(
                "id = '{name}'\ntitle = '{name}'\nseverity = '{severity}'\n\
                 match = {{ matcher = 'anon-inode', names = ['[{name}]'] }}\n\
                 text = {{ what = '{{comm}} {{fd}}', why = '', fix = '' }}\n\
                 [criu]\nerror = ''\nsource = ''\n{more}"
            );
            toml::from_str::<Rule>(&text).unwrap()
        };
        RuleSet { rules: parts.iter().map(rule).collect(), ..RuleSet::default() }
    }

    fn anon(number: i32, name: &str) -> Fd {
        fd(number, &format!("anon_inode:[{name}]"))
    }

    fn gap(area: Area) -> Gap {
        Gap { area, pid: Some(9), path: "/proc/9/fd".into(), reason: "not permitted".into() }
    }

    #[test]
    fn the_first_ready_release_is_found_by_judging_the_same_facts_again() {
        let rules = rules(&[("old", "blocks", "dumpable_since = '4.1'"), ("new", "blocks", "dumpable_since = '4.2'")]);
        let tree = facts(vec![holder(9, vec![anon(3, "old"), anon(4, "new")])]);
        let assessment = assess(&tree, &profile("4.0", &[]), &rules);
        assert_eq!((assessment.verdict, assessment.counts.blocks), (Verdict::Blocked, 2));
        assert_eq!(assessment.first_ready, "4.2".parse().ok());
        assert_eq!(assessment.plan.upgrade, "4.2".parse().ok());
        assert!(assessment.plan.suffices);
    }

    #[test]
    fn an_option_in_effect_makes_it_ready_and_a_missing_one_stands_in_the_plan() {
        let rules = rules(&[("pipe", "needs-option", "[[lift]]\noption = 'let-pass'")]);
        let tree = facts(vec![holder(9, vec![anon(3, "pipe")])]);
        let without = assess(&tree, &profile("4.2", &[]), &rules);
        assert_eq!(without.verdict, Verdict::ReadyWithOptions);
        assert_eq!(without.plan.way.command.as_deref(), Some("criu dump --tree 9 --images-dir DIR --let-pass"));
        assert_eq!((without.first_ready, without.first_ready_with_options), (None, "3.0".parse().ok()));
        assert_eq!(assess(&tree, &profile("4.2", &["let-pass"]), &rules).verdict, Verdict::Ready);
    }

    #[test]
    fn a_gap_counts_only_where_it_hides_a_rule_that_could_decide() {
        let mut tree = facts(vec![holder(9, vec![])]);
        tree.gaps = vec![gap(Area::Fds), gap(Area::Mounts)];
        let rules = rules(&[("pipe", "needs-option", "[[lift]]\noption = 'let-pass'"), ("z", "info", "")]);
        let unseen = assess(&tree, &profile("4.2", &[]), &rules);
        assert_eq!((unseen.verdict, unseen.first_ready), (Verdict::Unknown, None));
        assert_eq!(unseen.gaps[0].hides, ["pipe", "z"]);
        assert_eq!((unseen.counts.gaps, unseen.counts.hiding_gaps), (2, 1));
        assert_eq!(assess(&tree, &profile("4.2", &["let-pass"]), &rules).verdict, Verdict::Ready);
    }

    #[test]
    fn an_unread_config_file_may_stop_an_ideal_criu_too() {
        let mut tree = facts(vec![holder(9, vec![])]);
        let built_in = RuleSet::built_in().unwrap();
        assert_eq!(assess(&tree, &profile("4.2", &[]), &built_in).verdict, Verdict::Ready);
        tree.gaps = vec![gap(Area::Config)];
        let unread = assess(&tree, &profile("4.2", &[]), &built_in);
        assert_eq!(
            (unread.verdict, unread.gaps[0].hides.as_slice()),
            (Verdict::Unknown, &["criu-config-refused".to_owned()][..])
        );
    }

    #[test]
    fn a_release_that_does_not_know_an_option_in_effect_is_never_the_first_ready_one() {
        let tree = facts(vec![holder(9, vec![])]);
        let assessment = assess(&tree, &profile("4.2", &["ghost-fiemap"]), &RuleSet::default());
        assert_eq!(assessment.first_ready, "3.18".parse().ok());
    }

    #[test]
    fn a_criu_of_unknown_release_is_judged_by_what_some_release_would_refuse() {
        let rules = rules(&[("old", "blocks", "dumpable_since = '4.1'")]);
        let unknown = |fds| {
            let mut tree = facts(vec![holder(9, fds)]);
            tree.gaps = vec![gap(Area::Criu)];
            let mut profile = profile("4.2", &[]);
            profile.criu.version = None;
            assess(&tree, &profile, &rules).verdict
        };
        assert_eq!(unknown(vec![anon(3, "old")]), Verdict::Unknown);
        assert_eq!(unknown(vec![]), Verdict::Ready);
    }
}
