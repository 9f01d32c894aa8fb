//! What the caller of criu may not do. Nothing here fires for an ideal caller.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, CallerFacts, Process};
use crate::finding::{Confidence, Subject};

/// Fires for a caller that lacks all of `lacks` and is `uid` and `seccomp` as named, on the tasks that need it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// Capabilities of which the caller has none. Empty: whatever it has.
    #[serde(default)]
    lacks: Vec<Capability>,
    /// Only a caller that is not root.
    #[serde(default)]
    not_root: bool,
    /// Only a caller under a seccomp filter.
    #[serde(default)]
    filtered: bool,
    /// Which tasks need it; absent: criu itself, whatever the tasks.
    tasks: Option<Tasks>,
}

/// Capabilities by their number in `CapEff`, `include/uapi/linux/capability.h`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Capability {
    SysPtrace = 19,
    SysAdmin = 21,
    SysResource = 24,
    CheckpointRestore = 40,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tasks {
    /// Those of another user or group in the caller's user namespace. Kernel: `check_prlimit_permission`,
    /// `__ptrace_may_access`.
    OfOtherUsers,
    /// All in the caller's user namespace; those of the same user and group only possibly, as that depends on
    /// capabilities that they have and the caller has not. Kernel: `cap_ptrace_access_check`.
    OfAnyUser,
    /// Those under seccomp. Kernel: `ptrace.c: check_ptrace_options`.
    UnderSeccomp,
}

impl Match for Caller {
    fn needs(&self) -> &'static [Area] {
        match self.tasks {
            None => &[Area::Criu],
            Some(_) => &[Area::Criu, Area::Processes, Area::Namespaces],
        }
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(caller) = view.profile.caller.as_ref().filter(|caller| self.is_meant(caller)) else {
            return Vec::new();
        };
        let uid = caller.uid.to_string();
        let Some(tasks) = self.tasks else { return vec![Subject::host("criu").with("uid", uid)] };
        let user_namespace = view.facts.host.namespaces.user;
        let needs = |process: &&Process| match tasks {
            Tasks::OfOtherUsers => process.namespaces.user == user_namespace && is_of_another(process, caller),
            Tasks::OfAnyUser => process.namespaces.user == user_namespace,
            Tasks::UnderSeccomp => process.seccomp != 0 || process.threads.iter().any(|thread| thread.seccomp != 0),
        };
        let subject = |process: &Process| {
            let id = |ids: [u32; 4]| ids.first().map(u32::to_string).unwrap_or_default();
            let subject = Subject::process(process).with("uid", id(process.uids)).with("gid", id(process.gids));
            match tasks {
                Tasks::OfAnyUser if !is_of_another(process, caller) => subject.at_most(Confidence::Possible),
                _ => subject,
            }
        };
        view.facts.processes.iter().filter(|process| !process.is_zombie()).filter(needs).map(subject).collect()
    }
}

impl Caller {
    fn is_meant(&self, caller: &CallerFacts) -> bool {
        let has = |capability: &Capability| caller.capabilities & (1 << *capability as u64) != 0;
        !self.lacks.iter().any(has) && (!self.not_root || caller.uid != 0) && (!self.filtered || caller.seccomp != 0)
    }
}

/// Whether a real, effective or saved id, of user or group, is another than the caller's.
fn is_of_another(process: &Process, caller: &CallerFacts) -> bool {
    process.uids.iter().take(3).any(|uid| *uid != caller.uid)
        || process.gids.iter().take(3).any(|gid| *gid != caller.gid)
}

#[cfg(test)]
mod tests {
    use crate::facts::{CallerFacts, Process};
    use crate::profile::Profile;
    use crate::rules::testing::{facts, findings, process, profile};

    const SYS_RESOURCE: u64 = 1 << 24;

    fn fired(rule: &str, task: Process, caller: Option<CallerFacts>) -> Vec<Option<i32>> {
        let profile = Profile { caller, ..profile("4.2", &[]) };
        findings(rule, &facts(vec![task]), &profile).into_iter().map(|finding| finding.subject.pid).collect()
    }

    fn root_without(capability: u64) -> Option<CallerFacts> {
        Some(CallerFacts { uid: 0, gid: 0, capabilities: !capability, seccomp: 0 })
    }

    #[test]
    fn without_cap_sys_resource_the_limits_of_another_users_task_cannot_be_read() {
        let rule = "caller-cannot-read-limits";
        let of_user = || Process { uids: [1000; 4], ..process(9) };
        assert_eq!(fired(rule, of_user(), root_without(SYS_RESOURCE)), [Some(9)]);
        assert_eq!(fired(rule, of_user(), root_without(0)), []);
        let of_group = Process { gids: [5; 4], ..process(9) };
        assert_eq!(fired(rule, of_group, root_without(SYS_RESOURCE)), [Some(9)]);
        assert_eq!(fired(rule, of_user(), None), [], "an ideal caller may do everything");
        assert_eq!(fired(rule, process(9), root_without(SYS_RESOURCE)), []);
        let mut elsewhere = of_user();
        elsewhere.namespaces.user = Some(1);
        assert_eq!(fired(rule, elsewhere, root_without(SYS_RESOURCE)), [], "root owns the user namespaces it made");
    }

    #[test]
    fn a_filtered_caller_cannot_suspend_the_filters_of_others() {
        let filtered = || Some(CallerFacts { uid: 0, gid: 0, capabilities: u64::MAX, seccomp: 2 });
        let task = Process { seccomp: 2, ..process(9) };
        assert_eq!(fired("caller-under-seccomp", task.clone(), filtered()), [Some(9)]);
        assert_eq!(fired("caller-under-seccomp", task, root_without(0)), []);
        assert_eq!(fired("caller-under-seccomp", process(9), filtered()), []);
    }

    #[test]
    fn an_ordinary_user_is_told_that_criu_refuses_him() {
        let user = || Some(CallerFacts { uid: 1000, ..CallerFacts::default() });
        assert_eq!(fired("caller-unprivileged", process(9), user()), [None]);
        assert_eq!(fired("caller-unprivileged", process(9), root_without(0)), []);
        let capable = Some(CallerFacts { uid: 1000, gid: 1000, capabilities: 1 << 40, seccomp: 0 });
        assert_eq!(fired("caller-not-root", process(9), capable), [None]);
    }
}
