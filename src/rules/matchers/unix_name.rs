//! Unix sockets by the name that they were bound to. CRIU 4.2: `sk-unix.c: unix_resolve_name`, `util.c:
//! cut_path_ending` take a relative name off the end of the real path of the socket's file.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, family};
use crate::finding::Subject;

/// Fires on each descriptor of a unix socket bound to a relative name that no real path ends with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnixName {}

impl Match for UnixName {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Sockets]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.own_sockets()
            .filter(|(.., socket)| socket.family == family::UNIX && never_ends_a_path(socket.local.as_bytes()))
            .map(|(process, fd, socket)| Subject::fd(process, fd).with("name", socket.local.clone()))
            .collect()
    }
}

/// Abstract names begin with `@` here. CRIU leaves out one `./` at the beginning.
fn never_ends_a_path(name: &[u8]) -> bool {
    if name.is_empty() || name.starts_with(b"/") || name.starts_with(b"@") {
        return false;
    }
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
}
