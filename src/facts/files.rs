//! Open files and mapped files.

use serde::{Deserialize, Serialize};

use super::{Permissions, Pid};
use crate::text::RawText;

/// One open file: the link in `/proc/PID/fd` and what `fdinfo` says of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fd {
    /// Number of the descriptor.
    pub number: i32,
    /// Target of the link `/proc/PID/fd/N`, as the kernel prints it. Empty for a path longer than it prints: a page.
    pub link: RawText,
    /// `flags` of fdinfo (octal there): open flags. Of a socket only `O_PATH` is known, and absent without it.
    pub flags: Option<u32>,
    /// `mnt_id` of fdinfo.
    pub mount_id: Option<u64>,
    /// `ino` of fdinfo (since Linux 5.14).
    pub inode: Option<u64>,
    /// Type, link count and size. Absent where it could hang or was not needed.
    pub stat: Option<FileStat>,
    /// Whether its file system says that the open file is no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vanished: bool,
    /// File locks held through it, from the `lock:` lines of fdinfo.
    pub locks: Vec<Lock>,
    /// What fdinfo says of this kind of file.
    pub info: FdInfo,
    /// Where its name leads to.
    pub name: NameLookup,
    /// Name of a socket's protocol (`system.sockprotoname`), read for sockets that no socket table lists and for those
    /// that are listed as TCP.
    pub socket_protocol: Option<RawText>,
}

/// Where the text of a link, ` (deleted)` included, leads to from where CRIU looks files up: the root of the mount
/// namespace that the file's mount is in, and its own root where the root process is in its mount namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameLookup {
    /// Not looked up.
    #[default]
    NotNeeded,
    /// There is no such file.
    Missing,
    /// To the open file itself: its real name ends in ` (deleted)`.
    Same,
    /// To another file, or through something that is no directory.
    Other,
    /// To another node of the same device.
    SameDevice,
    /// Could not be looked up.
    Unknown,
}

impl NameLookup {
    fn is_not_needed(&self) -> bool {
        *self == Self::NotNeeded
    }
}

/// What fdinfo says beyond flags and mount id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FdInfo {
    /// Nothing of interest, or not read.
    #[default]
    None,
    /// `Pid` of a pidfd in the scanner's pid namespace: -1 dead, 0 not visible from here.
    Pidfd {
        /// The process it refers to.
        pid: Pid,
    },
    /// `inotify wd:` lines.
    Inotify {
        /// One for each watch.
        watches: Vec<InotifyWatch>,
    },
    /// `fanotify` lines: inode marks as watches, `mnt_id` of mount marks.
    Fanotify {
        /// Inode marks.
        watches: Vec<InotifyWatch>,
        /// Mount ids of mount marks.
        mounts: Vec<u64>,
    },
    /// `tfd:` lines of an epoll instance.
    Epoll {
        /// (fd number registered, inode, device) of each target.
        targets: Vec<(i32, u64, u64)>,
        /// The process that holds each target: its own under the registered number, else the first of the walk that has
        /// the same file open. Absent where the kernel did not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holders: Option<Vec<Option<Pid>>>,
    },
    /// `clockid` of a timerfd.
    Timerfd {
        /// Clock number, `CLOCK_*`.
        clock: i32,
    },
    /// `iff` of a tun descriptor: name of the device it is attached to, empty for none.
    Tun {
        /// Name of the network interface.
        interface: RawText,
    },
    /// `map_type` of a BPF map.
    BpfMap {
        /// Number of the kind, `BPF_MAP_TYPE_*`.
        kind: u32,
        /// Names of this line and those below it; none in an older recording.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lines: Vec<RawText>,
    },
    /// `tty-index` of a pty master (since Linux 4.11).
    Ptmx {
        /// Number of the pty: its slave is `/dev/pts/INDEX`.
        index: u32,
    },
}

/// One inotify watch or fanotify inode mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InotifyWatch {
    /// Watch descriptor; 0 for a fanotify mark.
    pub wd: i32,
    /// Inode watched.
    pub inode: u64,
    /// Device of its file system as the kernel encodes it in fdinfo: major << 20 | minor.
    pub device: u64,
    /// File handle type (`fhandle-type`), 0xf8 on overlayfs.
    pub handle_type: u32,
    /// File handle (`f_handle`) as hex digits.
    pub handle: String,
    /// Where it points to, as far as that was found.
    pub path: WatchPath,
}

/// Where a watch points to, seen from the target's root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchPath {
    /// Not looked for: its file system opens file handles, so CRIU needs no path.
    #[default]
    NotNeeded,
    /// Under one of the directories that CRIU searches by itself (`irmap.c: hints`).
    Hinted(RawText),
    /// Elsewhere.
    Elsewhere(RawText),
    /// Not under CRIU's hint directories; the path itself was not found.
    NotHinted,
    /// Its file system opens file handles but does not keep inodes (tmpfs), so that CRIU needs a path, and none leads
    /// there any more.
    Unreachable,
    /// Its file system opens file handles and keeps inodes, so that CRIU needs no path, and none leads there any more.
    HandleOnly,
    /// Could not be looked for.
    Unknown,
}

/// A file's type, from its mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileType {
    /// `S_IFREG`
    Regular,
    /// `S_IFDIR`
    Directory,
    /// `S_IFLNK`
    Symlink,
    /// `S_IFCHR`
    CharDevice,
    /// `S_IFBLK`
    BlockDevice,
    /// `S_IFIFO`
    Fifo,
    /// `S_IFSOCK`
    Socket,
    /// No type bits: anon inodes, pidfds.
    #[default]
    None,
}

/// What statx says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileStat {
    /// Type.
    pub file_type: FileType,
    /// Number of hard links; 0 for a deleted file.
    pub links: u32,
    /// Size in bytes.
    pub size: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Inode number.
    pub inode: u64,
    /// Device the file lies on: major, minor.
    pub device: (u32, u32),
    /// Device number of a device node: major, minor.
    pub rdev: (u32, u32),
    /// Type and permissions, `st_mode`; 0 in an older recording.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mode: u32,
    /// Whether its mode is that of a file which nobody may read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
    /// Whether it is known to have been made in the upper layer of an overlay (since Linux 6.6).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_upper: bool,
    /// Who may read it, of a regular file that not everybody may; absent in an older recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(mode: &u32) -> bool {
    *mode == 0
}

/// One `lock:` line of fdinfo. Kernel: `fs/locks.c: lock_get_status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// `POSIX`, `FLOCK`, `OFDLCK`, `LEASE` ...
    pub kind: RawText,
    /// `READ` or `WRITE`; for a lease what is left of it.
    pub access: RawText,
    /// The line behind `lock:`, as printed.
    pub line: RawText,
}

/// One mapping with a path or name, from `/proc/PID/maps`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Address behind the last byte.
    pub end: u64,
    /// `rwxp` or `rwxs`.
    pub permissions: String,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Device of the file: major, minor.
    pub device: (u32, u32),
    /// Inode of the file.
    pub inode: u64,
    /// Path or name as printed, ` (deleted)` included.
    pub path: RawText,
    /// What statx says of the mapped file. Absent where it could hang, and for a file that a mapping before it maps.
    pub stat: Option<FileStat>,
    /// The mount that the file lies on; absent as `stat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_id: Option<u64>,
    /// Where its path leads to.
    #[serde(default, skip_serializing_if = "NameLookup::is_not_needed")]
    pub name: NameLookup,
    /// Whether its path leads to no such file in the mount namespace of the scanner. Only looked for where that is not
    /// the one of the process and the caller may not open what is mapped by the mapping itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
}

impl Mapping {
    /// Whether it is memory that the kernel keeps on a mount of its own, under the name of a deleted file.
    #[must_use]
    pub fn is_kernels_own(&self) -> bool {
        let names: [&[u8]; 5] = [b"/dev/zero", b"/SYSV", b"/[aio]", b"/anon_hugepage", b"/secretmem"];
        let path = self.path.as_bytes();
        path.ends_with(b" (deleted)") && names.iter().any(|name| path.starts_with(name))
    }
}

/// A file that a process holds without a descriptor or mapping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldFile {
    /// As what it is held.
    pub role: HeldAs,
    /// Target of the link in `/proc/PID`. Empty for a path longer than the kernel prints: a page.
    pub link: RawText,
    /// What statx says of it. Absent where it could hang.
    pub stat: Option<FileStat>,
    /// Whether its file system says that it is no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vanished: bool,
    /// The mount that it lies on; absent as `stat`.
    pub mount_id: Option<u64>,
    /// Where its name leads to.
    #[serde(default, skip_serializing_if = "NameLookup::is_not_needed")]
    pub name: NameLookup,
}

impl HeldFile {
    /// As what it is held, in words.
    #[must_use]
    pub fn described(&self) -> &'static str {
        match self.role {
            HeldAs::Program => "its program",
            HeldAs::WorkingDirectory => "its working directory",
            HeldAs::Root => "its root directory",
        }
    }
}

/// As what a process holds a file without a descriptor or mapping, in the order in which CRIU looks at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldAs {
    /// `exe`: the program that it runs.
    #[default]
    Program,
    /// `cwd`: its working directory.
    WorkingDirectory,
    /// `root`: its root directory.
    Root,
}
