//! What a matcher sees: facts, profile, and look-ups made once for all rules.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::facts::{Area, Facts, Fd, Gap, Link, Mapping, Mount, NsId, Pid, Process, Socket};
use crate::finding::Finding;
use crate::profile::Profile;

/// Look-ups over the facts, made once and used by every rule.
#[derive(Debug)]
pub struct Index<'a> {
    /// Processes of the tree by pid.
    pub processes: HashMap<Pid, &'a Process>,
    /// Thread ids of the tree, leaders included.
    pub tids: HashSet<Pid>,
    /// Sockets by inode, with the network namespace that lists them.
    pub sockets: HashMap<u64, (NsId, &'a Socket)>,
    /// Who in the tree holds a socket, by its inode.
    pub socket_holders: HashMap<u64, Vec<(&'a Process, &'a Fd)>>,
    /// Network namespaces that a process of the tree is in.
    pub net_namespaces: HashSet<NsId>,
    /// Mounts of all mount namespaces of the tree by mount id.
    pub mounts: BTreeMap<u64, &'a Mount>,
    /// Gaps that count: of a busy target, those that at least half of the looks had, and those of criu itself.
    pub gaps: Vec<&'a Gap>,
    /// The further looks at a busy target, each with its look-ups.
    pub looks: Vec<(&'a Facts, Self)>,
    /// Processes that all looks met, by id and start time.
    pub settled: HashSet<(Pid, u64)>,
}

impl<'a> Index<'a> {
    /// Makes the look-ups.
    #[must_use]
    pub fn new(facts: &'a Facts) -> Self {
        let mut socket_holders = HashMap::<u64, Vec<_>>::new();
        for process in &facts.processes {
            for fd in &process.fds {
                if let Link::Socket(inode) = fd.link() {
                    socket_holders.entry(inode).or_default().push((process, fd));
                }
            }
        }
        let sockets = |ns: &'a crate::facts::NetNamespace| ns.sockets.iter().map(|s| (s.inode, (ns.id, s)));
        Self {
            processes: facts.processes.iter().map(|p| (p.pid, p)).collect(),
            tids: facts.processes.iter().flat_map(|p| p.threads.iter().map(|t| t.tid)).collect(),
            sockets: facts.net_namespaces.iter().flat_map(sockets).collect(),
            socket_holders,
            net_namespaces: facts.processes.iter().filter_map(|p| p.namespaces.net).collect(),
            mounts: facts.mount_namespaces.iter().flat_map(|ns| &ns.mounts).map(|m| (m.id, m)).collect(),
            gaps: gaps(facts),
            looks: facts.looks.iter().map(|look| (look, Self::new(look))).collect(),
            settled: settled(facts),
        }
    }
}

impl<'a> Index<'a> {
    /// A socket in a table of a network namespace that a process of the tree is in.
    #[must_use]
    pub fn own_socket(&self, inode: u64) -> Option<&'a Socket> {
        let (namespace, socket) = self.sockets.get(&inode)?;
        self.net_namespaces.contains(namespace).then_some(*socket)
    }
}

/// A process that goes away while it is read may leave a gap: that one look had it says nothing of what CRIU will meet.
/// Where each look had another process whose same file could not be read, one stands for all.
fn gaps(facts: &Facts) -> Vec<&Gap> {
    let mut had = BTreeMap::<&Gap, usize>::new();
    let looks = || std::iter::once(facts).chain(&facts.looks);
    for gap in looks().flat_map(|look| &look.gaps) {
        *had.entry(gap).or_default() += 1;
    }
    let most = |had: usize| had * 2 > facts.looks.len();
    let counts =
        |gap: &Gap, had: usize| matches!(gap.area, Area::Criu | Area::Config | Area::MappingFlags) || most(had);
    let seldom = |gap: &&Gap| had.get(gap).is_some_and(|had| !counts(gap, *had));
    let mut of_kind = BTreeMap::<_, (&Gap, usize)>::new();
    for look in looks() {
        let seldom = look.gaps.iter().rev().filter(seldom);
        let kinds: BTreeMap<_, &Gap> = seldom.map(|gap| (gap.kind(), gap)).collect();
        for (kind, gap) in kinds {
            of_kind.entry(kind).or_insert((gap, 0)).1 += 1;
        }
    }
    let together = of_kind.into_values().filter(|(_, had)| most(*had)).map(|(gap, _)| gap);
    let mut counted: Vec<&Gap> = had.iter().filter(|(gap, had)| counts(gap, **had)).map(|(gap, _)| *gap).collect();
    counted.extend(together);
    counted.sort();
    counted
}

fn settled(facts: &Facts) -> HashSet<(Pid, u64)> {
    let lives = |facts: &Facts| facts.processes.iter().map(|p| (p.pid, p.start_time)).collect::<HashSet<_>>();
    facts.looks.iter().fold(lives(facts), |settled, look| &settled & &lives(look))
}

/// What a matcher sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What was read.
    pub facts: &'a Facts,
    /// The dump that is intended.
    pub profile: &'a Profile,
    /// Look-ups over the facts.
    pub index: &'a Index<'a>,
    /// What the rules about resources found: empty for themselves, for the rules about programs what these hold.
    pub held: &'a [Finding],
}

impl<'a> View<'a> {
    /// Every named mapping of the tree with its process, in CRIU's walk order.
    pub fn mappings(&self) -> impl Iterator<Item = (&'a Process, &'a Mapping)> + use<'a> {
        self.facts.processes.iter().flat_map(|process| process.mappings.iter().map(move |mapping| (process, mapping)))
    }

    /// Every socket of the tree that CRIU collects, by each of its descriptors: those in tables of network namespaces
    /// that a process of the tree is in. CRIU: `net.c: collect_net_ns`, `sockets.c: collect_sockets`.
    pub fn own_sockets(&self) -> impl Iterator<Item = (&'a Process, &'a Fd, &'a Socket)> + use<'a> {
        let index = self.index;
        self.fds().filter_map(move |(process, fd)| match fd.link() {
            Link::Socket(inode) => Some((process, fd, index.own_socket(inode)?)),
            _ => None,
        })
    }

    /// Every open file of the tree with its process, in CRIU's walk order.
    pub fn fds(&self) -> impl Iterator<Item = (&'a Process, &'a Fd)> + use<'a> {
        self.facts.processes.iter().flat_map(|process| process.fds.iter().map(move |fd| (process, fd)))
    }
}
