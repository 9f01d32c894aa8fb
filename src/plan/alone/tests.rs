use super::*;
use crate::assess::assess;
use crate::facts::{Fd, Namespaces, Socket, family, tcp_state};
use crate::plan::Plan;
use crate::rules::RuleSet;
use crate::rules::testing::{child, container_namespaces, facts, fd, holder, process, profile, with_sockets};

fn plan(tree: &Facts) -> Plan {
    assess(tree, &profile("4.2", &[]), &RuleSet::built_in().unwrap()).plan
}

fn parts(plan: &Plan) -> Vec<(Pid, String)> {
    let options = |way: &Way| way.options.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    plan.free.iter().map(|part| (part.root.pid, options(&part.way))).collect()
}

fn blocker(pid: Pid, ppid: Pid, mut more: Vec<Fd>) -> Process {
    more.push(fd(3, "anon_inode:[some-new-kind]"));
    Process { ppid, ..holder(pid, more) }
}

#[test]
fn the_largest_parts_are_named_however_deep_they_are() {
    let tree =
        facts(vec![process(1), blocker(5, 1, vec![]), child(6, 5), child(7, 6), blocker(8, 5, vec![]), child(9, 8)]);
    assert_eq!(parts(&plan(&tree)), [(6, String::new()), (9, String::new())]);
    assert_eq!(plan(&tree).free[0].root.processes, 2);
    let not_free = plan(&tree).not_free.unwrap();
    assert_eq!(not_free.rules, [("anon-inode-unsupported".to_owned(), 2)]);
}

#[test]
fn what_is_left_out_is_outside() {
    let unix = |inode, peer| Socket {
        inode,
        family: family::UNIX,
        kind: 1,
        state: tcp_state::ESTABLISHED,
        peer: Some(peer),
        ..Socket::default()
    };
    let job = Process { sid: 5, ns_sid: 5, ..child(6, 5) };
    let part = Process { fds: vec![fd(4, "socket:[100]")], ..job };
    let tree = facts(vec![process(1), blocker(5, 1, vec![fd(4, "socket:[101]")]), part]);
    let plan = plan(&with_sockets(tree, vec![unix(100, 101), unix(101, 100)]));
    assert_eq!(parts(&plan), [(6, "external unix[100] shell-job".to_owned())]);
    let command = "criu dump --tree 6 --images-dir DIR --external 'unix[100]' --shell-job";
    assert_eq!(plan.free[0].way.command.as_deref(), Some(command));
}

#[test]
fn who_shares_memory_with_one_outside_may_share_it_with_another_inside() {
    let sharing = |pid, ppid| Process { shares: vec![("vm".into(), 5)], ..child(pid, ppid) };
    let tree = facts(vec![process(1), blocker(5, 1, vec![]), sharing(6, 5), sharing(7, 6)]);
    assert_eq!(parts(&plan(&tree)), [(7, String::new())]);
}

#[test]
fn what_was_only_asked_of_the_root_process_is_not_guessed_of_another() {
    let own = Namespaces { user: Some(1), ..container_namespaces() };
    let tree = facts(vec![process(1), blocker(5, 1, vec![]), Process { namespaces: own, ..child(6, 1) }]);
    let not_free = plan(&tree).not_free.unwrap();
    assert_eq!((parts(&plan(&tree)).len(), not_free.unknown), (0, 1));
}

#[test]
fn cgroups_are_seen_from_the_top_of_their_namespace() {
    let seen = |outside: &str, inside_line: &str, line: &str| {
        let known = CgroupView { tid: 1, outside: vec![outside.into()], inside: vec![inside_line.into()] };
        inside(&known, &line.into()).map(|line| line.to_string())
    };
    assert_eq!(seen("0::/box", "0::/", "0::/box/x").as_deref(), Some("0::/x"));
    assert_eq!(seen("0::/box/init", "0::/init", "0::/box/x").as_deref(), Some("0::/x"));
    assert_eq!(seen("0::/box/init", "0::/init", "0::/box").as_deref(), Some("0::/"));
    assert_eq!(seen("0::/box", "0::/", "0::/boxes"), None);
    assert_eq!(seen("0::/box", "0::/..", "0::/box"), None);
}
