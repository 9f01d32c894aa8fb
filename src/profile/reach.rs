//! How an option is reached: decided once for each engine, for every rule.

use super::{CriuOption, Profile};
use crate::facts::Engine;
use crate::version::Version;

/// First runc with flags for link-remap and skip-in-flight; older ones do not send the two at all.
const RUNC_WITH_MORE_FLAGS: Version = Version::new(1, 3, 0);

/// How the user of an engine can pass an option to CRIU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By these words of the engine's command.
    Flag(String),
    /// By this line in the CRIU config file that the engine hands on ([`Profile::config_line_file`]).
    ConfigLine(String),
    /// Not at all: the engine has no flag for it and hands no config file on.
    Nowhere,
}

impl Profile {
    /// How the user of this engine can pass the option.
    #[must_use]
    pub fn reach(&self, option: &CriuOption) -> Reach {
        match self.engine {
            Engine::Criu => Reach::Flag(criu_flag(option)),
            Engine::Runc => {
                let flag = |words: Vec<String>| words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
                self.runc_flag(option).map_or_else(|| self.config_line(option), |words| Reach::Flag(flag(words)))
            }
            Engine::Docker => self.config_line(option),
        }
    }

    /// The words of `runc checkpoint` for it: its `--help` of 1.1.5 and 1.3.6; an unknown runc is taken for an old one,
    /// whose way works on all.
    pub(super) fn runc_flag(&self, option: &CriuOption) -> Option<Vec<String>> {
        let newer = self.runtime_version.is_some_and(|version| version >= RUNC_WITH_MORE_FLAGS);
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        match (option.name.as_str(), option.value.as_deref()) {
            ("tcp-established" | "ext-unix-sk" | "shell-job" | "file-locks", None) => Some(vec![option.word()]),
            ("empty-ns", Some(kind)) => words(&["--empty-ns", kind]),
            ("link-remap", None) if newer => Some(vec![option.word()]),
            ("skip-in-flight", None) if newer => words(&["--tcp-skip-in-flight"]),
            ("manage-cgroups", Some(mode)) => words(&["--manage-cgroups-mode", mode]),
            _ => None,
        }
    }

    fn config_line(&self, option: &CriuOption) -> Reach {
        match self.config_line_file {
            Some(_) => Reach::ConfigLine(config_line(option)),
            None => Reach::Nowhere,
        }
    }
}

fn criu_flag(option: &CriuOption) -> String {
    match &option.value {
        None => format!("--{}", option.name),
        Some(value) => format!("--{} {}", option.name, shell_word(value)),
    }
}

/// A line of a CRIU config file; a value with blanks stands in quotes. CRIU: `config.c: parse_config`.
fn config_line(option: &CriuOption) -> String {
    match &option.value {
        Some(value) if value.contains([' ', '\t', '"', '#']) => {
            format!("{} \"{}\"", option.name, value.replace('"', "\\\""))
        }
        _ => option.to_string(),
    }
}

/// A word that a POSIX shell takes as it is.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
