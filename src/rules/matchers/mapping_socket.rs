//! Mapped sockets (packet rings) whose socket is closed. CRIU 4.2: `sk-packet.c: dump_socket_map` knows those that this
//! process or an earlier one of its walk has open.

use std::collections::HashSet;

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link, Mapping};
use crate::finding::Subject;

/// Fires on each mapping of a socket that is open neither here nor in an earlier process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingSocket {}

impl Match for MappingSocket {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mut open = HashSet::new();
        let mut subjects = Vec::new();
        for process in &view.facts.processes {
            open.extend(process.fds.iter().filter(|fd| matches!(fd.link(), Link::Socket(_))).map(|fd| fd.link()));
            let socket = |mapping: &&Mapping| matches!(Link::parse(mapping.path.as_bytes()), Link::Socket(_));
            let mapped = process.mappings.iter().filter(socket);
            let closed = mapped.filter(|mapping| !open.contains(&Link::parse(mapping.path.as_bytes())));
            subjects.extend(closed.map(|mapping| Subject::mapping(process, mapping)));
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn a_ring_needs_its_socket_open_here_or_in_an_earlier_process() {
        let mapped = |process| Process { mappings: vec![mapping("socket:[50]")], ..process };
        let before = vec![holder(7, vec![fd(3, "socket:[50]")]), mapped(child(8, 7))];
        assert!(fired("mapping-socket-closed", &facts(before), &[]).is_empty());
        let after = vec![mapped(process(7)), holder(8, vec![fd(3, "socket:[50]")])];
        assert_eq!(fired("mapping-socket-closed", &facts(after), &[]), ["7 7000-8000"]);
    }
}
