//! Packet sockets, by packet_diag. CRIU: `sk-packet.c: packet_receive_one`.

use netlink_packet_core::NlasIterator;
use netlink_packet_sock_diag::SOCK_DIAG_BY_FAMILY;
use rustix::io::Errno;
use rustix::net::netlink::SOCK_DIAG;

use super::diag::dump;
use super::raw::{Raw, words};
use crate::facts::{Socket, family};

/// `struct packet_diag_req`: family, protocol, padding, inode, `PACKET_SHOW_MCLIST | PACKET_SHOW_MEMINFO`, cookie.
const REQUEST: [u8; 20] = [17, 0, 0, 0, 0, 0, 0, 0, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Bytes of `struct packet_diag_msg`.
const HEADER: usize = 16;
/// `PACKET_DIAG_MCLIST`
const MEMBERSHIPS: u16 = 1;
/// `PACKET_DIAG_MEMINFO`
const MEMINFO: u16 = 6;
/// Words of `struct packet_diag_mclist`; the second one counts how often the socket joined.
const MEMBERSHIP: usize = 11;

/// Packet sockets of the network namespace that the calling thread is in.
pub(super) fn sockets() -> Result<Vec<Socket>, Errno> {
    let mut sockets = Vec::new();
    let request = Raw { kind: SOCK_DIAG_BY_FAMILY, body: REQUEST.to_vec() };
    dump(Some(SOCK_DIAG), request, |message| sockets.extend(parse(&message.body)))?;
    Ok(sockets)
}

fn parse(message: &[u8]) -> Option<Socket> {
    let &[_, kind, ..] = message else { return None };
    let (header, attributes) = message.split_at_checked(HEADER)?;
    let inode = words(header).get(1).copied()?.into();
    let mut socket = Socket { inode, family: family::PACKET, kind, ..Socket::default() };
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.ok()?;
        match attribute.kind() {
            MEMBERSHIPS => {
                let list = words(attribute.value());
                socket.memberships = list.iter().skip(1).step_by(MEMBERSHIP).copied().max().unwrap_or_default();
            }
            MEMINFO => socket.receive_queue = words(attribute.value()).first().copied()?,
            _ => {}
        }
    }
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_inode_queue_and_the_most_repeated_membership() {
        let membership = |count| [1, count, 0x0006_0001, 0, 0, 0, 0, 0, 0, 0, 0];
        let header = [0x0003_0311, 4242, 0, 0];
        let attributes = [0x0006_0008, 768, 0x0001_005c];
        let words = header.into_iter().chain(attributes).chain(membership(1)).chain(membership(2));
        let message: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
        let socket = parse(&message).unwrap();
        assert_eq!((socket.inode, socket.kind, socket.family), (4242, 3, family::PACKET));
        assert_eq!((socket.receive_queue, socket.memberships), (768, 2));
        assert!(parse(&message[..12]).is_none());
    }
}
