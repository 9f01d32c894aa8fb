//! When a dump did what was predicted: the one definition, by which the live tests judge as well.

use regex::Regex;
use serde::Serialize;

use crate::criu::log::Decisive;
use crate::criu::run::Outcome;
use crate::facts::Pid;
use crate::finding::{Confidence, Finding, Severity};
use crate::rules::Phase;
use crate::verdict::Verdict;

/// A finding, as far as it predicts what a dump does.
pub trait Predicted {
    /// Id of its rule.
    fn rule(&self) -> &str;
    /// Whether it says that the dump fails, be it only possible.
    fn is_in_the_way(&self) -> bool;
    /// Whether it says so only of some dumps.
    fn is_possible(&self) -> bool;
    /// What CRIU prints, as a regular expression.
    fn error(&self) -> &str;
    /// When it prints that.
    fn phase(&self) -> Option<Phase>;
    /// Whether CRIU is to stop at it first.
    fn is_first_hit(&self) -> bool;
    /// Process and descriptor that it names.
    fn holder(&self) -> (Option<Pid>, Option<i32>);
}

impl Predicted for Finding {
    fn rule(&self) -> &str {
        &self.rule
    }

    fn is_in_the_way(&self) -> bool {
        self.severity <= Severity::NeedsOption
    }

    fn phase(&self) -> Option<Phase> {
        self.printed.phase
    }

    fn is_first_hit(&self) -> bool {
        self.first_hit
    }

    fn is_possible(&self) -> bool {
        self.confidence == Confidence::Possible
    }

    fn error(&self) -> &str {
        &self.printed.pattern
    }

    fn holder(&self) -> (Option<Pid>, Option<i32>) {
        (self.subject.pid, self.subject.fd)
    }
}

/// What prediction and reality come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// It was to be dumped, and was.
    Dumped,
    /// It was to be refused, and was, for what a finding says.
    Refused,
    /// It was to be dumped, and was refused for what a finding says to be possible.
    RefusedAsPossible,
    /// It was to be refused, and was, for what no finding says.
    OtherCause,
    /// It was to be refused, and was dumped.
    DumpedNevertheless,
    /// It was to be dumped, and was refused.
    RefusedNevertheless,
    /// The lint did not say what would happen.
    NoPrediction,
}

impl Agreement {
    /// Whether reality was as predicted.
    #[must_use]
    pub fn holds(self) -> bool {
        matches!(self, Self::Dumped | Self::Refused | Self::RefusedAsPossible)
    }
}

/// What prediction and reality come to, and the finding that says why the dump failed.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a, F> {
    /// Whether they agree.
    pub agreement: Agreement,
    /// The finding that says what CRIU said.
    pub named: Option<&'a F>,
}

/// Compares a verdict and its findings with a dump of the same target.
#[must_use]
pub fn compare<'a, F: Predicted>(verdict: Verdict, findings: &'a [F], outcome: &Outcome) -> Comparison<'a, F> {
    let named = if outcome.dumped { None } else { named_by(findings, outcome) };
    let agreement = match (verdict, outcome.dumped) {
        (Verdict::Unknown, _) => Agreement::NoPrediction,
        (Verdict::Ready, true) => Agreement::Dumped,
        (Verdict::Ready, false) if named.is_some_and(Predicted::is_possible) => Agreement::RefusedAsPossible,
        (Verdict::Ready, false) => Agreement::RefusedNevertheless,
        (Verdict::Blocked | Verdict::ReadyWithOptions, true) => Agreement::DumpedNevertheless,
        (Verdict::Blocked | Verdict::ReadyWithOptions, false) if named.is_some() => Agreement::Refused,
        (Verdict::Blocked | Verdict::ReadyWithOptions, false) => Agreement::OtherCause,
    };
    Comparison { agreement, named }
}

/// The finding that CRIU's log names. Where the log names nothing (a hang, a root that can't be seized), a lone rule.
fn named_by<'a, F: Predicted>(findings: &'a [F], outcome: &Outcome) -> Option<&'a F> {
    match &outcome.cause {
        Some(cause) if !outcome.hung => naming(findings, cause),
        _ => lone_rule(findings),
    }
}

/// The finding that says what CRIU said: if several do, that of the process and descriptor that CRIU was at.
#[must_use]
pub fn naming<'a, F: Predicted>(findings: &'a [F], cause: &Decisive) -> Option<&'a F> {
    let says = |finding: &&F| {
        let matches = || Regex::new(&format!("^(?:{})$", finding.error())).is_ok_and(|it| it.is_match(&cause.message));
        finding.is_in_the_way() && !finding.error().is_empty() && matches()
    };
    let at = |finding: &&F| {
        let (pid, fd) = finding.holder();
        let is_here = finding.phase().is_some_and(Phase::is_of_one_process) && pid == cause.pid;
        let at_fd = if finding.phase() == Some(Phase::Files) { cause.fd } else { None };
        let is_fd = is_here && fd.is_some() && fd == at_fd;
        (is_fd, is_here && (fd.is_none() || at_fd.is_none()), finding.is_first_hit())
    };
    // Of equals the last one is taken: that is the first of the findings.
    findings.iter().rev().filter(says).max_by_key(at)
}

fn lone_rule<F: Predicted>(findings: &[F]) -> Option<&F> {
    let mut in_the_way = findings.iter().filter(|finding| finding.is_in_the_way());
    let first = in_the_way.next()?;
    in_the_way.all(|other| other.rule() == first.rule()).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Said(&'static str, Severity, Confidence, &'static str, Pid);

    impl Predicted for Said {
        fn phase(&self) -> Option<Phase> {
            Some(Phase::Files)
        }

        fn is_first_hit(&self) -> bool {
            false
        }

        fn rule(&self) -> &str {
            self.0
        }

        fn is_in_the_way(&self) -> bool {
            self.1 <= Severity::NeedsOption
        }

        fn is_possible(&self) -> bool {
            self.2 == Confidence::Possible
        }

        fn error(&self) -> &str {
            self.3
        }

        fn holder(&self) -> (Option<Pid>, Option<i32>) {
            (Some(self.4), None)
        }
    }

    const LOCK: Said = Said("lock", Severity::NeedsOption, Confidence::Certain, "1 file locks? found", 7);
    const LOCK_TOO: Said = Said("lock", Severity::NeedsOption, Confidence::Certain, "1 file locks? found", 8);
    const TIMER: Said = Said("timer", Severity::Blocks, Confidence::Possible, "posix timers?", 7);
    const RISK: Said = Said("risk", Severity::RestoreRisk, Confidence::Certain, ".*", 7);

    fn refused(message: &str) -> Outcome {
        let cause = Decisive { message: message.to_owned(), pid: Some(8), fd: Some(3) };
        Outcome { cause: Some(cause), ..Outcome::default() }
    }

    fn said(verdict: Verdict, findings: &[Said], outcome: &Outcome) -> (Agreement, Option<(&'static str, Pid)>) {
        let found = compare(verdict, findings, outcome);
        (found.agreement, found.named.map(|finding| (finding.0, finding.4)))
    }

    #[test]
    fn a_refusal_has_to_be_for_what_a_finding_says() {
        let found = [RISK, TIMER, LOCK, LOCK_TOO];
        let lock = Some(("lock", 8));
        assert_eq!(said(Verdict::ReadyWithOptions, &found, &refused("1 file lock found")), (Agreement::Refused, lock));
        assert_eq!(said(Verdict::Blocked, &found, &refused("something else")), (Agreement::OtherCause, None));
        let dumped = Outcome { dumped: true, ..Outcome::default() };
        assert_eq!(said(Verdict::Blocked, &found, &dumped), (Agreement::DumpedNevertheless, None));
    }

    #[test]
    fn what_is_only_possible_may_happen_or_not() {
        let (dumped, timer) = (Outcome { dumped: true, ..Outcome::default() }, Some(("timer", 7)));
        assert_eq!(said(Verdict::Ready, &[TIMER], &dumped), (Agreement::Dumped, None));
        assert_eq!(said(Verdict::Ready, &[TIMER], &refused("posix timers")), (Agreement::RefusedAsPossible, timer));
        assert_eq!(said(Verdict::Ready, &[TIMER], &refused("other")), (Agreement::RefusedNevertheless, None));
        assert_eq!(said(Verdict::Unknown, &[TIMER], &dumped), (Agreement::NoPrediction, None));
    }

    #[test]
    fn a_dump_that_says_nothing_is_as_predicted_by_a_lone_rule() {
        let hung = Outcome { hung: true, ..refused("the last line") };
        for silent in [hung, Outcome::default()] {
            assert_eq!(said(Verdict::Blocked, &[LOCK, LOCK_TOO], &silent).0, Agreement::Refused);
            assert_eq!(said(Verdict::Blocked, &[LOCK, TIMER], &silent).0, Agreement::OtherCause);
        }
    }
}
