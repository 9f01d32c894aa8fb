//! `O_PATH` descriptors of files that CRIU asks something of. CRIU 4.2: `sockets.c: dump_socket`,
//! `pipes.c: dump_one_pipe_data`, `tty.c: dump_tty_info`, `proc_parse.c: parse_fdinfo_pid_s`, `pidfd.c: dump_one_pidfd`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, FileType, Link};
use crate::finding::Subject;

const O_PATH: u32 = 0o10_000_000;

/// Fires on `O_PATH` descriptors of sockets, named pipes, terminals, and of anon inodes whose fdinfo has to say
/// something: with `O_PATH` it does not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathOnly {}

impl Match for PathOnly {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.fds()
            .filter(|(_, fd)| fd.flags.is_some_and(|flags| flags & O_PATH != 0))
            .filter_map(|(process, fd)| Some(Subject::fd(process, fd).with("kind", refused_kind(fd)?)))
            .collect()
    }
}

fn refused_kind(fd: &Fd) -> Option<&'static str> {
    if let Link::AnonInode(name) = fd.link() {
        let kinds = ["[eventfd]", "[timerfd]", "[signalfd]", "[fanotify]", "[pidfd]"];
        return kinds.into_iter().find(|kind| kind.as_bytes() == name).map(|kind| kind.trim_matches(['[', ']']));
    }
    let stat = fd.stat?;
    match stat.file_type {
        FileType::Socket => Some("socket"),
        FileType::Fifo => Some("named pipe"),
        FileType::CharDevice if matches!(stat.rdev, (5, 0..=2) | (4, 1..=63) | (128..=143 | 188 | 204, _)) => Some("terminal"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FileType};
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
        ];
        let fired = fired("o-path-unsupported", &facts(vec![holder(7, fds)]), &[]);
        assert_eq!(fired, ["7 fd 3", "7 fd 4", "7 fd 8", "7 fd 9"]);
    }
}
