//! The options that a user asks for, as words of the command that dumps.

use super::build::{ProfileAsk, Wanted};
use super::getopt::Statement;
use super::option_table::Effect;
use super::{CriuOption, Profile, Reach};
use crate::error::{Error, Result};
use crate::facts::Engine;
use crate::version::Version;

impl ProfileAsk {
    /// The same question about the criu that would really run, and the release that it is expected to be of, where one
    /// was named instead of a program.
    ///
    /// # Errors
    /// `--criu` is neither a release nor a path.
    pub fn of_a_real_criu(&self) -> Result<(Self, Option<Version>)> {
        match self.wanted()? {
            Wanted::Release(release) => Ok((Self { criu: None, ..self.clone() }, Some(release))),
            Wanted::Installed | Wanted::Path(_) => Ok((self.clone(), None)),
        }
    }

    /// Options for `criu dump`; without those that say where images go or what happens afterwards.
    ///
    /// # Errors
    /// One that CRIU does not know.
    pub fn criu_words(&self) -> Result<Vec<String>> {
        let word = |(statement, _)| match statement {
            Statement::Set(known, _) | Statement::Unset(known) if is_left_out(known.effect) => None,
            Statement::Set(_, option) => Some(option.word()),
            Statement::Unset(known) => Some(format!("--no-{}", known.name)),
            Statement::Stray(_) | Statement::Wrong(_) => None,
        };
        Ok(self.statements()?.into_iter().filter_map(word).collect())
    }

    /// The same as flags of `runc checkpoint`.
    ///
    /// # Errors
    /// One that CRIU does not know, or that runc has no flag for: only a config file would do, and none is written.
    pub fn runc_words(&self, profile: &Profile) -> Result<Vec<String>> {
        let mut words = Vec::new();
        for (statement, from) in self.statements()? {
            match statement {
                Statement::Set(known, _) | Statement::Unset(known)
                    if is_left_out(known.effect) || matches!(known.effect, Effect::Places | Effect::Config) => {}
                Statement::Set(_, option) => {
                    match profile.runc_flag(&option).filter(|_| profile.engine == Engine::Runc) {
                        Some(flag) => words.extend(flag),
                        None => return Err(profile.no_flag(&option, from)),
                    }
                }
                Statement::Unset(known) => {
                    return Err(profile.no_flag(&CriuOption::flag(&format!("no-{}", known.name)), from));
                }
                Statement::Stray(_) | Statement::Wrong(_) => {}
            }
        }
        Ok(words)
    }
}

impl Profile {
    /// The same dump with images and log in a directory of our own.
    pub fn leave_places_out(&mut self) {
        let places = ["images-dir", "log-file", "prev-images-dir", "work-dir"];
        self.options.retain(|given| !places.contains(&given.option.name.as_str()));
    }

    fn no_flag(&self, option: &CriuOption, from: &str) -> Error {
        let error = Error::new(format!("{from}: {} has no flag for `{option}`", self.engine));
        match (self.reach(option), &self.config_line_file) {
            (Reach::ConfigLine(line), Some(file)) => {
                error.hint(format!("put `{line}` into {file}, then verify without asking for it"))
            }
            _ => error.hint("it can't be reached: verify without it"),
        }
    }
}

fn is_left_out(effect: Effect) -> bool {
    matches!(effect, Effect::Place | Effect::Aside | Effect::NotForDump)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::profile;

    fn ask(pasted: &[&str]) -> ProfileAsk {
        ProfileAsk { pasted: pasted.iter().map(|word| (*word).to_owned()).collect(), ..ProfileAsk::default() }
    }

    #[test]
    fn criu_is_given_what_was_asked_for_but_for_places() {
        let asked =
            ask(&["criu", "dump", "-t", "7", "-D", "/x", "-vv", "-j", "--ghost-limit", "1M", "--no-link-remap"]);
        assert_eq!(asked.criu_words().unwrap(), ["--shell-job", "--ghost-limit=1M", "--no-link-remap"]);
        assert_eq!(ask(&["--config", "/x/y"]).criu_words().unwrap(), ["--config=/x/y"]);
    }

    #[test]
    fn runc_is_given_its_own_flags_and_no_others() {
        let runc = Profile { engine: Engine::Runc, config_line_file: Some("/f".into()), ..profile("4.2", &[]) };
        assert_eq!(ask(&["--tcp-established"]).runc_words(&runc).unwrap(), ["--tcp-established"]);
        assert_eq!(ask(&["--manage-cgroups=full"]).runc_words(&runc).unwrap(), ["--manage-cgroups-mode", "full"]);
        let error = ask(&["--ghost-limit", "1M"]).runc_words(&runc).unwrap_err();
        assert!(error.hint.unwrap().contains("put `ghost-limit 1M` into /f"));
        assert!(ask(&["--no-link-remap"]).runc_words(&runc).is_err());
    }

    #[test]
    fn a_release_is_expected_of_the_criu_that_is_there() {
        let of = |criu: Option<&str>| ProfileAsk { criu: criu.map(str::to_owned), ..ProfileAsk::default() };
        let (asked, release) = of(Some("4.2")).of_a_real_criu().unwrap();
        assert_eq!((asked.criu, release), (None, Some(Version::new(4, 2, 0))));
        let (asked, release) = of(Some("/x/criu")).of_a_real_criu().unwrap();
        assert_eq!((asked.criu.as_deref(), release), (Some("/x/criu"), None));
        assert!(of(Some("four")).of_a_real_criu().is_err());
    }
}
