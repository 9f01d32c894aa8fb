use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::*;
use crate::facts::Process;

/// Where watches on these paths of this machine point to, if its root were of that type.
fn found(fs_type: &str, paths: &[&str]) -> Vec<WatchPath> {
    let pid = Pid::try_from(std::process::id()).unwrap();
    let top = statx(CWD, "/", AtFlags::empty(), StatxFlags::MNT_ID).unwrap();
    let device = (top.stx_dev_major, top.stx_dev_minor);
    let (id, fs_type) = (top.stx_mnt_id, fs_type.into());
    let mount = Mount { id, device, root: "/".into(), mount_point: "/".into(), fs_type, ..Mount::default() };
    let device = u64::from(device.0) << 20 | u64::from(device.1);
    let inode = |path: &&str| std::fs::symlink_metadata(path).unwrap().ino();
    let watch = |path| InotifyWatch { device, inode: inode(path), ..InotifyWatch::default() };
    let info = FdInfo::Inotify { watches: paths.iter().map(watch).collect() };
    let mount_namespaces = vec![MountNamespace { id: 1, pid, mounts: vec![mount], closed: Vec::new() }];
    let processes = vec![Process { pid, fds: vec![Fd { info, ..Fd::default() }], ..Process::default() }];
    let mut facts = Facts { mount_namespaces, processes, ..Facts::default() };
    facts.host.caller.capabilities = u64::MAX;
    watches(&mut facts, &[]);
    of(&facts.processes[0].fds[0]).iter().map(|watch| watch.path.clone()).collect()
}

#[test]
fn without_handles_hint_directories_are_told_from_the_rest() {
    let paths = found("overlay", &["/", "/etc", "/usr/bin"]);
    let expected =
        [WatchPath::Hinted("/".into()), WatchPath::Hinted("/etc".into()), WatchPath::Elsewhere("/usr/bin".into())];
    assert_eq!(paths, expected);
}

#[test]
fn a_file_system_that_opens_handles_needs_no_path() {
    assert_eq!(found("ext4", &["/usr/bin"]), [WatchPath::NotNeeded]);
}

#[test]
fn a_file_system_that_may_hang_is_not_touched() {
    assert_eq!(found("nfs4", &["/usr/bin"]), [WatchPath::Unknown]);
}

#[test]
fn what_is_below_ends_at_a_slash() {
    assert!(is_below(b"/etc/x", b"/etc") && is_below(b"/etc", b"/") && is_below(b"/etc", b"/etc"));
    assert!(!is_below(b"/etcetera", b"/etc"));
}
