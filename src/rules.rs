//! Rules: what we know of CRIU, as data. One file each under `rules/AREA/ID.toml`, embedded in the program.
//!
//! A rule names a matcher and its parameters, what CRIU does with the matched thing and in which releases, which
//! options lift it, and how to say that to a person.

use serde::{Deserialize, Serialize};

use crate::finding::{Confidence, Severity};
use crate::version::Version;

mod blind;
mod connections;
mod dated;
mod judge;
mod kernel;
mod load;
mod looks;
pub mod matchers;
mod mounts;
mod terminals;
#[cfg(test)]
pub(crate) mod testing;
mod view;

pub use blind::{Blind, BlindText};
pub use dated::Dated;
pub use judge::judge;
pub(crate) use judge::{about_programs, about_resources, is_always_blocked};
pub use kernel::KernelRange;
pub use load::{RuleError, RuleSet};
pub(crate) use terminals::tty_number;
pub use view::{Index, View};

/// One rule file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Kebab-case, names the pattern and not the fix. The file's name.
    pub id: String,
    /// A few words: what is in the way.
    pub title: String,
    /// How bad it is where it fires and nothing lifts it.
    pub severity: Severity,
    /// The directory it lies in.
    #[serde(skip)]
    pub area: String,
    /// What it looks for.
    #[serde(rename = "match")]
    pub matcher: matchers::Matcher,
    /// What CRIU does; nothing of its own for a rule about programs.
    #[serde(default)]
    pub criu: CriuBehaviour,
    /// Options that lift it, best first.
    #[serde(default)]
    pub lift: Vec<Lift>,
    /// How to say it.
    pub text: Text,
}

/// What CRIU does with what a rule matches, and in which releases.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CriuBehaviour {
    /// What it prints: a regular expression for the decisive line of a dump log, with `{placeholders}` of the subject.
    pub error: String,
    /// File and function that refuse: `criu/sk-inet.c: can_dump_inet_sk`.
    pub source: String,
    /// First release that refuses; absent: all of them.
    pub refused_since: Option<Version>,
    /// First release that dumps it; absent: none.
    pub dumpable_since: Option<Version>,
    /// Kernels on which it is refused, such as `>=6.16`; absent: all.
    pub kernel: Option<KernelRange>,
    /// Feature by which a build between releases can tell that it dumps this (`--criu-feature`).
    pub feature: Option<String>,
    /// Features of a build with which it may dump: then it is only possible that it is refused.
    #[serde(default)]
    pub perhaps_with: Vec<String>,
    /// It is refused only if it lasts: of a busy target, what not every look met is passed over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lasting: bool,
    /// How sure the rule is for releases without a recorded run.
    #[serde(default)]
    pub confidence: Confidence,
}

/// An option that lifts a finding.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// Long name as CRIU spells it, without dashes.
    pub option: String,
    /// Value with `{placeholders}` of the subject, for options that take one: `unix[{inode}]`. The option does not
    /// lift a subject that has no such value.
    pub value: Option<String>,
    /// The option lifts only subjects that have this value.
    pub only_with: Option<String>,
    /// First release that has the option; absent: all that rules know of.
    pub since: Option<Version>,
    /// What is lost by it, for options that lose something.
    pub loses: Option<String>,
}

/// How a rule speaks. `what` may use `{placeholders}` of its subjects.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// One line: who holds what.
    pub what: String,
    /// The same of no process in particular, for `ckpt-lint host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Why CRIU refuses it.
    pub why: String,
    /// What to do about it, besides the options. Says "try" where the effect was not seen.
    pub fix: String,
}
