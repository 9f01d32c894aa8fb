//! What `--empty-ns net` leaves out. CRIU 4.2: `net.c: dump_net_ns` saves no interface, address, route or firewall rule
//! then, and the restore binds and connects sockets in an empty namespace, unless someone has set it up by then.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Engine, NetNamespace, Socket, family};
use crate::finding::Subject;

/// Fires on the network namespace of the root process, if it is one of its own and something in it would be missed.
/// docker sets up the network of a restored container by itself. `{lost}` says what there is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostNetwork {}

impl Match for LostNetwork {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces, Area::Interfaces, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.profile.engine == Engine::Docker || !view.profile.has("empty-ns", Some("net")) {
            return Vec::new();
        }
        let Some(root) = view.facts.root() else { return Vec::new() };
        let own = view.facts.net_namespaces.iter().find(|net| Some(net.id) == root.namespaces.net);
        let lost = own.filter(|net| Some(net.id) != view.facts.host.namespaces.net).map(lost).unwrap_or_default();
        if lost.is_empty() { Vec::new() } else { vec![Subject::process(root).with("lost", lost.join(", "))] }
    }
}

fn lost(net: &NetNamespace) -> Vec<String> {
    let names = net.interfaces.iter().filter(|interface| interface.name.as_bytes() != b"lo");
    let mut lost: Vec<String> = names.map(|interface| interface.name.to_string()).collect();
    let needs_address = |socket: &&Socket| {
        let is_inet = matches!(socket.family, family::INET | family::INET6);
        let local = socket.local.to_string();
        is_inet && !(local.is_empty() || local.starts_with("0.0.0.0:") || local.starts_with("[::]:"))
    };
    if let Some(socket) = net.sockets.iter().find(needs_address) {
        lost.push(format!("the address of a socket ({})", socket.local));
    }
    lost
}

#[cfg(test)]
mod tests {
    use crate::facts::{Interface, Process, Socket, family};
    use crate::rules::testing::*;

    #[test]
    fn interfaces_and_addresses_in_use_are_missed() {
        let socket = Socket { inode: 9, family: family::INET, local: "127.0.0.1:80".into(), ..Socket::default() };
        let inside = || facts(vec![Process { namespaces: container_namespaces(), ..process(7) }]);
        let mut with_socket = with_sockets(inside(), vec![socket]);
        with_socket.net_namespaces[0].id = container_namespaces().net.unwrap();
        assert_eq!(fired("network-left-out", &with_socket, &["empty-ns net"]), ["7"]);
        assert!(fired("network-left-out", &with_socket, &[]).is_empty());
        let mut bare = with_sockets(inside(), Vec::new());
        bare.net_namespaces[0].id = container_namespaces().net.unwrap();
        assert!(fired("network-left-out", &bare, &["empty-ns net"]).is_empty());
        bare.net_namespaces[0].interfaces = vec![Interface { name: "eth0".into(), ..Interface::default() }];
        assert_eq!(fired("network-left-out", &bare, &["empty-ns net"]), ["7"]);
    }
}
