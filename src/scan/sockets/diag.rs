//! The socket tables of the network namespace that the calling thread is in.
//!
//! sock_diag lists them as CRIU asks for them (`criu/sockets.c: collect_sockets`), so what is in no table here is in
//! none of CRIU's.

use std::net::SocketAddr;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_core::{NetlinkDeserializable, NetlinkSerializable, Nla as _, Parseable as _};
use netlink_packet_sock_diag::inet::{
    self, ExtensionFlags, InetRequest, InetResponse, InetResponseHeader, SocketId, StateFlags,
};
use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName};
use netlink_packet_sock_diag::unix::{self, ShowFlags, UnixRequest, UnixResponse};
use netlink_packet_sock_diag::{
    IPPROTO_RAW, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, SOCK_DIAG_BY_FAMILY, SockDiagMessage,
};
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name;
use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use rustix::thread::{CapabilitySet, capabilities};

use super::raw::Raw;
use super::timed::Ended;
use super::{netlink, packet};
use crate::facts::{Socket, family};
use crate::text::RawText;

/// More than the kernel puts into one part of a dump (`af_netlink.c: netlink_dump`).
const PART: usize = 64 * 1024;

/// `INET_DIAG_ULP_INFO`
const INET_DIAG_ULP_INFO: u16 = 19;

/// Protocols of inet sockets that are asked for, the type their sockets have, and how `sockprotoname` begins.
const INET: [(u8, u8, &str); 4] =
    [(IPPROTO_TCP, 1, "TCP"), (IPPROTO_UDP, 2, "UDP"), (IPPROTO_UDPLITE, 2, "UDP"), (IPPROTO_RAW, 3, "RAW")];

/// The sockets of one network namespace.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// All sockets that have an inode.
    pub(super) sockets: Vec<Socket>,
    /// Tables that could not be read.
    pub(super) missing: Vec<Missing>,
}

/// A table that could not be read.
#[derive(Debug)]
pub(super) struct Missing {
    /// What was asked for.
    pub(super) table: String,
    /// How the names begin that `system.sockprotoname` has for sockets of this table.
    pub(super) protocol: &'static str,
    /// Why.
    pub(super) reason: Errno,
}

impl Missing {
    /// Whether the kernel has no such table.
    pub(super) fn is_unknown(&self) -> bool {
        self.reason == Errno::NOENT
    }
}

/// Reads all tables of the network namespace that the calling thread is in.
pub(super) fn read() -> Tables {
    let (mut tables, mut ended) = (Tables::default(), Ended::default());
    let unix = (unix_sockets(), "unix sockets by sock_diag".to_owned(), "UNIX");
    let parts = std::iter::once(unix).chain(inet_tables(&mut ended)).chain([
        (netlink::sockets(), "netlink sockets by sock_diag".to_owned(), "NETLINK"),
        (packet::sockets(), "packet sockets by sock_diag".to_owned(), "PACKET"),
    ]);
    for (result, table, protocol) in parts {
        match result {
            Ok(sockets) => tables.sockets.extend(sockets.into_iter().filter(|socket| socket.inode != 0)),
            // CRIU does without this one table.
            Err(Errno::NOENT) if protocol == "RAW" => {}
            Err(reason) => tables.missing.push(Missing { table, protocol, reason }),
        }
    }
    ended.tell(&mut tables.sockets);
    tables
}

type Table = (Result<Vec<Socket>, Errno>, String, &'static str);

fn inet_tables(ended: &mut Ended) -> Vec<Table> {
    let families = [(family::INET, "inet"), (family::INET6, "inet6")].into_iter();
    let kinds = families.flat_map(|family| INET.into_iter().map(move |kind| (family, kind)));
    kinds
        .map(|((family, name), (protocol, kind, prefix))| {
            let table = format!("{name} sockets of protocol {protocol} by sock_diag");
            (inet_sockets(family, protocol, kind, ended), table, prefix)
        })
        .collect()
}

fn unix_sockets() -> Result<Vec<Socket>, Errno> {
    let request = UnixRequest {
        state_flags: unix::StateFlags::from_bits_retain(u32::MAX),
        inode: 0,
        show_flags: ShowFlags::NAME | ShowFlags::VFS | ShowFlags::PEER | ShowFlags::ICONS | ShowFlags::RQLEN,
        cookie: [0; 8],
    };
    let mut sockets = Vec::new();
    dump(Some(SOCK_DIAG), SockDiagMessage::UnixRequest(request), |message| {
        if let SockDiagMessage::UnixResponse(response) = message {
            sockets.push(unix_socket(&response));
        }
    })?;
    Ok(sockets)
}

fn unix_socket(response: &UnixResponse) -> Socket {
    let unix::UnixResponseHeader { kind, state, inode, .. } = response.header;
    let mut socket = Socket { inode: inode.into(), family: family::UNIX, kind, state, ..Socket::default() };
    for nla in &response.nlas {
        match nla {
            Nla::Name(UnixDiagName::Pathname(path)) => socket.local = path.as_encoded_bytes().into(),
            Nla::Name(UnixDiagName::Abstract(name)) => socket.local = [b"@", name.as_slice()].concat().into(),
            // The end that waits in an accept queue has no inode yet.
            Nla::Peer(peer) => socket.peer = Some(u64::from(*peer)).filter(|&peer| peer != 0),
            Nla::PendingConnections(clients) => socket.pending = clients.iter().copied().map(u64::from).collect(),
            Nla::ReceiveQueueLength(receive, send) => (socket.receive_queue, socket.send_queue) = (*receive, *send),
            Nla::Vfs(_) => socket.file = file_inode(nla),
            Nla::Shutdown(directions) => socket.shutdown = *directions,
            _ => {}
        }
    }
    socket.file = socket.file.filter(|_| socket.relative_name().is_some());
    socket
}

/// The first half of `struct unix_diag_vfs`.
fn file_inode(nla: &Nla) -> Option<u32> {
    let mut value = vec![0; nla.value_len()];
    nla.emit_value(&mut value);
    value.first_chunk().map(|inode| u32::from_ne_bytes(*inode))
}

fn inet_sockets(family: u16, protocol: u8, kind: u8, ended: &mut Ended) -> Result<Vec<Socket>, Errno> {
    let request = InetRequest {
        family: u8::try_from(family).unwrap_or_default(),
        protocol,
        // Without it the kernel does not tell of Multipath TCP.
        extensions: if protocol == IPPROTO_TCP { ExtensionFlags::INFO } else { ExtensionFlags::empty() },
        states: StateFlags::all(),
        socket_id: if family == family::INET6 { SocketId::new_v6() } else { SocketId::new_v4() },
    };
    let mut sockets = Vec::new();
    let mut body = vec![0; SockDiagMessage::InetRequest(request.clone()).buffer_len()];
    SockDiagMessage::InetRequest(request).serialize(&mut body);
    let mut understood = true;
    // The kernel tells others nothing of it. Kernel: `net/ipv4/tcp_diag.c: tcp_diag_get_aux`.
    let is_told_ulp = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN));
    dump(Some(SOCK_DIAG), Raw { kind: SOCK_DIAG_BY_FAMILY, body }, |message: Raw| {
        match InetResponse::parse(&message.body) {
            Ok(InetResponse { header, nlas }) if header.inode != 0 => {
                let mptcp = (protocol == IPPROTO_TCP && is_told_ulp).then(|| nlas.iter().any(is_mptcp));
                sockets.push(Socket { kind, protocol, mptcp, ..inet_socket(&header) });
            }
            Ok(InetResponse { header, .. }) if protocol == IPPROTO_TCP => ended.note(&header, &message.body),
            Ok(_) => {}
            Err(_) => understood = false,
        }
    })?;
    if !understood {
        return Err(Errno::BADMSG);
    }
    mark_gone_devices(&mut sockets)?;
    Ok(sockets)
}

/// Whether an attribute says that Multipath TCP sits on the socket. Kernel: `net/ipv4/tcp_diag.c: tcp_diag_put_ulp`.
fn is_mptcp(nla: &inet::nlas::Nla) -> bool {
    let inet::nlas::Nla::Other(nla) = nla else { return false };
    // In it an attribute of its own: length, type, and the name with its NUL.
    let mut value = vec![0; nla.value_len()];
    nla.emit_value(&mut value);
    nla.kind() == INET_DIAG_ULP_INFO && value.get(4..).is_some_and(|name| name.starts_with(b"mptcp\0"))
}

/// Marks sockets that are bound to an interface which is in the network namespace no more.
fn mark_gone_devices(sockets: &mut [Socket]) -> Result<(), Errno> {
    let mut bound = sockets.iter_mut().filter(|socket| socket.device != 0).peekable();
    if bound.peek().is_none() {
        return Ok(());
    }
    let asking = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    for socket in bound {
        socket.device_gone = index_to_name(&asking, socket.device) == Err(Errno::NODEV);
    }
    Ok(())
}

fn inet_socket(header: &InetResponseHeader) -> Socket {
    let id = &header.socket_id;
    let address = |ip, port| RawText::from(SocketAddr::new(ip, port).to_string());
    Socket {
        inode: header.inode.into(),
        family: header.family.into(),
        state: header.state,
        receive_queue: header.recv_queue,
        send_queue: header.send_queue,
        local: address(id.source_address, id.source_port),
        remote: address(id.destination_address, id.destination_port),
        device: id.interface_id,
        ..Socket::default()
    }
}

/// Sends one dump request by a netlink protocol, 0 for none, and hands every answer on.
pub(in crate::scan) fn dump<M>(protocol: Option<Protocol>, request: M, mut each: impl FnMut(M)) -> Result<(), Errno>
where
    M: NetlinkSerializable + NetlinkDeserializable,
{
    let (family, kind) = (AddressFamily::NETLINK, SocketType::DGRAM);
    let netlink = socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut packet = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    send(&netlink, &bytes, SendFlags::empty())?;
    let mut part = vec![0; PART];
    loop {
        let (length, _) = recv(&netlink, part.as_mut_slice(), RecvFlags::empty())?;
        if read_part(part.get(..length).ok_or(Errno::MSGSIZE)?, &mut each)? {
            return Ok(());
        }
    }
}

/// Hands the messages of one part of a dump on; tells whether it was the last part.
fn read_part<M: NetlinkDeserializable>(mut bytes: &[u8], each: &mut impl FnMut(M)) -> Result<bool, Errno> {
    if bytes.is_empty() {
        return Err(Errno::BADMSG);
    }
    while !bytes.is_empty() {
        let message = NetlinkMessage::<M>::deserialize(bytes).map_err(|_| Errno::BADMSG)?;
        match message.payload {
            NetlinkPayload::InnerMessage(inner) => each(inner),
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(Errno::from_raw_os_error(-error.raw_code())),
            _ => {}
        }
        let aligned = (message.header.length as usize).next_multiple_of(4);
        bytes = bytes.get(aligned..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::facts::tcp_state;

    fn inode(fd: &impl AsRawFd) -> u64 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
        link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }

    #[test]
    fn both_ends_of_a_pair_and_a_waiting_connection_are_seen() {
        let (left, right) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let tables = read();
        let find = |inode| tables.sockets.iter().find(|socket| socket.inode == inode).unwrap();
        let (left, right) = (inode(&left), inode(&right));
        assert_eq!((find(left).peer, find(right).peer), (Some(right), Some(left)));
        assert_eq!((find(left).family, find(left).kind, find(left).state), (family::UNIX, 1, tcp_state::ESTABLISHED));
        let waiting = find(inode(&listener));
        assert_eq!((waiting.state, waiting.receive_queue), (tcp_state::LISTEN, 1));
        assert_eq!(waiting.local.to_string(), listener.local_addr().unwrap().to_string());
        assert_eq!(waiting.ended, 0);
    }

    #[test]
    fn a_listener_tells_how_many_connections_to_it_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..3 {
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (served, _) = listener.accept().unwrap();
            drop(client);
            drop(served);
        }
        let ended = || read().sockets.into_iter().find(|socket| socket.inode == inode(&listener)).unwrap().ended;
        assert!((0..1000).any(|_| ended() == 3), "{}", ended());
    }
}
