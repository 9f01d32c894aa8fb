//! One way to dump: options, where they are written down, the command, and what is lost.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{command, options};
use crate::assess::Case;
use crate::profile::{CriuOption, Profile, Reach};

/// How to dump a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Options to add to those in effect, sorted.
    pub options: Vec<CriuOption>,
    /// The whole command with the options that it takes as flags; capitals are the user's to fill in. Absent where it
    /// would not pass.
    pub command: Option<String>,
    /// Lines for a CRIU config file, for options that the engine has no flag for.
    pub config: Option<ConfigLines>,
    /// What is lost by these options.
    pub loses: Vec<Loss>,
}

/// Lines to add to a CRIU config file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigLines {
    /// Its path.
    pub file: String,
    /// The lines.
    pub lines: Vec<String>,
}

/// What an option loses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Loss {
    /// The option.
    pub option: CriuOption,
    /// What is lost by it.
    pub loses: String,
}

impl Way {
    /// With the options that it needs under the profile.
    pub(super) fn new(case: Case<'_>, profile: &Profile) -> Self {
        let needed = options::smallest(case, profile);
        let given =
            profile.options.iter().filter(|given| given.is_from_command_line()).map(|given| given.option.clone());
        let all: BTreeSet<CriuOption> = given.chain(needed.options.iter().cloned()).collect();
        let all: Vec<CriuOption> = all.into_iter().collect();
        Self {
            command: command::command(case.facts, &needed.profile, &all),
            config: config(profile, &all),
            options: needed.options,
            loses: needed.loses,
        }
    }
}

fn config(profile: &Profile, options: &[CriuOption]) -> Option<ConfigLines> {
    let line = |option: &CriuOption| match profile.reach(option) {
        Reach::ConfigLine(line) => Some(line),
        Reach::Flag(_) | Reach::Nowhere => None,
    };
    let lines: Vec<String> = options.iter().filter_map(line).collect();
    let file = profile.config_line_file.clone()?;
    (!lines.is_empty()).then_some(ConfigLines { file, lines })
}
