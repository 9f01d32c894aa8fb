//! Memberships of packet sockets. CRIU 4.2: `sk-packet.c: dump_mreqs`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, family};
use crate::finding::Subject;

/// Fires on each descriptor of a packet socket that joined the same membership more than once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketMembership {}

impl Match for PacketMembership {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.own_sockets()
            .filter(|(.., socket)| socket.family == family::PACKET && socket.memberships > 1)
            .map(|(process, fd, socket)| Subject::fd(process, fd).with("times", socket.memberships.to_string()).nth(3))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Socket, family};
    use crate::rules::testing::*;

    #[test]
    fn joining_once_is_fine_and_twice_is_not() {
        let packet = |inode, memberships| Socket { inode, family: family::PACKET, memberships, ..Socket::default() };
        let fds = (1..=3).map(|number| fd(number, &format!("socket:[{number}]"))).collect();
        let sockets = vec![packet(1, 0), packet(2, 1), packet(3, 2)];
        let facts = with_sockets(facts(vec![holder(7, fds)]), sockets);
        assert_eq!(fired("packet-membership", &facts, &[]), ["7 fd 3"]);
    }
}
