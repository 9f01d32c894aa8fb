//! TCP connections that are saved with what is under way. CRIU 4.2: `sk-tcp.c: dump_one_tcp`.

use super::View;
use crate::facts::{Fd, Link, NamespaceKind, Process, Socket, tcp_state};
use crate::version::Version;

/// First release that can leave connections out of a dump.
const TCP_CLOSE: Version = Version::new(3, 15, 0);

/// Those that CRIU locks one by one and turns to repair mode: where the options say so, and the target is in CRIU's own
/// network namespace, which is not locked as a whole.
pub(super) fn repaired_in_own_network(view: View<'_>) -> impl Iterator<Item = (&Process, &Fd, &Socket)> {
    let meant = view.profile.has("tcp-established", None) && repairs_in_own_network(view);
    let sockets = meant.then(|| view.own_sockets()).into_iter().flatten();
    sockets.filter(|(.., socket)| {
        socket.is_tcp() && socket.state != tcp_state::LISTEN && !socket.remote.as_bytes().ends_with(b":0")
    })
}

/// TCP sockets that no table lists. One that was reset knows its other end still, and CRIU locks and repairs it whatever
/// the options say; of one that never was connected the kernel tells the same. CRIU 4.2: `sk-inet.c: gen_uncon_sk`.
pub(super) fn reset_in_own_network(view: View<'_>) -> impl Iterator<Item = (&Process, &Fd)> {
    let fds = repairs_in_own_network(view).then(|| view.fds()).into_iter().flatten();
    fds.filter(move |(_, fd)| {
        let is_tcp = fd.socket_protocol.as_ref().is_some_and(|name| matches!(name.as_bytes(), b"TCP" | b"TCPv6"));
        is_tcp && matches!(fd.link(), Link::Socket(inode) if !view.index.sockets.contains_key(&inode))
    })
}

/// Whether CRIU repairs connections at all, in a network that it does not lock as a whole.
fn repairs_in_own_network(view: View<'_>) -> bool {
    let closes = view.profile.has("tcp-close", None) && view.profile.criu_version() >= TCP_CLOSE;
    !closes && view.facts.shares_with_host(NamespaceKind::Net)
}

#[cfg(test)]
mod tests {
    use crate::facts::{CallerFacts, Facts, Fd, Socket, Tool, family};
    use crate::finding::Confidence;
    use crate::profile::Profile;
    use crate::rules::testing::*;

    /// A tree in the network namespace of the host with one TCP socket.
    fn tree(family: u16, state: u8, remote: &str) -> Facts {
        let socket = Socket { inode: 9, family, protocol: 6, state, remote: remote.into(), ..Socket::default() };
        let mut facts = with_sockets(facts(vec![holder(7, vec![fd(3, "socket:[9]")])]), vec![socket]);
        let tool = |name: &str| Tool { name: name.to_owned(), program: None };
        facts.host.tools = Some(["ip6tables", "iptables", "sh"].map(tool).to_vec());
        facts
    }

    fn fired(rule: &str, tree: &Facts, options: &[&str]) -> Vec<String> {
        let profile = Profile { caller: Some(CallerFacts::default()), ..profile("4.2", options) };
        findings(rule, tree, &profile)
            .iter()
            .filter_map(|f| f.subject.value("path").or(f.subject.value("pid")))
            .collect()
    }

    #[test]
    fn each_connection_that_is_saved_on_the_host_is_locked_and_repaired() {
        let (caller, tool) = ("caller-cannot-repair-connections", "tool-iptables-command-missing");
        let connected = tree(family::INET, 1, "10.0.0.1:80");
        assert_eq!(fired(caller, &connected, &["tcp-established"]), ["7"]);
        assert_eq!(fired(tool, &connected, &["tcp-established"]), ["iptables", "sh"]);
        assert_eq!(fired(tool, &tree(family::INET6, 1, "[2001:db8::1]:80"), &["tcp-established"]), ["ip6tables"]);
        assert_eq!(
            fired(tool, &tree(family::INET6, 1, "[::ffff:10.0.0.1]:80"), &["tcp-established"]),
            ["iptables", "sh"]
        );
        assert!(fired(tool, &connected, &["tcp-established", "network-lock skip"]).is_empty());
        let mut own = tree(family::INET, 1, "10.0.0.1:80");
        own.host.namespaces.net = Some(5);
        for rule in [caller, tool] {
            assert!(fired(rule, &connected, &[]).is_empty());
            assert!(fired(rule, &connected, &["tcp-established", "tcp-close"]).is_empty());
            assert!(fired(rule, &tree(family::INET, 10, "0.0.0.0:0"), &["tcp-established"]).is_empty());
            assert!(fired(rule, &own, &["tcp-established"]).is_empty());
        }
    }

    #[test]
    fn a_socket_that_no_table_lists_may_have_been_reset() {
        let unlisted = Fd { socket_protocol: Some("TCP".into()), ..fd(4, "socket:[77]") };
        let mut tree = facts(vec![holder(7, vec![unlisted])]);
        let confidences = |tree: &Facts, options| {
            let profile = Profile { caller: Some(CallerFacts::default()), ..profile("4.2", options) };
            let found = findings("caller-cannot-repair-connections", tree, &profile);
            found.iter().map(|finding| finding.confidence).collect::<Vec<_>>()
        };
        assert_eq!(confidences(&tree, &[]), [Confidence::Possible]);
        assert!(confidences(&tree, &["tcp-close"]).is_empty());
        tree.host.namespaces.net = Some(5);
        assert!(confidences(&tree, &[]).is_empty());
    }
}
