//! The dump the user intends: which engine, which criu, run by whom, with which options, on which kernel.
//!
//! Each part says where it was learnt. Rules see the facts and this, nothing else.

use serde::Serialize;

use crate::facts::{CallerFacts, CriuState, Engine};
use crate::version::Version;

mod asked;
mod build;
mod cgroup_props;
mod config_file;
mod criu_build;
mod criu_program;
mod draft;
mod engine;
mod getopt;
mod named_path;
mod observe;
mod option;
mod option_table;
mod reach;
mod value;
mod words;

pub use build::{ProfileAsk, build};
pub use criu_build::needed_libraries;
pub use observe::{Surroundings, observe, observe_in};
pub(crate) use observe::{environment_of_criu, on_path};
pub use option::{CriuOption, OptionInEffect};
pub use reach::Reach;
pub(crate) use reach::shell_word;

/// CRIU releases that rules know of, oldest first.
pub const RELEASES: [Version; 30] = [
    Version::new(3, 0, 0),
    Version::new(3, 1, 0),
    Version::new(3, 2, 0),
    Version::new(3, 2, 1),
    Version::new(3, 3, 0),
    Version::new(3, 4, 0),
    Version::new(3, 5, 0),
    Version::new(3, 6, 0),
    Version::new(3, 7, 0),
    Version::new(3, 8, 0),
    Version::new(3, 8, 1),
    Version::new(3, 9, 0),
    Version::new(3, 10, 0),
    Version::new(3, 11, 0),
    Version::new(3, 12, 0),
    Version::new(3, 13, 0),
    Version::new(3, 14, 0),
    Version::new(3, 15, 0),
    Version::new(3, 16, 0),
    Version::new(3, 16, 1),
    Version::new(3, 17, 0),
    Version::new(3, 17, 1),
    Version::new(3, 18, 0),
    Version::new(3, 19, 0),
    Version::new(4, 0, 0),
    Version::new(4, 1, 0),
    Version::new(4, 1, 1),
    Version::new(4, 2, 0),
    Version::new(4, 2, 1),
    Version::new(4, 3, 0),
];

/// The newest release that rules were measured with.
pub const NEWEST: Version = Version::new(4, 3, 0);

/// The dump the user intends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// Who drives CRIU, which decides how an option is reached.
    pub engine: Engine,
    /// The criu that will run.
    pub criu: Criu,
    /// Dump options in effect, sorted, each with where it comes from.
    pub options: Vec<OptionInEffect>,
    /// Numbers of the kernel's release; absent when they could not be read.
    pub kernel: Option<Version>,
    /// `uname -m`.
    pub architecture: String,
    /// Who will run criu; absent for an ideal, fully privileged one.
    pub caller: Option<CallerFacts>,
    /// Version of the container runtime, where it decides what is sent to CRIU.
    pub runtime_version: Option<Version>,
    /// CRIU config files in force, in the order CRIU reads them.
    pub config_files: Vec<String>,
    /// The file in which the engine's user can set options that the engine has no flag for.
    pub config_line_file: Option<String>,
    /// What in the config files makes CRIU refuse to start.
    pub config_errors: Vec<String>,
    /// What was asked and left out of account, for people.
    pub notes: Vec<String>,
}

/// The criu that will run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Criu {
    /// Its release: told by it, or the one that was asked for. Absent when it is missing or did not tell.
    pub version: Option<Version>,
    /// What running it showed; absent when only a release was named.
    pub state: Option<CriuState>,
    /// Path, when there is one.
    pub path: Option<String>,
    /// Where this was learnt: `--criu`, `PATH of dockerd (pid 42)`, `recording`.
    pub from: String,
    /// Features that its build shows or the user vouches for (`--criu-feature`), such as `pidfd`; sorted.
    pub features: Vec<String>,
}

impl Profile {
    /// The release to judge by: the real one, else the newest known, so that the rest is still listed.
    #[must_use]
    pub fn criu_version(&self) -> Version {
        self.criu.version.unwrap_or(NEWEST)
    }

    /// Whether the option is in effect, with this very value if it takes one.
    #[must_use]
    pub fn has(&self, name: &str, value: Option<&str>) -> bool {
        self.options.iter().any(|o| o.option.name == name && (value.is_none() || o.option.value.as_deref() == value))
    }

    /// Values of an option that may be given several times.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |o| o.option.name == name).filter_map(|o| o.option.value.as_deref())
    }

    /// Whether a release knows the options in effect that are given to it by name; an engine's request passes over what
    /// is not known.
    #[must_use]
    pub fn is_understood_by(&self, release: Version) -> bool {
        let by_name = self.options.iter().filter(|given| !given.is_always_sent());
        by_name.filter_map(|given| option_table::since(&given.option.name)).all(|since| release >= since)
    }

    /// The same dump by an ideal criu of another release.
    #[must_use]
    pub fn with_release(&self, version: Version) -> Self {
        let criu = Criu {
            version: Some(version),
            state: None,
            path: None,
            from: "assumed".into(),
            features: criu_build::features(None),
        };
        Self { criu, caller: None, ..self.clone() }
    }
}
