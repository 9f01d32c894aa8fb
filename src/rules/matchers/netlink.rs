//! Netlink sockets. CRIU: `sk-netlink.c: dump_one_netlink_fd`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, family};
use crate::finding::Subject;

/// Fires on each descriptor of a netlink socket in this condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Netlink {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// Messages wait to be read.
    Unread,
    /// With a mask of multicast groups longer than CRIU saves.
    ManyGroups,
    /// In a multicast group, but without a port id.
    GroupsWithoutPort,
}

impl Match for Netlink {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.own_sockets()
            .filter(|(.., socket)| socket.family == family::NETLINK)
            .filter(|(.., socket)| match self.which {
                Which::Unread => socket.receive_queue > 0,
                Which::ManyGroups => words_saved(&socket.groups) > 1,
                Which::GroupsWithoutPort => !socket.groups.is_empty() && socket.port_id == 0,
            })
            .map(|(process, fd, socket)| {
                let protocol = protocol_name(socket.protocol);
                Subject::fd(process, fd).with("protocol", protocol).with("bytes", socket.receive_queue.to_string())
            })
            .collect()
    }
}

/// Words of the mask that CRIU would have to save: of the last two it leaves out one that is empty.
fn words_saved(groups: &[u32]) -> usize {
    if groups.last() == Some(&0) { groups.len() - 1 } else { groups.len() }
}

/// Kernel: `include/uapi/linux/netlink.h`.
fn protocol_name(protocol: u8) -> String {
    match protocol {
        0 => "route".to_owned(),
        4 => "sock_diag".to_owned(),
        9 => "audit".to_owned(),
        11 => "connector".to_owned(),
        12 => "netfilter".to_owned(),
        15 => "kobject-uevent".to_owned(),
        16 => "generic".to_owned(),
        other => format!("protocol {other}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Socket, family};
    use crate::rules::testing::*;

    fn tree() -> Facts {
        let netlink = |inode| Socket { inode, family: family::NETLINK, port_id: 9, ..Socket::default() };
        let sockets = vec![
            Socket { receive_queue: 768, ..netlink(1) },
            Socket { groups: vec![0, 1], ..netlink(2) },
            Socket { groups: vec![1, 0], port_id: 0, ..netlink(3) },
            Socket { groups: vec![0x8000_0000, 0], ..netlink(4) },
            Socket { groups: vec![1, 0, 0, 0], ..netlink(5) },
        ];
        let fds = (1..=5).map(|number| fd(number, &format!("socket:[{number}]"))).collect();
        with_sockets(facts(vec![holder(7, fds)]), sockets)
    }

    #[test]
    fn each_condition_fires_alone() {
        assert_eq!(fired("netlink-data", &tree(), &[]), ["7 fd 1"]);
        assert_eq!(fired("netlink-groups", &tree(), &[]), ["7 fd 2", "7 fd 5"]);
        assert_eq!(fired("netlink-no-port", &tree(), &[]), ["7 fd 3"]);
    }
}
