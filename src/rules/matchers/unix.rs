//! Unix sockets whose other end is not where CRIU needs it. CRIU: `sk-unix.c: dump_one_unix_fd` and, once all sockets
//! of the tree are dumped, `__dump_external_socket`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, Process, Socket, family, tcp_state};
use crate::finding::{Confidence, Subject};
use crate::text::RawText;

/// `SOCK_DGRAM`
const DATAGRAM: u8 = 2;
/// Both directions shut down.
const SHUT: u8 = 3;

/// Fires on each descriptor of a unix socket in this condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unix {
    which: Which,
    /// What a connection is for, by a part of its socket's name.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// Connected to a socket that only processes outside the tree hold.
    PeerOutside,
    /// Connected to a socket of a network namespace that no process of the tree is in.
    PeerMissing,
    /// Connected to a socket that has no name and another peer.
    PeerUnreachable,
    /// Waits to be accepted with data written; or a listener whose waiting client has closed.
    InFlight,
    /// Connected, but to nothing that is known: it waits in the queue of a listener of another network namespace.
    Dangling,
    /// A connected datagram socket whose peer is gone.
    DatagramAlone,
    /// In a state that CRIU does not know.
    UnknownState,
    /// Messages wait to be read; credentials and descriptors may go with them. CRIU: `sk-queue.c: dump_sk_queue`.
    Unread,
}

impl Match for Unix {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Namespaces, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.own_sockets()
            .filter(|(.., socket)| socket.family == family::UNIX && self.applies(socket, view))
            .map(|(process, fd, socket)| self.subject(process, fd, socket, view))
            .collect()
    }
}

/// What CRIU would stumble over, in its order of checks.
fn condition(socket: &Socket, view: View<'_>) -> Option<Which> {
    if !matches!(socket.state, tcp_state::ESTABLISHED | tcp_state::CLOSE | tcp_state::LISTEN) {
        return Some(Which::UnknownState);
    }
    if let Some(inode) = socket.peer {
        let Some(peer) = view.index.own_socket(inode) else { return Some(Which::PeerMissing) };
        return if peer.peer != Some(socket.inode) && peer.local.is_empty() {
            Some(Which::PeerUnreachable)
        } else {
            (!view.index.socket_holders.contains_key(&inode)).then_some(Which::PeerOutside)
        };
    }
    if socket.state == tcp_state::LISTEN {
        return socket.pending.contains(&0).then_some(Which::InFlight);
    }
    if socket.state != tcp_state::ESTABLISHED || socket.kind == DATAGRAM {
        return None;
    }
    match listener(socket.inode, view) {
        Some(_) => (socket.send_queue != 0).then_some(Which::InFlight),
        None => (socket.shutdown != SHUT).then_some(Which::Dangling),
    }
}

/// The listener that has it in its accept queue, among those that CRIU collects.
fn listener<'a>(inode: u64, view: View<'a>) -> Option<&'a Socket> {
    let collected = view.facts.net_namespaces.iter().filter(|ns| view.index.net_namespaces.contains(&ns.id));
    collected.flat_map(|ns| &ns.sockets).find(|listener| listener.pending.contains(&inode))
}

impl Unix {
    fn applies(&self, socket: &Socket, view: View<'_>) -> bool {
        match self.which {
            Which::Unread => is_unread(socket),
            Which::DatagramAlone => {
                let connected = socket.state == tcp_state::ESTABLISHED && socket.kind == DATAGRAM;
                connected && socket.peer.is_none() && socket.shutdown != SHUT
            }
            which => condition(socket, view) == Some(which),
        }
    }

    fn subject(&self, process: &Process, fd: &Fd, socket: &Socket, view: View<'_>) -> Subject {
        let peer = socket.peer.and_then(|inode| view.index.own_socket(inode));
        let names = [Some(&socket.local), peer.or(listener(socket.inode, view)).map(|other| &other.local)];
        let name = names.into_iter().flatten().find(|name| !name.is_empty());
        let subject = Subject::fd(process, fd)
            .with("inode", socket.inode.to_string())
            .with("kind", socket.kind_name())
            .with("label", self.label(name))
            .with("name", name.map_or_else(|| "no name".into(), Clone::clone))
            .with("peer", socket.peer.unwrap_or_default().to_string())
            .with("outside", outside(socket, view))
            .with("unread", socket.receive_queue.to_string())
            .with("queued", queued(socket));
        let subject = if socket.state == tcp_state::LISTEN { subject.with("side", "listener") } else { subject };
        let subject = subject.with("state", socket.state.to_string());
        let subject = match peer.filter(|_| view.profile.has("ext-unix-sk", None)) {
            Some(peer) if peer.kind != DATAGRAM => {
                let subject = subject.with("half", in_log(&socket.local)).with("other_half", in_log(&peer.local));
                subject.with("halved", "yes")
            }
            Some(_) => subject.with("nameless", "yes"),
            None => subject,
        };
        let subject = if self.which == Which::PeerOutside && may_be_queued(socket, view) {
            subject.at_most(Confidence::Possible)
        } else {
            subject
        };
        match peer.filter(|peer| peer.kind == DATAGRAM && !peer.local.is_empty()) {
            Some(peer) => subject.with("named_datagram", peer.local.clone()),
            None => subject,
        }
    }

    fn label(&self, name: Option<&RawText>) -> String {
        let is_in = |part: &str, name: &RawText| name.as_bytes().windows(part.len()).any(|w| w == part.as_bytes());
        let label = name.and_then(|name| self.labels.iter().find(|(part, _)| is_in(part, name)));
        label.map_or_else(String::new, |(_, label)| format!("{label} "))
    }
}

/// A name as CRIU prints it: an abstract one begins with a byte that ends the text.
fn in_log(name: &RawText) -> RawText {
    match name.as_bytes() {
        b"" => "(null)".into(),
        [b'@', ..] => RawText::default(),
        _ => name.clone(),
    }
}

fn queued(socket: &Socket) -> String {
    match socket.queued_fds {
        Some(0) => "no descriptors among them".to_owned(),
        Some(1) => "a descriptor among them".to_owned(),
        Some(count) => format!("{count} descriptors among them"),
        None => "perhaps descriptors among them".to_owned(),
    }
}

/// Whether nobody holds the other end but perhaps a message in the tree. CRIU: `sk-queue.c: dump_scm_rights` dumps it
/// from there.
fn may_be_queued(socket: &Socket, view: View<'_>) -> bool {
    let is_held = view.facts.outside_ends.iter().any(|end| Some(end.inode) == socket.peer);
    let carries = |socket: &Socket| socket.family == family::UNIX && socket.queued_fds != Some(0);
    !is_held && view.own_sockets().any(|(.., other)| is_unread(other) && carries(other))
}

fn is_unread(socket: &Socket) -> bool {
    socket.receive_queue != 0 && socket.state != tcp_state::LISTEN
}

/// Who outside holds the other end.
fn outside(socket: &Socket, view: View<'_>) -> String {
    let ends = view.facts.outside_ends.iter().filter(|end| Some(end.inode) == socket.peer);
    let holders: Vec<String> = ends.map(|end| format!("{} ({}) fd {}", end.comm, end.pid, end.fd)).collect();
    if holders.is_empty() { "a process that could not be found".to_owned() } else { holders.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Facts, OutsideEnd};
    use crate::rules::testing::*;

    fn stream(inode: u64, peer: Option<u64>) -> Socket {
        Socket { inode, family: family::UNIX, kind: 1, state: 1, peer, ..Socket::default() }
    }

    /// A tree of one process that holds the first `held` of these sockets as fd 3, 4 ...
    fn tree(held: usize, sockets: Vec<Socket>) -> Facts {
        let fds = sockets.iter().take(held).zip(3..).map(|(s, number)| fd(number, &format!("socket:[{}]", s.inode)));
        with_sockets(facts(vec![holder(7, fds.collect())]), sockets)
    }

    #[test]
    fn a_stream_to_a_process_outside_names_both_sides_and_is_lifted_by_its_inode_only() {
        let server = Socket { local: "/tmp/.X11-unix/X1".into(), ..stream(200, Some(100)) };
        let mut facts = tree(1, vec![stream(100, Some(200)), server]);
        facts.outside_ends = vec![OutsideEnd { inode: 200, pid: 50, comm: "Xorg".into(), fd: 9 }];
        let found = findings("unix-peer-outside", &facts, &profile("4.2", &["ext-unix-sk"]));
        assert_eq!(found.len(), 1);
        let what = &found[0].what;
        assert!(["p7 (7) fd 3", "X11", "/tmp/.X11-unix/X1", "Xorg (50) fd 9"].iter().all(|part| what.contains(part)));
        assert_eq!(found[0].lifted_by.iter().map(ToString::to_string).collect::<Vec<_>>(), ["external unix[100]"]);
        assert!(fired("unix-peer-outside", &facts, &["external unix[100]"]).is_empty());
        assert_eq!(fired("unix-peer-outside", &facts, &["external unix[200]"]).len(), 1);
    }

    #[test]
    fn only_a_named_datagram_server_is_lifted_by_ext_unix_sk() {
        let datagram = |inode, peer| Socket { kind: 2, ..stream(inode, peer) };
        let named = Socket { local: "/run/log".into(), ..datagram(200, None) };
        let facts = tree(1, vec![datagram(100, Some(200)), named]);
        assert!(fired("unix-peer-outside", &facts, &["ext-unix-sk"]).is_empty());
        let facts = tree(1, vec![datagram(100, Some(200)), datagram(200, Some(100))]);
        assert_eq!(fired("unix-peer-outside", &facts, &["ext-unix-sk"]).len(), 1);
    }

    #[test]
    fn ends_inside_the_tree_and_closed_ends_are_fine() {
        let closed = Socket { shutdown: 3, ..stream(102, None) };
        let facts = tree(3, vec![stream(100, Some(101)), stream(101, Some(100)), closed]);
        for rule in ["unix-peer-outside", "unix-peer-missing", "unix-dangling", "unix-in-flight"] {
            assert!(fired(rule, &facts, &[]).is_empty(), "{rule}");
        }
    }

    #[test]
    fn peers_that_criu_does_not_collect_are_missing() {
        let facts = tree(1, vec![Socket { kind: 2, ..stream(100, Some(200)) }]);
        assert_eq!(fired("unix-peer-missing", &facts, &["ext-unix-sk"]), ["7 fd 3"]);
    }

    #[test]
    fn a_peer_without_name_that_has_another_peer_can_not_be_reached() {
        let facts = tree(3, vec![stream(100, Some(101)), stream(101, Some(102)), stream(102, Some(101))]);
        assert_eq!(fired("unix-peer-unreachable", &facts, &[]), ["7 fd 3"]);
    }

    #[test]
    fn waiting_connections_block_only_with_data_or_when_their_client_has_left() {
        let listener = |pending: Vec<u64>| Socket { state: tcp_state::LISTEN, pending, ..stream(100, None) };
        let client = |send_queue| Socket { send_queue, ..stream(101, None) };
        assert!(fired("unix-in-flight", &tree(2, vec![listener(vec![101]), client(0)]), &[]).is_empty());
        assert_eq!(fired("unix-in-flight", &tree(2, vec![listener(vec![101]), client(512)]), &[]), ["7 fd 4"]);
        assert_eq!(fired("unix-in-flight", &tree(1, vec![listener(vec![0])]), &[]), ["7 fd 3"]);
        assert_eq!(fired("unix-dangling", &tree(1, vec![client(0)]), &[]), ["7 fd 3"]);
    }

    #[test]
    fn an_end_that_nobody_holds_may_lie_in_a_message() {
        let queue = |queued_fds| Socket { receive_queue: 1, queued_fds, ..stream(300, Some(301)) };
        let judged = |queued_fds| {
            let mut facts = tree(3, vec![stream(100, Some(200)), queue(queued_fds), stream(301, Some(300))]);
            facts.net_namespaces[0].sockets.push(stream(200, Some(100)));
            findings("unix-peer-outside", &facts, &profile("4.2", &[]))[0].confidence
        };
        assert_eq!([Some(1), None].map(judged), [Confidence::Possible; 2]);
        assert!(judged(Some(0)) != Confidence::Possible);
    }

    #[test]
    fn states_that_criu_does_not_know_are_refused() {
        assert_eq!(fired("unix-state-unknown", &tree(1, vec![Socket { state: 2, ..stream(100, None) }]), &[]), ["7 fd 3"]);
        assert!(fired("unix-state-unknown", &tree(1, vec![stream(100, None)]), &[]).is_empty());
    }

    #[test]
    fn unread_messages_may_be_in_the_way_but_waiting_connections_are_not_messages() {
        let listener = Socket { state: tcp_state::LISTEN, receive_queue: 1, ..stream(100, None) };
        let unread = Socket { receive_queue: 5, ..stream(101, Some(102)) };
        let facts = tree(3, vec![listener, unread, stream(102, Some(101))]);
        let found = findings("unix-unread", &facts, &profile("4.2", &[]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].confidence, Confidence::Possible);
        assert!(found[0].what.contains("p7 (7) fd 4: 5 bytes"));
    }
}
