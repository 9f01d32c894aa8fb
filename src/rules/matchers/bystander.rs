//! Processes beside the tree, in the cgroup that CRIU freezes. CRIU 4.2: `seize.c: seize_cgroup_tree` attaches to every
//! thread of that cgroup, in the tree or not, and gives up where it can't. One that is stopped hangs the dump if the
//! freezer is that of cgroup v1, as one of the tree does.

use serde::Deserialize;

use super::process_state::freezes_by_v1;
use super::{Match, View};
use crate::facts::{Area, Bystander as Process, BystanderOf};
use crate::finding::Subject;

/// Fires on each one in one state, when a freezer cgroup is passed. `{tracer}` is who traces it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bystander {
    state: State,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Traced by another process.
    Traced,
    /// Stopped by a signal, and in the freezer of cgroup v1.
    Stopped,
}

impl Match for Bystander {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if !view.profile.has("freeze-cgroup", None) {
            return Vec::new();
        }
        let frozen = |process: &&Process| process.shares.contains(&BystanderOf::Cgroup);
        let by_v1 = view.facts.root().is_some_and(|root| freezes_by_v1(view, root));
        let fires = |process: &&Process| match self.state {
            State::Traced => process.tracer > 0,
            State::Stopped => process.stopped && by_v1,
        };
        view.facts.bystanders.iter().filter(frozen).filter(fires).map(subject).collect()
    }
}

fn subject(process: &Process) -> Subject {
    let subject = Subject::bystander(process);
    subject.with("tracer", process.tracer.to_string())
}

#[cfg(test)]
mod tests {
    use crate::facts::{Bystander, BystanderOf, Facts, Process};
    use crate::rules::testing::*;

    const FREEZE: &[&str] = &["freeze-cgroup /sys/fs/cgroup/box"];

    fn beside(share: BystanderOf) -> Bystander {
        Bystander { pid: 9, comm: "sh".into(), shares: vec![share], tracer: 0, stopped: false }
    }

    fn with(bystander: Bystander, line: &str) -> Facts {
        let root = Process { cgroups: vec![line.into()], ..process(7) };
        Facts { bystanders: vec![bystander], ..facts(vec![root]) }
    }

    #[test]
    fn a_traced_process_in_the_cgroup_that_is_frozen_fires() {
        let traced = |share, tracer| with(Bystander { tracer, ..beside(share) }, "0::/box");
        assert_eq!(fired("bystander-traced", &traced(BystanderOf::Cgroup, 5), FREEZE), ["9"]);
        assert!(fired("bystander-traced", &traced(BystanderOf::Cgroup, 5), &[]).is_empty());
        assert!(fired("bystander-traced", &traced(BystanderOf::Cgroup, 0), FREEZE).is_empty());
        assert!(fired("bystander-traced", &traced(BystanderOf::PidNamespace, 5), FREEZE).is_empty());
    }

    #[test]
    fn a_stopped_one_fires_under_the_freezer_of_version_1_only() {
        let stopped = |stopped, line| with(Bystander { stopped, ..beside(BystanderOf::Cgroup) }, line);
        assert_eq!(fired("bystander-stopped", &stopped(true, "5:freezer:/box"), FREEZE), ["9"]);
        assert!(fired("bystander-stopped", &stopped(true, "0::/box"), FREEZE).is_empty());
        assert!(fired("bystander-stopped", &stopped(false, "5:freezer:/box"), FREEZE).is_empty());
    }
}
