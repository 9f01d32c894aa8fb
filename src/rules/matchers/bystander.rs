//! Processes beside the tree, in the cgroup that CRIU freezes. CRIU 4.2: `seize.c: seize_cgroup_tree` attaches to every
//! thread of that cgroup, in the tree or not, and gives up where it can't.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Bystander as Process, BystanderOf};
use crate::finding::Subject;

/// Fires on each one that is traced, when a freezer cgroup is passed. `{tracer}` is who traces it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bystander {}

impl Match for Bystander {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if !view.profile.has("freeze-cgroup", None) {
            return Vec::new();
        }
        let frozen = |process: &&Process| process.shares.contains(&BystanderOf::Cgroup);
        let traced = view.facts.bystanders.iter().filter(frozen).filter(|process| process.tracer > 0);
        traced.map(subject).collect()
    }
}

fn subject(process: &Process) -> Subject {
    let subject = Subject::bystander(process);
    subject.with("tracer", process.tracer.to_string())
}

#[cfg(test)]
mod tests {
    use crate::facts::{Bystander, BystanderOf, Facts};
    use crate::rules::testing::*;

    #[test]
    fn a_traced_process_in_the_cgroup_that_is_frozen_fires() {
        let beside = |share, tracer| Bystander { pid: 9, comm: "sh".into(), shares: vec![share], tracer };
        let with = |share, tracer| Facts { bystanders: vec![beside(share, tracer)], ..facts(vec![process(7)]) };
        let freeze = &["freeze-cgroup /sys/fs/cgroup/box"];
        assert_eq!(fired("bystander-traced", &with(BystanderOf::Cgroup, 5), freeze), ["9"]);
        assert!(fired("bystander-traced", &with(BystanderOf::Cgroup, 5), &[]).is_empty());
        assert!(fired("bystander-traced", &with(BystanderOf::Cgroup, 0), freeze).is_empty());
        assert!(fired("bystander-traced", &with(BystanderOf::PidNamespace, 5), freeze).is_empty());
    }
}
