//! Netlink sockets, by netlink_diag. CRIU: `sk-netlink.c: netlink_receive_one`.
//!
//! Unlike `/proc/net/netlink` it lists sockets that are in a multicast group without being bound, and all groups.

use netlink_packet_core::NlasIterator;
use netlink_packet_sock_diag::SOCK_DIAG_BY_FAMILY;
use rustix::io::Errno;
use rustix::net::netlink::SOCK_DIAG;

use super::diag::dump;
use super::raw::{Raw, words};
use crate::facts::{Socket, family};

/// `struct netlink_diag_req`: family, `NDIAG_PROTO_ALL`, padding, inode, `NDIAG_SHOW_MEMINFO | NDIAG_SHOW_GROUPS`,
/// cookie.
const REQUEST: [u8; 20] = [16, 255, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Bytes of `struct netlink_diag_msg`.
const HEADER: usize = 28;
/// `NETLINK_DIAG_MEMINFO`
const MEMINFO: u16 = 0;
/// `NETLINK_DIAG_GROUPS`
const GROUPS: u16 = 1;

/// Netlink sockets of the network namespace that the calling thread is in.
pub(super) fn sockets() -> Result<Vec<Socket>, Errno> {
    let mut sockets = Vec::new();
    let request = Raw { kind: SOCK_DIAG_BY_FAMILY, body: REQUEST.to_vec() };
    dump(Some(SOCK_DIAG), request, |message| sockets.extend(parse(&message.body)))?;
    Ok(sockets)
}

fn parse(message: &[u8]) -> Option<Socket> {
    let &[_, kind, protocol, state, ..] = message else { return None };
    let (header, attributes) = message.split_at_checked(HEADER)?;
    let fields = words(header);
    let mut socket = Socket {
        inode: fields.get(4).copied()?.into(),
        family: family::NETLINK,
        kind,
        protocol,
        state,
        port_id: fields.get(1).copied()?,
        ..Socket::default()
    };
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.ok()?;
        match attribute.kind() {
            // Its first number is what waits to be read.
            MEMINFO => socket.receive_queue = words(attribute.value()).first().copied()?,
            GROUPS => socket.groups = words(attribute.value()),
            _ => {}
        }
    }
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_port_queue_and_groups() {
        let header = [0x0001_0310, 77, 0, 0, 4242, 0, 0];
        let attributes = [0x0000_0008, 768, 0x0001_000c, 2, 1];
        let message: Vec<u8> = header.into_iter().chain(attributes).flat_map(u32::to_ne_bytes).collect();
        let socket = parse(&message).unwrap();
        assert_eq!((socket.inode, socket.port_id, socket.receive_queue), (4242, 77, 768));
        assert_eq!((socket.kind, socket.protocol, socket.groups), (3, 1, vec![2, 1]));
        assert!(parse(&message[..20]).is_none());
    }

    #[test]
    fn the_diag_socket_that_asks_is_listed_itself() {
        assert!(sockets().unwrap().iter().any(|socket| socket.protocol == 4));
    }
}
