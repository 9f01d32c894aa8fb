//! Options in effect, put together source by source: a later one wins.

use super::getopt::Statement;
use super::option_table::{Effect, Known};
use super::{CriuOption, OptionInEffect, asked, config_file, engine, value};
use crate::error::{Error, Result};
use crate::facts::{ConfigFile, Engine, Facts};
use crate::version::Version;

/// Options in effect so far.
#[derive(Default)]
pub(super) struct Draft {
    /// The release that has to know the options.
    pub(super) release: Option<Version>,
    /// Who dumps.
    pub(super) driver: Engine,
    pub(super) options: Vec<OptionInEffect>,
    pub(super) errors: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl Draft {
    /// The lines of a config file; what stops CRIU from starting is an error of the profile, not of the run.
    pub(super) fn config(&mut self, file: &ConfigFile) {
        let path = file.path.to_string();
        if file.passed_over {
            self.notes.push(format!("{path}: criu finds nothing there that it may read, and passes over it"));
        }
        for statement in config_file::statements(&file.lines) {
            let too_new = self.too_new(&statement);
            match statement {
                Statement::Wrong(why) => self.errors.push(format!("{path}: {why}")),
                _ if too_new.is_some() => self.errors.extend(too_new.map(|why| format!("{path}: {why}"))),
                Statement::Set(known, option) => self.set(known, as_read(option), &path),
                Statement::Unset(known) => self.unset(known.name),
                Statement::Stray(word) if word.is_empty() => {}
                Statement::Stray(word) => {
                    self.notes.push(format!("{path}: CRIU passes over `{}`", word.escape_debug()))
                }
            }
        }
    }

    /// What the engine sends with its request.
    pub(super) fn engine(&mut self, driver: Engine, runtime: Option<Version>, facts: &Facts) {
        engine::runc_off(runtime).for_each(|name| self.unset(name));
        let container = facts.target.container.clone().unwrap_or_default();
        let from = format!("{driver}{}", OptionInEffect::ALWAYS_SENT);
        for option in engine::runc_on(&container, facts) {
            if !matches!(option.name.as_str(), "external" | "empty-ns") {
                self.unset(&option.name.clone());
            }
            self.add(option, &from);
        }
    }

    /// An option of the user's.
    pub(super) fn user(&mut self, statement: Statement, from: &str) -> Result<()> {
        if let Some(why) = self.too_new(&statement) {
            return Err(Error::new(format!("{from}: {why}")));
        }
        if let Statement::Set(_, option) = &statement {
            self.notes.extend(asked::remark(option));
        }
        if let Statement::Set(_, option) = &statement
            && option.needs_partner()
        {
            self.notes
                .push(format!("`{option}`: its other end has to be there when criu starts; it was not looked at"));
        }
        match statement {
            Statement::Set(known, option) if self.leaves_out(known.effect) => {
                self.notes.push(format!("`{option}` plays no part in the prediction"));
            }
            Statement::Set(known, option) => self.set(known, as_read(option), from),
            Statement::Unset(known) => self.unset(known.name),
            Statement::Stray(_) | Statement::Wrong(_) => {}
        }
        Ok(())
    }

    fn leaves_out(&self, effect: Effect) -> bool {
        effect == Effect::Aside || (matches!(effect, Effect::Place | Effect::Places) && self.driver != Engine::Criu)
    }

    fn too_new(&self, statement: &Statement) -> Option<String> {
        let (Statement::Set(known, _) | Statement::Unset(known)) = statement else { return None };
        let (since, release) = (known.since?, self.release?);
        (release < since)
            .then(|| format!("CRIU {release} does not know `{}`, {since} is the first that does", known.name))
    }

    fn set(&mut self, known: &Known, option: CriuOption, from: &str) {
        match known.effect {
            effect if self.leaves_out(effect) => {}
            Effect::Once | Effect::Place => {
                self.unset(known.name);
                self.add(option, from);
            }
            Effect::Many | Effect::Places => self.add(option, from),
            Effect::Aside | Effect::Config | Effect::NotForDump => {}
        }
    }

    fn add(&mut self, option: CriuOption, from: &str) {
        if self.options.iter().all(|known| known.option != option) {
            self.options.push(OptionInEffect { option, from: from.to_owned() });
        }
    }

    fn unset(&mut self, name: &str) {
        self.options.retain(|known| known.option.name != name);
    }
}

/// A size is whatever CRIU makes of it.
fn as_read(option: CriuOption) -> CriuOption {
    match (option.name.as_str(), &option.value) {
        ("ghost-limit", Some(text)) => CriuOption::with("ghost-limit", value::size(text)),
        _ => option,
    }
}
