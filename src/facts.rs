//! The shared vocabulary: what was read from the kernel about target, host and caller, with no judgement.
//!
//! Facts are plain data. What `record` writes is exactly what a live scan produces, so rules give the same answer
//! on both. Nothing here is guessed: what could not be read is absent and stands in [`Facts::gaps`].

use serde::{Deserialize, Serialize};

use crate::text::RawText;

mod caller;
mod container;
mod files;
mod host;
mod link;
mod mounts;
mod namespaces;
mod process;
mod sockets;

pub use caller::{Access, CallerFacts, Capability, INITIAL_USER_NAMESPACE, Permissions};
pub use container::{
    ConfigFile, ConfigRole, ContainerFacts, CriuBuild, CriuFacts, CriuState, Engine, SpecMount, Target,
};
pub use files::{Fd, FdInfo, FileStat, FileType, HeldAs, HeldFile, InotifyWatch, Lock, Mapping, NameLookup, WatchPath};
pub use host::{Abilities, FreezerMount, Host, NamedPath, PathFault, Tool};
pub use link::Link;
pub use mounts::{ClosedDirectory, Mount, MountNamespace, is_below};
pub use namespaces::{CgroupView, IdExtent, NamespaceKind, Namespaces, UserNamespace};
pub use process::{Bystander, BystanderOf, Limits, OutsideSession, Process, Thread};
pub use sockets::{Interface, NetNamespace, OutsideEnd, Socket, Tun, family, tcp_state};

/// A process or thread id as the scanner's pid namespace numbers it.
pub type Pid = i32;

/// Inode number of a namespace, the `N` of `net:[N]`.
pub type NsId = u64;

/// Everything that was read about one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What to lint and how it was found.
    pub target: Target,
    /// Kernel and caller.
    pub host: Host,
    /// The process tree in the order CRIU walks it: depth first, children as `task/TID/children` lists them.
    pub processes: Vec<Process>,
    /// Processes of the target's pid namespace or cgroup that are no descendants of the root: not in a checkpoint.
    pub bystanders: Vec<Bystander>,
    /// Mount namespaces used by processes of the tree, the root process's first.
    pub mount_namespaces: Vec<MountNamespace>,
    /// Network namespaces used by processes of the tree, the root process's first.
    pub net_namespaces: Vec<NetNamespace>,
    /// The user namespace of the root process, where it is not the scanner's and could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_namespace: Option<UserNamespace>,
    /// The cgroups of the threads of the root process, its main thread first, where its cgroup namespace is not the
    /// scanner's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cgroup_views: Vec<CgroupView>,
    /// Whether `/proc` of the root process shows the pid namespace it is in; absent when that could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sees_own_proc: Option<bool>,
    /// Whether `/proc/self` can't be looked up from the root process, for another reason than that it isn't there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proc_unreachable: bool,
    /// Whether the working directory of the root process already has the name by which CRIU would mount a `/proc` there.
    /// Only looked for where the root process sees none of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proc_name_taken: bool,
    /// Who outside the tree holds the other end of a socket of the tree.
    pub outside_ends: Vec<OutsideEnd>,
    /// Sessions outside the tree whose controlling terminal is open in the tree, by terminal.
    pub outside_sessions: Vec<OutsideSession>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// Further looks at the same target, one after another: only when it was busy and did not stay as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Facts>,
}

/// An area of facts. A gap names the area it lies in; a matcher names the areas it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// Which processes and threads there are, their state and relations.
    Processes,
    /// Open files: number, link and kind.
    Fds,
    /// What `fdinfo` says: flags, mount id, locks, watches.
    Fdinfo,
    /// Type, link count, size and device number of open files.
    FileStat,
    /// Mapped files.
    Mappings,
    /// What only `smaps` says of mappings.
    MappingFlags,
    /// Mounts of the mount namespaces.
    Mounts,
    /// Which namespaces the processes are in.
    Namespaces,
    /// Sockets of the network namespaces and their peers.
    Sockets,
    /// Interfaces of the network namespaces.
    Interfaces,
    /// Where inotify watches point to.
    Watches,
    /// The criu that would run, and its caller.
    Criu,
    /// CRIU's config files.
    Config,
}

/// Something that could not be read. Never replaced by a default.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What kind of fact is missing.
    pub area: Area,
    /// The process it belongs to, if it belongs to one.
    pub pid: Option<Pid>,
    /// What was to be read: a path under `/proc`, or what was asked of the kernel.
    pub path: RawText,
    /// Why it could not be read.
    pub reason: String,
}

impl Gap {
    /// What it has in common with that of another process: area, path below the directory of the process, and reason.
    #[must_use]
    pub fn kind(&self) -> (Area, &[u8], &str) {
        let path = self.path.as_bytes();
        let directory = self.pid.map(|pid| format!("/proc/{pid}"));
        let below = directory.and_then(|directory| path.strip_prefix(directory.as_bytes()));
        (self.area, below.unwrap_or(path), &self.reason)
    }
}

impl Facts {
    /// Whether the root process is in the namespace that criu runs in: CRIU then does not dump that namespace.
    /// False when either is not known.
    #[must_use]
    pub fn shares_with_host(&self, kind: NamespaceKind) -> bool {
        let own = self.root().and_then(|root| root.namespaces.get(kind));
        own.is_some() && own == self.host.namespaces.get(kind)
    }

    /// Whether only the host was looked at, for no target in particular.
    #[must_use]
    pub fn is_of_host_only(&self) -> bool {
        self.target.root == 0
    }

    /// The process the dump starts from.
    #[must_use]
    pub fn root(&self) -> Option<&Process> {
        self.processes.first()
    }
}
