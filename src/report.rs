//! Reports: all that is said of a target, and the forms it is said in. One form, one file; nothing here judges.

use crate::assess::Assessment;
use crate::facts::Facts;
use crate::profile::Profile;
use crate::rules::{Rule, RuleSet};

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
        self.applying().filter(move |rule| rule.is_examined(self.facts)).map(|rule| rule.id.as_str())
    }

    /// Ids of those that would apply, but what they look at is read with `--deep` only, sorted.
    pub fn rules_not_run(self) -> impl Iterator<Item = &'a str> {
        let asked = !self.facts.is_of_host_only();
        self.applying().filter(move |rule| asked && !rule.is_examined(self.facts)).map(|rule| rule.id.as_str())
    }

    fn applying(self) -> impl Iterator<Item = &'a Rule> {
        self.rules.rules.iter().filter(move |rule| rule.applies(self.profile))
    }
}
