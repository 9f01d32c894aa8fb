//! How many clients call a listener, although each is served and gone before anybody looks.
//!
//! Whoever closes a connection first keeps it in TIME-WAIT for a minute, and sock_diag tells how much of that is left.
//! Where that is the client, on another host or in another network namespace, only a counter of the listener's
//! namespace tells. Kernel: `net/ipv4/inet_diag.c: inet_diag_dump_icsk`, `net/ipv4/tcp_minisocks.c: tcp_time_wait`.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use netlink_packet_sock_diag::inet::InetResponseHeader;

use crate::facts::{Facts, Pid, Socket, tcp_state};

/// `TCP_TIMEWAIT_LEN` in milliseconds.
const TIME_WAIT: u32 = 60_000;
/// How old in milliseconds what has just ended may be: long enough to be counted by, too short for what is over.
const MOMENT: u32 = 250;
/// Where `idiag_expires` stands in `struct inet_diag_msg`.
const EXPIRES: std::ops::Range<usize> = 52..56;

/// Connections that no process holds any more, by the port of the listener: the server's side of them, and the side of
/// a client on the same host.
#[derive(Debug, Default)]
pub(super) struct Ended(HashMap<u16, Calls>);

/// Connections to one port.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    /// Of the last minute.
    ended: u32,
    /// Of the last moment.
    lately: u32,
}

impl Ended {
    /// Takes note of a TCP socket without an inode, as sock_diag shows it.
    pub(super) fn note(&mut self, header: &InetResponseHeader, message: &[u8]) {
        if header.state <= tcp_state::SYN_RECEIVED {
            return;
        }
        let id = &header.socket_id;
        let by_client = (id.source_address == id.destination_address).then_some(id.destination_port);
        for port in [Some(id.source_port), by_client].into_iter().flatten() {
            let calls = self.0.entry(port).or_default();
            calls.ended += 1;
            calls.lately += u32::from(header.state == tcp_state::TIME_WAIT && is_of_this_moment(message));
        }
    }

    /// Tells the listeners of it.
    pub(super) fn tell(&self, sockets: &mut [Socket]) {
        for socket in sockets.iter_mut().filter(|socket| is_listener(socket)) {
            let calls = port(socket).and_then(|port| self.0.get(&port)).copied().unwrap_or_default();
            (socket.ended, socket.called) = (calls.ended, calls.lately * (1000 / MOMENT));
        }
    }
}

fn is_of_this_moment(message: &[u8]) -> bool {
    let left = message.get(EXPIRES).and_then(|bytes| Some(u32::from_ne_bytes(bytes.try_into().ok()?)));
    left.is_some_and(|left| left > TIME_WAIT - MOMENT)
}

fn is_listener(socket: &Socket) -> bool {
    socket.is_tcp() && socket.state == tcp_state::LISTEN
}

fn port(socket: &Socket) -> Option<u16> {
    socket.local.as_str()?.parse().ok().map(|address: SocketAddr| address.port())
}

/// How many connections the listening port of a network namespace was given since it was made, by one of its
/// processes. `None` where it has not just one: the kernel counts them together.
pub(super) fn accepted(pid: Pid, sockets: &[Socket]) -> Option<u64> {
    let ports: BTreeSet<u16> = sockets.iter().filter(|socket| is_listener(socket)).filter_map(port).collect();
    if ports.len() != 1 {
        return None;
    }
    passive_opens(&std::fs::read_to_string(format!("/proc/{pid}/net/snmp")).ok()?)
}

/// A line of names and one of numbers for each protocol. Kernel: `net/ipv4/proc.c: snmp_seq_show`.
fn passive_opens(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut both = names.split(' ').zip(numbers.split(' '));
    both.find(|(name, _)| *name == "PassiveOpens")?.1.parse().ok()
}

/// Tells the listeners of all looks how often they were called between the first look and the last one.
pub(in crate::scan) fn note_calls(facts: &mut Facts, passed: Duration) {
    let Some(last) = facts.looks.last() else { return };
    let of = |facts: &Facts, id| facts.net_namespaces.iter().find(|ns| ns.id == id).and_then(|ns| ns.accepted);
    let grown = facts.net_namespaces.iter().filter_map(|ns| Some((ns.id, of(last, ns.id)?.checked_sub(ns.accepted?)?)));
    let rates: HashMap<u64, u64> =
        grown.map(|(id, calls)| (id, calls * 1000 / u64::try_from(passed.as_millis()).unwrap_or(1).max(1))).collect();
    let namespaces = facts.looks.iter_mut().flat_map(|look| &mut look.net_namespaces);
    for namespace in namespaces.chain(&mut facts.net_namespaces) {
        let rate = rates.get(&namespace.id).map_or(0, |rate| u32::try_from(*rate).unwrap_or(u32::MAX));
        for socket in namespace.sockets.iter_mut().filter(|socket| is_listener(socket)) {
            socket.called = socket.called.max(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{NetNamespace, family};

    #[test]
    fn the_counter_is_found_by_its_name() {
        let snmp = "Ip: Forwarding\nIp: 1\nTcp: RtoMin ActiveOpens PassiveOpens\nTcp: 200 7 42\nUdp: x\nUdp: 1\n";
        assert_eq!(
            (passive_opens(snmp), passive_opens("Tcp: RtoMin\nTcp: 200\n"), passive_opens("")),
            (Some(42), None, None)
        );
    }

    #[test]
    fn a_listener_is_told_how_much_the_counter_grew_in_a_second() {
        let listener = Socket { family: family::INET, kind: 1, protocol: 6, state: 10, ..Socket::default() };
        let look = |accepted| Facts {
            net_namespaces: vec![NetNamespace {
                id: 7,
                accepted,
                sockets: vec![listener.clone()],
                ..NetNamespace::default()
            }],
            ..Facts::default()
        };
        let called = |first, last| {
            let mut facts = Facts { looks: vec![look(first), look(last)], ..look(first) };
            note_calls(&mut facts, Duration::from_millis(500));
            [&facts, &facts.looks[1]].map(|facts| facts.net_namespaces[0].sockets[0].called)
        };
        assert_eq!(called(Some(100), Some(1100)), [2000, 2000]);
        assert_eq!((called(Some(5), Some(5)), called(None, Some(5))), ([0, 0], [0, 0]));
    }

    #[test]
    fn a_connection_has_just_ended_while_it_has_almost_a_minute_to_wait() {
        let left = |milliseconds: u32| [&[0; 52][..], &milliseconds.to_ne_bytes()].concat();
        assert!(is_of_this_moment(&left(59_751)) && !is_of_this_moment(&left(59_750)));
        assert!(!is_of_this_moment(&[]));
    }
}
