//! What the caller of criu may not do. Nothing here fires for an ideal caller.

use serde::Deserialize;

use super::{Match, View, is_probed_before};
use crate::facts::{Area, CallerFacts, Capability, INITIAL_USER_NAMESPACE, NamespaceKind, NsId, Process};
use crate::finding::{Confidence, Subject};
use crate::rules::connections::repaired_in_own_network;

/// Fires for a caller that lacks all of `lacks` and is as the other keys say, on the tasks that need it. Where only
/// the host is looked at, what some tasks need is possible.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// Capabilities of which the caller has none. Empty: whatever it has.
    #[serde(default)]
    lacks: Vec<Capability>,
    /// A capability that the caller does not have over the host.
    lacks_over_host: Option<Capability>,
    /// Only a caller that is not root.
    #[serde(default)]
    not_root: bool,
    /// Only a caller under a seccomp filter.
    #[serde(default)]
    filtered: bool,
    /// Only a caller on which an AppArmor profile is enforced, `{profile}`: what it allows is not known.
    #[serde(default)]
    confined: bool,
    /// Only a caller that passes CRIU's own check and still may not mount. CRIU: `kerndat.c: root_only_init`.
    #[serde(default)]
    cannot_mount: bool,
    /// Only a root process that is in a namespace of its own of such a kind, `{kinds}`. Empty: whatever it is in.
    #[serde(default)]
    own_namespaces: Vec<NamespaceKind>,
    /// Which tasks need it; absent: criu itself, whatever the tasks.
    tasks: Option<Tasks>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tasks {
    /// Those of another user or group in the caller's user namespace, and those in one that another user made. Kernel:
    /// `sys.c: check_prlimit_permission`, `commoncap.c: cap_capable`.
    OfOtherUsers,
    /// Those that the caller may not trace; `{reason}` says why.
    Untraceable,
    /// Those under seccomp. Kernel: `ptrace.c: check_ptrace_options`.
    UnderSeccomp,
    /// Those with TCP connections that are saved. Kernel: `net/ipv4/tcp.c: tcp_can_repair_sock`.
    Connected,
    /// The caller itself. CRIU: `compel_wait_task`.
    Itself,
}

impl Match for Caller {
    fn needs(&self) -> &'static [Area] {
        match self.tasks {
            Some(Tasks::Connected) => &[Area::Criu, Area::Processes, Area::Fds, Area::Sockets],
            None if self.own_namespaces.is_empty() => &[Area::Criu],
            _ => &[Area::Criu, Area::Processes, Area::Namespaces],
        }
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(caller) = view.profile.caller.as_ref().filter(|caller| self.is_meant(caller)) else {
            return Vec::new();
        };
        let about = Subject::host("criu").with("uid", caller.uid.to_string());
        if view.facts.is_of_host_only() {
            return match self.tasks {
                Some(tasks) => tasks.in_general(view, caller, about),
                None if !self.own_namespaces.is_empty() => vec![about.at_most(Confidence::Possible)],
                None => self.of_criu(view, caller, about),
            };
        }
        let kinds: Vec<&str> =
            self.own_namespaces.iter().filter(|kind| has_own(view, **kind)).map(|kind| kind.name()).collect();
        match self.tasks {
            _ if kinds.is_empty() && !self.own_namespaces.is_empty() => Vec::new(),
            Some(tasks) => {
                let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
                alive.filter_map(|process| tasks.subject(view, process, caller)).collect()
            }
            None => self.of_criu(view, caller, about.with("kinds", kinds.join(", "))),
        }
    }
}

impl Caller {
    /// What holds for criu itself.
    fn of_criu(&self, view: View<'_>, caller: &CallerFacts, about: Subject) -> Vec<Subject> {
        if self.confined {
            let profile = caller.apparmor.as_deref().unwrap_or_default();
            return vec![about.with("profile", profile).at_most(Confidence::Possible)];
        }
        let perhaps = self.cannot_mount && is_probed_before(view);
        vec![if perhaps { about.at_most(Confidence::Possible) } else { about }]
    }

    fn is_meant(&self, caller: &CallerFacts) -> bool {
        !self.lacks.iter().any(|capability| caller.has(*capability))
            && !self.lacks_over_host.is_some_and(|capability| caller.has_over_host(capability))
            && (!self.not_root || caller.uid != 0)
            && (!self.filtered || caller.seccomp != 0)
            && (!self.confined || caller.apparmor.is_some())
            && (!self.cannot_mount || cannot_mount(caller))
    }
}

impl Tasks {
    /// What is said where no tasks are at hand.
    fn in_general(self, view: View<'_>, caller: &CallerFacts, about: Subject) -> Vec<Subject> {
        let fires = match self {
            Self::OfOtherUsers | Self::UnderSeccomp | Self::Connected => true,
            Self::Untraceable => {
                !caller.has(Capability::SysPtrace) || own_namespace(view, caller) != Some(INITIAL_USER_NAMESPACE)
            }
            Self::Itself => false,
        };
        if fires { vec![about.at_most(Confidence::Possible)] } else { Vec::new() }
    }

    fn subject(self, view: View<'_>, process: &Process, caller: &CallerFacts) -> Option<Subject> {
        let same_namespace = process.namespaces.user == own_namespace(view, caller);
        let id = |ids: [u32; 4]| ids.first().map(u32::to_string).unwrap_or_default();
        let subject = Subject::process(process).with("uid", id(process.uids)).with("gid", id(process.gids));
        match self {
            Self::OfOtherUsers => {
                let foreign = if same_namespace { is_of_another(process, caller) } else { is_made_by_another(view, process, caller) };
                foreign.then_some(subject)
            }
            Self::UnderSeccomp => {
                let filtered = process.seccomp != 0 || process.threads.iter().any(|thread| thread.seccomp != 0);
                filtered.then_some(subject)
            }
            Self::Connected => {
                let connected = repaired_in_own_network(view).any(|(holder, ..)| holder.pid == process.pid);
                let lock = view.profile.values("network-lock").last().map(str::to_owned);
                connected.then(|| lock.map_or(subject.clone(), |lock| subject.with("lock", lock)))
            }
            Self::Untraceable => {
                let (reason, confidence) = untraceable(view, process, caller)?;
                let subject = subject.with("reason", reason);
                Some(if confidence == Confidence::Certain { subject } else { subject.at_most(confidence) })
            }
            Self::Itself => (caller.pid == Some(process.pid)).then_some(subject),
        }
    }
}

/// Why the caller may not trace a task, and how sure that is. Kernel: `ptrace.c: __ptrace_may_access`, `commoncap.c:
/// cap_ptrace_access_check`, `yama_lsm.c: yama_ptrace_access_check`.
fn untraceable(view: View<'_>, process: &Process, caller: &CallerFacts) -> Option<(&'static str, Confidence)> {
    let own = own_namespace(view, caller);
    let inside = own.is_some_and(|own| own != INITIAL_USER_NAMESPACE);
    let elsewhere = match process.namespaces.user {
        // The kernel does not even tell it to the scanner.
        None => inside && caller.has(Capability::SysPtrace),
        theirs => theirs != own,
    };
    if elsewhere {
        let above = inside && matches!(process.namespaces.user, None | Some(INITIAL_USER_NAMESPACE));
        return above.then_some(("is in a user namespace above the caller's", Confidence::Certain));
    }
    if caller.has(Capability::SysPtrace) {
        return None;
    }
    let yama = view.facts.host.abilities.as_ref().and_then(|abilities| abilities.ptrace_scope);
    match process.permitted {
        _ if is_of_another(process, caller) => Some(("is of another user or group", Confidence::Certain)),
        Some(has) if has & !caller.capabilities != 0 => {
            Some(("has capabilities that the caller lacks", Confidence::Certain))
        }
        _ if yama.is_some_and(|scope| scope > 0) => Some(("is no child of the caller's", Confidence::Certain)),
        Some(_) => None,
        None => Some(("may have capabilities that the caller lacks", Confidence::Possible)),
    }
}

/// Whether it passes CRIU's check for one of two capabilities and still may not mount in its mount namespace.
fn cannot_mount(caller: &CallerFacts) -> bool {
    let admin = caller.has(Capability::SysAdmin);
    let foreign = caller.owns_mounts == Some(false);
    (admin && foreign) || (!admin && caller.has(Capability::CheckpointRestore))
}

/// Whether the root process is in such a namespace other than criu's.
fn has_own(view: View<'_>, kind: NamespaceKind) -> bool {
    let known = view.facts.root().is_some_and(|root| root.namespaces.get(kind).is_some());
    known && !view.facts.shares_with_host(kind)
}

fn own_namespace(view: View<'_>, caller: &CallerFacts) -> Option<NsId> {
    caller.user_namespace.or(view.facts.host.namespaces.user)
}

/// Whether it is in the user namespace of the root process, and that, or the one above it which is just below the
/// caller's, was made by another user than the caller.
fn is_made_by_another(view: View<'_>, process: &Process, caller: &CallerFacts) -> bool {
    let namespace = view.facts.user_namespace.as_ref();
    let own = namespace.filter(|namespace| Some(namespace.id) == process.namespaces.user);
    own.and_then(|namespace| namespace.maker).is_some_and(|maker| maker != caller.uid)
}

/// Whether a real, effective or saved id, of user or group, is another than the caller's.
fn is_of_another(process: &Process, caller: &CallerFacts) -> bool {
    process.uids.iter().take(3).any(|uid| *uid != caller.uid)
        || process.gids.iter().take(3).any(|gid| *gid != caller.gid)
}

#[cfg(test)]
mod tests {
    use crate::facts::{Abilities, CallerFacts, Facts, Process, UserNamespace};
    use crate::finding::Confidence;
    use crate::profile::Profile;
    use crate::rules::testing::{container_namespaces, facts, findings, process, profile};

    const SYS_PTRACE: u64 = 1 << 19;
    const SYS_ADMIN: u64 = 1 << 21;
    const SYS_RESOURCE: u64 = 1 << 24;

    fn fired_on(rule: &str, tree: &Facts, caller: Option<CallerFacts>) -> Vec<(Option<i32>, bool)> {
        let profile = Profile { caller, ..profile("4.2", &[]) };
        let said = findings(rule, tree, &profile).into_iter();
        said.map(|finding| (finding.subject.pid, finding.confidence != Confidence::Possible)).collect()
    }

    fn fired(rule: &str, task: Process, caller: Option<CallerFacts>) -> Vec<Option<i32>> {
        let sure = fired_on(rule, &facts(vec![task]), caller).into_iter().filter(|(_, sure)| *sure);
        sure.map(|(pid, _)| pid).collect()
    }

    fn root_without(capability: u64) -> Option<CallerFacts> {
        Some(CallerFacts { capabilities: !capability, ..CallerFacts::default() })
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
        let mut tree = facts(vec![elsewhere]);
        tree.user_namespace = Some(UserNamespace { id: 1, maker: Some(0), ..UserNamespace::default() });
        let found = |tree: &Facts| fired_on(rule, tree, root_without(SYS_RESOURCE));
        assert_eq!(found(&tree), [], "root owns the user namespaces it made");
        tree.user_namespace.as_mut().unwrap().maker = Some(1000);
        assert_eq!(found(&tree), [(Some(9), true)]);
    }

    #[test]
    fn a_filtered_caller_cannot_suspend_the_filters_of_others() {
        let filtered =
            || Some(CallerFacts { capabilities: u64::MAX, seccomp: 2, ..CallerFacts::default() });
        let task = Process { seccomp: 2, ..process(9) };
        assert_eq!(fired("caller-under-seccomp", task.clone(), filtered()), [Some(9)]);
        assert_eq!(fired("caller-under-seccomp", task, root_without(0)), []);
        assert_eq!(fired("caller-under-seccomp", process(9), filtered()), []);
    }

    #[test]
    fn only_who_administers_the_host_suspends_filters() {
        let rule = "caller-cannot-suspend-seccomp";
        let task = || Process { seccomp: 2, ..process(9) };
        assert_eq!(fired(rule, task(), root_without(SYS_ADMIN)), [Some(9)]);
        assert_eq!(fired(rule, task(), root_without(0)), []);
        assert_eq!(fired(rule, process(9), root_without(SYS_ADMIN)), []);
        let inside = CallerFacts { user_namespace: Some(77), ..root_without(0).unwrap() };
        assert_eq!(fired(rule, task(), Some(inside)), [Some(9)]);
    }

    #[test]
    fn supplementary_groups_are_dropped_for_a_user_namespace() {
        let mut inside = process(9);
        inside.namespaces.user = Some(77);
        assert_eq!(fired("caller-cannot-drop-groups", inside.clone(), root_without(1 << 6)), [None]);
        assert_eq!(fired("caller-cannot-drop-groups", inside, root_without(0)), []);
        assert_eq!(fired("caller-cannot-drop-groups", process(9), root_without(1 << 6)), []);
    }

    #[test]
    fn an_ordinary_user_is_told_that_criu_refuses_him() {
        let user = || Some(CallerFacts { uid: 1000, ..CallerFacts::default() });
        assert_eq!(fired("caller-unprivileged", process(9), user()), [None]);
        assert_eq!(fired("caller-unprivileged", process(9), root_without(0)), []);
        let capable = Some(CallerFacts { uid: 1000, gid: 1000, capabilities: 1 << 40, ..CallerFacts::default() });
        assert_eq!(fired("caller-not-root", process(9), capable), [None]);
    }

    #[test]
    fn a_caller_without_cap_sys_ptrace_traces_only_its_users_own_tasks_that_can_do_no_more() {
        let rule = "caller-cannot-trace";
        let caller = || root_without(SYS_PTRACE);
        let task = |capabilities| Process { permitted: capabilities, ..process(9) };
        assert_eq!(fired(rule, task(Some(SYS_PTRACE)), caller()), [Some(9)]);
        assert_eq!(fired(rule, Process { uids: [1000; 4], ..task(Some(0)) }, caller()), [Some(9)]);
        assert_eq!(fired_on(rule, &facts(vec![task(Some(1))]), caller()), []);
        assert_eq!(fired_on(rule, &facts(vec![task(None)]), caller()), [(Some(9), false)]);
        assert_eq!(fired(rule, Process { uids: [1000; 4], ..task(Some(u64::MAX)) }, root_without(0)), []);
        let mut yama = facts(vec![task(Some(0))]);
        yama.host.abilities = Some(Abilities { ptrace_scope: Some(1), ..Abilities::default() });
        assert_eq!(fired_on(rule, &yama, caller()), [(Some(9), true)]);
    }

    #[test]
    fn nobody_traces_into_the_user_namespace_above() {
        let inside = Some(CallerFacts { user_namespace: Some(77), capabilities: u64::MAX, ..CallerFacts::default() });
        let mut above = process(9);
        above.namespaces.user = Some(crate::facts::INITIAL_USER_NAMESPACE);
        assert_eq!(fired("caller-cannot-trace", above, inside.clone()), [Some(9)]);
        let unread = Process { namespaces: Default::default(), ..process(9) };
        assert_eq!(fired("caller-cannot-trace", unread, inside.clone()), [Some(9)]);
        let mut beside = process(9);
        beside.namespaces.user = Some(77);
        assert_eq!(fired("caller-cannot-trace", beside, inside), []);
    }

    #[test]
    fn who_may_not_mount_is_refused_unless_an_earlier_run_left_what_it_found() {
        let rule = "caller-cannot-mount";
        assert_eq!(fired(rule, process(9), root_without(SYS_ADMIN)), [None]);
        assert_eq!(fired(rule, process(9), root_without(0)), []);
        let foreign = CallerFacts { capabilities: u64::MAX, owns_mounts: Some(false), ..CallerFacts::default() };
        assert_eq!(fired(rule, process(9), Some(foreign)), [None]);
        let mut cached = facts(vec![process(9)]);
        cached.host.abilities = Some(Abilities { kernel_data_cached: true, ..Abilities::default() });
        assert_eq!(fired_on(rule, &cached, root_without(SYS_ADMIN)), [(None, false)]);
    }

    #[test]
    fn a_capability_for_namespaces_is_asked_for_only_where_the_root_process_has_its_own() {
        let contained = || Process { namespaces: container_namespaces(), ..process(9) };
        let rules = [
            ("caller-cannot-lock-network", 1 << 12),
            ("caller-cannot-enter-mounts", 1 << 18),
            ("caller-cannot-enter-namespaces", SYS_ADMIN),
        ];
        for (rule, capability) in rules {
            assert_eq!(fired(rule, contained(), root_without(capability)), [None]);
            assert_eq!(fired(rule, contained(), root_without(0)), []);
            assert_eq!(fired(rule, process(9), root_without(capability)), []);
            assert_eq!(fired_on(rule, &Facts::default(), root_without(capability)), [(None, false)]);
        }
    }

    #[test]
    fn a_caller_among_the_tasks_is_named() {
        let caller = |pid| Some(CallerFacts { pid: Some(pid), capabilities: u64::MAX, ..CallerFacts::default() });
        assert_eq!(fired("caller-in-tree", process(9), caller(9)), [Some(9)]);
        assert_eq!(fired("caller-in-tree", process(9), caller(8)), []);
    }

    #[test]
    fn what_an_enforced_profile_allows_is_not_known() {
        let tree = facts(vec![process(9)]);
        let by = |apparmor: Option<&str>| {
            let apparmor = apparmor.map(str::to_owned);
            fired_on("caller-confined", &tree, Some(CallerFacts { apparmor, ..CallerFacts::default() }))
        };
        assert_eq!((by(Some("docker-default")), by(None)), (vec![(None, false)], vec![]));
    }
}
