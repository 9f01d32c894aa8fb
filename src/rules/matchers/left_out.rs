//! Processes of a container that are no descendants of its root process, such as those that were put into it by
//! `docker exec`. CRIU saves the tree and nothing beside it.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, BystanderOf};
use crate::finding::Subject;

/// Fires on each process of the pid namespace of the root process that is not in the tree.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {}

impl Match for LeftOut {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let bystanders = view.facts.bystanders.iter();
        bystanders.filter(|process| process.shares.contains(&BystanderOf::PidNamespace)).map(Subject::bystander).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Bystander, BystanderOf, Facts};
    use crate::rules::testing::*;

    #[test]
    fn a_process_beside_the_tree_is_left_out() {
        let beside = |pid, share| Bystander { pid, comm: "sh".into(), shares: vec![share], tracer: 0, stopped: false };
        let bystanders = vec![beside(8, BystanderOf::PidNamespace), beside(9, BystanderOf::Cgroup)];
        let facts = Facts { bystanders, ..facts(vec![process(7)]) };
        assert_eq!(fired("process-left-out", &facts, &[]), ["8"]);
    }
}
