//! The dump that the user intends, as a command to run: the very criu, by the very runtime, with the options in effect.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::criu::run::Dump;
use crate::error::{Error, Result};
use crate::facts::{ContainerFacts, Engine, Facts};
use crate::profile::{Profile, ProfileAsk, environment_of_criu, on_path};
use crate::text::RawText;

/// A dump, and where it is not quite the one that the engine would make.
#[derive(Clone, Debug)]
pub struct Intended {
    /// The dump.
    pub dump: Dump,
    /// What differs, for people.
    pub remarks: Vec<String>,
}

/// The dump into a directory that the question, the facts and the profile describe.
///
/// # Errors
/// The engine has no way for an option that was asked for, or its runtime is not found.
pub fn intended(ask: &ProfileAsk, facts: &Facts, profile: &Profile, directory: &Path) -> Result<Intended> {
    match profile.engine {
        Engine::Criu => {
            let criu = facts.host.criu.as_ref().map(|criu| path(&criu.path));
            let criu = criu.ok_or_else(|| Error::new("there is no criu to run"))?;
            let criu = std::path::absolute(&criu).unwrap_or(criu);
            let dump = Dump::by_criu(&criu, facts.target.root, directory, &ask.criu_words()?);
            Ok(Intended { dump, remarks: Vec::new() })
        }
        Engine::Runc | Engine::Docker => by_runtime(ask, facts, profile, directory),
    }
}

fn by_runtime(ask: &ProfileAsk, facts: &Facts, profile: &Profile, directory: &Path) -> Result<Intended> {
    let container = facts.target.container.as_ref();
    let container = container.ok_or_else(|| Error::new("the container is not known").hint("name it by --container"))?;
    let state = container.state_root.as_ref().map(path);
    let state = state.ok_or_else(|| Error::new("where runc keeps its state is not known"))?;
    let mut environment = environment_of_criu(ask, facts)?;
    let folders = environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let runtime = runtime(container, &folders)?;
    let mut dump = Dump::by_runc(&runtime, &state, &container.id, directory, &ask.runc_words(profile)?);
    let mut remarks = Vec::new();
    if let Some(criu) = &ask.criu {
        // runc takes the criu that is first on its PATH.
        let bin = directory.join("bin");
        let failed = |error| Error::new(format!("can't put {criu} on the PATH of runc")).because(error);
        let linked = || {
            std::fs::create_dir(&bin)?;
            symlink(std::path::absolute(criu)?, bin.join("criu"))
        };
        linked().map_err(failed)?;
        let first = std::iter::once(bin).chain(std::env::split_paths(&folders));
        let folders = std::env::join_paths(first).map_err(|e| failed(std::io::Error::other(e)))?;
        environment.insert("PATH".into(), folders);
        remarks.push(format!("{criu} was put first on the PATH of runc"));
    }
    if profile.engine == Engine::Docker {
        remarks.push(
            "docker's own runc was run without the daemon, which would pause the container before it starts runc"
                .into(),
        );
    }
    dump.environment = Some(environment);
    Ok(Intended { dump, remarks })
}

/// The runtime that the engine names, else the runc on the PATH of who starts it.
fn runtime(container: &ContainerFacts, folders: &OsString) -> Result<PathBuf> {
    let named = container.runtime.as_ref().map_or_else(|| "runc".into(), path);
    if named.is_absolute() {
        return Ok(named);
    }
    let missing = || Error::new(format!("there is no {} on the PATH of who starts it", named.display()));
    on_path(folders, &named.to_string_lossy()).ok_or_else(missing)
}

fn path(text: &RawText) -> PathBuf {
    OsStr::from_bytes(text.as_bytes()).into()
}
