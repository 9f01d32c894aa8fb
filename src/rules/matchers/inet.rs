//! TCP sockets by state. CRIU: `sk-inet.c: can_dump_inet_sk`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires on each descriptor of a TCP socket in one of these states, in a network namespace that CRIU collects.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inet {
    /// States as words: `established`, `listen` ...
    states: Vec<State>,
    /// Only those with something in the receive queue: for a listener, connections that wait to be accepted.
    #[serde(default)]
    waiting: bool,
    /// Only listeners to which at least so many connections ended in the last minute, or come in each second.
    #[serde(default)]
    ended: u32,
    /// Only listeners that are called so often in a second.
    #[serde(default)]
    called: u32,
    /// Only those that are called less often.
    called_below: Option<u32>,
}

/// TCP states with their numbers. Kernel: `include/net/tcp_states.h`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    #[serde(rename = "fin-wait-1")]
    FinWait1 = 4,
    #[serde(rename = "fin-wait-2")]
    FinWait2 = 5,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::SynSent => "being connected (SYN-SENT)",
            Self::SynReceived => "accepted early (SYN-RECEIVED)",
            Self::FinWait1 => "being closed (FIN-WAIT-1)",
            Self::FinWait2 => "being closed (FIN-WAIT-2)",
            Self::CloseWait => "closed by the other side (CLOSE-WAIT)",
            Self::LastAck => "being closed (LAST-ACK)",
            Self::Listen => "listening",
            Self::Closing => "being closed (CLOSING)",
        }
    }
}

impl Match for Inet {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.own_sockets()
            .filter(|(.., socket)| socket.is_tcp() && (!self.waiting || socket.receive_queue > 0))
            .filter(|(.., socket)| socket.ended.max(socket.called) >= self.ended && socket.called >= self.called)
            .filter(|(.., socket)| self.called_below.is_none_or(|limit| socket.called < limit))
            .filter_map(|(process, fd, socket)| {
                let state = self.states.iter().find(|state| **state as u8 == socket.state)?;
                let subject = Subject::fd(process, fd)
                    .with("state", state.name())
                    .with("local", socket.local.clone())
                    .with("remote", socket.remote.clone())
                    .with("waiting", socket.receive_queue.to_string())
                    .with("ended", socket.ended.to_string())
                    .with("called", socket.called.to_string());
                Some(subject)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Socket, family};
    use crate::rules::testing::*;

    fn tcp(inode: u64, state: u8, receive_queue: u32) -> Socket {
        Socket { inode, family: family::INET, kind: 1, protocol: 6, state, receive_queue, ..Socket::default() }
    }

    fn tree(sockets: Vec<Socket>) -> Facts {
        let fds = sockets.iter().zip(3..).map(|(socket, number)| fd(number, &format!("socket:[{}]", socket.inode)));
        with_sockets(facts(vec![holder(7, fds.collect())]), sockets)
    }

    #[test]
    fn connections_fire_and_listeners_and_closed_sockets_do_not() {
        let states = [1, 2, 4, 5, 7, 8, 9, 10, 11];
        let facts = tree(states.iter().map(|&state| tcp(100 + u64::from(state), state, 0)).collect());
        let expected = ["7 fd 3", "7 fd 4", "7 fd 5", "7 fd 6", "7 fd 8", "7 fd 9", "7 fd 11"];
        assert_eq!(fired("tcp-established", &facts, &[]), expected);
        assert!(fired("tcp-established", &facts, &["tcp-close"]).is_empty());
        assert!(fired("tcp-established", &facts, &["tcp-established"]).is_empty());
    }

    #[test]
    fn a_listener_fires_only_while_a_connection_waits() {
        let facts = tree(vec![tcp(1, 10, 2), tcp(2, 10, 0), tcp(3, 1, 5)]);
        assert_eq!(fired("tcp-accept-queue", &facts, &["tcp-established"]), ["7 fd 3"]);
        assert!(fired("tcp-accept-queue", &facts, &["skip-in-flight"]).is_empty());
    }

    #[test]
    fn a_listener_may_meet_clients_when_many_came_lately() {
        let ended = |inode, ended| Socket { ended, ..tcp(inode, 10, 0) };
        let facts = tree(vec![ended(1, 10), ended(2, 9), Socket { ended: 99, ..tcp(3, 1, 0) }]);
        assert_eq!(fired("tcp-busy-listener", &facts, &["skip-in-flight"]), ["7 fd 3"]);
        assert_eq!(fired("tcp-busy-queue", &facts, &["tcp-established"]), ["7 fd 3"]);
        assert!(fired("tcp-busy-listener", &facts, &["tcp-established"]).is_empty());
        assert!(fired("tcp-busy-queue", &facts, &["skip-in-flight"]).is_empty());
    }

    #[test]
    fn a_listener_that_is_called_all_the_time_meets_clients_for_sure() {
        let called = |inode, called| Socket { called, ..tcp(inode, 10, 0) };
        let facts = tree(vec![called(1, 2000), called(2, 1999), called(3, 9)]);
        assert_eq!(fired("tcp-called-always", &facts, &["tcp-established"]), ["7 fd 3"]);
        assert_eq!(fired("tcp-busy-queue", &facts, &["tcp-established"]), ["7 fd 4"]);
        assert_eq!(fired("tcp-busy-listener", &facts, &[]), ["7 fd 3", "7 fd 4"]);
        assert!(fired("tcp-called-always", &facts, &["skip-in-flight"]).is_empty());
    }

    #[test]
    fn a_connection_accepted_before_its_handshake_ends_blocks_whatever_the_options() {
        let facts = tree(vec![tcp(1, 3, 0)]);
        assert_eq!(fired("tcp-syn-received", &facts, &["tcp-established", "tcp-close"]), ["7 fd 3"]);
        assert!(fired("tcp-established", &facts, &[]).is_empty());
    }

    #[test]
    fn udp_sockets_have_no_connection_to_lose() {
        let facts = tree(vec![Socket { protocol: 17, kind: 2, ..tcp(1, 1, 0) }]);
        assert!(fired("tcp-established", &facts, &[]).is_empty());
    }
}
