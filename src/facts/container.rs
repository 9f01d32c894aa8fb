//! The target as its engine describes it, and the criu that would dump it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Pid;
use crate::text::RawText;
use crate::version::Version;

/// What to lint and how it was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What the user asked for: a pid, an id, a name.
    pub asked: String,
    /// The process the dump starts from, in the scanner's pid namespace.
    pub root: Pid,
    /// The container it is the init of, when it was found as one or the pid was recognised as one.
    pub container: Option<ContainerFacts>,
    /// Who would dump it: the container's engine, or bare criu for a pid.
    pub dumped_by: Engine,
}

/// Who drives CRIU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// `criu dump` by hand.
    #[default]
    Criu,
    /// `runc checkpoint`.
    Runc,
    /// `docker checkpoint create`.
    Docker,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Criu => "criu",
            Self::Runc => "runc",
            Self::Docker => "docker",
        })
    }
}

/// A container as the state files of its engine describe it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerFacts {
    /// Engine it belongs to.
    pub engine: Engine,
    /// Full id.
    pub id: String,
    /// Name, when the engine gives names of their own.
    pub name: Option<String>,
    /// Bundle directory.
    pub bundle: RawText,
    /// Series of the runtime that made the container, `1.1` for 1.1.5, when its state file shows it.
    pub runtime_version: Option<Version>,
    /// Mounts of the runtime spec; the runtime declares the bind mounts external.
    pub mounts: Vec<SpecMount>,
    /// Masked paths of the spec; the runtime declares those that are no directories external.
    pub masked_paths: Vec<RawText>,
    /// Device nodes that the runtime makes in the container and declares external.
    pub devices: Vec<RawText>,
    /// Folder of the cgroup whose freezer the runtime hands to CRIU.
    pub freezer_cgroup: Option<RawText>,
    /// Namespaces the spec names by path (type, path): joined, not created.
    pub joined_namespaces: BTreeMap<String, RawText>,
    /// Value of the annotation `org.criu.config`, when set.
    pub criu_config_annotation: Option<String>,
    /// Whether the container has a terminal.
    pub terminal: bool,
    /// Folder below which the runtime keeps its state (`runc --root`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_root: Option<RawText>,
    /// Program of the runtime, where the engine names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RawText>,
}

/// One mount of the runtime spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpecMount {
    /// Mount point in the container.
    pub destination: RawText,
    /// Type or `bind`.
    pub fs_type: RawText,
    /// Source on the host.
    pub source: RawText,
}

/// A criu that was looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriuFacts {
    /// Where it is, or the name that was looked for.
    pub path: RawText,
    /// Where this was learnt: `PATH of dockerd (pid 42)`, `--criu`.
    pub found_by: String,
    /// What running it showed.
    pub state: CriuState,
    /// What its files show of how it was built.
    #[serde(default)]
    pub build: CriuBuild,
}

/// What a criu was built with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriuBuild {
    /// Shared libraries that it is linked with, sorted; absent when it is no dynamic ELF program.
    pub libraries: Option<Vec<String>>,
    /// Plugins in the directory that it loads them from, sorted.
    pub plugins: Vec<String>,
    /// Whether it says of itself that it can't dump 32-bit tasks.
    #[serde(default)]
    pub lacks_compat: bool,
}

/// What running `criu --version` showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CriuState {
    /// It told its version.
    Runs {
        /// The release.
        version: Version,
        /// `GitID` of a self-built one.
        git_id: Option<String>,
    },
    /// No such program.
    Missing,
    /// It could not be run, or what it printed was no version.
    Unusable(String),
    /// It was not run, being not owned by root, or did not end in time.
    NotRun(String),
}

/// A CRIU config file that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// Its path.
    pub path: RawText,
    /// When CRIU reads it.
    pub read_as: ConfigRole,
    /// Its lines, comments and empty ones left out. A line that does not begin like an option is cut to nothing but
    /// a `?`: a container may name any file as its config file.
    pub lines: Vec<String>,
    /// Whether criu's caller may not read it: then CRIU passes over it. CRIU: `config.c: parse_config`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passed_over: bool,
}

/// Why CRIU reads a config file; later ones win. CRIU: `config.c: next_config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigRole {
    /// `/etc/criu/default.conf`.
    System,
    /// `.criu/default.conf` in the home directory of criu's environment.
    Home,
    /// The file that `CRIU_CONFIG_FILE` names in criu's environment.
    Environment,
    /// The file that `criu --config` names.
    CommandLine,
    /// The file that a container runtime names in its request; it is read last.
    Request,
}
