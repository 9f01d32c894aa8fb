//! Sockets of the network namespaces of the tree, and their peers.

use serde::{Deserialize, Serialize};

use super::{NsId, Pid};
use crate::text::RawText;

/// Address family numbers, `AF_*`.
pub mod family {
    /// `AF_UNIX`
    pub const UNIX: u16 = 1;
    /// `AF_INET`
    pub const INET: u16 = 2;
    /// `AF_INET6`
    pub const INET6: u16 = 10;
    /// `AF_NETLINK`
    pub const NETLINK: u16 = 16;
    /// `AF_PACKET`
    pub const PACKET: u16 = 17;
}

/// TCP states as sock_diag numbers them (`include/net/tcp_states.h`); unix sockets use the same numbers.
pub mod tcp_state {
    /// Connected.
    pub const ESTABLISHED: u8 = 1;
    /// In the middle of the handshake.
    pub const SYN_RECEIVED: u8 = 3;
    /// Over, and kept for a minute.
    pub const TIME_WAIT: u8 = 6;
    /// Not connected.
    pub const CLOSE: u8 = 7;
    /// Listening.
    pub const LISTEN: u8 = 10;
}

/// A network namespace and its sockets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetNamespace {
    /// Inode number of the namespace.
    pub id: NsId,
    /// The process of the tree through which it was entered; 0 for the scanner's own when no process is in it.
    pub pid: Pid,
    /// Sockets by inode. Only those a process of the tree holds, their peers, and what waits in their queues.
    pub sockets: Vec<Socket>,
    /// Network interfaces by index; none are read of the scanner's own namespace, which CRIU does not save.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// How the names of protocols begin whose sockets sock_diag can't list: the kernel lacks that part of it.
    #[serde(default)]
    pub undiagnosed: Vec<String>,
    /// How many TCP connections came in since it was made, where all are to one port: not in the scanner's own one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u64>,
}

/// One network interface, as rtnetlink shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Index, unique in the network namespace.
    pub index: i32,
    /// Name.
    pub name: RawText,
    /// Type of the hardware, `ARPHRD_*`.
    pub hardware: u16,
    /// What makes it, such as `veth`; none for hardware and the loopback interface.
    pub kind: Option<RawText>,
    /// What a tun or tap device says of itself.
    #[serde(default)]
    pub tun: Option<Tun>,
}

/// A tun or tap device. Kernel: `drivers/net/tun.c: tun_fill_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tun {
    /// Whether it stays when no descriptor is attached to it.
    pub persistent: bool,
    /// Whether several descriptors can be attached to it at once.
    pub multi_queue: bool,
    /// How many are attached.
    pub queues: u32,
}

/// One socket as sock_diag (unix, inet, netlink) or `/proc/PID/net` (packet) shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Socket {
    /// Inode number, the `N` of `socket:[N]`.
    pub inode: u64,
    /// Address family, `AF_*`.
    pub family: u16,
    /// `SOCK_STREAM` 1, `SOCK_DGRAM` 2, `SOCK_RAW` 3, `SOCK_SEQPACKET` 5.
    pub kind: u8,
    /// Protocol number within the family.
    pub protocol: u8,
    /// State, see [`tcp_state`].
    pub state: u8,
    /// Bytes that wait to be read; for a listener connections that wait to be accepted.
    pub receive_queue: u32,
    /// Bytes that wait to be sent; for a listener the backlog.
    pub send_queue: u32,
    /// Own address: `ADDR:PORT`, or a unix name (abstract names begin with `@`).
    pub local: RawText,
    /// Peer's address `ADDR:PORT`.
    pub remote: RawText,
    /// TCP listener: connections to it that nobody holds any more, of about the last minute (TIME-WAIT and the like).
    #[serde(default)]
    pub ended: u32,
    /// TCP listener: connections to it in a second, as far as those that ended a moment ago or a counter tell.
    #[serde(default)]
    pub called: u32,
    /// Unix: inode of the peer.
    pub peer: Option<u64>,
    /// Unix listener: inodes of the connecting ends that wait to be accepted; 0 for one already closed.
    pub pending: Vec<u64>,
    /// Unix: directions shut down, bit 0 receive, bit 1 send.
    pub shutdown: u8,
    /// Netlink: the mask of multicast groups in words of 32 bits; empty for a socket that never was in a group.
    pub groups: Vec<u32>,
    /// Netlink: port id.
    pub port_id: u32,
    /// TCP: whether it carries a Multipath TCP socket, under whose inode it is listed. Absent where that was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mptcp: Option<bool>,
    /// Inet: index of the interface that it is bound to, 0 for none.
    #[serde(default)]
    pub device: u32,
    /// Inet: whether it is bound to an interface that is gone.
    #[serde(default)]
    pub device_gone: bool,
    /// Packet: how often the socket joined the membership that it joined most often.
    #[serde(default)]
    pub memberships: u32,
    /// Unix: descriptors in messages that wait to be read, `scm_fds` of fdinfo; read where messages wait.
    #[serde(default)]
    pub queued_fds: Option<u32>,
    /// Unix, bound to a relative name: the lower half of the inode number of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u32>,
    /// Unix, bound to a relative name: whether its file was found to have a path that does not end with that name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
}

impl Socket {
    /// Whether a table lists it as TCP.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        matches!(self.family, family::INET | family::INET6) && self.protocol == 6
    }

    /// The relative name that it was bound to.
    #[must_use]
    pub fn relative_name(&self) -> Option<&[u8]> {
        let name = self.local.as_bytes();
        (self.family == family::UNIX && !matches!(name.first(), None | Some(b'/' | b'@'))).then_some(name)
    }

    /// Whether a table lists it as raw.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        matches!(self.family, family::INET | family::INET6) && self.kind == 3
    }

    /// The socket type as a word.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            1 => "stream",
            2 => "datagram",
            3 => "raw",
            5 => "seqpacket",
            _ => "unknown",
        }
    }
}

/// A process outside the tree that holds a socket which is a peer of one inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideEnd {
    /// Inode of the socket it holds.
    pub inode: u64,
    /// Its process id in the scanner's pid namespace.
    pub pid: Pid,
    /// Its name.
    pub comm: RawText,
    /// Number of the descriptor.
    pub fd: i32,
}
