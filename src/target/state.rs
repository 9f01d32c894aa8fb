//! State files of engines: read with a bound, believed only as far as the kernel confirms them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// No engine writes a larger one: the specs of the largest pods stay below 100 kB.
const MAX_STATE: u64 = 4 * 1024 * 1024;

/// Reads and parses a JSON state file. `about` is what it belongs to, for the error.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, about: &dyn std::fmt::Display) -> Result<T> {
    let failed = |cause: String| Error::new(format!("cannot find the process of {about}")).because(cause);
    let bytes = read(path).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "run as root",
            _ => "is it just starting or stopping? else give its process with --pid",
        };
        failed(format!("{}: {error}", path.display())).hint(hint)
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| failed(format!("{} is broken: {error}", path.display())).hint("give its process with --pid"))
}

/// The bytes of a regular file of at most [`MAX_STATE`] bytes; a symbolic link is refused.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::LOOP => io::Error::other("is a symbolic link, which no engine makes"),
        errno => errno.into(),
    })?;
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("is no regular file"));
    }
    let mut bytes = Vec::new();
    File::from(fd).take(MAX_STATE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_STATE {
        return Err(io::Error::other("is larger than any state file"));
    }
    Ok(bytes)
}

/// Names of the folders in a folder, links left out.
pub(super) fn folders(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// `state.json` of runc (libcontainer `State`), the part that matters here.
#[derive(Debug, Deserialize)]
pub(super) struct RuncState {
    pub(super) id: String,
    pub(super) init_process_pid: i32,
    pub(super) init_process_start: u64,
    pub(super) config: RuncConfig,
    #[serde(default)]
    pub(super) cgroup_paths: Option<std::collections::BTreeMap<String, String>>,
}

/// libcontainer `Config`.
#[derive(Debug, Deserialize)]
pub(super) struct RuncConfig {
    #[serde(default)]
    pub(super) rootfs: PathBuf,
    /// Version of the runtime specification that the creating runc was built with.
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) labels: Option<Vec<String>>,
    #[serde(default)]
    pub(super) mounts: Option<Vec<RuncMount>>,
    #[serde(default)]
    pub(super) mask_paths: Option<Vec<String>>,
    #[serde(default)]
    pub(super) devices: Option<Vec<RuncDevice>>,
    #[serde(default)]
    pub(super) namespaces: Option<Vec<RuncNamespace>>,
}

/// libcontainer `Mount`.
#[derive(Debug, Deserialize)]
pub(super) struct RuncMount {
    #[serde(default)]
    pub(super) source: String,
    pub(super) destination: String,
    #[serde(default)]
    pub(super) device: String,
}

/// libcontainer `Device`.
#[derive(Debug, Deserialize)]
pub(super) struct RuncDevice {
    #[serde(default)]
    pub(super) path: String,
}

/// libcontainer `Namespace`.
#[derive(Debug, Deserialize)]
pub(super) struct RuncNamespace {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) path: String,
}

impl RuncConfig {
    /// Value of a `name=value` label; annotations of the bundle are labels too.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().flatten().find_map(|label| label.strip_prefix(name)?.strip_prefix('='))
    }
}

/// `config.json` of a bundle, the part that the runtime does not copy into its state.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Bundle {
    #[serde(default)]
    pub(super) process: BundleProcess,
}

/// `process` of a bundle's `config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BundleProcess {
    #[serde(default)]
    pub(super) terminal: bool,
}
