//! Packet and netlink sockets, from `/proc/thread-self/net`: the tables of the thread's own network namespace.

use rustix::io::Errno;

use crate::facts::{Socket, family};

/// Netlink sockets. Kernel: `af_netlink.c: netlink_native_seq_show`.
pub(super) fn netlink() -> Result<Vec<Socket>, Errno> {
    Ok(parse_netlink(&read("/proc/thread-self/net/netlink")?))
}

/// Packet sockets. Kernel: `af_packet.c: packet_seq_show`.
pub(super) fn packet() -> Result<Vec<Socket>, Errno> {
    match read("/proc/thread-self/net/packet") {
        // The table is there only with the module that makes such sockets.
        Err(Errno::NOENT) => Ok(Vec::new()),
        text => Ok(parse_packet(&text?)),
    }
}

fn read(path: &str) -> Result<String, Errno> {
    let text = std::fs::read(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`
fn parse_netlink(text: &str) -> Vec<Socket> {
    let socket = |line: &str| match *line.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
        [_, protocol, port_id, groups, receive_queue, send_queue, _, _, _, inode, ..] => Some(Socket {
            inode: inode.parse().ok()?,
            family: family::NETLINK,
            kind: 3,
            protocol: protocol.parse().ok()?,
            receive_queue: receive_queue.parse().ok()?,
            send_queue: send_queue.parse().ok()?,
            groups: u32::from_str_radix(groups, 16).ok()?,
            port_id: port_id.parse().ok()?,
            ..Socket::default()
        }),
        _ => None,
    };
    text.lines().skip(1).filter_map(socket).collect()
}

/// `sk RefCnt Type Proto Iface R Rmem User Inode`
fn parse_packet(text: &str) -> Vec<Socket> {
    let socket = |line: &str| match *line.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
        [_, _, kind, _, _, _, receive_queue, _, inode, ..] => Some(Socket {
            inode: inode.parse().ok()?,
            family: family::PACKET,
            kind: kind.parse().ok()?,
            receive_queue: receive_queue.parse().ok()?,
            ..Socket::default()
        }),
        _ => None,
    };
    text.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netlink_lines_give_queue_groups_and_port() {
        let text = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
                    00000000a1b2c3d4 15  4294963181 00000002 768      0        0     2        0        20481\n\
                    broken line\n";
        let sockets = parse_netlink(text);
        assert_eq!(sockets.len(), 1);
        let socket = &sockets[0];
        assert_eq!((socket.inode, socket.protocol, socket.receive_queue), (20481, 15, 768));
        assert_eq!((socket.groups, socket.port_id), (2, 4_294_963_181));
    }

    #[test]
    fn packet_lines_give_type_and_inode() {
        let text = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                    0000000000000000 3      3    0003   0     1 0      0      7196114\n";
        let sockets = parse_packet(text);
        assert_eq!((sockets[0].inode, sockets[0].kind, sockets[0].family), (7_196_114, 3, family::PACKET));
    }
}
