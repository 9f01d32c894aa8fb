//! `O_PATH` descriptors of files that CRIU asks something of. CRIU 4.2: `sockets.c: dump_socket`,
//! `pipes.c: dump_one_pipe_data`, `tty.c: dump_tty_info`, `tun.c: dump_tunfile`, `proc_parse.c: parse_fdinfo_pid_s`,
//! `pidfd.c: dump_one_pidfd`.

use std::collections::HashSet;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, FileType, Link};
use crate::finding::Subject;
use crate::rules::terminals::trailing_number;

/// Major number of the slaves of ptys.
const SLAVE: u32 = 136;
const TUN: (u32, u32) = (10, 200);

/// Fires on `O_PATH` descriptors of sockets, pipes, terminals, tun devices, and of anon inodes whose fdinfo has to say something: with
/// `O_PATH` it does not. Pipes and slaves of ptys are asked only once, so that a descriptor before it may answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathOnly {
    /// Fires on all that are opened so, but for symbolic links.
    #[serde(default)]
    all: bool,
    /// Fires on those that are dumped and not restored: inotify instances and slaves of ptys are opened with all their
    /// flags. CRIU: `fsnotify.c: open_inotify_fd`, `tty.c: open_ext_tty`.
    #[serde(default)]
    unrestorable: bool,
}

impl Match for PathOnly {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if self.all {
            let is_link = |fd: &Fd| fd.stat.is_some_and(|stat| stat.file_type == FileType::Symlink);
            let fired = view.fds().filter(|(_, fd)| fd.is_path_only() && !is_link(fd));
            return fired.map(|(process, fd)| Subject::fd(process, fd)).collect();
        }
        if self.unrestorable {
            let is_inotify = |fd: &Fd| fd.link.as_bytes() == b"anon_inode:inotify";
            let fired = view.fds().filter(|(_, fd)| fd.is_path_only() && (is_inotify(fd) || is_slave(fd)));
            return fired.map(|(process, fd)| Subject::fd(process, fd)).collect();
        }
        let mut asked = HashSet::new();
        let mut fired = Vec::new();
        for (process, fd) in view.fds() {
            let answered = once(fd);
            if !fd.is_path_only() {
                asked.extend(answered);
            } else if answered.is_none_or(|one| !asked.contains(&one))
                && let Some(kind) = refused_kind(fd)
            {
                fired.push(Subject::fd(process, fd).with("kind", kind));
            }
        }
        fired
    }
}

/// What CRIU asks only the first descriptor of.
#[derive(PartialEq, Eq, Hash)]
enum Once {
    /// A pipe, by inode; a descriptor that only writes is not asked.
    Pipe(u64),
    /// A slave of a pty, by number. A master has to tell its own number each time.
    Slave(u32),
}

fn once(fd: &Fd) -> Option<Once> {
    if is_pipe(fd) {
        let reads = fd.flags.is_some_and(|flags| flags & Fd::O_WRONLY == 0);
        return fd.file_inode().filter(|_| reads).map(Once::Pipe);
    }
    let Link::Path { path, .. } = fd.link() else { return None };
    is_slave(fd).then(|| Once::Slave(trailing_number(path)))
}

fn is_slave(fd: &Fd) -> bool {
    fd.stat.is_some_and(|stat| stat.file_type == FileType::CharDevice && stat.rdev.0 == SLAVE)
}

fn is_pipe(fd: &Fd) -> bool {
    matches!(fd.link(), Link::Pipe(_)) || fd.stat.is_some_and(|stat| stat.file_type == FileType::Fifo)
}

fn refused_kind(fd: &Fd) -> Option<&'static str> {
    if let Link::AnonInode(name) = fd.link() {
        let kinds = ["[eventfd]", "[timerfd]", "[signalfd]", "[fanotify]", "[pidfd]"];
        return kinds.into_iter().find(|kind| kind.as_bytes() == name).map(|kind| kind.trim_matches(['[', ']']));
    }
    match fd.link() {
        Link::Pipe(_) => return Some("pipe"),
        Link::Socket(_) => return Some("socket"),
        _ => {}
    }
    let stat = fd.stat?;
    match stat.file_type {
        FileType::Socket => Some("socket"),
        FileType::Fifo => Some("named pipe"),
        FileType::CharDevice if matches!(stat.rdev, (5, 0..=2) | (4, 1..=63) | (128..=143 | 188 | 204, _)) => Some("terminal"),
        FileType::CharDevice if stat.rdev == TUN => Some("tun device"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FileStat, FileType};
    use crate::rules::testing::*;

    #[test]
    fn directories_and_files_may_be_held_by_path_only() {
        let held = |number, flags, kind| Fd { flags: Some(flags), stat: Some(stat(kind)), ..fd(number, "/run/x") };
        let fds = vec![
            held(3, 0o10_000_000, FileType::Socket),
            held(4, 0o12_000_000, FileType::Fifo),
            held(5, 0o10_200_000, FileType::Directory),
            held(6, 0o10_000_000, FileType::CharDevice),
            held(7, 0o2, FileType::Fifo),
            Fd { flags: Some(0o10_000_000), ..pts(8, 4) },
            Fd { flags: Some(0o10_000_000), ..fd(9, "anon_inode:[eventfd]") },
            Fd { flags: Some(0o10_000_000), ..fd(10, "anon_inode:[eventpoll]") },
            Fd { flags: Some(0o2), ..fd(11, "socket:[70]") },
            Fd { flags: Some(0o10_000_000), ..fd(12, "socket:[70]") },
            Fd { stat: Some(FileStat { rdev: (10, 200), ..stat(FileType::CharDevice) }), ..held(13, 0o10_000_000, FileType::CharDevice) },
        ];
        let fired = fired("o-path-unsupported", &facts(vec![holder(7, fds)]), &[]);
        assert_eq!(fired, ["7 fd 3", "7 fd 4", "7 fd 8", "7 fd 9", "7 fd 12", "7 fd 13"]);
    }

    #[test]
    fn an_inotify_instance_by_path_only_is_not_restored() {
        let by = |flags, fd| Fd { flags: Some(flags), ..fd };
        let fds = vec![
            by(0o10_000_000, fd(3, "anon_inode:inotify")),
            by(0, fd(4, "anon_inode:inotify")),
            by(0o10_000_000, fd(5, "anon_inode:[eventpoll]")),
            by(0o10_000_000, pts(6, 4)),
        ];
        assert_eq!(fired("o-path-unrestorable", &facts(vec![holder(7, fds)]), &[]), ["7 fd 3", "7 fd 6"]);
    }

    #[test]
    fn pipes_and_slaves_answer_through_the_descriptor_before() {
        let by = |flags, fd| Fd { flags: Some(flags), ..fd };
        let fds = vec![
            by(2, pts(3, 4)),
            by(0o10_000_000, pts(4, 4)),
            by(0o10_000_000, pts(5, 6)),
            by(2, pts(6, 6)),
            by(0, fd(7, "pipe:[70]")),
            by(0o10_000_000, fd(8, "pipe:[70]")),
            by(1, fd(9, "pipe:[90]")),
            by(0o10_000_000, fd(10, "pipe:[90]")),
        ];
        let fired = fired("o-path-unsupported", &facts(vec![holder(7, fds)]), &[]);
        assert_eq!(fired, ["7 fd 5", "7 fd 10"]);
    }
}
