//! Mapped sockets that CRIU can't map again. CRIU 4.2: `sk-packet.c: dump_socket_map` takes every one for a packet ring,
//! and knows those that this process or an earlier one of its walk has open.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, Link, Mapping, family};
use crate::finding::Subject;

/// Fires on each mapping of a socket in this condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingSocket {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// Open neither here nor in an earlier process.
    Closed,
    /// No packet socket.
    NoPacketSocket,
}

impl Match for MappingSocket {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Mappings, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mut open = HashMap::new();
        let mut subjects = Vec::new();
        for process in &view.facts.processes {
            open.extend(process.fds.iter().filter_map(|fd| Some((socket(fd.link())?, may_be_ring(fd)))));
            let fires = |mapping: &&Mapping| {
                let Some(inode) = socket(Link::parse(mapping.path.as_bytes())) else { return false };
                let listed = view.index.own_socket(inode).map(|socket| socket.family == family::PACKET);
                let is_ring = listed.or(open.get(&inode).copied()).unwrap_or(true);
                match self.which {
                    Which::Closed => is_ring && !open.contains_key(&inode),
                    Which::NoPacketSocket => !is_ring,
                }
            };
            subjects.extend(process.mappings.iter().filter(fires).map(|mapping| Subject::mapping(process, mapping)));
        }
        subjects
    }
}

/// Of a socket that no table lists, such as a TCP one without an address, its descriptor tells.
fn may_be_ring(fd: &Fd) -> bool {
    fd.socket_protocol.as_ref().is_none_or(|name| name.as_bytes() == b"PACKET")
}

fn socket(link: Link<'_>) -> Option<u64> {
    if let Link::Socket(inode) = link { Some(inode) } else { None }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, Process, Socket, family};
    use crate::rules::testing::*;

    #[test]
    fn a_ring_needs_its_socket_open_here_or_in_an_earlier_process() {
        let mapped = |process| Process { mappings: vec![mapping("socket:[50]")], ..process };
        let before = vec![holder(7, vec![fd(3, "socket:[50]")]), mapped(child(8, 7))];
        assert!(fired("mapping-socket-closed", &facts(before), &[]).is_empty());
        let after = vec![mapped(process(7)), holder(8, vec![fd(3, "socket:[50]")])];
        assert_eq!(fired("mapping-socket-closed", &facts(after), &[]), ["7 7000-8000"]);
    }

    #[test]
    fn a_mapped_tcp_socket_is_no_packet_ring() {
        let mapped = Process { mappings: vec![mapping("socket:[50]")], ..holder(7, vec![fd(3, "socket:[50]")]) };
        let of = |family| with_sockets(facts(vec![mapped.clone()]), vec![Socket { inode: 50, family, ..Socket::default() }]);
        assert_eq!(fired("mapping-socket-tcp", &of(family::INET), &[]), ["7 7000-8000"]);
        assert!(fired("mapping-socket-tcp", &of(family::PACKET), &[]).is_empty());
    }
    #[test]
    fn a_tcp_socket_without_an_address_is_none_once_it_was_met_as_a_descriptor() {
        let tcp = || Fd { socket_protocol: Some("TCP".into()), ..fd(3, "socket:[50]") };
        let mapped = |process| Process { mappings: vec![mapping("socket:[50]")], ..process };
        let met = facts(vec![mapped(holder(7, vec![tcp()]))]);
        assert_eq!(fired("mapping-socket-tcp", &met, &[]), ["7 7000-8000"]);
        assert!(fired("mapping-socket-closed", &met, &[]).is_empty());
        let later = facts(vec![mapped(process(7)), holder(8, vec![tcp()])]);
        assert_eq!(fired("mapping-socket-closed", &later, &[]), ["7 7000-8000"]);
    }
}
