//! Loading and checking the rule files.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Blind, Rule};
use crate::version::Version;

/// The directory of what can't be seen; the others hold rules.
const BLIND: &str = "blind";

static FILES: Dir = include_dir!("$CARGO_MANIFEST_DIR/rules");

/// Why a rule file can't be used.
#[derive(Debug, thiserror::Error)]
#[error("rule file {path}: {reason}")]
pub struct RuleError {
    path: String,
    reason: String,
}

/// All rules, ordered by id, and for which CRIU releases a recorded run backs each.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Rules by id.
    pub rules: Vec<Rule>,
    /// What can't be seen, by id.
    pub blind: Vec<Blind>,
    /// Releases with a recorded run in which CRIU did what the rule says, by rule id.
    pub measured: BTreeMap<String, Vec<Version>>,
}

#[derive(Deserialize)]
struct Measured {
    releases: BTreeMap<String, Vec<Version>>,
}

impl RuleSet {
    /// The rules that are built into the program.
    ///
    /// # Errors
    /// A rule file that does not parse: a test makes sure that no such program is released.
    pub fn built_in() -> Result<Self, RuleError> {
        let mut set = Self::default();
        for file in FILES.dirs().flat_map(Dir::files) {
            let path = file.path().to_string_lossy();
            let text = file.contents_utf8().unwrap_or_default();
            if file.path().starts_with(BLIND) {
                set.blind.push(parse(&path, text, |blind: &Blind| &blind.id)?);
            } else {
                set.rules.push(parse_rule(&path, text)?);
            }
        }
        set.rules.sort_by(|a, b| a.id.cmp(&b.id));
        set.blind.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(file) = FILES.get_file("measured.toml") {
            let text = file.contents_utf8().unwrap_or_default();
            set.measured = toml::from_str::<Measured>(text).map_err(|e| failed("measured.toml", &e))?.releases;
        }
        Ok(set)
    }

    /// Leaves only the rules that look at no target.
    pub fn keep_those_of_the_host(&mut self) {
        self.rules.retain(|rule| rule.area == "host");
    }

    /// Whether a recorded run of that release backs the rule.
    #[must_use]
    pub fn is_measured(&self, rule: &str, criu: Version) -> bool {
        self.measured.get(rule).is_some_and(|releases| releases.contains(&criu))
    }

    /// Whether CRIU may hang where the rule fires.
    #[must_use]
    pub fn is_hanging(&self, rule: &str) -> bool {
        self.rules.iter().any(|known| known.id == rule && known.criu.hangs)
    }

    /// Whether what the rule looks for stands in the way only if it lasts.
    pub(crate) fn is_lasting(&self, rule: &str) -> bool {
        self.rules.iter().any(|known| known.id == rule && known.criu.lasting)
    }
}

fn failed(path: &str, reason: &impl ToString) -> RuleError {
    RuleError { path: path.to_owned(), reason: reason.to_string() }
}

fn parse_rule(path: &str, text: &str) -> Result<Rule, RuleError> {
    let mut rule = parse(path, text, |rule: &Rule| &rule.id)?;
    rule.area = path.split('/').next().unwrap_or_default().to_owned();
    Ok(rule)
}

fn parse<T: DeserializeOwned>(path: &str, text: &str, id: fn(&T) -> &String) -> Result<T, RuleError> {
    let parsed: T = toml::from_str(text).map_err(|e| failed(path, &e))?;
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".toml");
    if name != id(&parsed) {
        return Err(failed(path, &format!("its id is `{}`: the file's name and the id must agree", id(&parsed))));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_rules_load_and_ids_are_unique() {
        let set = RuleSet::built_in().unwrap();
        assert!(set.rules.windows(2).all(|pair| pair[0].id < pair[1].id));
    }

    #[test]
    fn blind_spots_are_no_rules_and_say_all_there_is_to_say() {
        let set = RuleSet::built_in().unwrap();
        assert!(set.blind.windows(2).all(|pair| pair[0].id < pair[1].id));
        for blind in &set.blind {
            assert!(set.rules.iter().all(|rule| rule.id != blind.id), "{} is a rule", blind.id);
            assert!(!blind.criu.error.is_empty(), "{}", blind.id);
            let said = [&blind.title, &blind.criu.source, &blind.text.why, &blind.text.hidden];
            assert!(said.into_iter().chain([&blind.text.fix]).all(|text| !text.is_empty()), "{}", blind.id);
        }
    }

    #[test]
    fn only_rules_about_programs_say_nothing_of_criu() {
        for rule in RuleSet::built_in().unwrap().rules {
            let silent = rule.criu.error.is_empty() && rule.criu.source.is_empty();
            assert_eq!(silent, rule.matcher.is_about_programs(), "{}", rule.id);
        }
    }
}
