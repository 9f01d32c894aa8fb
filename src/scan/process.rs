//! One process: who it is, its threads, and what it has open.

use super::{Scanner, files, held, memory, namespaces};
use crate::facts::{Area, Pid, Process, Thread};
use crate::procfs::cgroup::lines;
use crate::procfs::stat::Stat;
use crate::procfs::status::Status;
use crate::procfs::{ProcessDir, is_gone, limits, numbers_at, read_all_at, read_at, stat, status, timers};
use crate::text::RawText;

/// Where code and stack lie. Processes that share their memory have the same.
pub(super) type Layout = [u64; 3];

/// Reads a process; `None` when it has left, or not even its state may be read.
pub(super) fn process(scanner: &mut Scanner, dir: &ProcessDir) -> Option<(Process, Layout)> {
    let stat = scanner.read(dir, Area::Processes, c"stat", stat::parse)?;
    let status = scanner.read(dir, Area::Processes, c"status", status::parse)?;
    let mut process = identity(dir.pid(), &stat, status);
    process.cgroups = scanner.read(dir, Area::Processes, c"cgroup", |text| Some(lines(text))).unwrap_or_default();
    process.threads = threads(scanner, dir, &stat, &process);
    process.args = scanner.read(dir, Area::Processes, c"cmdline", |text| Some(args(text))).unwrap_or_default();
    process.frozen = scanner.frozen(&process);
    process.frozen_by = if process.frozen == Some(true) { scanner.frozen_by(&process) } else { Vec::new() };
    if process.is_zombie() {
        return Some((process, stat.layout));
    }
    process.namespaces = namespaces::namespaces(scanner, dir);
    scanner.mounts_of(dir, process.namespaces.mnt);
    process.cwd = scanner.link(dir, Area::Fds, c"cwd");
    process.root = scanner.link(dir, Area::Fds, c"root");
    files::files(scanner, dir, &mut process);
    memory::memory(scanner, dir, &mut process);
    process.limits = scanner.read(dir, Area::Processes, c"limits", limits::parse);
    if process.ns_pids.len() > 1 {
        process.timer_threads = timer_threads(scanner, dir);
    }
    // Read last: memory is the first that an ending process gives up, and without it what was read may be half.
    match dir.link(c"exe", &mut scanner.buffer) {
        Ok(link) => process.exe = Some(link.into()),
        Err(errno) if is_gone(errno) => return ended(scanner, dir, process).map(|process| (process, stat.layout)),
        Err(errno) => scanner.failed(Area::Mappings, dir.pid(), "exe", errno),
    }
    held::held(scanner, dir, &mut process);
    Some((process, stat.layout))
}

/// What stat and status say; `threads` holds the leader.
fn identity(pid: Pid, stat: &Stat, status: Status) -> Process {
    Process {
        pid,
        ppid: stat.ppid,
        start_time: stat.start_time,
        comm: stat.comm.clone(),
        state: stat.state,
        pgid: stat.pgid,
        sid: stat.sid,
        ns_sid: status.ns_sid.unwrap_or(stat.sid),
        tty: stat.tty,
        tty_group: stat.tty_group,
        uids: status.uids,
        gids: status.gids,
        seccomp: status.seccomp,
        permitted: Some(status.permitted),
        stop_signal: if stat.state == 'T' { u8::try_from(stat.exit_code).unwrap_or(0) } else { 0 },
        tracer: status.tracer,
        pending_signals: status.thread_signals | status.process_signals,
        threads: vec![status.thread(pid)],
        groups: status.groups,
        virtual_bytes: status.virtual_bytes,
        locked_bytes: status.locked_bytes,
        anonymous_bytes: status.anonymous_bytes,
        capabilities: Some(status.capabilities),
        ns_pids: if status.ns_pids.is_empty() { vec![pid] } else { status.ns_pids },
        ..Process::default()
    }
}

/// The threads that POSIX timers name; none on a kernel that does not tell (`CONFIG_CHECKPOINT_RESTORE`).
fn timer_threads(scanner: &mut Scanner, dir: &ProcessDir) -> Vec<Pid> {
    let read = read_all_at(dir.dir(), c"timers", &mut scanner.buffer).map(timers::threads);
    read.map_err(|errno| scanner.failed(Area::Processes, dir.pid(), "timers", errno)).unwrap_or_default()
}

/// All threads, the leader first, in the order the kernel lists them.
fn threads(scanner: &mut Scanner, dir: &ProcessDir, stat: &Stat, process: &Process) -> Vec<Thread> {
    let leader = process.threads.clone();
    if stat.threads == 1 {
        return leader;
    }
    let listed = dir.open_dir(c"task").and_then(|task| Ok((numbers_at(&task, c".")?, task)));
    let (tids, task) = match listed {
        Ok(listed) => listed,
        Err(errno) => {
            scanner.failed(Area::Processes, dir.pid(), "task", errno);
            return leader;
        }
    };
    let mut threads = leader;
    for tid in tids.into_iter().filter(|&tid| tid != dir.pid()) {
        let name = format!("{tid}/status");
        match read_at(&task, name.as_str(), &mut scanner.buffer).map(status::parse) {
            Ok(Some(status)) => {
                let thread = status.thread(tid);
                let groups = (status.groups != process.groups).then_some(status.groups);
                let other_ids = (status.uids, status.gids) != (process.uids, process.gids);
                let cgroups = read_at(&task, format!("{tid}/cgroup").as_str(), &mut scanner.buffer).map(lines);
                let cgroups = cgroups.ok().filter(|lines| *lines != process.cgroups);
                let inner_tid = status.ns_pids.get(1..).and_then(|below| below.last().copied());
                threads.push(Thread { inner_tid, groups, cgroups, other_ids, ..thread });
            }
            Ok(None) => scanner.gap(Area::Processes, dir.pid(), format_args!("task/{name}"), super::NOT_UNDERSTOOD),
            Err(errno) => scanner.failed(Area::Processes, dir.pid(), format_args!("task/{name}"), errno),
        }
    }
    threads
}

/// A process that ended during the visit: a zombie holds nothing, any other is on its way out.
fn ended(scanner: &mut Scanner, dir: &ProcessDir, mut process: Process) -> Option<Process> {
    process.state = scanner.read(dir, Area::Processes, c"stat", stat::parse)?.state;
    process.fds.clear();
    process.mappings.clear();
    process.mapping_count = 0;
    process.is_zombie().then_some(process)
}

/// Arguments end with a NUL each.
fn args(text: &[u8]) -> Vec<RawText> {
    match text.strip_suffix(b"\0").unwrap_or(text) {
        b"" => Vec::new(),
        text => text.split(|&byte| byte == 0).map(RawText::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_arguments_are_arguments() {
        assert_eq!(args(b""), []);
        assert_eq!(args(b"sh\0\0-c\0"), ["sh".into(), "".into(), "-c".into()]);
        assert_eq!(args(b"title without end"), ["title without end".into()]);
    }
}
