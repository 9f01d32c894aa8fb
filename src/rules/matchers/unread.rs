//! Datagrams that nobody has read yet. CRIU 4.2: `sk-inet.c: can_dump_inet_sk` says that it drops them, and goes on.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, family};
use crate::finding::Subject;

/// `SOCK_DGRAM`
const DATAGRAM: u8 = 2;

/// Fires on each inet datagram socket with something in its receive queue. `{bytes}` is what that takes in the kernel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unread {}

impl Match for Unread {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.own_sockets()
            .filter(|(.., socket)| matches!(socket.family, family::INET | family::INET6))
            .filter(|(.., socket)| socket.kind == DATAGRAM && socket.receive_queue > 0)
            .map(|(process, fd, socket)| {
                let subject = Subject::fd(process, fd).with("bytes", socket.receive_queue.to_string());
                subject.with("local", socket.local.clone())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Socket, family};
    use crate::rules::testing::*;

    #[test]
    fn only_datagrams_that_wait_are_lost() {
        let socket = |inode, kind, receive_queue| Socket {
            inode,
            family: family::INET,
            kind,
            protocol: 17,
            receive_queue,
            ..Socket::default()
        };
        let sockets = vec![socket(1, 2, 832), socket(2, 2, 0), socket(3, 3, 832)];
        let fds = (3..).zip(1..4).map(|(number, inode)| fd(number, &format!("socket:[{inode}]"))).collect();
        let facts = with_sockets(facts(vec![holder(7, fds)]), sockets);
        assert_eq!(fired("datagrams-unread", &facts, &[]), ["7 fd 3"]);
    }
}
