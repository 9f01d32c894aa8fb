//! Held sockets that the kernel can't list. CRIU 4.2: `sockets.c: lookup_socket` fails on them. In a network namespace
//! other than criu's own one `collect_sockets` fails before that, held or not.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, Link, NetNamespace};
use crate::finding::Subject;

/// Fires on each descriptor of such a socket where the network namespace is the host's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketUndiagnosed {}

impl Match for SocketUndiagnosed {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Namespaces, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let host = view.facts.host.namespaces.net;
        let own = view.facts.net_namespaces.iter().filter(|namespace| Some(namespace.id) == host);
        own.flat_map(|namespace| subjects(view, namespace)).collect()
    }
}

fn subjects(view: View<'_>, namespace: &NetNamespace) -> Vec<Subject> {
    let kinds = namespace.undiagnosed.join(", ");
    let is_lacking = |fd: &Fd| {
        let name = fd.socket_protocol.as_ref().filter(|_| matches!(fd.link(), Link::Socket(_)));
        let lacks = |name: &[u8]| namespace.undiagnosed.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
        name.is_some_and(|name| lacks(name.as_bytes()))
    };
    let held = view.fds().filter(|(_, fd)| is_lacking(fd));
    held.map(|(process, fd)| Subject::fd(process, fd).with("protocol", kinds.clone())).collect()
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, Process};
    use crate::rules::testing::*;

    fn without_packet_diag(process: Process) -> Facts {
        let named = |number, name: &str| Fd {
            socket_protocol: Some(name.into()),
            ..fd(number, &format!("socket:[{number}]"))
        };
        let fds = vec![named(3, "PACKET"), named(4, "TCP")];
        let mut facts = with_sockets(facts(vec![Process { fds, ..process }]), Vec::new());
        facts.net_namespaces[0].undiagnosed = vec!["PACKET".to_owned()];
        facts
    }

    #[test]
    fn on_the_host_only_held_sockets_count() {
        assert_eq!(fired("socket-undiagnosed", &without_packet_diag(process(7)), &[]), ["7 fd 3"]);
        let inside = Process { namespaces: container_namespaces(), ..process(7) };
        assert!(fired("socket-undiagnosed", &without_packet_diag(inside), &[]).is_empty());
    }
}
