//! Sockets that live in a network namespace that no process of the tree is in: inherited, passed on, or opened before
//! `unshare` or `setns`. CRIU: `sk-unix.c: dump_one_unix_fd`, `sk-packet.c: dump_one_packet_fd`, `net.c: get_socket_ns`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, Link, NetNamespace, Process};
use crate::finding::Subject;

/// Fires on each descriptor of a socket that the table of another network namespace lists, and of one that must be in
/// a table but is in none of the tree's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketForeign {
    /// Names of protocols whose sockets are in their table from the moment they are made.
    always_listed: Vec<String>,
}

impl Match for SocketForeign {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Namespaces, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        // With a table missing, what is in no table says nothing.
        let is_whole = |namespace: &NetNamespace| namespace.undiagnosed.is_empty();
        let tables_are_whole = view.facts.gaps.iter().all(|gap| gap.area != Area::Sockets)
            && view.facts.net_namespaces.iter().all(is_whole);
        let is_always_listed = |fd: &Fd| {
            let name = fd.socket_protocol.as_ref().map(|name| name.as_bytes());
            self.always_listed.iter().any(|listed| Some(listed.as_bytes()) == name)
        };
        let is_foreign = |fd: &Fd| match fd.link() {
            Link::Socket(inode) => match view.index.sockets.get(&inode) {
                Some((namespace, _)) => !view.index.net_namespaces.contains(namespace),
                None => tables_are_whole && is_always_listed(fd),
            },
            _ => false,
        };
        let subject = |(process, fd): (&Process, &Fd)| {
            let subject = Subject::fd(process, fd);
            fd.socket_protocol.as_ref().map_or(subject.clone(), |name| subject.with("protocol", name.clone()))
        };
        view.fds().filter(|(_, fd)| is_foreign(fd)).map(subject).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Area, Facts, Fd, Gap, NetNamespace, Socket, family};
    use crate::rules::testing::*;

    fn tree() -> Facts {
        let socket = |inode| Socket { inode, family: family::INET, ..Socket::default() };
        let unlisted = |number, name: &str| Fd {
            socket_protocol: Some(name.into()),
            ..fd(number, &format!("socket:[{number}]"))
        };
        let fds = vec![
            fd(3, "socket:[3]"),
            fd(4, "socket:[4]"),
            unlisted(5, "UNIX-STREAM"),
            unlisted(6, "TCP"),
            unlisted(7, "NETLINK"),
        ];
        let mut facts = with_sockets(facts(vec![holder(7, fds)]), vec![socket(3)]);
        facts.net_namespaces.push(NetNamespace { id: 99, sockets: vec![socket(4)], ..NetNamespace::default() });
        facts
    }

    #[test]
    fn sockets_of_another_namespace_fire_and_unbound_ones_do_not() {
        assert_eq!(fired("socket-foreign-netns", &tree(), &[]), ["7 fd 4", "7 fd 5"]);
    }

    #[test]
    fn where_a_table_could_not_be_read_only_what_was_seen_fires() {
        let gap = Gap { area: Area::Sockets, pid: None, path: "unix sockets".into(), reason: "denied".into() };
        let facts = Facts { gaps: vec![gap], ..tree() };
        assert_eq!(fired("socket-foreign-netns", &facts, &[]), ["7 fd 4"]);
    }
}
