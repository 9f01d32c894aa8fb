//! Packet sockets, from `/proc/thread-self/net`: the table of the thread's own network namespace.

use rustix::io::Errno;

use crate::facts::{Socket, family};

/// Packet sockets. Kernel: `af_packet.c: packet_seq_show`.
pub(super) fn sockets() -> Result<Vec<Socket>, Errno> {
    match read("/proc/thread-self/net/packet") {
        // The table is there only with the module that makes such sockets.
        Err(Errno::NOENT) => Ok(Vec::new()),
        text => Ok(parse(&text?)),
    }
}

fn read(path: &str) -> Result<String, Errno> {
    let text = std::fs::read(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `sk RefCnt Type Proto Iface R Rmem User Inode`
fn parse(text: &str) -> Vec<Socket> {
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
    fn packet_lines_give_type_and_inode() {
        let text = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                    0000000000000000 3      3    0003   0     1 0      0      7196114\n";
        let sockets = parse(text);
        assert_eq!((sockets[0].inode, sockets[0].kind, sockets[0].family), (7_196_114, 3, family::PACKET));
    }
}
