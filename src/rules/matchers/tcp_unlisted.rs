//! TCP sockets that no table lists: new ones, and those whose connection was reset. CRIU 4.2: `sk-inet.c: gen_uncon_sk`
//! dumps both, and takes the second kind for a connection when it restores (`open_inet_sk`).

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link};
use crate::finding::Subject;

/// Fires on each such socket: nothing readable tells the two kinds apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpUnlisted {}

impl Match for TcpUnlisted {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let is_unlisted = |inode| !view.index.sockets.contains_key(&inode);
        view.fds()
            .filter(|(_, fd)| matches!(fd.link(), Link::Socket(inode) if is_unlisted(inode)))
            .filter(|(_, fd)| fd.socket_protocol.as_ref().is_some_and(|name| name.as_bytes().starts_with(b"TCP")))
            .map(|(process, fd)| Subject::fd(process, fd))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, Socket, family};
    use crate::rules::testing::*;

    #[test]
    fn a_tcp_socket_in_no_table_may_have_been_reset() {
        let named = |number, inode: u64, name: &str| Fd {
            socket_protocol: Some(name.into()),
            ..fd(number, &format!("socket:[{inode}]"))
        };
        let fds = vec![named(3, 1, "TCP"), named(4, 2, "TCPv6"), named(5, 3, "UDP")];
        let listed = Socket { inode: 2, family: family::INET6, kind: 1, protocol: 6, state: 10, ..Socket::default() };
        let facts = with_sockets(facts(vec![holder(7, fds)]), vec![listed]);
        assert_eq!(fired("tcp-reset-kept", &facts, &[]), ["7 fd 3"]);
        assert!(fired("tcp-reset-kept", &facts, &["tcp-established"]).is_empty());
    }
}
