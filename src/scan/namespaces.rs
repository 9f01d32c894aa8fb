//! The namespaces of a process, from the links of `/proc/PID/ns`.

use super::Scanner;
use crate::facts::{Area, Namespaces, NsId};
use crate::procfs::{ProcessDir, is_gone, ns};

/// Reads all namespace links. A link that is not there belongs to a kernel without that kind of namespace.
pub(super) fn namespaces(scanner: &mut Scanner, dir: &ProcessDir) -> Namespaces {
    let mut found = Namespaces::default();
    let links: [(&std::ffi::CStr, &mut Option<NsId>); 10] = [
        (c"ns/cgroup", &mut found.cgroup),
        (c"ns/ipc", &mut found.ipc),
        (c"ns/mnt", &mut found.mnt),
        (c"ns/net", &mut found.net),
        (c"ns/pid", &mut found.pid),
        (c"ns/pid_for_children", &mut found.pid_for_children),
        (c"ns/time", &mut found.time),
        (c"ns/time_for_children", &mut found.time_for_children),
        (c"ns/user", &mut found.user),
        (c"ns/uts", &mut found.uts),
    ];
    for (name, slot) in links {
        match dir.link(name, &mut scanner.buffer).map(ns::parse) {
            Ok(id) => *slot = id,
            Err(errno) if is_gone(errno) => {}
            Err(errno) => {
                // What forbids one forbids all.
                scanner.failed(Area::Namespaces, dir.pid(), "ns", errno);
                scanner.gap(Area::Mounts, dir.pid(), "mountinfo", "its mount namespace may not be known");
                break;
            }
        }
    }
    found
}
