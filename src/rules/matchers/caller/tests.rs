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

#[test]
fn who_may_not_mount_cgroups_can_save_those_in_its_own_alone() {
    let rule = "caller-cannot-mount-cgroups";
    let in_cgroup = |line: &str| Process { cgroups: vec!["1:cpu:/".into(), line.into()], ..process(9) };
    let caller = |owns_cgroups| {
        let cgroups = in_cgroup("0::/a").cgroups;
        Some(CallerFacts { owns_cgroups, cgroups, ..root_without(0).unwrap() })
    };
    assert_eq!(fired(rule, in_cgroup("0::/b"), caller(Some(false))), [Some(9)]);
    assert_eq!(fired(rule, in_cgroup("0::/a"), caller(Some(false))), []);
    assert_eq!(fired(rule, in_cgroup("0::/b"), caller(Some(true))), []);
    assert_eq!(fired(rule, in_cgroup("0::/b"), caller(None)), []);
    let weak = CallerFacts { capabilities: !SYS_ADMIN, ..caller(Some(true)).unwrap() };
    assert_eq!(fired(rule, in_cgroup("0::/b"), Some(weak)), [Some(9)]);
    let older = CallerFacts { cgroups: Vec::new(), ..caller(Some(false)).unwrap() };
    assert_eq!(fired(rule, in_cgroup("0::/b"), Some(older)), []);
}
