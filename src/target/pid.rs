//! A process by its number, and the container it is in.

use std::fs;

use super::{Candidate, Roots, list, load, proc};
use crate::error::{Error, Result};
use crate::facts::{ContainerFacts, Engine, Pid, Target};

/// Checks that the process can be the root of a dump, and labels it with the container it is in.
pub(super) fn resolve(roots: &Roots, pid: Pid, engine: Option<Engine>) -> Result<Target> {
    check(roots, pid)?;
    let found = container_of(roots, pid);
    if let Some(engine @ (Engine::Runc | Engine::Docker)) = engine {
        can_dump(engine, pid, found.as_ref())?;
    }
    let container = found.map(|(_, facts)| facts);
    Ok(Target { asked: pid.to_string(), root: pid, container, dumped_by: engine.unwrap_or_default() })
}

/// Whether this engine has a container with this very init: only then is known what it would send to CRIU.
fn can_dump(engine: Engine, pid: Pid, found: Option<&(Pid, ContainerFacts)>) -> Result<()> {
    let bare = "leave --engine out for a bare `criu dump`";
    let Some((init, facts)) = found else {
        return Err(Error::new(format!("process {pid} is in no container that {engine} has on this host")).hint(bare));
    };
    let name = format!("{}:{}", facts.engine, facts.name.as_ref().unwrap_or(&facts.id));
    if *init != pid {
        return Err(Error::new(format!("process {pid} is not the init of its container"))
            .because(format!("{} checkpoints {name} from its init, process {init}", facts.engine))
            .hint(format!("say --container {name}, or {bare}")));
    }
    if engine == Engine::Docker && facts.engine != engine {
        return Err(Error::new(format!("docker does not know {name}, the container of process {pid}"))
            .hint(format!("say --container {name}")));
    }
    Ok(())
}

fn check(roots: &Roots, pid: Pid) -> Result<()> {
    let gone = || Error::new(format!("no process {pid}"));
    if pid <= 0 {
        return Err(Error::new(format!("{pid} is no process id")).hint("give the number of a running process"));
    }
    let life = proc::life(&roots.proc, pid)
        .map_err(|error| Error::new(format!("cannot look at process {pid}")).because(error))?
        .ok_or_else(|| gone().hint("it may have ended; for a container say --container NAME"))?;
    if life.is_kernel {
        return Err(Error::new(format!("process {pid} is a thread of the kernel, which CRIU never dumps"))
            .hint("give a process that runs a program"));
    }
    let status = fs::read(roots.proc.join(pid.to_string()).join("status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let leader = proc::status_words(&status, "Tgid").and_then(|words| words.first()?.parse::<Pid>().ok());
    match leader {
        Some(leader) if leader != pid => Err(Error::new(format!("{pid} is a thread of process {leader}"))
            .hint(format!("CRIU dumps whole processes: say --pid {leader}"))),
        _ => Ok(()),
    }
}

/// The container whose init this is, else the one that its cgroup names.
fn container_of(roots: &Roots, pid: Pid) -> Option<(Pid, ContainerFacts)> {
    let cgroup = fs::read(roots.proc.join(pid.to_string()).join("cgroup")).unwrap_or_default();
    let mut by_cgroup = None;
    for candidate in list(roots).candidates {
        let Ok(found) = load(roots, &candidate) else { continue };
        if found.0 == pid {
            return Some(found);
        }
        if by_cgroup.is_none() && names(&cgroup, &candidate) {
            by_cgroup = Some(found);
        }
    }
    by_cgroup
}

/// Whether a path component of a cgroup line is the id, or `ENGINE-ID.scope`.
fn names(cgroup: &[u8], candidate: &Candidate) -> bool {
    let id = candidate.id.as_bytes();
    cgroup.split(|byte| b"/\n".contains(byte)).any(|part| {
        let scope = part.strip_suffix(b".scope").and_then(|unit| unit.strip_suffix(id));
        part == id || scope.is_some_and(|engine| engine.ends_with(b"-"))
    })
}
