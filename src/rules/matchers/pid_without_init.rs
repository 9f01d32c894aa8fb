//! A root process in a pid namespace of its own that is not the init there. CRIU 4.2: `namespaces.c: dump_namespaces`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind};
use crate::finding::Subject;

/// Fires on the root process, unless its pid namespace is external. `{namespace}` is the namespace, `{inner}` the
/// process's number in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PidWithoutInit {}

impl Match for PidWithoutInit {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        pid_without_init(view).into_iter().collect()
    }
}

fn pid_without_init(view: View<'_>) -> Option<Subject> {
    let root = view.facts.root()?;
    let (namespace, inner) = (root.namespaces.pid?, root.inner_pid());
    view.facts.host.namespaces.pid?;
    let key = format!("pid[{namespace}]:");
    let external = view.profile.values("external").any(|value| value.starts_with(&key));
    let blocked = !view.facts.shares_with_host(NamespaceKind::Pid) && inner != 1 && !external;
    blocked.then(|| {
        Subject::process(root).with("namespace", namespace.to_string()).with("inner", inner.to_string())
    })
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn a_root_that_is_not_init_of_its_own_pid_namespace_needs_it_declared() {
        let inside = Process { namespaces: container_namespaces(), ns_pids: vec![70, 12], ..process(70) };
        let facts = facts(vec![inside]);
        assert_eq!(fired("pid-namespace-no-init", &facts, &[]), ["70"]);
        let pid = container_namespaces().pid.unwrap();
        assert!(fired("pid-namespace-no-init", &facts, &[&format!("external pid[{pid}]:any-name")]).is_empty());
    }

    #[test]
    fn the_init_of_a_container_and_a_process_of_the_host_are_fine() {
        let init = Process { namespaces: container_namespaces(), ns_pids: vec![70, 1], ..process(70) };
        assert!(fired("pid-namespace-no-init", &facts(vec![init]), &[]).is_empty());
        assert!(fired("pid-namespace-no-init", &facts(vec![process(70)]), &[]).is_empty());
    }
}
