//! Sockets and interfaces of the network namespaces of the tree, peers of the sockets, and who outside holds those.
//!
//! A thread of its own enters each network namespace and asks sock_diag and rtnetlink there. Of the sockets only what
//! has to do with the tree is kept: those that it holds, peers of these, and what waits in an accept queue on either
//! side. Interfaces matter where CRIU saves them, which it does not in its own namespace.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::thread;

use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::facts::{
    Area, Facts, Fd, Gap, Interface, Link, NetNamespace, NsId, Pid, Process, Socket, family, tcp_state,
};
use crate::procfs::fdinfo;
use crate::text::RawText;

mod diag;
mod interfaces;
mod netlink;
mod outside;
mod packet;
mod protocol;
mod raw;
mod timed;

pub(super) use diag::dump;
use diag::{Missing, Tables};
pub(super) use raw::Raw;
pub(super) use timed::note_calls;

/// Fills in the sockets of the tree's network namespaces, protocol names of sockets in no table, and outside ends.
pub(super) fn sockets(facts: &mut Facts) {
    let held: HashSet<u64> = facts.processes.iter().flat_map(held_inodes).collect();
    let own = facts.host.namespaces.net;
    let mut missing = Vec::new();
    for (id, pids) in net_namespaces(&facts.processes) {
        let is_own = own == Some(id);
        let wanted = Wanted { sockets: !held.is_empty(), interfaces: !is_own };
        if !wanted.sockets && !wanted.interfaces {
            continue;
        }
        match read_namespace(id, &pids, is_own, wanted) {
            Ok((pid, found)) => {
                let accepted = if is_own { None } else { timed::accepted(pid, &found.tables.sockets) };
                let sockets = relevant(found.tables.sockets, &held);
                let (unknown, unread) = found.tables.missing.into_iter().partition::<Vec<_>, _>(Missing::is_unknown);
                let undiagnosed = unknown.into_iter().map(|table| table.protocol.to_owned()).collect();
                let interfaces = found.interfaces;
                facts.net_namespaces.push(NetNamespace { id, pid, sockets, interfaces, undiagnosed, accepted });
                missing.extend(unread);
                let unread =
                    found.unread.map(|error| of(Area::Interfaces, Some(pid), "interfaces by rtnetlink", error));
                facts.gaps.extend(unread);
            }
            Err((pid, reason)) => {
                let areas = [(wanted.sockets, Area::Sockets), (wanted.interfaces, Area::Interfaces)];
                for (_, area) in areas.into_iter().filter(|(wanted, _)| *wanted) {
                    facts.gaps.push(of(area, Some(pid), format!("/proc/{pid}/ns/net"), &reason));
                }
            }
        }
    }
    if held.is_empty() {
        return;
    }
    if let Some(id) = own.filter(|id| facts.net_namespaces.iter().all(|ns| ns.id != *id))
        && !unlisted(facts).is_empty()
    {
        let sockets = relevant(diag::read().sockets, &unlisted(facts));
        if !sockets.is_empty() {
            facts.net_namespaces.push(NetNamespace { id, sockets, ..NetNamespace::default() });
        }
    }
    name_protocols(facts);
    note_missing(facts, &missing);
    count_queued_fds(facts);
    outside_ends(facts, &held);
}

fn held_inodes(process: &Process) -> impl Iterator<Item = u64> + '_ {
    process.fds.iter().filter_map(|fd| match fd.link() {
        Link::Socket(inode) => Some(inode),
        _ => None,
    })
}

fn gap(pid: Option<Pid>, path: impl Into<RawText>, reason: impl ToString) -> Gap {
    of(Area::Sockets, pid, path, reason)
}

fn of(area: Area, pid: Option<Pid>, path: impl Into<RawText>, reason: impl ToString) -> Gap {
    Gap { area, pid, path: path.into(), reason: reason.to_string() }
}

/// What is to be read of a network namespace.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    sockets: bool,
    interfaces: bool,
}

impl Wanted {
    /// Reads it from the network namespace that the calling thread is in.
    fn read(self) -> Found {
        let tables = if self.sockets { diag::read() } else { Tables::default() };
        match if self.interfaces { interfaces::read() } else { Ok(Vec::new()) } {
            Ok(interfaces) => Found { tables, interfaces, unread: None },
            Err(error) => Found { tables, interfaces: Vec::new(), unread: Some(error) },
        }
    }
}

/// What was read of a network namespace, and why its interfaces could not be.
#[derive(Debug)]
struct Found {
    tables: Tables,
    interfaces: Vec<Interface>,
    unread: Option<Errno>,
}

/// Network namespaces of the tree in walk order, so the root process's first, each with the processes in it.
fn net_namespaces(processes: &[Process]) -> Vec<(NsId, Vec<Pid>)> {
    let mut namespaces: Vec<(NsId, Vec<Pid>)> = Vec::new();
    for process in processes {
        let Some(id) = process.namespaces.net else { continue };
        match namespaces.iter_mut().find(|(known, _)| *known == id) {
            Some((_, pids)) => pids.push(process.pid),
            None => namespaces.push((id, vec![process.pid])),
        }
    }
    namespaces
}

/// What is wanted of a namespace, read through the first of its processes that is still in it.
fn read_namespace(id: NsId, pids: &[Pid], is_own: bool, wanted: Wanted) -> Result<(Pid, Found), (Pid, String)> {
    let first = pids.first().copied().unwrap_or_default();
    if is_own {
        return Ok((first, wanted.read()));
    }
    let mut failure = (first, "no process is left in it".to_owned());
    for &pid in pids {
        match File::open(format!("/proc/{pid}/ns/net")) {
            Ok(link) if link.metadata().is_ok_and(|meta| meta.ino() == id) => {
                return enter_and_read(&link, wanted).map(|found| (pid, found)).map_err(|reason| (pid, reason));
            }
            Ok(_) => {}
            Err(error) => failure = (pid, error.to_string()),
        }
    }
    Err(failure)
}

/// Only the thread that is made here changes its namespace; it ends with it.
fn enter_and_read(link: &File, wanted: Wanted) -> Result<Found, String> {
    let read = || {
        move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network))
            .map(|()| wanted.read())
            .map_err(|error| format!("can't enter the network namespace: {error}"))
    };
    thread::scope(|scope| scope.spawn(read).join()).unwrap_or_else(|_| Err("the thread that entered it died".into()))
}

/// Sockets in `held`, their unix peers, and both sides of accept queues that they wait in or are waited for in.
fn relevant(sockets: Vec<Socket>, held: &HashSet<u64>) -> Vec<Socket> {
    let mut wanted = held.clone();
    for socket in &sockets {
        if held.contains(&socket.inode) {
            wanted.extend(socket.peer);
            wanted.extend(&socket.pending);
        } else if socket.pending.iter().any(|client| held.contains(client)) {
            wanted.insert(socket.inode);
        }
    }
    let mut kept: Vec<Socket> = sockets.into_iter().filter(|socket| wanted.contains(&socket.inode)).collect();
    kept.sort_by_key(|socket| socket.inode);
    kept.dedup_by_key(|socket| socket.inode);
    kept
}

/// Sockets of the tree that no table lists.
fn unlisted(facts: &Facts) -> HashSet<u64> {
    let listed: HashSet<u64> = facts.net_namespaces.iter().flat_map(|ns| &ns.sockets).map(|s| s.inode).collect();
    facts.processes.iter().flat_map(held_inodes).filter(|inode| !listed.contains(inode)).collect()
}

/// Reads protocol names of sockets in no table, and of TCP ones: the kernel lists an MPTCP socket under its first
/// subflow, as TCP.
fn name_protocols(facts: &mut Facts) {
    let mut asked = unlisted(facts);
    asked.extend(facts.net_namespaces.iter().flat_map(|ns| &ns.sockets).filter(|s| s.is_tcp()).map(|s| s.inode));
    let mut known = HashMap::<u64, Option<RawText>>::new();
    for process in &mut facts.processes {
        for fd in &mut process.fds {
            let Link::Socket(inode) = fd.link() else { continue };
            if !asked.contains(&inode) {
                continue;
            }
            let name = known.entry(inode).or_insert_with(|| {
                protocol::name(process.pid, fd.number, inode).unwrap_or_else(|error| {
                    let path = format!("system.sockprotoname of /proc/{}/fd/{}", process.pid, fd.number);
                    facts.gaps.push(gap(Some(process.pid), path, error));
                    None
                })
            });
            fd.socket_protocol.clone_from(name);
        }
    }
}

/// A table that could not be read is a gap only if it could have listed a socket of the tree.
fn note_missing(facts: &mut Facts, missing: &[Missing]) {
    let unlisted = unlisted(facts);
    let is_unlisted = |fd: &&Fd| matches!(fd.link(), Link::Socket(inode) if unlisted.contains(&inode));
    let fds = facts.processes.iter().flat_map(|process| &process.fds).filter(is_unlisted);
    let names: BTreeSet<&[u8]> = fds.filter_map(|fd| fd.socket_protocol.as_ref()).map(RawText::as_bytes).collect();
    let hides = |table: &&Missing| names.iter().any(|name| name.starts_with(table.protocol.as_bytes()));
    let gaps: Vec<Gap> =
        missing.iter().filter(hides).map(|table| gap(None, table.table.as_str(), table.reason)).collect();
    facts.gaps.extend(gaps);
}

/// Reads how many descriptors lie in the unread messages of unix sockets.
fn count_queued_fds(facts: &mut Facts) {
    let mut holders = HashMap::new();
    for process in &facts.processes {
        for fd in &process.fds {
            if let Link::Socket(inode) = fd.link() {
                holders.entry(inode).or_insert((process.pid, fd.number));
            }
        }
    }
    let unread = |socket: &&mut Socket| {
        socket.family == family::UNIX && socket.receive_queue > 0 && socket.state != tcp_state::LISTEN
    };
    for socket in facts.net_namespaces.iter_mut().flat_map(|ns| &mut ns.sockets).filter(unread) {
        let Some((pid, number)) = holders.get(&socket.inode) else { continue };
        let record = std::fs::read(format!("/proc/{pid}/fdinfo/{number}")).ok().and_then(|text| fdinfo::parse(&text));
        socket.queued_fds = record.filter(|record| record.inode == Some(socket.inode)).and_then(|r| r.queued_fds);
    }
}

/// Holders of unix peers and of waiting clients that no process of the tree holds.
/// Who outside holds the other ends of unix sockets of the tree. An end that nobody outside holds was opened inside
/// after the descriptors were listed, or its socket was closed since: such a socket is left out, as if it had been
/// opened or closed a moment earlier or later.
fn outside_ends(facts: &mut Facts, held: &HashSet<u64>) {
    let inside = facts.net_namespaces.iter().flat_map(|ns| &ns.sockets);
    let inside = inside.filter(|socket| socket.family == family::UNIX && held.contains(&socket.inode));
    let is_outside = |end: &u64| *end != 0 && !held.contains(end);
    let peers: HashMap<u64, u64> =
        inside.clone().filter_map(|socket| Some((socket.inode, socket.peer.filter(is_outside)?))).collect();
    let waiting = inside.flat_map(|socket| socket.pending.iter().copied()).filter(is_outside);
    let ends: HashSet<u64> = waiting.chain(peers.values().copied()).collect();
    if ends.is_empty() {
        return;
    }
    let pids: HashSet<Pid> = facts.processes.iter().map(|process| process.pid).collect();
    facts.outside_ends = outside::find(&ends, &pids);
    let found: HashSet<u64> = facts.outside_ends.iter().map(|end| end.inode).collect();
    if peers.values().all(|peer| found.contains(peer)) {
        return;
    }
    let now = outside::held_by(pids.into_iter());
    let passed = |(inode, peer): &(u64, u64)| !found.contains(peer) && (now.contains(peer) || !now.contains(inode));
    let passing: HashSet<u64> = peers.into_iter().filter(passed).map(|(inode, _)| inode).collect();
    let stays = |fd: &Fd| !matches!(fd.link(), Link::Socket(inode) if passing.contains(&inode));
    facts.processes.iter_mut().for_each(|process| process.fds.retain(stays));
}

#[cfg(test)]
mod tests;
