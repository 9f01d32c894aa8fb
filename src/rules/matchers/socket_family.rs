//! Sockets by address family. CRIU: `sockets.c: dump_socket_opts` asks sockets of all families the same questions.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link};
use crate::finding::Subject;

/// Fires on each descriptor of a socket of one of these families.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketFamily {
    /// Address family numbers, for sockets that a socket table lists.
    families: Vec<u16>,
    /// Names of protocols of these families, for sockets that no table lists.
    protocols: Vec<String>,
}

impl Match for SocketFamily {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let fires = |inode: u64, name: Option<&[u8]>| match view.index.sockets.get(&inode) {
            Some((_, socket)) => self.families.contains(&socket.family),
            None => self.protocols.iter().any(|protocol| Some(protocol.as_bytes()) == name),
        };
        let name = |fd: &crate::facts::Fd| fd.socket_protocol.clone();
        view.fds()
            .filter(|(_, fd)| match fd.link() {
                Link::Socket(inode) => fires(inode, name(fd).as_ref().map(|name| name.as_bytes())),
                _ => false,
            })
            // Of all options that fail CRIU tells, and last of the device.
            .map(|(process, fd)| Subject::fd(process, fd).nth(2))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, Socket, family};
    use crate::rules::testing::*;

    #[test]
    fn passcred_is_asked_of_inet_and_packet_sockets_by_old_criu_on_new_kernels() {
        let fds = vec![
            fd(3, "socket:[13]"),
            fd(4, "socket:[14]"),
            Fd { socket_protocol: Some("TCP".into()), ..fd(5, "socket:[15]") },
            fd(6, "pipe:[13]"),
        ];
        let socket = |inode, family| Socket { inode, family, ..Socket::default() };
        let facts =
            with_sockets(facts(vec![holder(7, fds)]), vec![socket(13, family::PACKET), socket(14, family::UNIX)]);
        let old = profile("4.1.1", &[]);
        let fds = |findings: Vec<crate::finding::Finding>| findings.iter().map(|f| f.subject.fd).collect::<Vec<_>>();
        assert_eq!(fds(findings("inet-passcred", &facts, &old)), [Some(3), Some(5)]);
        assert!(findings("inet-passcred", &facts, &profile("4.2", &[])).is_empty());
        let kernel = "6.12".parse().ok();
        assert!(findings("inet-passcred", &facts, &crate::profile::Profile { kernel, ..old }).is_empty());
    }
}
