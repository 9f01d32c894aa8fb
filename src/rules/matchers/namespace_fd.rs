//! Open namespaces. CRIU 4.2: `namespaces.c: dump_one_ns_file` knows those that a process of the tree is in, and its own.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link, NamespaceKind, NsId};
use crate::finding::Subject;

const KINDS: [NamespaceKind; 8] = [
    NamespaceKind::Cgroup,
    NamespaceKind::Ipc,
    NamespaceKind::Mnt,
    NamespaceKind::Net,
    NamespaceKind::Pid,
    NamespaceKind::Time,
    NamespaceKind::User,
    NamespaceKind::Uts,
];

/// Fires on each open namespace that no process of the tree is in, or of this one kind on each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceFd {
    kind: Option<String>,
}

impl Match for NamespaceFd {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.fds()
            .filter_map(|(process, fd)| match fd.link() {
                Link::Namespace(name, id) if self.fires(view, name, id) => {
                    Some(Subject::fd(process, fd).with("namespace", id.to_string()))
                }
                _ => None,
            })
            .collect()
    }
}

impl NamespaceFd {
    fn fires(&self, view: View<'_>, name: &[u8], id: NsId) -> bool {
        self.kind.as_ref().map_or_else(|| !is_known(view, name, id), |kind| kind.as_bytes() == name)
    }
}

fn is_known(view: View<'_>, name: &[u8], id: NsId) -> bool {
    let Some(kind) = KINDS.into_iter().find(|kind| kind.name().as_bytes() == name) else {
        return false;
    };
    let used = view.facts.processes.iter().map(|process| &process.namespaces);
    used.chain([&view.facts.host.namespaces]).any(|namespaces| namespaces.get(kind) == Some(id))
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn a_time_namespace_is_refused_before_3_14() {
        let own = container_namespaces();
        let fds = vec![fd(3, &format!("time:[{}]", own.time.unwrap())), fd(4, &format!("net:[{}]", own.net.unwrap()))];
        let facts = facts(vec![Process { namespaces: own, ..holder(7, fds) }]);
        let old = |criu| findings("time-namespace-fd-before-3-14", &facts, &profile(criu, &[])).len();
        assert_eq!((old("3.13"), old("3.14")), (1, 0));
    }

    #[test]
    fn namespaces_of_the_tree_and_of_criu_are_known() {
        let own = container_namespaces();
        let fds = vec![
            fd(3, &format!("net:[{}]", own.net.unwrap())),
            fd(4, &format!("mnt:[{}]", host_namespaces().mnt.unwrap())),
            fd(5, "net:[1]"),
            fd(6, &format!("ipc:[{}]", own.net.unwrap())),
        ];
        let inside = Process { namespaces: own, ..holder(7, fds) };
        assert_eq!(fired("namespace-fd-foreign", &facts(vec![inside]), &[]), ["7 fd 5", "7 fd 6"]);
    }
}
