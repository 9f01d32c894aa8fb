//! The process tree as CRIU walks it: depth first, children thread by thread as `task/TID/children` lists them.
//! CRIU: `seize.c: collect_children`, `proc_parse.c: parse_children`, `pstree.c: pstree_item_next`.

use std::collections::{HashMap, HashSet};

use rustix::io::Errno;
use rustix::process::test_kill_process;

use super::{Scanner, process};
use crate::error::{Error, Result};
use crate::facts::{Area, Pid, Process};
use crate::procfs::number::decimal;
use crate::procfs::{ProcessDir, is_gone, numbers_at, read_all_at, stat, status};

/// Opens the root process.
///
/// # Errors
/// When it is not running, a thread, or hidden from the caller.
pub(super) fn open_root(scanner: &mut Scanner, pid: Pid) -> Result<ProcessDir> {
    let dir = scanner.proc.process(pid).map_err(|errno| no_root(pid, errno))?;
    let text = dir.read(c"status", &mut scanner.buffer).map_err(|errno| no_root(pid, errno))?;
    match status::parse(text) {
        Some(status) if status.tgid == pid => Ok(dir),
        Some(status) => Err(Error::new(format!("{pid} is a thread of process {}", status.tgid))
            .hint(format!("ask for the process: {}", status.tgid))),
        None => Err(Error::new(format!("cannot understand /proc/{pid}/status"))),
    }
}

/// Makes sure that the root process was read, and there all the time.
///
/// # Errors
/// When it has ended.
pub(super) fn check_root(scanner: &mut Scanner, root: &ProcessDir, was_read: bool) -> Result<()> {
    match root.read(c"stat", &mut scanner.buffer) {
        Ok(_) if was_read => Ok(()),
        Err(errno) if !is_gone(errno) => Err(no_root(root.pid(), errno)),
        _ => Err(Error::new(format!("process {} ended while it was looked at", root.pid()))),
    }
}

fn no_root(pid: Pid, errno: Errno) -> Error {
    if is_gone(errno) && !is_hidden(pid) {
        return Error::new(format!("process {pid} is not running")).hint("list the running ones with `ps -e`");
    }
    Error::new(format!("not permitted to look at process {pid}"))
        .hint("run ckpt-lint as root, in the pid namespace of the host")
}

/// Whether a process that can not be found is there, but not to be seen (`hidepid`).
fn is_hidden(pid: Pid) -> bool {
    let pid = (pid > 0).then(|| rustix::process::Pid::from_raw(pid)).flatten();
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::PERM))
}

/// Reads the tree from process `root` on. Gives the memory layout of each process, in the same order.
pub(super) fn walk(scanner: &mut Scanner, root: Pid, processes: &mut Vec<Process>) -> Vec<process::Layout> {
    let mut layouts = Vec::new();
    let mut kinship = Kinship::new(scanner);
    let mut tree = HashSet::new();
    let mut pending = vec![root];
    while let Some(pid) = pending.pop() {
        if tree.contains(&pid) {
            continue;
        }
        let dir = match scanner.proc.process(pid) {
            Ok(dir) => dir,
            Err(errno) => {
                if !is_gone(errno) || is_hidden(pid) {
                    scanner.gap(Area::Processes, pid, "", "permission denied");
                }
                continue;
            }
        };
        let Some((process, layout)) = process::process(scanner, &dir) else { continue };
        // A pid that was used again in between belongs to someone else's child.
        if pid != root && !tree.contains(&process.ppid) {
            continue;
        }
        pending.extend(kinship.children(scanner, &dir, &process).into_iter().rev());
        tree.insert(pid);
        processes.push(process);
        layouts.push(layout);
    }
    layouts
}

/// Who is whose child.
enum Kinship {
    /// The kernel lists the children of a thread (`CONFIG_PROC_CHILDREN`).
    Listed,
    /// It does not; every process was asked for its parent.
    ByParent(HashMap<Pid, Vec<Pid>>),
}

impl Kinship {
    fn new(scanner: &mut Scanner) -> Self {
        if rustix::fs::accessat(
            scanner.proc.dir(),
            c"thread-self/children",
            rustix::fs::Access::EXISTS,
            rustix::fs::AtFlags::empty(),
        )
        .is_ok()
        {
            return Self::Listed;
        }
        let mut children = HashMap::<_, Vec<_>>::new();
        for pid in numbers_at(scanner.proc.dir(), c".").unwrap_or_default() {
            let parsed =
                scanner.proc.process(pid).and_then(|dir| dir.read(c"stat", &mut scanner.buffer).map(stat::parse));
            if let Ok(Some(stat)) = parsed {
                children.entry(stat.ppid).or_default().push(pid);
            }
        }
        Self::ByParent(children)
    }

    fn children(&mut self, scanner: &mut Scanner, dir: &ProcessDir, process: &Process) -> Vec<Pid> {
        match self {
            Self::Listed => process.threads.iter().flat_map(|thread| listed(scanner, dir, thread.tid)).collect(),
            Self::ByParent(children) => children.remove(&process.pid).unwrap_or_default(),
        }
    }
}

/// The children of one thread.
fn listed(scanner: &mut Scanner, dir: &ProcessDir, tid: Pid) -> Vec<Pid> {
    let mut children = Vec::new();
    let name = format!("task/{tid}/children");
    let result = read_all_at(dir.dir(), name.as_str(), &mut scanner.buffer)
        .map(|text| children.extend(text.split(|&byte| byte == b' ').filter_map(decimal::<Pid>)));
    if let Err(errno) = result {
        scanner.failed(Area::Processes, dir.pid(), name, errno);
    }
    children
}
