//! The namespaces that processes are in.

use serde::{Deserialize, Serialize};

use super::{NsId, Pid};
use crate::text::RawText;

/// The user namespace of the root process, where it is not the scanner's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNamespace {
    /// Its inode number.
    pub id: NsId,
    /// User, as the scanner numbers it, who made it; if it is further down, who made the one above it that is just below
    /// the scanner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<u32>,
    /// Extents of user ids, from `uid_map`.
    pub uids: Vec<IdExtent>,
    /// Extents of group ids, from `gid_map`.
    pub gids: Vec<IdExtent>,
    /// Owning user namespace of each other namespace of the root process, and the parents of the owner.
    pub owners: Vec<(NamespaceKind, Vec<NsId>)>,
}

/// A range of ids that a user namespace maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdExtent {
    /// First id inside.
    pub inside: u32,
    /// What that is in the scanner's user namespace.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The cgroups of a thread of the root process, which is in another cgroup namespace than the scanner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupView {
    /// The thread.
    pub tid: Pid,
    /// Lines of its `cgroup` file as the scanner sees them.
    pub outside: Vec<RawText>,
    /// The same lines as seen in the cgroup namespace of the root process.
    pub inside: Vec<RawText>,
}

/// Inode numbers of namespaces, from the links of `/proc/PID/ns`; absent when not readable or not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// cgroup namespace.
    pub cgroup: Option<NsId>,
    /// IPC namespace.
    pub ipc: Option<NsId>,
    /// Mount namespace.
    pub mnt: Option<NsId>,
    /// Network namespace.
    pub net: Option<NsId>,
    /// PID namespace.
    pub pid: Option<NsId>,
    /// PID namespace that children will be in.
    pub pid_for_children: Option<NsId>,
    /// Time namespace.
    pub time: Option<NsId>,
    /// Time namespace that children will be in.
    pub time_for_children: Option<NsId>,
    /// User namespace.
    pub user: Option<NsId>,
    /// UTS namespace.
    pub uts: Option<NsId>,
}

/// Kind of a namespace, named as under `/proc/PID/ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceKind {
    /// cgroup
    Cgroup,
    /// IPC
    Ipc,
    /// Mount
    Mnt,
    /// Network
    Net,
    /// PID
    Pid,
    /// Time
    Time,
    /// User
    User,
    /// UTS
    Uts,
}

impl NamespaceKind {
    /// Its name under `/proc/PID/ns`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mnt => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Time => "time",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }
}

impl Namespaces {
    /// The namespace of a kind, if it is known.
    #[must_use]
    pub fn get(&self, kind: NamespaceKind) -> Option<NsId> {
        match kind {
            NamespaceKind::Cgroup => self.cgroup,
            NamespaceKind::Ipc => self.ipc,
            NamespaceKind::Mnt => self.mnt,
            NamespaceKind::Net => self.net,
            NamespaceKind::Pid => self.pid,
            NamespaceKind::Time => self.time,
            NamespaceKind::User => self.user,
            NamespaceKind::Uts => self.uts,
        }
    }
}
