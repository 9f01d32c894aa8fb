//! Findings of a busy target that was looked at many times.
//!
//! What every look met decides as ever. What comes and goes decides by its rule: CRIU looks once, so it most likely
//! meets some of a kind that most looks met, and most likely meets none of a kind that few did, which is only possible.
//! Rules that are each met seldom may still have most looks together: then CRIU most likely meets one of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::RuleSet;
use crate::facts::Pid;
use crate::finding::{Confidence, Finding, Seen};
use crate::text::RawText;

/// A process by its id and start time.
pub(super) type Life = (Pid, u64);

/// What a finding is about, without the values that change while it stays the same.
type Key = (String, Option<Life>, Option<i32>, Option<(u64, u64)>, Option<u64>, Option<RawText>);

/// What the passing findings of two looks must have in common to be counted as one. A process that is there all the
/// time is known by its id, others by their name; and one descriptor is as good as another.
type Kind = (String, Option<Life>, Option<RawText>, bool, Option<u64>);

/// The findings of all looks as one list. `settled` are the processes that all looks met.
pub(super) fn merge(looks: Vec<Vec<Finding>>, settled: &HashSet<Life>, set: &RuleSet) -> Vec<Finding> {
    let all = looks.len();
    let deciding = deciding_rules(&looks);
    let mut met = HashMap::<Key, usize>::new();
    for look in &looks {
        let keys: HashSet<Key> = look.iter().map(key).collect();
        keys.into_iter().for_each(|key| *met.entry(key).or_default() += 1);
    }
    let mut lasting = Vec::new();
    let mut passing = BTreeMap::<(Kind, usize), (Finding, usize)>::new();
    for (number, look) in looks.into_iter().enumerate() {
        let (stays, passes) = look.into_iter().partition::<Vec<_>, _>(|finding| met.get(&key(finding)) == Some(&all));
        if number == 0 {
            lasting = stays;
        }
        // Two of a kind in one look are two findings: they are counted each with the same one of other looks.
        let mut of_kind = HashMap::<Kind, usize>::new();
        for finding in passes.into_iter().filter(|finding| !set.is_lasting(&finding.rule)) {
            let kind = kind(&finding, settled);
            let nth = of_kind.entry(kind.clone()).or_default();
            let said = passing.entry((kind, *nth)).or_insert_with(|| (finding.clone(), 0));
            said.1 += 1;
            if !said.0.decides() && finding.decides() {
                said.0 = finding;
            }
            *nth += 1;
        }
    }
    let said = passing.into_values().map(|(finding, looks)| {
        let seen = Seen { looks, of: all };
        let confidence = if deciding.contains(&finding.rule) { finding.confidence } else { Confidence::Possible };
        Finding { confidence, what: format!("{} ({seen})", finding.what), seen: Some(seen), ..finding }
    });
    lasting.into_iter().chain(said).collect()
}

/// Rules of which most looks met something that decides, and those that did so only together.
fn deciding_rules(looks: &[Vec<Finding>]) -> BTreeSet<String> {
    let mut by_rule = BTreeMap::<&String, BTreeSet<usize>>::new();
    for (number, look) in looks.iter().enumerate() {
        for finding in look.iter().filter(|finding| finding.decides()) {
            by_rule.entry(&finding.rule).or_default().insert(number);
        }
    }
    let most = |met: &BTreeSet<usize>| met.len() * 2 > looks.len();
    let (mut deciding, seldom) = by_rule.into_iter().partition::<Vec<_>, _>(|(_, met)| most(met));
    if most(&seldom.iter().flat_map(|(_, met)| met).copied().collect()) {
        deciding.extend(seldom);
    }
    deciding.into_iter().map(|(rule, _)| rule.clone()).collect()
}

fn life(finding: &Finding) -> Option<Life> {
    Some((finding.subject.pid?, finding.subject.start_time.unwrap_or_default()))
}

fn key(finding: &Finding) -> Key {
    let subject = &finding.subject;
    (finding.rule.clone(), life(finding), subject.fd, subject.range, subject.mount_id, subject.path.clone())
}

/// Whether two looks met the same.
pub(super) fn are_same(one: &Finding, other: &Finding) -> bool {
    key(one) == key(other)
}

fn kind(finding: &Finding, settled: &HashSet<Life>) -> Kind {
    let subject = &finding.subject;
    let life = life(finding).filter(|life| settled.contains(life));
    let name = if life.is_some() { None } else { subject.comm.clone().or_else(|| subject.path.clone()) };
    (finding.rule.clone(), life, name, subject.fd.is_some(), subject.mount_id)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{child, facts, fd, holder, process, profile};
    use crate::assess::{Assessment, assess};
    use crate::facts::{Area, Facts, Fd, Gap, Process};
    use crate::finding::{Seen, Severity};
    use crate::rules::RuleSet;
    use crate::verdict::Verdict;

    fn judged(mut looks: Vec<Facts>) -> Assessment {
        let mut first = looks.remove(0);
        first.looks = looks;
        assess(&first, &profile("4.2", &[]), &RuleSet::built_in().unwrap())
    }

    /// One process whose open files are these, look by look.
    fn holding(looks: &[&[Fd]]) -> Assessment {
        judged(looks.iter().map(|fds| facts(vec![holder(9, fds.to_vec())])).collect())
    }

    /// Whether each finding decides, and how often it was seen.
    fn said(assessment: &Assessment) -> Vec<(bool, Option<usize>)> {
        let looks = |seen: Seen| seen.looks;
        let of_dump = assessment.findings.iter().filter(|finding| finding.severity <= Severity::NeedsOption);
        of_dump.map(|finding| (finding.decides(), finding.seen.map(looks))).collect()
    }

    fn bad(number: i32) -> Fd {
        fd(number, "anon_inode:[some-new-kind]")
    }

    #[test]
    fn what_every_look_meets_decides_as_if_it_had_been_the_only_one() {
        let always = holding(&[&[bad(3)], &[bad(3)], &[bad(3), bad(4)]]);
        assert_eq!((always.verdict, said(&always)), (Verdict::Blocked, vec![(true, None), (true, Some(1))]));
        assert!(!always.findings[0].what.contains("looks"));
    }

    #[test]
    fn what_most_looks_meet_decides_and_what_few_meet_is_possible() {
        for (looks, verdict) in [
            ([&[bad(3)][..], &[bad(4)], &[]], Verdict::Blocked),
            ([&[bad(3)], &[], &[]], Verdict::Ready),
            ([&[], &[], &[bad(3)]], Verdict::Ready),
        ] {
            let met = looks.iter().filter(|fds| !fds.is_empty()).count();
            let judged = holding(&looks);
            assert_eq!((judged.verdict, said(&judged)), (verdict, vec![(verdict == Verdict::Blocked, Some(met))]));
            assert!(judged.findings[0].what.ends_with(&format!("(seen in {met} of 3 looks)")));
            assert!(judged.first_ready.is_some() == (verdict == Verdict::Ready));
        }
    }

    #[test]
    fn half_of_the_looks_are_not_most() {
        assert_eq!(holding(&[&[bad(3)], &[]]).verdict, Verdict::Ready);
    }

    #[test]
    fn two_of_one_look_are_two_findings() {
        let two = holding(&[&[bad(3), bad(4)], &[bad(5)], &[]]);
        assert_eq!(said(&two), [(true, Some(2)), (true, Some(1))]);
    }

    #[test]
    fn rules_that_are_seldom_met_decide_when_most_looks_met_one_of_them() {
        let pidfd = || fd(4, "pipe:[5]");
        let packets = Fd { flags: Some(0o40001), ..pidfd() };
        let together = holding(&[&[bad(3)], &[packets], &[], &[bad(3)], &[]]);
        assert_eq!((together.verdict, said(&together)), (Verdict::Blocked, vec![(true, Some(2)), (true, Some(1))]));
    }

    #[test]
    fn processes_that_come_and_go_are_known_by_their_name() {
        let look =
            |pid| facts(vec![process(9), Process { comm: "worker".into(), ppid: 9, ..holder(pid, vec![bad(3)]) }]);
        assert_eq!(said(&judged(vec![look(20), look(21), look(22)])), [(true, Some(3))]);
    }

    #[test]
    fn what_matters_only_while_it_lasts_must_be_met_by_every_look() {
        let sharing = |pid| Process { shares: vec![("vm".to_owned(), 9)], ..child(pid, 9) };
        let vfork = |pid| facts(vec![process(9), sharing(pid)]);
        assert_eq!(said(&judged(vec![vfork(20), vfork(21), vfork(22)])), []);
        assert_eq!(judged(vec![vfork(20), vfork(20), vfork(20)]).verdict, Verdict::Blocked);
    }

    #[test]
    fn a_gap_that_few_looks_had_hides_nothing() {
        let gap = Gap { area: Area::Fds, pid: Some(20), path: "/proc/20/fd".into(), reason: "odd".into() };
        let look = |gaps: &[Gap]| Facts { gaps: gaps.to_vec(), ..facts(vec![process(9)]) };
        let with = look(std::slice::from_ref(&gap));
        let seldom = judged(vec![with.clone(), look(&[]), look(&[])]);
        assert_eq!((seldom.verdict, seldom.gaps.len()), (Verdict::Ready, 0));
        assert_eq!(judged(vec![look(&[]), with.clone(), with]).verdict, Verdict::Unknown);
    }

    #[test]
    fn one_gap_stands_for_those_that_other_processes_had_in_other_looks() {
        let gap = |pid, file: &str| Gap {
            area: Area::Fds,
            pid: Some(pid),
            path: format!("/proc/{pid}/{file}").as_str().into(),
            reason: "odd".into(),
        };
        let look = |gaps: &[Gap]| Facts { gaps: gaps.to_vec(), ..facts(vec![process(9)]) };
        let paths = |assessment: Assessment| -> Vec<String> {
            assessment.gaps.iter().map(|gap| gap.gap.path.to_string()).collect()
        };
        let passing = [look(&[gap(20, "fd/3")]), look(&[gap(21, "fd/3"), gap(22, "fd/3")]), look(&[])];
        assert_eq!(paths(judged(passing.to_vec())), ["/proc/20/fd/3"]);
        let unlike = [look(&[gap(20, "fd/3")]), look(&[gap(21, "fd/4")]), look(&[])];
        assert!(paths(judged(unlike.to_vec())).is_empty());
        let lasting = look(&[gap(20, "fd/3"), gap(21, "fd/3")]);
        assert_eq!(paths(judged(vec![lasting.clone(), lasting])), ["/proc/20/fd/3", "/proc/21/fd/3"]);
    }
}
