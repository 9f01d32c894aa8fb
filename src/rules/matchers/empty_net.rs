//! `--empty-ns net` where that leaves no way. CRIU 4.2: `net.c: dump_net_ns` allows it for the root process's network
//! namespace only.

use serde::Deserialize;

use super::interface::is_saved;
use super::{Match, View};
use crate::facts::{Area, NsId};
use crate::finding::Subject;

/// Fires on the first process in each network namespace that is saved and not the root process's, under
/// `--empty-ns net`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyNet {}

impl Match for EmptyNet {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if !view.profile.has("empty-ns", Some("net")) {
            return Vec::new();
        }
        let root = view.facts.root().and_then(|root| root.namespaces.net);
        let mut seen: Vec<NsId> = root.into_iter().collect();
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        alive
            .filter(|process| match process.namespaces.net {
                Some(id) if !seen.contains(&id) && is_saved(view, id) => {
                    seen.push(id);
                    true
                }
                _ => false,
            })
            .map(Subject::process)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Namespaces, Process};
    use crate::rules::testing::*;

    #[test]
    fn one_network_namespace_may_be_empty_and_a_second_one_not() {
        let inside = |pid| Process { namespaces: container_namespaces(), ..child(pid, 7) };
        let nested = |pid| Process { namespaces: Namespaces { net: Some(2), ..container_namespaces() }, ..child(pid, 7) };
        let facts = facts(vec![inside(7), inside(8), nested(9), nested(10)]);
        assert_eq!(fired("empty-net-nested", &facts, &["empty-ns net"]), ["9"]);
        assert!(fired("empty-net-nested", &facts, &["empty-ns net", "external net[2]:x"]).is_empty());
        assert!(fired("empty-net-nested", &facts, &[]).is_empty());
    }
}
