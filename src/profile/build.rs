//! The profile: what was asked and what was observed, put together in the order in which CRIU takes it.
//!
//! Only facts and flags are looked at, so a recording gives on any machine what it gave where it was made.

use super::draft::Draft;
use super::getopt::Statement;
use super::option_table::Effect;
use super::{Criu, OptionInEffect, Profile, RELEASES, asked, criu_build, engine};
use crate::error::{Error, Result};
use crate::facts::{ConfigFile, ConfigRole, CriuState, Engine, Facts};
use crate::version::Version;

/// First release that reads config files.
const READS_CONFIG: Version = Version::new(3, 11, 0);

/// What the user's flags say about the dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileAsk {
    /// `--engine`: who dumps, when that is not what the target says.
    pub engine: Option<Engine>,
    /// `--criu`: a path or a release.
    pub criu: Option<String>,
    /// `--criu-feature`: what the user vouches for.
    pub criu_features: Vec<String>,
    /// `--criu-option`: options as CRIU spells them, dashes optional.
    pub criu_options: Vec<String>,
    /// Words after `--`: the options of a dump command.
    pub pasted: Vec<String>,
}

/// What `--criu` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// The one that would really run.
    Installed,
    /// The program at this path.
    Path(&'a str),
    /// An ideal one of this release.
    Release(Version),
}

impl ProfileAsk {
    pub(super) fn wanted(&self) -> Result<Wanted<'_>> {
        match self.criu.as_deref() {
            None => Ok(Wanted::Installed),
            Some(path) if path.contains('/') => Ok(Wanted::Path(path)),
            Some(text) => text.parse().map(Wanted::Release).map_err(|_| {
                Error::new(format!("--criu `{}` is neither a release nor a path", text.escape_debug()))
                    .hint("say --criu 4.2 for a release, --criu /path/to/criu for a program")
            }),
        }
    }

    /// The options that the flags name.
    pub(super) fn statements(&self) -> Result<Vec<(Statement, &'static str)>> {
        let single = asked::single(&self.criu_options)?.into_iter().map(|statement| (statement, OptionInEffect::ASKED));
        let pasted = asked::pasted(&self.pasted)?.into_iter().map(|statement| (statement, OptionInEffect::PASTED));
        Ok(single.chain(pasted).collect())
    }

    /// The value that the flags give an option, such as the file of a pasted `--config`.
    pub(super) fn value_of(&self, name: &str) -> Result<Option<String>> {
        let mut named = self.statements()?.into_iter().filter_map(|(statement, _)| match statement {
            Statement::Set(known, option) if known.name == name => option.value,
            _ => None,
        });
        Ok(named.next_back())
    }
}

/// The dump that the flags and the facts describe.
///
/// # Errors
///
/// When a flag makes no sense: an option that CRIU does not know, a value it refuses, a program that the facts know
/// nothing of.
pub fn build(ask: &ProfileAsk, facts: &Facts) -> Result<Profile> {
    let statements = ask.statements()?;
    let driver = ask.engine.unwrap_or(facts.target.dumped_by);
    let wanted = ask.wanted()?;
    let criu = criu(ask, &wanted, facts)?;
    let container = facts.target.container.as_ref();
    let runtime = container.filter(|_| driver != Engine::Criu).and_then(|container| container.runtime_version);
    let annotation = container.and_then(|container| container.criu_config_annotation.as_deref());
    let mut draft = Draft { release: criu.version, driver, ..Draft::default() };
    draft.notes.extend(criu.version.and_then(unmeasured));
    let own_files = driver == Engine::Criu && statements.iter().any(|(statement, _)| is_config(statement));
    let reads_config = criu.version.is_none_or(|release| release >= READS_CONFIG);
    let files = if reads_config { in_force(facts, driver, own_files) } else { Vec::new() };
    let (request, before): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.read_as == ConfigRole::Request);
    before.into_iter().for_each(|file| draft.config(file));
    if driver != Engine::Criu {
        draft.engine(driver, runtime, facts);
    }
    request.into_iter().for_each(|file| draft.config(file));
    statements.into_iter().try_for_each(|(statement, from)| draft.user(statement, from))?;
    draft.options.sort();
    Ok(Profile {
        engine: driver,
        caller: (!matches!(wanted, Wanted::Release(_))).then(|| facts.host.caller.clone()),
        criu,
        options: draft.options,
        kernel: facts.host.kernel,
        architecture: facts.host.architecture.clone(),
        runtime_version: runtime,
        config_files: files.iter().map(|file| file.path.to_string()).collect(),
        config_line_file: line_file(driver, annotation).filter(|_| reads_config),
        config_errors: draft.errors,
        notes: draft.notes,
    })
}

/// The config files that CRIU reads, in its order. One named on its command line stands for the default ones.
fn in_force(facts: &Facts, driver: Engine, own_files: bool) -> Vec<&ConfigFile> {
    let annotation = facts.target.container.as_ref().and_then(|container| container.criu_config_annotation.as_deref());
    let reads = |file: &&ConfigFile| match file.read_as {
        ConfigRole::System | ConfigRole::Home => !own_files,
        ConfigRole::Environment => true,
        ConfigRole::CommandLine => driver == Engine::Criu,
        ConfigRole::Request => driver != Engine::Criu && annotation != Some(""),
    };
    let mut files: Vec<&ConfigFile> = facts.host.config_files.iter().filter(reads).collect();
    files.sort_by_key(|file| file.read_as);
    files
}

fn is_config(statement: &Statement) -> bool {
    matches!(statement, Statement::Set(known, _) if known.effect == Effect::Config)
}

/// Where the engine's user puts options; for a running container its annotation is settled.
fn line_file(driver: Engine, annotation: Option<&str>) -> Option<String> {
    match (driver, annotation) {
        (Engine::Criu, _) | (_, Some("")) => None,
        (_, Some(file)) => Some(file.to_owned()),
        (_, None) => Some(engine::RUNC_CONFIG.to_owned()),
    }
}

fn criu(ask: &ProfileAsk, wanted: &Wanted<'_>, facts: &Facts) -> Result<Criu> {
    let found = facts.host.criu.as_ref();
    let build = found.filter(|_| !matches!(wanted, Wanted::Release(_))).map(|found| &found.build);
    let mut features = [criu_build::features(build), ask.criu_features.clone()].concat();
    features.sort();
    features.dedup();
    if let Wanted::Release(version) = wanted {
        return Ok(Criu { version: Some(*version), state: None, path: None, from: "--criu".into(), features });
    }
    if let Wanted::Path(path) = wanted
        && found.is_none_or(|found| found.path.as_bytes() != path.as_bytes())
    {
        return Err(Error::new(format!("--criu `{}` was not looked at", path.escape_debug()))
            .because("these facts were recorded with another criu")
            .hint("judge a recording by a release: --criu 4.2"));
    }
    let version = found.and_then(|found| match &found.state {
        CriuState::Runs { version, .. } => Some(*version),
        _ => None,
    });
    Ok(Criu {
        version,
        state: found.map(|found| found.state.clone()),
        path: found.map(|found| found.path.to_string()),
        from: found.map_or_else(|| "not recorded".to_owned(), |found| found.found_by.clone()),
        features,
    })
}

/// A note for a release outside of those that rules know.
fn unmeasured(version: Version) -> Option<String> {
    let (oldest, newest) = (RELEASES.first()?, RELEASES.last()?);
    (version < *oldest || version > *newest)
        .then(|| format!("CRIU {version} is outside of what the rules know, {oldest} to {newest}"))
}
