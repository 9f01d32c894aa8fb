//! Raw inet sockets. CRIU: `sk-inet.c: can_dump_ipproto` and `can_dump_inet_sk`, which take them since 3.12.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, family};
use crate::finding::Subject;

/// `SOCK_RAW`
const RAW: u8 = 3;

/// Fires on each descriptor of a raw IPv4 or IPv6 socket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSocket {}

impl Match for RawSocket {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Namespaces, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let inet = [family::INET, family::INET6];
        let raw = view.own_sockets().filter(|(.., socket)| inet.contains(&socket.family) && socket.kind == RAW);
        raw.map(|(process, fd, _)| Subject::fd(process, fd)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Socket, family};
    use crate::rules::testing::*;

    #[test]
    fn raw_sockets_are_refused_before_3_12() {
        let sockets = [(family::INET, 3), (family::INET6, 2), (family::PACKET, 3)];
        let sockets = sockets.iter().zip(3..).map(|(&(family, kind), inode)| Socket {
            inode,
            family,
            kind,
            ..Socket::default()
        });
        let fds = (3..6).map(|number| fd(number, &format!("socket:[{number}]"))).collect();
        let facts = with_sockets(facts(vec![holder(7, fds)]), sockets.collect());
        assert_eq!(findings("raw-socket-before-3-12", &facts, &profile("3.11", &[])).len(), 1);
        assert!(findings("raw-socket-before-3-12", &facts, &profile("3.12", &[])).is_empty());
    }
}
