//! From what the user names to a process: a container's id, name or unique id prefix, or a pid.
//!
//! Only `/proc` and the engines' state files are read: no daemon is asked and no child process is run. State files
//! outlive their container, so a pid found in one counts only while that process has the start time written there.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::facts::{ContainerFacts, Engine, Pid, Target};

mod docker;
pub(crate) mod monitor;
mod pid;
mod proc;
mod runc;
mod select;
mod state;

use select::{Candidate, Listing};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A container.
    Container {
        /// Full id, name, unique id prefix, or one of these after `runc:` or `docker:`.
        text: String,
        /// Who would dump it, when that is not the container's own engine.
        engine: Option<Engine>,
    },
    /// A process.
    Pid {
        /// Its process id.
        pid: Pid,
        /// Who would dump it, when that is not bare criu.
        engine: Option<Engine>,
    },
}

/// Where processes and engines keep their state. The default is this host; tests bring their own.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The proc file system.
    pub proc: PathBuf,
    /// State roots of runc: the system's and the user's own.
    pub runc: Vec<PathBuf>,
    /// Docker's runtime folder (`--exec-root`), used where a bundle does not name the state root.
    pub docker_exec: PathBuf,
    /// Docker's default data folder; others are learnt from the daemons.
    pub docker_data: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let mut runc = vec![PathBuf::from("/run/runc")];
        runc.extend(own.map(|dir| dir.join("runc")));
        Self { proc: "/proc".into(), runc, docker_exec: "/run/docker".into(), docker_data: "/var/lib/docker".into() }
    }
}

/// Finds the process to lint on this host.
///
/// # Errors
///
/// When nothing or more than one thing has that name, when it does not run, when its state files are stale, broken
/// or not readable.
pub fn resolve(ask: &Ask) -> Result<Target> {
    resolve_in(&Roots::default(), ask)
}

/// Finds the process to lint below other roots. Errors as [`resolve`].
pub fn resolve_in(roots: &Roots, ask: &Ask) -> Result<Target> {
    match ask {
        Ask::Container { text, engine } => container(roots, text, *engine),
        Ask::Pid { pid, engine } => pid::resolve(roots, *pid, *engine),
    }
}

fn container(roots: &Roots, text: &str, engine: Option<Engine>) -> Result<Target> {
    let listing = list(roots);
    let candidate = select::select(&listing, text, engine)?;
    let (root, facts) = load(roots, candidate)?;
    let dumped_by = engine.unwrap_or(facts.engine);
    if dumped_by == Engine::Docker && facts.engine != Engine::Docker {
        return Err(Error::new(format!("docker does not know {candidate}"))
            .hint(format!("leave --engine out: {} checkpoints it", facts.engine)));
    }
    Ok(Target { asked: text.to_owned(), root, container: Some(facts), dumped_by })
}

/// Every container of every engine, sorted.
fn list(roots: &Roots) -> Listing {
    let processes = monitor::processes(roots);
    let mut listing = docker::list(roots, &processes);
    let dockers: Vec<String> = listing.candidates.iter().map(|candidate| candidate.id.clone()).collect();
    let mut others = runc::list(roots, &processes);
    others.candidates.retain(|candidate| !dockers.contains(&candidate.id));
    listing.candidates.append(&mut others.candidates);
    listing.denied.append(&mut others.denied);
    listing.candidates.sort();
    listing
}

/// The init of a container and what its state files say.
fn load(roots: &Roots, candidate: &Candidate) -> Result<(Pid, ContainerFacts)> {
    match candidate.engine {
        Engine::Docker => docker::load(roots, candidate),
        Engine::Runc | Engine::Criu => runc::load(roots, candidate),
    }
}
