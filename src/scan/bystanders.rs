//! Processes beside the tree that a dump of it would meet: in its pid namespace, or in its cgroup, which CRIU freezes
//! whole. CRIU: `seize.c: seize_cgroup_tree, freezer_wait_processes`.

use std::collections::HashSet;

use rustix::io::Errno;

use super::Scanner;
use crate::facts::{Area, Bystander, BystanderOf, Facts, NsId, Pid, Process};
use crate::procfs::{ProcessDir, cgroup, ns, numbers_at, read_at, stat, status};
use crate::text::RawText;

/// What makes a process a bystander.
struct Shared {
    /// The root's pid namespace, unless it is the scanner's own.
    pid_namespace: Option<NsId>,
    /// The cgroup lines that the root can be frozen by, unless it is a root cgroup or one the scanner is in.
    cgroups: Vec<RawText>,
}

/// Finds the bystanders, by pid.
pub(super) fn bystanders(scanner: &mut Scanner, facts: &Facts) -> Vec<Bystander> {
    let Some(root) = facts.root() else { return Vec::new() };
    let shared = shared(scanner, facts, root);
    if shared.pid_namespace.is_none() && shared.cgroups.is_empty() {
        return Vec::new();
    }
    let tree: HashSet<_> = facts.processes.iter().map(|process| process.pid).collect();
    let mut pids = numbers_at(scanner.proc.dir(), c".").unwrap_or_default();
    pids.retain(|pid| !tree.contains(pid));
    pids.sort_unstable();
    let ask = |pid| bystander(scanner, &scanner.proc.process(pid).ok()?, &shared);
    pids.into_iter().filter_map(ask).collect()
}

fn shared(scanner: &mut Scanner, facts: &Facts, root: &Process) -> Shared {
    let own = scanner.proc.process(rustix::process::getpid().as_raw_pid());
    let own = own.and_then(|dir| dir.read(c"cgroup", &mut scanner.buffer).map(<[u8]>::to_vec)).unwrap_or_default();
    let freezes_others = |line: &&RawText| {
        let path = cgroup::freezer(line.as_bytes()).map(|(_, path)| path);
        path.is_some_and(|path| path != b"/") && !own.split(|&byte| byte == b'\n').any(|mine| is_in(mine, line))
    };
    let pid_namespace = root.namespaces.pid.filter(|_| root.namespaces.pid != facts.host.namespaces.pid);
    Shared { pid_namespace, cgroups: root.cgroups.iter().filter(freezes_others).cloned().collect() }
}

fn bystander(scanner: &mut Scanner, dir: &ProcessDir, shared: &Shared) -> Option<Bystander> {
    let mut shares = Vec::new();
    if shared.pid_namespace.is_some_and(|wanted| in_pid_namespace(scanner, dir, wanted)) {
        shares.push(BystanderOf::PidNamespace);
    }
    if !shared.cgroups.is_empty() {
        let lines = dir.read(c"cgroup", &mut scanner.buffer).unwrap_or_default();
        let inside = |line: &[u8]| shared.cgroups.iter().any(|cgroup| is_in(line, cgroup));
        if lines.split(|&byte| byte == b'\n').any(inside) {
            shares.push(BystanderOf::Cgroup);
        }
    }
    if shares.is_empty() {
        return None;
    }
    let stat = scanner.read(dir, Area::Processes, c"stat", stat::parse)?;
    let status = scanner.read(dir, Area::Processes, c"status", status::parse)?;
    let tracer = match status.tracer {
        0 if stat.threads > 1 => tracer_of_threads(scanner, dir).unwrap_or(0),
        tracer => tracer,
    };
    Some(Bystander { pid: dir.pid(), comm: stat.comm, shares, tracer, stopped: status.state == 'T' })
}

/// Who traces a thread of the process, the first that anybody traces.
fn tracer_of_threads(scanner: &mut Scanner, dir: &ProcessDir) -> Option<Pid> {
    let task = dir.open_dir(c"task").ok()?;
    numbers_at(&task, c".").ok()?.into_iter().find_map(|tid| {
        let read = read_at(&task, format!("{tid}/status").as_str(), &mut scanner.buffer).map(status::parse);
        read.ok().flatten().map(|status| status.tracer).filter(|&tracer| tracer > 0)
    })
}

/// Whether a process is in the namespace; where that may not be read, one that is in a nested one may be: a gap.
fn in_pid_namespace(scanner: &mut Scanner, dir: &ProcessDir, wanted: NsId) -> bool {
    match dir.link(c"ns/pid", &mut scanner.buffer).map(ns::parse) {
        Ok(id) => id == Some(wanted),
        Err(Errno::ACCESS | Errno::PERM) => {
            let status = scanner.read(dir, Area::Processes, c"status", status::parse);
            if status.is_some_and(|status| status.ns_pids.len() > 1) {
                scanner.failed(Area::Processes, dir.pid(), "ns/pid", Errno::ACCESS);
            }
            false
        }
        Err(_) => false,
    }
}

/// Whether a cgroup line names the cgroup of another line or one below it.
fn is_in(line: &[u8], cgroup: &RawText) -> bool {
    line.strip_prefix(cgroup.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_holds_itself_and_what_is_below() {
        let cgroup = RawText::from("0::/docker/a");
        assert!(is_in(b"0::/docker/a", &cgroup) && is_in(b"0::/docker/a/b", &cgroup));
        assert!(!is_in(b"0::/docker/ab", &cgroup) && !is_in(b"0::/docker", &cgroup));
    }
}
