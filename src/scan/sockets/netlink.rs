//! Netlink sockets, by netlink_diag. CRIU: `sk-netlink.c: netlink_receive_one`.
//!
//! Unlike `/proc/net/netlink` it lists sockets that are in a multicast group without being bound, and all groups.

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, NlasIterator};
use netlink_packet_sock_diag::SOCK_DIAG_BY_FAMILY;
use rustix::io::Errno;

use super::diag::dump;
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

/// A message as it is.
struct Raw(Vec<u8>);

impl NetlinkSerializable for Raw {
    fn message_type(&self) -> u16 {
        SOCK_DIAG_BY_FAMILY
    }

    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl NetlinkDeserializable for Raw {
    type Error = std::convert::Infallible;

    fn deserialize(_: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(payload.to_vec()))
    }
}

/// Netlink sockets of the network namespace that the calling thread is in.
pub(super) fn sockets() -> Result<Vec<Socket>, Errno> {
    let mut sockets = Vec::new();
    dump(Raw(REQUEST.to_vec()), |Raw(message)| sockets.extend(parse(&message)))?;
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

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).filter_map(|word| Some(u32::from_ne_bytes(word.try_into().ok()?))).collect()
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
