//! What the link of a descriptor in `/proc/PID/fd` says.

use super::{Fd, NsId};

/// What the link of a descriptor says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link<'a> {
    /// `socket:[INODE]`
    Socket(u64),
    /// `pipe:[INODE]`
    Pipe(u64),
    /// `anon_inode:NAME`, the name with its brackets.
    AnonInode(&'a [u8]),
    /// `KIND:[INODE]` of a namespace.
    Namespace(&'a [u8], NsId),
    /// `/memfd:NAME (deleted)`
    Memfd(&'a [u8]),
    /// A path, with whether the kernel says that it was deleted.
    Path {
        /// The path without the suffix.
        path: &'a [u8],
        /// Whether ` (deleted)` stood behind it. A real name may end so as well.
        deleted: bool,
    },
    /// Anything else, such as `mount:[..]` of kernels to come.
    Other(&'a [u8]),
}

impl Fd {
    /// The open flag `O_WRONLY`.
    pub const O_WRONLY: u32 = 1;
    /// The open flag `O_PATH`.
    pub const O_PATH: u32 = 0o10_000_000;

    /// Whether it only stands for a path: nothing can be read, written or asked through it.
    #[must_use]
    pub fn is_path_only(&self) -> bool {
        self.flags.is_some_and(|flags| flags & Self::O_PATH != 0)
    }

    /// What the link says. Kernel: `d_path`, `simple_dname` and the `d_dname` of each internal file system.
    #[must_use]
    pub fn link(&self) -> Link<'_> {
        Link::parse(self.link.as_bytes())
    }

    /// Inode of the open file, as far as it was read.
    #[must_use]
    pub fn file_inode(&self) -> Option<u64> {
        match self.link() {
            Link::Socket(inode) | Link::Pipe(inode) | Link::Namespace(_, inode) => Some(inode),
            _ => self.inode.or(self.stat.map(|stat| stat.inode)),
        }
    }
}

impl<'a> Link<'a> {
    /// Takes a link apart.
    #[must_use]
    pub fn parse(link: &'a [u8]) -> Self {
        if let Some(path) = link.strip_suffix(b" (deleted)") {
            return match path.strip_prefix(b"/memfd:") {
                Some(name) => Self::Memfd(name),
                None if path.starts_with(b"/") => Self::Path { path, deleted: true },
                None => Self::Other(link),
            };
        }
        if link.starts_with(b"/") {
            return Self::Path { path: link, deleted: false };
        }
        if let Some(name) = link.strip_prefix(b"anon_inode:") {
            return Self::AnonInode(name);
        }
        Self::parse_numbered(link).unwrap_or(Self::Other(link))
    }

    fn parse_numbered(link: &'a [u8]) -> Option<Self> {
        let colon = link.iter().position(|&byte| byte == b':')?;
        let (kind, rest) = link.split_at(colon);
        let digits = rest.strip_prefix(b":[")?.strip_suffix(b"]")?;
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        match kind {
            b"socket" => Some(Self::Socket(number)),
            b"pipe" => Some(Self::Pipe(number)),
            b"cgroup" | b"ipc" | b"mnt" | b"net" | b"pid" | b"time" | b"user" | b"uts" => {
                Some(Self::Namespace(kind, number))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_tell_kinds_apart() {
        let cases: [(&str, Link); 8] = [
            ("socket:[42]", Link::Socket(42)),
            ("pipe:[7]", Link::Pipe(7)),
            ("anon_inode:[pidfd]", Link::AnonInode(b"[pidfd]")),
            ("anon_inode:inotify", Link::AnonInode(b"inotify")),
            ("net:[4026531840]", Link::Namespace(b"net", 4_026_531_840)),
            ("/memfd:x (deleted)", Link::Memfd(b"x")),
            ("/tmp/a (deleted)", Link::Path { path: b"/tmp/a", deleted: true }),
            ("mount:[1]", Link::Other(b"mount:[1]")),
        ];
        for (text, expected) in cases {
            assert_eq!(Link::parse(text.as_bytes()), expected, "{text}");
        }
    }
}
