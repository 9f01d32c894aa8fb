//! Sockets by the name of their protocol. CRIU: `sockets.c: dump_socket` and `sk-inet.c: can_dump_ipproto`, both
//! allow-lists, of address families and of protocols.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, Link};
use crate::finding::Subject;

/// Fires on each descriptor of a socket whose protocol is in `names`, or outside of `except`. Names are those of
/// `system.sockprotoname`, known for sockets that no table lists and for those listed as TCP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketProtocol {
    /// Fires on these only. Empty: on all.
    #[serde(default)]
    names: Vec<String>,
    /// Never fires on these.
    #[serde(default)]
    except: Vec<String>,
}

impl Match for SocketProtocol {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let listed = |list: &[String], name: &[u8]| list.iter().any(|entry| entry.as_bytes() == name);
        let fires = |name: &[u8]| (self.names.is_empty() || listed(&self.names, name)) && !listed(&self.except, name);
        view.fds()
            .filter_map(|(process, fd)| {
                let name = fd.socket_protocol.as_ref().filter(|name| fires(name.as_bytes()))?;
                if name.as_bytes().starts_with(b"MPTCP") && is_plain_tcp(view, fd) {
                    return None;
                }
                Some(Subject::fd(process, fd).with("protocol", name.clone()))
            })
            .collect()
    }
}

/// Whether it is a TCP connection that a Multipath TCP listener accepted from a client who does not speak that: it keeps
/// the name only. Kernel: `net/mptcp/protocol.c: mptcp_stream_accept`.
fn is_plain_tcp(view: View<'_>, fd: &Fd) -> bool {
    let Link::Socket(inode) = fd.link() else { return false };
    view.index.sockets.get(&inode).is_some_and(|(_, socket)| socket.is_tcp() && socket.mptcp == Some(false))
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, Socket, family};
    use crate::rules::testing::*;

    fn sockets(names: &[&str]) -> Facts {
        let sockets = names.iter().zip(3..).map(|(name, number)| {
            Fd { socket_protocol: Some((*name).into()), ..fd(number, &format!("socket:[{number}]")) }
        });
        facts(vec![holder(7, sockets.collect())])
    }

    #[test]
    fn families_outside_of_criu_s_list_fire() {
        let facts = sockets(&["AF_VSOCK", "ALG", "TCP", "UNIX-STREAM", "NETLINK", "MPTCP", "LATER"]);
        assert_eq!(fired("socket-family-unsupported", &facts, &[]), ["7 fd 3", "7 fd 4", "7 fd 9"]);
    }

    #[test]
    fn a_connection_that_fell_back_to_tcp_keeps_the_name_only() {
        let listed = |mptcp| {
            let socket = Socket { inode: 3, family: family::INET, kind: 1, protocol: 6, mptcp, ..Socket::default() };
            fired("mptcp-socket", &with_sockets(sockets(&["MPTCP"]), vec![socket]), &[]).len()
        };
        assert_eq!([listed(Some(false)), listed(Some(true)), listed(None)], [0, 1, 1]);
    }

    #[test]
    fn protocols_that_criu_does_not_know_fire_each_under_its_rule() {
        let facts = sockets(&["SCTP", "MPTCPv6", "PING", "TCPv6"]);
        assert_eq!(fired("socket-protocol-unsupported", &facts, &[]), ["7 fd 3"]);
        assert_eq!(fired("mptcp-socket", &facts, &[]), ["7 fd 4"]);
        assert_eq!(findings("ping-socket", &facts, &profile("4.1.1", &[])).len(), 1);
        assert_eq!(findings("ping-socket", &facts, &profile("4.2", &[])).len(), 0);
    }
}
