//! Unix sockets by the name that they were bound to. CRIU 4.2: `sk-unix.c: unix_resolve_name`, `util.c:
//! cut_path_ending` take a relative name off the end of the real path of the socket's file.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires on each descriptor of a unix socket bound to a relative name that no real path ends with, or that the path of
/// its file was seen not to end with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnixName {}

impl Match for UnixName {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.own_sockets()
            .filter(|(.., socket)| socket.relative_name().is_some_and(|name| socket.moved || never_ends_a_path(name)))
            .map(|(process, fd, socket)| Subject::fd(process, fd).with("name", socket.local.clone()))
            .collect()
    }
}

/// CRIU leaves out one `./` at the beginning.
fn never_ends_a_path(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name.split(|byte| *byte == b'/').any(|part| matches!(part, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Socket, family};
    use crate::rules::testing::*;

    fn bound(names: &[&str]) -> Facts {
        let socket = |(name, inode): (&&str, u64)| {
            Socket { inode, family: family::UNIX, kind: 2, state: 7, local: (*name).into(), ..Socket::default() }
        };
        let sockets: Vec<Socket> = names.iter().zip(3..).map(socket).collect();
        let fds = sockets.iter().zip(3..).map(|(socket, number)| fd(number, &format!("socket:[{}]", socket.inode)));
        with_sockets(facts(vec![holder(7, fds.collect())]), sockets)
    }

    #[test]
    fn names_that_a_path_can_end_with_are_fine() {
        let names = ["", "/run/../x", "@a//b", "s", "sub/s", "./s", "./sub/s", ".s", "a..b/s"];
        assert!(fired("unix-name-relative", &bound(&names), &[]).is_empty());
    }

    #[test]
    fn names_with_dots_or_empty_parts_are_not() {
        let names = ["../s", "sub/../s", "sub/./s", ".//s", "././s", "sub//s"];
        assert_eq!(fired("unix-name-relative", &bound(&names), &[]).len(), names.len());
    }

    #[test]
    fn nor_is_a_name_that_the_file_has_no_more() {
        let mut facts = bound(&["s"]);
        facts.net_namespaces[0].sockets[0].moved = true;
        assert_eq!(fired("unix-name-relative", &facts, &[]).len(), 1);
    }
}
