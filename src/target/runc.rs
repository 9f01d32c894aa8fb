//! runc: one folder with a `state.json` for each container, below `/run/runc` or a `--root` of the user's.
//!
//! docker's containers are runc's too; their state lies below another root and is read by the same [`from_state`].

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::monitor::{self, Process};
use super::select::{Candidate, Listing, Place};
use super::state::{self, RuncConfig, RuncState};
use super::{Roots, proc};
use crate::error::{Error, Result};
use crate::facts::{ContainerFacts, Engine, Pid, SpecMount};
use crate::text::RawText;
use crate::version::Version;

mod destination;

/// Containers below the usual roots and those of running `runc --root DIR run` processes.
pub(super) fn list(roots: &Roots, processes: &[Process]) -> Listing {
    let foreground = |process: &&Process| {
        process.program() == b"runc" && process.args.iter().any(|arg| arg == b"run" || arg == b"restore")
    };
    let named = processes.iter().filter(foreground).filter_map(|process| process.option("--root"));
    let mut dirs: Vec<PathBuf> = named.map(monitor::path).filter(|path| path.is_absolute()).collect();
    dirs.extend(roots.runc.iter().cloned());
    dirs.sort();
    dirs.dedup();
    let mut listing = Listing::default();
    for dir in dirs {
        match state::folders(&dir) {
            Ok(ids) => listing.candidates.extend(ids.into_iter().filter(|id| is_id(id)).map(|id| Candidate {
                engine: Engine::Runc,
                place: Place::State(dir.join(&id)),
                name: None,
                id,
            })),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => listing.denied.push(dir),
            Err(_) => {}
        }
    }
    listing
}

/// What runc takes for an id. runc: `factory_linux.go: idRegex`.
fn is_id(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+,-.".contains(&byte))
}

pub(super) fn load(roots: &Roots, candidate: &Candidate) -> Result<(Pid, ContainerFacts)> {
    match &candidate.place {
        Place::State(dir) => from_state(roots, candidate, dir),
        _ => Err(Error::new(format!("{candidate} is not running"))),
    }
}

/// Init and facts from a state folder of runc.
pub(super) fn from_state(roots: &Roots, candidate: &Candidate, dir: &Path) -> Result<(Pid, ContainerFacts)> {
    let file = dir.join("state.json");
    let state: RuncState = state::read_json(&file, candidate)?;
    if state.id != candidate.id {
        return Err(Error::new(format!("cannot find the process of {candidate}")).because(format!(
            "{} is of another container, `{}`",
            file.display(),
            state.id.escape_debug()
        )));
    }
    let pid = confirm(roots, candidate, &state, &file)?;
    if dir.join("exec.fifo").exists() {
        return Err(Error::new(format!("{candidate} is created but not started"))
            .hint("start it: no engine checkpoints a container before that"));
    }
    let state_root = dir.parent().map(|root| root.as_os_str().as_bytes().into());
    Ok((pid, ContainerFacts { state_root, ..facts(candidate, state) }))
}

/// The init process, when the kernel knows it by the same start time.
fn confirm(roots: &Roots, candidate: &Candidate, state: &RuncState, file: &Path) -> Result<Pid> {
    let pid = state.init_process_pid;
    let stopped =
        || Error::new(format!("{candidate} is not running")).because(format!("its init, process {pid}, is gone"));
    if pid <= 0 {
        return Err(
            Error::new(format!("{candidate} is not running")).because(format!("{} names no process", file.display()))
        );
    }
    let life = proc::life(&roots.proc, pid)
        .map_err(|error| Error::new(format!("cannot look at process {pid} of {candidate}")).because(error))?;
    let life = life.filter(|life| !life.has_ended()).ok_or_else(stopped)?;
    if life.start_time != state.init_process_start {
        return Err(Error::new(format!("{candidate} is not running"))
            .because(format!("{} is stale: process {pid} is another one, started later", file.display()))
            .hint("its engine can remove what is left of it"));
    }
    Ok(pid)
}

fn facts(candidate: &Candidate, state: RuncState) -> ContainerFacts {
    let config = state.config;
    let bundle = config.label("bundle").unwrap_or_default().to_owned();
    let terminal = state::read(&Path::new(&bundle).join("config.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<state::Bundle>(&bytes).ok())
        .is_some_and(|bundle| bundle.process.terminal);
    let cgroups = state.cgroup_paths.unwrap_or_default();
    let freezer = cgroups.get("freezer").or_else(|| cgroups.get(""));
    ContainerFacts {
        engine: candidate.engine,
        id: candidate.id.clone(),
        name: candidate.name.clone(),
        bundle: bundle.into(),
        runtime_version: runtime_version(&config.version),
        mounts: mounts(&config),
        masked_paths: texts(config.mask_paths.iter().flatten()),
        devices: texts(config.devices.iter().flatten().map(|device| &device.path)),
        freezer_cgroup: freezer.map(|path| path.as_str().into()),
        joined_namespaces: joined(&config),
        criu_config_annotation: config.label("org.criu.config").map(str::to_owned),
        terminal,
        state_root: None,
        runtime: None,
    }
}

fn texts<'a>(paths: impl Iterator<Item = &'a String>) -> Vec<RawText> {
    paths.filter(|path| !path.is_empty()).map(|path| path.as_str().into()).collect()
}

fn mounts(config: &RuncConfig) -> Vec<SpecMount> {
    let resolver = destination::Resolver::new(&config.rootfs);
    let mount = |mount: &state::RuncMount| SpecMount {
        destination: match mount.device.as_str() {
            "bind" => resolver.resolve(&mount.destination),
            _ => mount.destination.as_str().into(),
        },
        fs_type: mount.device.as_str().into(),
        source: mount.source.as_str().into(),
    };
    config.mounts.iter().flatten().map(mount).collect()
}

/// Namespaces with a path, by the names that `/proc/PID/ns` uses.
fn joined(config: &RuncConfig) -> BTreeMap<String, RawText> {
    let short = |kind: &str| match kind {
        "NEWNS" => "mnt".to_owned(),
        kind => kind.trim_start_matches("NEW").to_ascii_lowercase(),
    };
    let joined = config.namespaces.iter().flatten().filter(|namespace| !namespace.path.is_empty());
    joined.map(|namespace| (short(&namespace.kind), namespace.path.as_str().into())).collect()
}

/// The runc series whose releases are built with this version of the runtime specification; 1.1 stands for 1.0 too.
/// runc: `specconv/spec_linux.go` writes its own version, not the bundle's; `go.mod` of each release.
fn runtime_version(specification: &str) -> Option<Version> {
    let built_with = Version::prefix_of(specification)?;
    let known = [
        (Version::new(1, 3, 0), Version::new(1, 4, 0)),
        (Version::new(1, 2, 1), Version::new(1, 3, 0)),
        (Version::new(1, 2, 0), Version::new(1, 2, 0)),
        (Version::new(1, 0, 2), Version::new(1, 1, 0)),
    ];
    known.into_iter().find(|(specs, _)| built_with >= *specs).map(|(_, runc)| runc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runc_series_shows_in_the_specification_it_was_built_with() {
        assert_eq!(runtime_version("1.0.2-dev"), Some(Version::new(1, 1, 0)));
        assert_eq!(runtime_version("1.2.1"), Some(Version::new(1, 3, 0)));
        assert_eq!(runtime_version("1.3.0"), Some(Version::new(1, 4, 0)));
        assert_eq!(runtime_version(""), None);
    }
}
