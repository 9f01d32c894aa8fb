//! Findings of a busy target that was read twice, a moment apart.
//!
//! What was there both times decides as ever. What was there once comes and goes: CRIU may meet it or not, so it is
//! only possible. Unless its rule also fired the other time: then there is always some of the kind, such as the
//! connections of a busy server, of which each lives for a moment.

use std::collections::{BTreeSet, HashSet};

use crate::facts::Pid;
use crate::finding::{Confidence, Finding};
use crate::text::RawText;

/// What is said of a finding that was there once.
const COMES_AND_GOES: &str = " (comes and goes)";

/// What was found either time, what was there only once marked as such.
pub(super) fn union(first: Vec<Finding>, second: Vec<Finding>) -> Vec<Finding> {
    let (in_first, in_second) = (Seen::new(&first), Seen::new(&second));
    let first = first.into_iter().map(|finding| in_second.compare(finding));
    let new = second.into_iter().filter(|finding| !in_first.has(finding)).map(|finding| in_first.compare(finding));
    first.chain(new).collect()
}

/// What a finding is about, without the values that change while it stays the same.
type Key = (String, Option<Pid>, Option<i32>, Option<(u64, u64)>, Option<u64>, Option<RawText>);

/// What was found at one time.
struct Seen {
    findings: HashSet<Key>,
    deciding_rules: BTreeSet<String>,
}

impl Seen {
    fn new(findings: &[Finding]) -> Self {
        let deciding = findings.iter().filter(|finding| finding.decides());
        Self {
            findings: findings.iter().map(key).collect(),
            deciding_rules: deciding.map(|finding| finding.rule.clone()).collect(),
        }
    }

    fn has(&self, finding: &Finding) -> bool {
        self.findings.contains(&key(finding))
    }

    /// The finding of the other time, as it is to be said.
    fn compare(&self, finding: Finding) -> Finding {
        if self.has(&finding) {
            return finding;
        }
        let confidence =
            if self.deciding_rules.contains(&finding.rule) { finding.confidence } else { Confidence::Possible };
        Finding { confidence, transient: true, what: finding.what + COMES_AND_GOES, ..finding }
    }
}

fn key(finding: &Finding) -> Key {
    let subject = &finding.subject;
    (finding.rule.clone(), subject.pid, subject.fd, subject.range, subject.mount_id, subject.path.clone())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{facts, fd, holder, profile};
    use crate::assess::{Assessment, assess};
    use crate::facts::{Facts, Fd};
    use crate::rules::RuleSet;
    use crate::verdict::Verdict;

    fn read_twice(first: Vec<Fd>, second: Vec<Fd>) -> Assessment {
        let later = Some(Box::new(facts(vec![holder(9, second)])));
        let tree = Facts { later, ..facts(vec![holder(9, first)]) };
        assess(&tree, &profile("4.2", &[]), &RuleSet::built_in().unwrap())
    }

    fn said(assessment: &Assessment) -> Vec<(bool, bool)> {
        assessment.findings.iter().map(|finding| (finding.decides(), finding.transient)).collect()
    }

    fn bad(number: i32) -> Fd {
        fd(number, "anon_inode:[some-new-kind]")
    }

    #[test]
    fn what_is_there_both_times_decides() {
        let both = read_twice(vec![bad(3)], vec![bad(3)]);
        assert_eq!((both.verdict, said(&both)), (Verdict::Blocked, vec![(true, false)]));
    }

    #[test]
    fn what_is_there_once_is_possible_and_said_to_come_and_go() {
        for (first, second) in [(vec![bad(3)], vec![]), (vec![], vec![bad(3)])] {
            let once = read_twice(first, second);
            assert_eq!((once.verdict, said(&once)), (Verdict::Ready, vec![(false, true)]));
            assert_eq!((once.counts.possible, once.first_ready.is_some()), (1, true));
            assert!(once.findings[0].what.ends_with("(comes and goes)"));
        }
    }

    #[test]
    fn one_of_a_kind_at_any_time_decides_although_each_comes_and_goes() {
        let always = read_twice(vec![bad(3)], vec![bad(4)]);
        assert_eq!((always.verdict, said(&always)), (Verdict::Blocked, vec![(true, true), (true, true)]));
    }
}
