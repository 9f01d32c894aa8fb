//! What the findings and the gaps come to: one verdict, its counts, and the exit code.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity};

/// Whether CRIU will be able to dump the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Something is in the way that no option lifts.
    Blocked,
    /// Options that the profile does not pass lift all that is in the way.
    ReadyWithOptions,
    /// Nothing was found, but what could not be read may hide something.
    Unknown,
    /// Nothing is in the way.
    Ready,
}

impl Verdict {
    /// The verdict on these findings. `hidden`: whether a gap may hide one that decides.
    ///
    /// A proven finding beats a gap; what is only possible never decides.
    #[must_use]
    pub fn of(findings: &[Finding], hidden: bool) -> Self {
        match findings.iter().filter(|finding| finding.decides()).map(|finding| finding.severity).min() {
            Some(Severity::Blocks) => Self::Blocked,
            Some(_) => Self::ReadyWithOptions,
            None if hidden => Self::Unknown,
            None => Self::Ready,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blocked => "blocked",
            Self::ReadyWithOptions => "ready-with-options",
            Self::Unknown => "unknown",
            Self::Ready => "ready",
        })
    }
}

/// How many findings there are of each kind, and how many gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// `blocks`, but for the possible ones.
    pub blocks: usize,
    /// `needs-option`, but for the possible ones.
    pub needs_option: usize,
    /// `blocks` and `needs-option` that are only possible.
    pub possible: usize,
    /// `restore-risk`.
    pub restore_risk: usize,
    /// `info`.
    pub info: usize,
    /// What could not be read.
    pub gaps: usize,
    /// Gaps that may hide something that decides.
    pub hiding_gaps: usize,
}

impl Counts {
    /// Counts the findings; the gaps are the caller's to fill in.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            *match (finding.severity, finding.decides()) {
                (Severity::Blocks, true) => &mut counts.blocks,
                (Severity::NeedsOption, true) => &mut counts.needs_option,
                (Severity::Blocks | Severity::NeedsOption, false) => &mut counts.possible,
                (Severity::RestoreRisk, _) => &mut counts.restore_risk,
                (Severity::Info, _) => &mut counts.info,
            } += 1;
        }
        counts
    }
}

/// From which severity on a finding makes the exit code 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailOn {
    /// Only what no option lifts.
    Blocks,
    /// Also what an option would lift.
    #[default]
    NeedsOption,
    /// Also what endangers the restore.
    RestoreRisk,
    /// Nothing.
    Never,
}

impl FailOn {
    /// The exit code: 1 for a finding at the threshold, 2 when a gap may hide one that decides, else 0.
    ///
    /// A finding beats a gap, also one that `Never` forgives.
    #[must_use]
    pub fn exit_code(self, counts: &Counts) -> u8 {
        let needs_option = counts.blocks + counts.needs_option;
        let at_threshold = match self {
            Self::Blocks => counts.blocks,
            Self::NeedsOption | Self::Never => needs_option,
            Self::RestoreRisk => needs_option + counts.restore_risk,
        };
        match (at_threshold, counts.hiding_gaps) {
            (1.., _) => u8::from(self != Self::Never),
            (0, 1..) => 2,
            (0, 0) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Confidence, Subject};

    fn finding(severity: Severity, confidence: Confidence) -> Finding {
        Finding {
            rule: "r".into(),
            severity,
            confidence,
            subject: Subject::host("criu"),
            what: String::new(),
            why: String::new(),
            fix: String::new(),
            printed: crate::rules::Printed::default(),
            first_hit: false,
            lifted_by: Vec::new(),
            seen: None,
        }
    }

    #[test]
    fn the_worst_finding_decides_and_beats_a_gap() {
        let blocks = finding(Severity::Blocks, Confidence::Likely);
        let option = finding(Severity::NeedsOption, Confidence::Certain);
        assert_eq!(Verdict::of(&[option.clone(), blocks], true), Verdict::Blocked);
        assert_eq!(Verdict::of(&[option], true), Verdict::ReadyWithOptions);
    }

    #[test]
    fn risks_and_what_is_only_possible_never_decide() {
        let harmless = [
            finding(Severity::Blocks, Confidence::Possible),
            finding(Severity::RestoreRisk, Confidence::Certain),
            finding(Severity::Info, Confidence::Certain),
        ];
        assert_eq!(Verdict::of(&harmless, false), Verdict::Ready);
        assert_eq!(Verdict::of(&harmless, true), Verdict::Unknown);
        let counts = Counts::of(&harmless);
        assert_eq!((counts.blocks, counts.possible, counts.restore_risk, counts.info), (0, 1, 1, 1));
        assert_eq!(FailOn::NeedsOption.exit_code(&counts), 0);
        assert_eq!(FailOn::RestoreRisk.exit_code(&counts), 1);
    }

    #[test]
    fn exit_code_follows_the_threshold_and_says_2_for_what_was_not_seen() {
        let blocked = Counts { blocks: 1, hiding_gaps: 1, gaps: 1, ..Counts::default() };
        let option = Counts { needs_option: 1, ..Counts::default() };
        let unseen = Counts { hiding_gaps: 1, gaps: 1, ..Counts::default() };
        let codes = |counts: &Counts| {
            [FailOn::Blocks, FailOn::NeedsOption, FailOn::RestoreRisk, FailOn::Never].map(|f| f.exit_code(counts))
        };
        assert_eq!(codes(&blocked), [1, 1, 1, 0]);
        assert_eq!(codes(&option), [0, 1, 1, 0]);
        assert_eq!(codes(&Counts { hiding_gaps: 1, ..option }), [2, 1, 1, 0]);
        assert_eq!(codes(&unseen), [2, 2, 2, 2]);
        assert_eq!(codes(&Counts::default()), [0, 0, 0, 0]);
    }
}
