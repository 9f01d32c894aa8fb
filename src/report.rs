//! Reports: all that is said of a target, and the forms it is said in. One form, one file; nothing here judges.

use crate::assess::Assessment;
use crate::facts::Facts;
use crate::profile::Profile;
use crate::rules::RuleSet;

pub mod blind;
mod changes;
pub mod human;
pub mod json;
pub mod rules;

/// All that there is to say, for any form.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was read.
    pub facts: &'a Facts,
    /// The dump that is intended.
    pub profile: &'a Profile,
    /// What that comes to.
    pub assessment: &'a Assessment,
    /// What was looked for.
    pub rules: &'a RuleSet,
}

impl<'a> Report<'a> {
    /// What a rule calls what it finds; its id if it is not among the rules.
    fn title(self, rule: &'a str) -> &'a str {
        self.rules.rules.iter().find(|known| known.id == rule).map_or(rule, |known| known.title.as_str())
    }

    /// Ids of the rules that apply to this CRIU on this kernel, sorted.
    pub fn rules_run(self) -> impl Iterator<Item = &'a str> {
        self.rules.rules.iter().filter(move |rule| rule.applies(self.profile)).map(|rule| rule.id.as_str())
    }
}
