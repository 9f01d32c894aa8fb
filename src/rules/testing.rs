//! Small hand-made facts for the unit tests of matchers and rules.
//!
//! A test takes a builder's value and changes the fields it is about: `Process { state: 'D', ..process(7) }`.

use super::{Index, RuleSet, judge};
use crate::facts::{Engine, Facts, Fd, FdInfo, FileStat, FileType, Host, Mapping, Mount, MountNamespace};
use crate::facts::{Namespaces, NetNamespace, Pid, Process, Socket, Thread};
use crate::finding::Finding;
use crate::profile::{Criu, CriuOption, OptionInEffect, Profile};

/// A sleeping process of one thread in the host's namespaces, leader of its own session, child of pid 1.
pub(crate) fn process(pid: Pid) -> Process {
    Process {
        pid,
        ppid: 1,
        start_time: 1000,
        comm: format!("p{pid}").into(),
        exe: Some("/usr/bin/prog".into()),
        state: 'S',
        pgid: pid,
        sid: pid,
        ns_pids: vec![pid],
        ns_sid: pid,
        threads: vec![thread(pid)],
        namespaces: host_namespaces(),
        cwd: Some("/".into()),
        root: Some("/".into()),
        ..Process::default()
    }
}

/// The same with these open files.
pub(crate) fn holder(pid: Pid, fds: Vec<Fd>) -> Process {
    Process { fds, ..process(pid) }
}

/// A child of `parent`.
pub(crate) fn child(pid: Pid, parent: Pid) -> Process {
    Process { ppid: parent, ..process(pid) }
}

/// A sleeping thread.
pub(crate) fn thread(tid: Pid) -> Thread {
    Thread { tid, state: 'S', ..Thread::default() }
}

/// An open file, read and write, mount id 1.
pub(crate) fn fd(number: i32, link: &str) -> Fd {
    Fd { number, link: link.into(), flags: Some(0o2), mount_id: Some(1), inode: Some(77), ..Fd::default() }
}

/// A pidfd that refers to `pid`.
pub(crate) fn pidfd(number: i32, pid: Pid) -> Fd {
    Fd { info: FdInfo::Pidfd { pid }, ..fd(number, "anon_inode:[pidfd]") }
}

/// The slave of pty number `index`, on device 0:24.
pub(crate) fn pts(number: i32, index: u32) -> Fd {
    let stat = FileStat { rdev: (136, index), device: (0, 24), ..stat(FileType::CharDevice) };
    Fd { stat: Some(stat), ..fd(number, &format!("/dev/pts/{index}")) }
}

/// The master of pty number `index`.
pub(crate) fn ptmx(number: i32, index: u32) -> Fd {
    let stat = FileStat { rdev: (5, 2), device: (0, 24), ..stat(FileType::CharDevice) };
    Fd { stat: Some(stat), info: FdInfo::Ptmx { index }, ..fd(number, "/dev/ptmx") }
}

/// A file of a type on device 8:1.
pub(crate) fn stat(file_type: FileType) -> FileStat {
    FileStat { file_type, links: 1, inode: 77, device: (8, 1), ..FileStat::default() }
}

/// A readable shared mapping of one page.
pub(crate) fn mapping(path: &str) -> Mapping {
    let permissions = "r--s".to_owned();
    Mapping {
        start: 0x7000,
        end: 0x8000,
        permissions,
        device: (8, 1),
        inode: 77,
        path: path.into(),
        mount_id: Some(1),
        ..Mapping::default()
    }
}

/// A private mount of a whole file system of its own.
pub(crate) fn mount(id: u64, parent: u64, mount_point: &str, fs_type: &str) -> Mount {
    Mount {
        id,
        parent,
        device: (0, u32::try_from(id).unwrap()),
        root: "/".into(),
        mount_point: mount_point.into(),
        options: "rw,relatime".into(),
        fs_type: fs_type.into(),
        source: fs_type.into(),
        super_options: "rw".into(),
        ..Mount::default()
    }
}

/// Namespaces of the host, where criu runs.
pub(crate) fn host_namespaces() -> Namespaces {
    namespaces_from(4_026_531_000)
}

/// Namespaces of a container: all of its own but user, as runc makes them by default.
pub(crate) fn container_namespaces() -> Namespaces {
    Namespaces { user: host_namespaces().user, ..namespaces_from(4_026_532_000) }
}

fn namespaces_from(first: u64) -> Namespaces {
    Namespaces {
        cgroup: Some(first),
        ipc: Some(first + 1),
        mnt: Some(first + 2),
        net: Some(first + 3),
        pid: Some(first + 4),
        pid_for_children: Some(first + 4),
        time: Some(first + 5),
        time_for_children: Some(first + 5),
        user: Some(first + 6),
        uts: Some(first + 7),
    }
}

/// A tree of these processes, the first its root, on Linux 6.18, its mount namespaces with one ext4 root mount, id 1.
pub(crate) fn facts(processes: Vec<Process>) -> Facts {
    let mut facts = Facts::default();
    facts.target.root = processes[0].pid;
    facts.host = Host {
        kernel_release: "6.18.0".into(),
        kernel: "6.18".parse().ok(),
        architecture: "x86_64".into(),
        namespaces: host_namespaces(),
        ..Host::default()
    };
    for process in &processes {
        let id = process.namespaces.mnt.unwrap_or_default();
        if facts.mount_namespaces.iter().all(|ns| ns.id != id) {
            let mounts = vec![mount(1, 0, "/", "ext4")];
            facts.mount_namespaces.push(MountNamespace { id, pid: process.pid, mounts, closed: Vec::new() });
        }
    }
    facts.processes = processes;
    facts
}

/// The same with these sockets in the network namespace of its root process.
pub(crate) fn with_sockets(facts: Facts, sockets: Vec<Socket>) -> Facts {
    let root = &facts.processes[0];
    let namespace =
        NetNamespace { id: root.namespaces.net.unwrap(), pid: root.pid, sockets, ..NetNamespace::default() };
    Facts { net_namespaces: vec![namespace], ..facts }
}

/// A dump by an ideal criu of that release with these options, spelled as in a config file: `external unix[42]`.
pub(crate) fn profile(release: &str, options: &[&str]) -> Profile {
    let in_effect = |text: &&str| OptionInEffect {
        option: match text.split_once(' ') {
            Some((name, value)) => CriuOption::with(name, value),
            None => CriuOption::flag(text),
        },
        from: "test".into(),
    };
    Profile {
        engine: Engine::Criu,
        criu: Criu {
            version: Some(release.parse().unwrap()),
            state: None,
            path: None,
            from: "test".into(),
            features: Vec::new(),
        },
        options: options.iter().map(in_effect).collect(),
        kernel: "6.18".parse().ok(),
        architecture: "x86_64".into(),
        caller: None,
        runtime_version: None,
        config_files: Vec::new(),
        config_line_file: None,
        config_errors: Vec::new(),
        notes: Vec::new(),
    }
}

/// What one built-in rule finds. Panics when there is no such rule.
pub(crate) fn findings(rule: &str, facts: &Facts, profile: &Profile) -> Vec<Finding> {
    let mut set = RuleSet::built_in().unwrap();
    set.rules.retain(|known| known.id == rule);
    assert_eq!(set.rules.len(), 1, "no rule {rule}");
    judge(facts, &Index::new(facts), profile, &set)
}

/// The subjects on which one built-in rule fires under CRIU 4.2 with these options, but for what is only lost by one, as `PID`, `PID fd N`, `PID RANGE`
/// or a path.
pub(crate) fn fired(rule: &str, facts: &Facts, options: &[&str]) -> Vec<String> {
    let found = findings(rule, facts, &profile("4.2", options));
    let is_lost = |finding: &&Finding| finding.why.starts_with("The dump passes by --");
    found.iter().filter(|finding| !is_lost(finding)).map(name).collect()
}

fn name(finding: &Finding) -> String {
    let value = |key| finding.subject.value(key);
    match (value("pid"), value("fd"), value("range")) {
        (Some(pid), Some(fd), _) => format!("{pid} fd {fd}"),
        (Some(pid), _, Some(range)) => format!("{pid} {range}"),
        (Some(pid), ..) => pid,
        _ => value("path").unwrap_or_default(),
    }
}
