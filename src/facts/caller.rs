//! Who would run criu, and what the kernel lets it do.

use serde::{Deserialize, Serialize};

use super::{NsId, Pid};
use crate::text::RawText;

/// Who would run criu.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallerFacts {
    /// Effective uid.
    pub uid: u32,
    /// Effective gid.
    pub gid: u32,
    /// Supplementary group ids; none in an older recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u32>,
    /// Effective capabilities, bit N for capability N (`CapEff`).
    pub capabilities: u64,
    /// Seccomp mode of the caller: criu inherits it.
    pub seccomp: u8,
    /// The AppArmor profile that is enforced on it; criu inherits that, too.
    #[serde(default)]
    pub apparmor: Option<String>,
    /// Its process id in the scanner's pid namespace.
    #[serde(default)]
    pub pid: Option<Pid>,
    /// Its user namespace.
    #[serde(default)]
    pub user_namespace: Option<NsId>,
    /// First descriptor number that it may not use (`RLIMIT_NOFILE`); absent where it may raise that to what the kernel
    /// allows, or it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Whether its user namespace owns its mount namespace, or is above the one that does: only then may it mount.
    #[serde(default)]
    pub owns_mounts: Option<bool>,
    /// The same of its cgroup namespace: only then may it mount hierarchies of cgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owns_cgroups: Option<bool>,
    /// Lines of its `cgroup` file; none in an older recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cgroups: Vec<RawText>,
}

/// Capabilities by their number in `CapEff`. Kernel: `include/uapi/linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "capabilities(7) tells what each is for")]
pub enum Capability {
    DacOverride = 1,
    DacReadSearch = 2,
    Setgid = 6,
    NetAdmin = 12,
    SysChroot = 18,
    SysPtrace = 19,
    SysAdmin = 21,
    SysResource = 24,
    CheckpointRestore = 40,
}

/// The initial user namespace. Kernel: `include/linux/proc_ns.h: PROC_USER_INIT_INO`.
pub const INITIAL_USER_NAMESPACE: NsId = 0xEFFF_FFFD;

impl CallerFacts {
    /// Whether it has a capability, over whatever its user namespace owns.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities & (1 << capability as u64) != 0
    }

    /// Whether it has a capability over the host. A caller whose user namespace is not known is taken for one of the
    /// host's.
    #[must_use]
    pub fn has_over_host(&self, capability: Capability) -> bool {
        self.has(capability) && self.user_namespace.is_none_or(|own| own == INITIAL_USER_NAMESPACE)
    }

    /// Whether it may search a directory or read a file with these permissions.
    #[must_use]
    pub fn may(&self, access: Access, of: Permissions) -> bool {
        let is_of_group = || of.gid == self.gid || self.groups.contains(&of.gid);
        let class = if of.uid == self.uid {
            6
        } else if is_of_group() {
            3
        } else {
            0
        };
        self.has(Capability::DacOverride)
            || self.has(Capability::DacReadSearch)
            || of.mode >> class & access as u16 != 0
    }

    /// Whether it may open mapped files by their mappings. Kernel: `fs/proc/base.c: proc_map_files_get_link`.
    #[must_use]
    pub fn opens_mapped(&self) -> bool {
        self.has_over_host(Capability::SysAdmin) || self.has_over_host(Capability::CheckpointRestore)
    }
}

/// Whose a file or directory is, and what its mode lets whom do. Access control lists are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Permissions {
    /// Owner, as the scanner's user namespace numbers it.
    pub uid: u32,
    /// Group, likewise.
    pub gid: u32,
    /// The nine bits of the mode.
    pub mode: u16,
}

/// What [`CallerFacts::may`] is asked for, as a bit of each class in the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read a file.
    Read = 4,
    /// Go through a directory.
    Search = 1,
}
