//! Processes that engines leave beside a container: their command lines tell folders that no setting names.
//!
//! Any process can write what it likes into its command line, so only those of root or of the caller count, and only
//! those in the pid namespace of this `/proc`: a container cannot pass for a monitor.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Roots;
use super::proc::status_words;
use crate::facts::Pid;

/// Most bytes of a command line that are looked at.
const MAX_COMMAND_LINE: u64 = 64 * 1024;

/// A process that may be a monitor or a daemon.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) args: Vec<Vec<u8>>,
}

impl Process {
    /// File name of the program.
    pub(crate) fn program(&self) -> &[u8] {
        let path = self.args.first().map_or(&b""[..], Vec::as_slice);
        path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
    }

    /// Value of an option given as two words or as `OPTION=VALUE`.
    pub(crate) fn option(&self, name: &str) -> Option<&[u8]> {
        let name = name.as_bytes();
        let separate = self.args.iter().position(|arg| arg == name).and_then(|at| self.args.get(at + 1));
        let joined = || self.args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix(b"="));
        separate.map(Vec::as_slice).or_else(joined)
    }
}

/// The shim of a container that docker runs.
pub(crate) fn shim_of<'a>(processes: &'a [Process], id: &str) -> Option<&'a Process> {
    processes.iter().find(|process| is_docker_shim(process) && process.option("-id") == Some(id.as_bytes()))
}

/// What would start the runtime of some container of docker: the shim of one that runs, else the daemon.
pub(crate) fn of_docker(processes: &[Process]) -> Option<&Process> {
    let daemon = || processes.iter().find(|process| process.program() == b"dockerd");
    processes.iter().find(|process| is_docker_shim(process)).or_else(daemon)
}

/// `containerd-shim-runc-v2 -namespace moby -id ID`: docker's namespace at containerd is `moby`.
pub(crate) fn is_docker_shim(process: &Process) -> bool {
    process.program() == b"containerd-shim-runc-v2" && process.option("-namespace") == Some(b"moby")
}

/// Processes named like one of the engines' programs, by pid.
pub(crate) fn processes(roots: &Roots) -> Vec<Process> {
    let Ok(entries) = fs::read_dir(&roots.proc) else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<Pid>().ok());
    let mut found: Vec<Process> = pids.filter_map(|pid| monitor(&roots.proc, pid)).collect();
    found.sort_by_key(|process| process.pid);
    found
}

fn monitor(proc: &Path, pid: Pid) -> Option<Process> {
    let dir = proc.join(pid.to_string());
    let line = read_some(&dir.join("cmdline"))?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let process = Process { pid, args: line.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect() };
    let known = matches!(process.program(), b"containerd-shim-runc-v2" | b"dockerd" | b"runc");
    (known && is_trusted(&dir)).then_some(process)
}

fn is_trusted(dir: &Path) -> bool {
    let Some(status) = read_some(&dir.join("status")) else { return false };
    let status = String::from_utf8_lossy(&status);
    let uid = status_words(&status, "Uid").and_then(|words| words.get(1)?.parse::<u32>().ok());
    let own = rustix::process::geteuid().as_raw();
    let same_namespace = status_words(&status, "NSpid").is_none_or(|pids| pids.len() == 1);
    uid.is_some_and(|uid| uid == 0 || uid == own) && same_namespace
}

fn read_some(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MAX_COMMAND_LINE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A path among the words of a command line.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}
