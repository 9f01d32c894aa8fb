use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use super::*;
use crate::facts::Namespaces;

fn link(path: &str) -> String {
    std::fs::read_link(path).unwrap().into_os_string().into_string().unwrap()
}

#[test]
fn a_peer_outside_the_tree_is_kept_and_its_holder_named() {
    let (inside, outside) = UnixStream::pair().unwrap();
    let mut child = Command::new("cat").stdin(Stdio::from(OwnedFd::from(inside))).spawn().unwrap();
    let pid = Pid::try_from(child.id()).unwrap();
    let fd = Fd { link: link(&format!("/proc/{pid}/fd/0")).into(), ..Fd::default() };
    let net = link("/proc/self/ns/net").trim_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    let namespaces = Namespaces { net, ..Namespaces::default() };
    let mut facts = Facts::default();
    facts.host.namespaces = namespaces;
    facts.processes = vec![Process { pid, namespaces, fds: vec![fd], ..Process::default() }];

    sockets(&mut facts);
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(facts.gaps, []);
    let [namespace] = facts.net_namespaces.as_slice() else { panic!("{:?}", facts.net_namespaces) };
    let inodes: Vec<u64> = namespace.sockets.iter().map(|socket| socket.inode).collect();
    let holders: Vec<(Pid, i32)> = facts.outside_ends.iter().map(|end| (end.pid, end.fd)).collect();
    let own = Pid::try_from(std::process::id()).unwrap();
    assert_eq!((inodes.len(), holders), (2, vec![(own, outside.as_raw_fd())]));
    assert!(inodes.contains(&facts.outside_ends[0].inode));
}
