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
    assert_eq!(facts.mount_namespaces[0].pid, 0);
    assert!(root.held.len() == 3 && root.held.iter().all(|file| file.stat.is_some() && file.mount_id.is_some()));
    assert_eq!(root.frozen, Some(false));
    let fd = |number| root.fds.iter().find(|fd| fd.number == number).unwrap();
    assert!(matches!(fd(0).link(), Link::Pipe(_)) && fd(0).flags.unwrap() & 0o3 == 0);
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
    let facts = std::iter::repeat_with(|| running.scan()).take(1000).find(|facts| facts.processes.len() == 5).unwrap();
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

#[test]
fn a_thread_is_no_process() {
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let (tell, hear) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell.send(rustix::thread::gettid().as_raw_pid()).unwrap();
        wait.recv()
    });
    let root = hear.recv().unwrap();
    let error = scan(Target { root, ..Target::default() }).unwrap_err();
    drop(stop);
    let _ = thread.join();
    assert_eq!(error.message, format!("{root} is a thread of process {}", std::process::id()));
}

#[test]
fn the_session_on_the_slave_of_a_master_is_found_outside() {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut holder = Command::new("sleep").arg("60").stdin(Stdio::from(master)).spawn().unwrap();
    let mut session = Command::new("setsid").args(["--ctty", "sleep", "60"]).stdin(slave).spawn().unwrap();
    let target = || Target { root: holder.id().cast_signed(), ..Target::default() };
    let found =
        std::iter::repeat_with(|| scan(target()).unwrap().outside_sessions).take(1000).find(|found| !found.is_empty());
    let [outside] = found.as_deref().unwrap() else { panic!("{found:?}") };
    assert_eq!((outside.pid, outside.sid), (session.id().cast_signed(), session.id().cast_signed()));
    for child in [&mut holder, &mut session] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn what_a_weaker_caller_needs_is_looked_for_when_it_is_known() {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    let dir = tempfile::tempdir().unwrap();
    let watch = init(CreateFlags::CLOEXEC).unwrap();
    add_watch(&watch, dir.path(), WatchFlags::CREATE).unwrap();
    let own = rustix::process::getpid().as_raw_pid();
    let mut facts = scan(Target { root: own, ..Target::default() }).unwrap();
    let paths = |facts: &Facts| {
        let of = |fd: &crate::facts::Fd| match &fd.info {
            FdInfo::Inotify { watches } => watches.iter().map(|watch| watch.path.clone()).collect(),
            _ => Vec::new(),
        };
        facts.root().unwrap().fds.iter().flat_map(of).collect::<Vec<_>>()
    };
    let (scanner, before) = (facts.host.caller.clone(), paths(&facts));
    set_caller(&mut facts, CallerFacts { capabilities: 0, ..scanner.clone() });
    let expected = crate::facts::WatchPath::Elsewhere(dir.path().to_str().unwrap().into());
    assert!(paths(&facts).contains(&expected), "{:?}", paths(&facts));
    set_caller(&mut facts, scanner);
    assert_eq!(paths(&facts), before);
}
