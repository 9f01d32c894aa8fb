//! Inet sockets by the interface that they are bound to. CRIU 4.2: `sockets.c: dump_bound_dev`, `sk-inet.c:
//! do_dump_one_inet_fd`.

use std::net::SocketAddr;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Socket};
use crate::finding::Subject;

/// Fires on each descriptor of an inet socket in this condition. Sockets that no table lists (unbound ones) say nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InetDevice {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// Bound to an interface that is gone.
    Gone,
    /// With a link-local address, but not bound to an interface. CRIU: `needs_scope_id`.
    LinkLocalAlone,
}

impl Match for InetDevice {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.own_sockets()
            .filter(|(.., socket)| match self.which {
                Which::Gone => socket.device_gone,
                Which::LinkLocalAlone => socket.device == 0 && is_link_local(socket),
            })
            .map(|(process, fd, socket)| {
                let subject = Subject::fd(process, fd).with("index", socket.device.to_string());
                let subject = subject.with("local", socket.local.clone()).with("remote", socket.remote.clone());
                // Options are asked after protocol and state were looked at.
                subject.nth(if let Which::Gone = self.which { 1 } else { 0 })
            })
            .collect()
    }
}

fn is_link_local(socket: &Socket) -> bool {
    match socket.local.to_string().parse() {
        Ok(SocketAddr::V6(address)) => address.port() != 0 && address.ip().is_unicast_link_local(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Socket, family};
    use crate::rules::testing::*;

    fn tree(sockets: &[Socket]) -> Facts {
        let sockets: Vec<Socket> = sockets.iter().zip(1..).map(|(s, inode)| Socket { inode, ..s.clone() }).collect();
        let fds = (1..).take(sockets.len()).map(|number| fd(number, &format!("socket:[{number}]")));
        with_sockets(facts(vec![holder(7, fds.collect())]), sockets)
    }

    #[test]
    fn a_device_that_is_there_is_fine_and_one_that_is_gone_is_not() {
        let bound = Socket { family: family::INET, device: 9, ..Socket::default() };
        let facts = tree(&[bound.clone(), Socket { device_gone: true, ..bound }]);
        assert_eq!(fired("socket-device-gone", &facts, &[]), ["7 fd 2"]);
    }

    #[test]
    fn a_link_local_address_needs_an_interface() {
        let at = |local: &str, device| Socket { family: family::INET6, local: local.into(), device, ..Socket::default() };
        let facts = tree(&[at("[fe80::1]:80", 0), at("[fe80::1]:80", 2), at("[::1]:80", 0), at("[fe80::1]:0", 0)]);
        assert_eq!(fired("inet-link-local-alone", &facts, &["tcp-established"]), ["7 fd 1"]);
    }
}
