//! The scan of live processes of our own.

use std::process::{Child, Command, Stdio};

use super::*;
use crate::facts::{FdInfo, FileType, Link, Process};

/// A program that ends with the test.
struct Running(Child);

impl Running {
    /// A shell that runs `script`, says so by a line, and then waits.
    fn shell(script: &str) -> Self {
        use std::io::Read as _;
        let script = format!("{script}\necho ready; read -r line");
        let mut command = Command::new("bash");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        Self(child)
    }

    fn pid(&self) -> Pid {
        self.0.id().cast_signed()
    }

    fn scan(&self) -> Facts {
        scan(Target { root: self.pid(), ..Target::default() }).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let running = Running::shell(&format!("exec 7>{0}; rm {0}; exec 9</dev/null", file.display()));
    let facts = running.scan();
    let root = facts.root().unwrap();
    assert_eq!((root.pid, root.comm.as_bytes()), (running.pid(), &b"bash"[..]));
    assert_eq!(root.args[1].as_bytes(), b"-c");
    assert!(root.start_time > 0 && root.mapping_count > root.mappings.len() as u64);
    assert_eq!(root.namespaces, facts.host.namespaces);
    assert_eq!(facts.mount_namespaces[0].pid, root.pid);
    assert_eq!(root.frozen, Some(false));
    let fd = |number| root.fds.iter().find(|fd| fd.number == number).unwrap();
    assert!(matches!(fd(0).link(), Link::Pipe(_)) && fd(0).flags.is_none());
    assert!(matches!(fd(7).link(), Link::Path { deleted: true, .. }));
    assert_eq!(fd(7).flags.unwrap() & 0o3, 1);
    let stat = fd(9).stat.unwrap();
    assert_eq!((stat.file_type, stat.rdev), (FileType::CharDevice, (1, 3)));
    assert_eq!(facts.gaps, []);
}

#[test]
fn the_tree_is_walked_depth_first() {
    // Every program ends when the pipe of the test does.
    let running = Running::shell("exec 3<&0; (cat <&3 & cat <&3 & wait) & cat <&3 &");
    let facts = std::iter::repeat_with(|| running.scan()).find(|facts| facts.processes.len() == 5).unwrap();
    let [root, shell, first, second, last] = facts.processes.as_slice() else { panic!("{facts:?}") };
    assert_eq!((shell.ppid, last.ppid), (root.pid, root.pid));
    assert_eq!((first.ppid, second.ppid), (shell.pid, shell.pid));
    assert!(facts.processes.iter().all(|process| process.shares.is_empty()));
}

#[test]
fn threads_and_pidfds_are_seen() {
    let _pidfd = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).unwrap();
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv());
    let own = rustix::process::getpid().as_raw_pid();
    let facts = scan(Target { root: own, ..Target::default() }).unwrap();
    drop(stop);
    let _ = thread.join();
    let root: &Process = facts.root().unwrap();
    assert!(root.threads.len() > 1 && root.threads[0].tid == own);
    assert!(root.fds.iter().any(|fd| fd.info == FdInfo::Pidfd { pid: own }));
}

#[test]
fn a_process_that_is_not_there_is_one_clear_error() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let root = child.id().cast_signed();
    let error = scan(Target { root, ..Target::default() }).unwrap_err();
    assert_eq!(error.message, format!("process {root} is not running"));
    assert!(scan(Target { root: -5, ..Target::default() }).is_err());
}
