//! What criu asks of the kernel whatever it dumps: tried from here, so that options of the kernel need not be known.
//!
//! sock_diag and nf_tables are asked for nothing but empty or small tables; the kernel loads its modules for that as it
//! does for criu. CRIU: `sockets.c: collect_sockets`, `kerndat.c: kerndat_init`.

use std::os::unix::fs::FileExt;

use netlink_packet_sock_diag::SOCK_DIAG_BY_FAMILY;
use rustix::fs::{Access, access, inotify};
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SOCK_DIAG};

use super::sockets::{Raw, dump};
use crate::facts::Abilities;
use crate::procfs::kcmp;

/// Files that criu reads of every process, and one that it reads first: `/proc` may be mounted without it.
const FILES: [(&str, &str); 5] = [
    ("children", "/proc/thread-self/children"),
    ("map_files", "/proc/self/map_files"),
    ("pagemap", "/proc/self/pagemap"),
    ("timers", "/proc/self/timers"),
    ("cap_last_cap", "/proc/sys/kernel/cap_last_cap"),
];

/// Modules of sock_diag with family, protocol and length of a request. Raw sockets have one that criu can do without.
const DIAG: [(&str, u8, u8, usize); 5] = [
    ("af_packet_diag", 17, 0, 20),
    ("netlink_diag", 16, 255, 20),
    ("tcp_diag", 2, 6, 56),
    ("udp_diag", 2, 17, 56),
    ("unix_diag", 1, 0, 24),
];

/// Kinds of namespaces that criu makes to try out the kernel.
const KINDS: [&str; 2] = ["net", "user"];

/// Bit of a pagemap entry. Kernel: `fs/proc/task_mmu.c: PM_SOFT_DIRTY`.
const SOFT_DIRTY: u64 = 1 << 55;

/// Asks the kernel for all of them.
pub(super) fn abilities() -> Abilities {
    let lacks = |(_, path): &&(&str, &str)| access(*path, Access::EXISTS) == Err(Errno::NOENT);
    let mut missing: Vec<String> = FILES.iter().filter(lacks).map(|(name, _)| (*name).to_owned()).collect();
    let own = rustix::process::getpid().as_raw_pid();
    if kcmp::compare(own, own, kcmp::Resource::Vm) == Err(Errno::NOSYS) {
        missing.push("kcmp".to_owned());
    }
    missing.sort();
    Abilities {
        missing,
        missing_diag: DIAG.iter().filter(|ask| !answers(ask)).map(|(name, ..)| (*name).to_owned()).collect(),
        ipv6: access("/proc/sys/net/ipv6", Access::EXISTS).is_ok(),
        ptrace_scope: ptrace_scope(),
        inotify: Some(inotify::init(inotify::CreateFlags::CLOEXEC).is_ok()),
        soft_dirty: soft_dirty(),
        nf_tables: nf_tables(),
        barred_namespaces: KINDS.into_iter().filter(|kind| is_barred(kind)).map(str::to_owned).collect(),
        kernel_data_cached: access("/run/criu.kdat", Access::EXISTS).is_ok(),
    }
}

/// Whether the kernel has the module: it says `ENOENT` only when not. Kernel: `sock_diag.c: __sock_diag_cmd`,
/// `inet_diag.c: inet_diag_lock_handler`.
fn answers(&(_, family, protocol, length): &(&str, u8, u8, usize)) -> bool {
    let mut body = vec![family, protocol];
    body.resize(length, 0);
    dump(Some(SOCK_DIAG), Raw { kind: SOCK_DIAG_BY_FAMILY, body }, |_: Raw| {}) != Err(Errno::NOENT)
}

/// Asks for the tables of nf_tables in the scanner's network namespace: the kernel says `EINVAL` when it can't have any.
/// Kernel: `nfnetlink.c: nfnetlink_rcv_msg`.
fn nf_tables() -> Option<bool> {
    const GET_TABLES: u16 = 10 << 8 | 1;
    const INET: u8 = 1;
    match dump(Some(NETFILTER), Raw { kind: GET_TABLES, body: vec![INET, 0, 0, 0] }, |_: Raw| {}) {
        Ok(()) => Some(true),
        Err(Errno::INVAL | Errno::PROTONOSUPPORT | Errno::OPNOTSUPP) => Some(false),
        Err(_) => None,
    }
}

/// Whether the user namespace of whoever reads this allows none. Kernel: `kernel/ucount.c: inc_ucount`.
fn is_barred(kind: &str) -> bool {
    std::fs::read_to_string(format!("/proc/sys/user/max_{kind}_namespaces")).is_ok_and(|text| text.trim() == "0")
}

fn ptrace_scope() -> Option<u8> {
    std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?.trim().parse().ok()
}

/// Whether a page that was just written to is said to be so. CRIU 4.2: `kerndat.c: kerndat_get_dirty_track`.
fn soft_dirty() -> Option<bool> {
    const ENTRY: usize = size_of::<u64>();
    let page = vec![1_u8; 2 * rustix::param::page_size()];
    let within = (page.as_ptr().addr() + rustix::param::page_size()) / rustix::param::page_size();
    let file = std::fs::File::open("/proc/self/pagemap").ok()?;
    let mut entry = [0; ENTRY];
    file.read_exact_at(&mut entry, u64::try_from(within.checked_mul(ENTRY)?).ok()?).ok()?;
    std::hint::black_box(&page);
    Some(u64::from_ne_bytes(entry) & SOFT_DIRTY != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_has_is_told_from_what_it_has_not() {
        let found = abilities();
        assert!(found.missing_diag.iter().all(|name| DIAG.iter().any(|(known, ..)| known == name)));
        assert!(!answers(&("none", 44, 0, 24)));
        assert!(answers(&("unix_diag", 1, 0, 24)) || found.missing_diag.contains(&"unix_diag".to_owned()));
    }
}
