//! The facts as they would be of another tree: of a part of the target alone, or of what is left when processes end.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{
    Facts, FdInfo, Link, MountNamespace, NetNamespace, NsId, OutsideEnd, Pid, Process, Socket, family, tcp_state,
};

/// `SOCK_DGRAM`
const DATAGRAM: u8 = 2;
/// Both directions shut down.
const SHUT: u8 = 3;

/// The process and everything below it, in a list that has parents before their children.
pub(super) fn descendants(tree: &[Process], root: Pid) -> BTreeSet<Pid> {
    let mut found = BTreeSet::from([root]);
    for process in tree {
        if found.contains(&process.ppid) {
            found.insert(process.pid);
        }
    }
    found
}

/// Which processes of a tree are in the other one, and which have ended. The rest lives on outside of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) kept: BTreeSet<Pid>,
    pub(super) gone: BTreeSet<Pid>,
}

impl Part {
    /// The facts of this part; the first of the processes that are kept is its root. What is only known of the root of
    /// a tree is left to the caller, and so are further looks.
    pub(super) fn of(&self, facts: &Facts) -> Facts {
        let mut processes: Vec<Process> =
            facts.processes.iter().filter(|p| self.kept.contains(&p.pid)).cloned().collect();
        share_among(&mut processes);
        for process in &mut processes {
            self.untrace(process);
        }
        self.watch_anew(&mut processes, facts);
        let held = held_sockets(&processes);
        let mut part = Facts {
            target: facts.target.clone(),
            host: facts.host.clone(),
            mount_namespaces: self.mount_namespaces(facts, &processes),
            net_namespaces: self.net_namespaces(facts, &processes, &held),
            outside_sessions: facts.outside_sessions.clone(),
            outside_ends: self.outside_ends(facts),
            gaps: facts.gaps.clone(),
            processes,
            ..Facts::default()
        };
        part.gaps.retain(|gap| gap.pid.is_none_or(|pid| self.kept.contains(&pid)));
        part
    }

    /// Processes that live on outside of it.
    pub(super) fn left_outside<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = &'a Process> {
        let is_outside = |process: &&Process| !self.kept.contains(&process.pid) && !self.gone.contains(&process.pid);
        facts.processes.iter().filter(is_outside)
    }

    /// Who was traced by a process that has ended goes on.
    fn untrace(&self, process: &mut Process) {
        let lost = |tracer: Pid| self.gone.contains(&tracer);
        if lost(process.tracer) {
            process.tracer = 0;
            process.state = if process.state == 't' { 'S' } else { process.state };
        }
        for thread in process.threads.iter_mut().filter(|thread| lost(thread.tracer)) {
            thread.tracer = 0;
            thread.state = if thread.state == 't' { 'S' } else { thread.state };
        }
        for fd in &mut process.fds {
            match &mut fd.info {
                FdInfo::Pidfd { pid } if self.gone.contains(pid) => *pid = -1,
                _ => {}
            }
        }
    }

    /// A file that only processes had open which have ended is closed, and with that no target of an epoll instance any
    /// more. Who else has a target open that was found in another process first is not known.
    fn watch_anew(&self, processes: &mut [Process], facts: &Facts) {
        let open: BTreeSet<u64> = open_inodes(processes.iter().chain(self.left_outside(facts)));
        for process in processes {
            for fd in &mut process.fds {
                let FdInfo::Epoll { targets, holders: Some(holders) } = &mut fd.info else { continue };
                let found = targets.iter().zip(holders.iter());
                let closed = |(target, holder): &(&(i32, u64, u64), &Option<Pid>)| {
                    holder.is_some_and(|pid| self.gone.contains(&pid)) && !open.contains(&target.1)
                };
                let left: Vec<_> =
                    found.filter(|both| !closed(both)).map(|(target, holder)| (*target, *holder)).collect();
                let is_known = left.iter().all(|(_, holder)| holder.is_none_or(|pid| self.kept.contains(&pid)));
                *targets = left.iter().map(|(target, _)| *target).collect();
                let known = is_known.then(|| left.into_iter().map(|(_, holder)| holder).collect());
                fd.info = FdInfo::Epoll { targets: std::mem::take(targets), holders: known };
            }
        }
    }

    fn mount_namespaces(&self, facts: &Facts, processes: &[Process]) -> Vec<MountNamespace> {
        let first_in = |id: NsId| processes.iter().find(|process| process.namespaces.mnt == Some(id));
        let used = facts.mount_namespaces.iter().filter_map(|namespace| Some((namespace, first_in(namespace.id)?)));
        let mut namespaces: Vec<MountNamespace> = used
            .map(|(namespace, first)| {
                let is_known = namespace.pid == 0 || self.kept.contains(&namespace.pid);
                MountNamespace { pid: if is_known { namespace.pid } else { first.pid }, ..namespace.clone() }
            })
            .collect();
        let root = processes.first().and_then(|root| root.namespaces.mnt);
        namespaces.sort_by_key(|namespace| Some(namespace.id) != root);
        namespaces
    }

    /// The network namespaces, root's first, with the sockets that have to do with the part.
    fn net_namespaces(&self, facts: &Facts, processes: &[Process], held: &BTreeSet<u64>) -> Vec<NetNamespace> {
        let first_in = |id: NsId| processes.iter().find(|process| process.namespaces.net == Some(id));
        let outside: BTreeSet<u64> = facts.outside_ends.iter().map(|end| end.inode).collect();
        let living: BTreeSet<u64> =
            self.left_outside(facts).flat_map(sockets_of).chain(outside).chain(held.iter().copied()).collect();
        let ended: BTreeSet<u64> =
            self.ended(facts).flat_map(sockets_of).filter(|inode| !living.contains(inode)).collect();
        let mut namespaces = Vec::new();
        for namespace in &facts.net_namespaces {
            let first = first_in(namespace.id);
            let mut sockets = relevant(&namespace.sockets, held);
            if first.is_none() && sockets.iter().all(|socket| !held.contains(&socket.inode)) {
                continue;
            }
            sockets.retain(|socket| !ended.contains(&socket.inode));
            sockets.iter_mut().for_each(|socket| hang_up(socket, &ended, &namespace.sockets));
            let mut interfaces = if first.is_some() { namespace.interfaces.clone() } else { Vec::new() };
            let left: BTreeSet<&[u8]> = processes.iter().chain(self.left_outside(facts)).flat_map(tuns).collect();
            let dropped: BTreeSet<&[u8]> =
                self.ended(facts).flat_map(tuns).filter(|name| !left.contains(name)).collect();
            interfaces.retain(|interface| {
                let stays = interface.tun.as_ref().is_none_or(|tun| tun.persistent);
                stays || !dropped.contains(interface.name.as_bytes())
            });
            let pid =
                if self.kept.contains(&namespace.pid) { namespace.pid } else { first.map_or(0, |first| first.pid) };
            namespaces.push(NetNamespace { pid, sockets, interfaces, ..without_lists(namespace) });
        }
        let root = processes.first().and_then(|root| root.namespaces.net);
        namespaces.sort_by_key(|namespace| Some(namespace.id) != root);
        namespaces
    }

    fn ended<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = &'a Process> {
        facts.processes.iter().filter(|process| self.gone.contains(&process.pid))
    }

    /// Those known, and what is now held outside.
    fn outside_ends(&self, facts: &Facts) -> Vec<OutsideEnd> {
        let of = |process: &Process| -> Vec<OutsideEnd> {
            let sockets = process.fds.iter().filter_map(|fd| match fd.link() {
                Link::Socket(inode) => Some((inode, fd.number)),
                _ => None,
            });
            let end = |(inode, fd)| OutsideEnd { inode, pid: process.pid, comm: process.comm.clone(), fd };
            sockets.map(end).collect()
        };
        facts.outside_ends.iter().cloned().chain(self.left_outside(facts).flat_map(of)).collect()
    }
}

/// The same namespace, without what is listed of it anew.
fn without_lists(namespace: &NetNamespace) -> NetNamespace {
    NetNamespace {
        id: namespace.id,
        undiagnosed: namespace.undiagnosed.clone(),
        accepted: namespace.accepted,
        ..NetNamespace::default()
    }
}

/// Sharing is recorded with one process only: where that is left out, with the first of those that stay.
fn share_among(processes: &mut [Process]) {
    let pids: BTreeSet<Pid> = processes.iter().map(|process| process.pid).collect();
    let mut first = BTreeMap::<(String, Pid), Pid>::new();
    for process in processes {
        let pid = process.pid;
        process.shares = std::mem::take(&mut process.shares)
            .into_iter()
            .filter_map(|(kind, with)| match pids.contains(&with) {
                true => Some((kind, with)),
                false => {
                    let owner = *first.entry((kind.clone(), with)).or_insert(pid);
                    (owner != pid).then_some((kind, owner))
                }
            })
            .collect();
    }
}

fn sockets_of(process: &Process) -> impl Iterator<Item = u64> + '_ {
    process.fds.iter().filter_map(|fd| match fd.link() {
        Link::Socket(inode) => Some(inode),
        _ => None,
    })
}

fn held_sockets(processes: &[Process]) -> BTreeSet<u64> {
    processes.iter().flat_map(sockets_of).collect()
}

fn open_inodes<'a>(processes: impl Iterator<Item = &'a Process>) -> BTreeSet<u64> {
    processes.flat_map(|process| process.fds.iter().filter_map(|fd| fd.file_inode())).collect()
}

/// Names of the tun and tap devices that a process has attached.
fn tuns(process: &Process) -> impl Iterator<Item = &[u8]> {
    process.fds.iter().filter_map(|fd| match &fd.info {
        FdInfo::Tun { interface } => Some(interface.as_bytes()),
        _ => None,
    })
}

/// Sockets that are held, their peers, and what waits in an accept queue on either side.
fn relevant(sockets: &[Socket], held: &BTreeSet<u64>) -> Vec<Socket> {
    let own = sockets.iter().filter(|socket| held.contains(&socket.inode));
    let related: BTreeSet<u64> = own.flat_map(|socket| socket.peer.iter().chain(&socket.pending)).copied().collect();
    let concerns = |socket: &&Socket| {
        let inode = &socket.inode;
        held.contains(inode) || related.contains(inode) || socket.pending.iter().any(|inode| held.contains(inode))
    };
    sockets.iter().filter(concerns).cloned().collect()
}

/// What becomes of a unix socket when others end. Kernel: `net/unix/af_unix.c: unix_release_sock`.
fn hang_up(socket: &mut Socket, ended: &BTreeSet<u64>, all: &[Socket]) {
    if socket.family != family::UNIX {
        return;
    }
    let was_waiting = || all.iter().any(|other| ended.contains(&other.inode) && other.pending.contains(&socket.inode));
    if socket.peer.is_some_and(|peer| ended.contains(&peer)) || (socket.peer.is_none() && was_waiting()) {
        socket.peer = None;
        socket.shutdown = if socket.kind == DATAGRAM { socket.shutdown } else { SHUT };
    }
    if socket.state == tcp_state::LISTEN {
        socket.pending.iter_mut().filter(|inode| ended.contains(inode)).for_each(|inode| *inode = 0);
    }
}
