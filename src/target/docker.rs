//! docker: a `containerd-shim-runc-v2 -namespace moby` for each running container, whose working directory is the bundle.
//!
//! Names are in `config.v2.json` below the daemon's data folder. That folder needs no setting: the source of the
//! `/etc/hostname` mount lies in the container's own one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Roots;
use super::monitor::{self, Process};
use super::runc;
use super::select::{Candidate, Listing, Place};
use super::state;
use crate::error::{Error, Result};
use crate::facts::{ContainerFacts, Engine, Pid};

/// Containers with a shim, and those that the data folders know.
pub(super) fn list(roots: &Roots, processes: &[Process]) -> Listing {
    let mut found: BTreeMap<String, Candidate> = BTreeMap::new();
    let mut denied = Vec::new();
    for dir in data_folders(roots, processes) {
        match state::folders(&dir.join("containers")) {
            Ok(ids) => {
                for id in ids.into_iter().filter(|id| is_id(id)) {
                    let name = name(&dir.join("containers").join(&id));
                    found.insert(id.clone(), candidate(id, name, Place::NotRunning));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied.push(dir),
            Err(_) => {}
        }
    }
    for shim in processes.iter().filter(|process| monitor::is_docker_shim(process)) {
        let Some(id) = shim.option("-id").and_then(|id| std::str::from_utf8(id).ok()).filter(|id| is_id(id)) else {
            continue;
        };
        let place = bundle(roots, shim);
        let entry = found.entry(id.to_owned()).or_insert_with(|| candidate(id.to_owned(), None, Place::NotRunning));
        if let (None, Place::Bundle(bundle)) = (&entry.name, &place) {
            entry.name = container_folder(bundle).and_then(|dir| name(&dir));
        }
        entry.place = place;
    }
    Listing { candidates: found.into_values().collect(), denied }
}

fn candidate(id: String, name: Option<String>, place: Place) -> Candidate {
    Candidate { engine: Engine::Docker, id, name, place }
}

/// docker's ids are 64 hexadecimal digits.
fn is_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn data_folders(roots: &Roots, processes: &[Process]) -> Vec<PathBuf> {
    let daemons = processes.iter().filter(|process| process.program() == b"dockerd");
    let told = daemons.filter_map(|daemon| daemon.option("--data-root").or_else(|| daemon.option("-g")));
    let mut dirs: Vec<PathBuf> = told.map(monitor::path).filter(|path| path.is_absolute()).collect();
    dirs.push(roots.docker_data.clone());
    dirs.sort();
    dirs.dedup();
    dirs
}

/// The bundle folder: the shim's working directory.
fn bundle(roots: &Roots, shim: &Process) -> Place {
    let link = roots.proc.join(shim.pid.to_string()).join("cwd");
    match fs::read_link(&link) {
        Ok(dir) => Place::Bundle(dir),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Place::Denied(link),
        Err(_) => Place::NotRunning,
    }
}

#[derive(Deserialize)]
struct Spec {
    mounts: Vec<SpecMount>,
}

#[derive(Deserialize)]
struct SpecMount {
    destination: String,
    #[serde(default)]
    source: PathBuf,
}

/// The container's own folder below the data folder.
fn container_folder(bundle: &Path) -> Option<PathBuf> {
    let spec: Spec = serde_json::from_slice(&state::read(&bundle.join("config.json")).ok()?).ok()?;
    let hostname = spec.mounts.into_iter().find(|mount| mount.destination == "/etc/hostname")?;
    hostname.source.parent().map(Path::to_owned)
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "Name")]
    name: String,
}

/// The name without its leading slash. One that docker would not give is none.
fn name(folder: &Path) -> Option<String> {
    let config: DockerConfig = serde_json::from_slice(&state::read(&folder.join("config.v2.json")).ok()?).ok()?;
    let name = config.name.strip_prefix('/').unwrap_or(&config.name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (!name.is_empty() && name.bytes().all(plain)).then(|| name.to_owned())
}

#[derive(Default, Deserialize)]
struct Options {
    #[serde(default)]
    root: PathBuf,
    #[serde(default)]
    binary_name: String,
}

pub(super) fn load(roots: &Roots, candidate: &Candidate) -> Result<(Pid, ContainerFacts)> {
    let bundle = match &candidate.place {
        Place::Bundle(bundle) => bundle,
        Place::Denied(link) => {
            return Err(Error::new(format!("cannot find the process of {candidate}"))
                .because(format!("may not read {}", link.display()))
                .hint("run as root"));
        }
        Place::State(_) | Place::NotRunning => {
            return Err(Error::new(format!("{candidate} is not running")).hint("start it first"));
        }
    };
    let options = options(candidate, bundle)?;
    let runtime = Some(options.binary_name).filter(|name| !name.is_empty()).map(Into::into);
    let (pid, facts) = runc::from_state(roots, candidate, &state_folder(roots, candidate, options.root))?;
    let bundle = std::os::unix::ffi::OsStrExt::as_bytes(bundle.as_os_str()).into();
    Ok((pid, ContainerFacts { bundle, runtime, ..facts }))
}

/// What containerd wrote into the bundle.
fn options(candidate: &Candidate, bundle: &Path) -> Result<Options> {
    let file = bundle.join("options.json");
    if file.exists() { state::read_json(&file, candidate) } else { Ok(Options::default()) }
}

/// `ROOT/moby/ID`, with the root that the bundle names.
fn state_folder(roots: &Roots, candidate: &Candidate, told: PathBuf) -> PathBuf {
    let root = if told.is_absolute() { told } else { roots.docker_exec.join("runtime-runc") };
    root.join("moby").join(&candidate.id)
}
