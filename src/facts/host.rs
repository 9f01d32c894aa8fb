//! What criu would run on and as: kernel, caller, and the programs it starts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CallerFacts, ConfigFile, CriuFacts, Namespaces};
use crate::procfs::cgroup::{Freezer, freezer};
use crate::text::RawText;
use crate::version::Version;

/// Kernel and caller: what CRIU would run on and as.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// `uname -r` as printed.
    pub kernel_release: String,
    /// The numbers of `kernel_release`.
    pub kernel: Option<Version>,
    /// `uname -m`.
    pub architecture: String,
    /// Names of the distribution and of those it is like (`ID` and `ID_LIKE` of os-release).
    #[serde(default)]
    pub distribution: Vec<String>,
    /// Who would run criu.
    pub caller: CallerFacts,
    /// Namespaces criu would run in (those of the scanner).
    pub namespaces: Namespaces,
    /// The criu that would run, when one was looked for.
    pub criu: Option<CriuFacts>,
    /// CRIU config files that exist on this host, by path.
    pub config_files: Vec<ConfigFile>,
    /// Most mappings that a process may have (`vm.max_map_count`).
    #[serde(default)]
    pub max_map_count: Option<u64>,
    /// Device of shared memory and of memfds, those of huge pages left out.
    #[serde(default)]
    pub shmem_device: Option<(u32, u32)>,
    /// How many huge pages of any size a process could still get; absent when not known.
    #[serde(default)]
    pub huge_pages: Option<u64>,
    /// Bytes of the largest piece of memory that the kernel lets a process ask for; absent where there is no limit or it
    /// is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_allocation: Option<u64>,
    /// Where the hierarchies of cgroups are mounted by which processes are frozen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezers: Vec<FreezerMount>,
    /// Whether the CPU has AMX, whose tiles make up most of its registers.
    #[serde(default)]
    pub amx: bool,
    /// Whether the CPU has protection keys and the kernel uses them: then memory may be executable and not readable.
    #[serde(default)]
    pub protection_keys: bool,
    /// Names of character device majors, from `/proc/devices`.
    pub char_majors: BTreeMap<u32, String>,
    /// Files and directories that options of a bare criu name.
    #[serde(default)]
    pub named_paths: Vec<NamedPath>,
    /// Programs that criu starts by name, when they were looked for.
    #[serde(default)]
    pub tools: Option<Vec<Tool>>,
    /// What criu asks of the kernel, when that was looked at.
    #[serde(default)]
    pub abilities: Option<Abilities>,
}

/// A hierarchy of cgroups by which processes are frozen, as its mount shows it to the scanner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezerMount {
    /// Version 1 or 2.
    pub hierarchy: Freezer,
    /// Which cgroup the mount shows at its top.
    pub root: RawText,
    /// Where it is mounted.
    pub mount_point: RawText,
}

impl FreezerMount {
    /// The directory of the cgroup that a line of `/proc/PID/cgroup` tells of; `None` when this mount does not show it.
    #[must_use]
    pub fn directory(&self, line: &[u8]) -> Option<RawText> {
        let (_, path) = freezer(line).filter(|(hierarchy, _)| *hierarchy == self.hierarchy)?;
        let below = path.strip_prefix(self.root.as_bytes().strip_suffix(b"/").unwrap_or(self.root.as_bytes()))?;
        let below = if below == b"/" { b"" } else { below };
        let is_shown = below.is_empty() || below.starts_with(b"/");
        let is_beside = below == b"/.." || below.starts_with(b"/../");
        (is_shown && !is_beside).then(|| [self.mount_point.as_bytes(), below].concat().as_slice().into())
    }
}

/// A file or directory that criu has to find, most often one that an option of a bare criu names, as its caller meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPath {
    /// The option, the variable of the environment that stands for it, or [`NamedPath::SCRATCH`].
    pub option: String,
    /// Its value as it was given.
    pub value: String,
    /// What was looked at.
    pub path: RawText,
    /// What keeps criu from using it; absent when nothing is known to.
    pub fault: Option<PathFault>,
    /// Bytes that are free where criu writes its images; absent elsewhere and on file systems without a size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
}

impl NamedPath {
    /// The variable of the environment that stands for `libdir`. CRIU 4.2: `plugin.c: cr_plugin_init`.
    pub const PLUGINS: &str = "CRIU_LIBS_DIR";

    /// The option by which pages go to a socket in the images directory. CRIU 4.2: `img-streamer.c: img_streamer_init`.
    pub const STREAM: &str = "stream";

    /// The option by which CRIU looks for cgroups in a directory of hierarchies instead of mounting these.
    pub const YARD: &str = "cgroup-yard";

    /// Where every criu tries out mounts, whoever starts it. CRIU 4.2: `kerndat.c: kerndat_has_move_mount_set_group`.
    pub const SCRATCH: &str = "/tmp";
}

/// What keeps criu from using a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathFault {
    /// Nothing has this name.
    Missing,
    /// A directory is wanted.
    NoDirectory,
    /// A file is wanted.
    Directory,
    /// The caller may not do there what criu does.
    Denied,
    /// It is on a file system that is read-only.
    ReadOnly,
    /// It is on a file system that has no room left.
    Full,
    /// It has none of the files by which a cgroup is frozen.
    NoFreezer,
    /// The program that is to run it (`#!`) is not there.
    NoInterpreter,
    /// It has no inventory of earlier images, which CRIU reads since 4.3.
    NoInventory,
    /// A file in it has the name of a plugin and is no shared library.
    NoPlugin,
    /// What it holds is not in the form that CRIU reads.
    Malformed,
}

/// As the end of a sentence about the path.
impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "does not exist",
            Self::NoDirectory => "is no directory",
            Self::Directory => "is a directory",
            Self::Denied => "does not let the caller in",
            Self::ReadOnly => "is read-only",
            Self::Full => "is on a file system without room",
            Self::NoFreezer => "is no cgroup that can be frozen",
            Self::NoInterpreter => "is a script for a program that is not there",
            Self::NoInventory => "has no inventory.img of an earlier dump",
            Self::NoPlugin => "holds a file named like a plugin (.so) that is no shared library",
            Self::Malformed => "is not in the form that CRIU reads",
        })
    }
}

/// A program that criu starts by its name, looked for on the PATH of whoever runs criu.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Where it is, with symbolic links resolved; absent when it is nowhere on that PATH.
    pub program: Option<RawText>,
}

/// What criu asks of the kernel, whatever it dumps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Abilities {
    /// Modules of sock_diag that the kernel does not have: `unix_diag`. Sorted.
    pub missing_diag: Vec<String>,
    /// What else it does not have: `kcmp`, or the name of a file below `/proc/self`. Sorted.
    pub missing: Vec<String>,
    /// Whether it speaks IPv6, as criu finds out: `/proc/sys/net/ipv6`.
    pub ipv6: bool,
    /// Scope of Yama's ptrace restriction; absent on kernels without Yama.
    pub ptrace_scope: Option<u8>,
    /// Whether a further inotify instance can be made; absent when that was not looked at.
    #[serde(default)]
    pub inotify: Option<bool>,
    /// Whether it tracks which pages are written to; absent when that was not looked at.
    #[serde(default)]
    pub soft_dirty: Option<bool>,
    /// Whether it has nf_tables; absent when that could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nf_tables: Option<bool>,
    /// Kinds of namespaces of which the caller may make none: `net`, `user`. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barred_namespaces: Vec<String>,
    /// Whether an earlier run left what it found out of the kernel, so that criu need not: `/run/criu.kdat`.
    pub kernel_data_cached: bool,
}
