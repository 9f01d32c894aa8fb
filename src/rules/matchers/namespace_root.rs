//! The root process's pid namespace and the time namespaces of all. CRIU 4.2: `namespaces.c: dump_namespaces`,
//! `dump_task_ns_ids`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind, Process};
use crate::finding::Subject;
use crate::profile::Profile;

/// Fires on processes for which a condition on their namespaces does not hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceRoot {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// The root process is in a pid namespace of its own and not its init.
    PidWithoutInit,
    /// A process is in one time namespace and its children will be in another.
    TimeForChildren,
}

impl Match for NamespaceRoot {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        match self.which {
            Which::PidWithoutInit => pid_without_init(view).into_iter().collect(),
            Which::TimeForChildren => {
                view.facts.processes.iter().filter(|process| is_time_split(process)).map(Subject::process).collect()
            }
        }
    }
}

fn pid_without_init(view: View<'_>) -> Option<Subject> {
    let root = view.facts.root()?;
    let pid = root.namespaces.pid?;
    let own = view.facts.host.namespaces.pid.is_some() && !view.facts.shares_with_host(NamespaceKind::Pid);
    let blocked = own && root.inner_pid() != 1 && !is_external(view.profile, &format!("pid[{pid}]:"));
    blocked
        .then(|| Subject::process(root).with("namespace", pid.to_string()).with("inner", root.inner_pid().to_string()))
}

fn is_external(profile: &Profile, beginning: &str) -> bool {
    profile.values("external").any(|value| value.starts_with(beginning))
}

fn is_time_split(process: &Process) -> bool {
    let namespaces = &process.namespaces;
    namespaces.time.zip(namespaces.time_for_children).is_some_and(|(own, children)| own != children)
}

#[cfg(test)]
mod tests {
    use crate::facts::{Namespaces, Process};
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

    #[test]
    fn children_must_stay_in_the_same_time_namespace() {
        let split = Namespaces { time_for_children: Some(1), ..host_namespaces() };
        let facts = facts(vec![Process { namespaces: split, ..process(7) }, child(8, 7)]);
        assert_eq!(fired("time-for-children", &facts, &[]), ["7"]);
    }
}
