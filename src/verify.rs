//! Prediction and reality side by side: what a lint said of a target, and what a real dump of it then did.

use regex::Regex;

use crate::criu::run::{Dump, Outcome};
use crate::finding::Finding;
use crate::report::Report;
use crate::rules::Blind;

mod afterwards;
mod agreement;
mod command;
mod place;
mod refusal;

pub use afterwards::Afterwards;
pub use agreement::{Agreement, Comparison, Predicted, compare, naming};
pub use command::{Intended, intended};
pub use place::{Interrupts, Place};
pub use refusal::check;

/// A prediction, the dump, and what they come to.
#[derive(Clone, Debug)]
pub struct Verification<'a> {
    /// What the lint said.
    pub report: Report<'a>,
    /// What was run.
    pub dump: &'a Dump,
    /// What it did.
    pub outcome: &'a Outcome,
    /// Whether that is what was predicted.
    pub comparison: Comparison<'a, Finding>,
    /// How the root process is after it.
    pub afterwards: Afterwards,
    /// Where this dump is not quite the one that the engine would make.
    pub remarks: &'a [String],
}

impl<'a> Verification<'a> {
    /// 0: as predicted, 1: not so, 2: nothing was predicted.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.comparison.agreement {
            agreement if agreement.holds() => 0,
            Agreement::NoPrediction => 2,
            _ => 1,
        }
    }

    /// The finding by which the dump is predicted to fail.
    #[must_use]
    pub fn first_hit(&self) -> Option<&'a Finding> {
        self.report.assessment.findings.iter().find(|finding| finding.first_hit && finding.decides())
    }

    /// What can't be seen and CRIU refuses with the words that no finding says.
    #[must_use]
    pub fn blind_spot(&self) -> Option<&'a Blind> {
        let cause = self.outcome.cause.as_ref().filter(|_| self.comparison.named.is_none())?;
        let says =
            |blind: &&Blind| Regex::new(&blind.criu.error.pattern()).is_ok_and(|error| error.is_match(&cause.message));
        self.report.rules.blind.iter().find(says)
    }
}
