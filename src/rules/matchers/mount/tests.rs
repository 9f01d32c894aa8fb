use crate::facts::{Facts, Fd, Mount, Process};
use crate::rules::testing::*;

/// A container with a root mount on overlay, /proc, and these.
fn container(mounts: Vec<Mount>) -> Facts {
    let init = Process { namespaces: container_namespaces(), ..process(7) };
    let mut facts = facts(vec![init]);
    let own = &mut facts.mount_namespaces[0].mounts;
    *own = vec![mount(1, 0, "/", "overlay"), mount(2, 1, "/proc", "proc")];
    own.extend(mounts);
    facts
}

fn bind(id: u64, point: &str, fs_type: &str, root: &str) -> Mount {
    Mount { root: root.into(), device: (8, 1), source: "/dev/sda1".into(), ..mount(id, 1, point, fs_type) }
}

#[test]
fn a_bind_from_the_host_needs_to_be_declared() {
    let facts = container(vec![bind(3, "/data", "ext4", "/srv/data"), mount(4, 1, "/tmp", "tmpfs")]);
    let found = findings("mount-no-root", &facts, &profile("4.2", &[]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].lifted_by[0].to_string(), "external mnt[/data]:/data");
    assert!(fired("mount-no-root", &facts, &["external mnt[/data]:any"]).is_empty());
    assert!(fired("mount-no-root", &facts, &["skip-mnt /data"]).is_empty());
}

#[test]
fn a_bind_below_a_declared_one_or_below_the_root_mount_is_fine() {
    let below = container(vec![bind(3, "/data", "ext4", "/srv"), bind(4, "/more", "ext4", "/srv/more")]);
    assert_eq!(fired("mount-no-root", &below, &[]), ["/data", "/more"]);
    assert!(fired("mount-no-root", &below, &["external mnt[/data]:x"]).is_empty());
    let mut inside = container(vec![]);
    let root = inside.mount_namespaces[0].mounts[0].clone();
    let deleted = Mount { id: 3, parent: 1, root: "/gone//deleted".into(), mount_point: "/bind".into(), ..root };
    inside.mount_namespaces[0].mounts.push(deleted);
    assert!(fired("mount-no-root", &inside, &[]).is_empty());
}

#[test]
fn whole_file_systems_are_known_or_enabled() {
    let facts = container(vec![mount(3, 1, "/vol", "ext4"), mount(4, 1, "/fs", "fuse.sshfs")]);
    assert_eq!(fired("mount-unsupported-fs", &facts, &[]), ["/vol"]);
    assert!(fired("mount-unsupported-fs", &facts, &["enable-fs xfs,ext4"]).is_empty());
    assert!(fired("mount-unsupported-fs", &facts, &["enable-fs all"]).is_empty());
    assert!(fired("mount-unsupported-fs", &facts, &["external dev[0/3]:disk"]).is_empty());
    assert_eq!(fired("mount-fuse", &facts, &[]), ["/fs"]);
    assert!(fired("mount-fuse", &facts, &["external mnt[/fs]:fs"]).is_empty());
}

#[test]
fn nothing_is_checked_in_the_mount_namespace_of_the_host() {
    let mut facts = facts(vec![process(7)]);
    let own = &mut facts.mount_namespaces[0].mounts;
    own.extend([mount(3, 1, "/vol", "xfs"), bind(4, "/data", "ext4", "/x"), mount(5, 1, "/fs", "fuse")]);
    for rule in ["mount-unsupported-fs", "mount-no-root", "mount-fuse", "mount-unreachable-master"] {
        assert!(fired(rule, &facts, &[]).is_empty(), "{rule}");
    }
}

#[test]
fn a_slave_needs_its_master_in_the_tree_or_declared_with_it() {
    let slave = |id, point| Mount { master: Some(9), ..mount(id, 1, point, "tmpfs") };
    let alone = container(vec![slave(3, "/a")]);
    assert_eq!(fired("mount-unreachable-master", &alone, &[]), ["/a"]);
    assert!(fired("mount-unreachable-master", &alone, &["external mnt[/a]:a"]).is_empty());
    let both = container(vec![slave(3, "/a"), Mount { shared: Some(9), ..mount(4, 1, "/b", "tmpfs") }]);
    assert!(fired("mount-unreachable-master", &both, &[]).is_empty());
}

#[test]
fn a_mounted_mqueue_must_be_empty() {
    let queues = |id, queues: &[&str]| Mount {
        queues: queues.iter().map(|name| (*name).into()).collect(),
        ..mount(id, 1, "/dev/mqueue", "mqueue")
    };
    let held = container(vec![queues(3, &["a", "b"])]);
    let found = findings("mqueue-not-empty", &held, &profile("4.2", &[]));
    assert!(found[0].what.contains("a, b"), "{}", found[0].what);
    assert!(fired("mqueue-not-empty", &held, &["skip-mnt /dev/mqueue"]).is_empty());
    assert!(fired("mqueue-not-empty", &held, &["external mnt[/dev/mqueue]:q"]).is_empty());
    assert!(fired("mqueue-not-empty", &container(vec![queues(3, &[])]), &[]).is_empty());
}

#[test]
fn a_mounted_pstore_must_be_empty() {
    let records = |names: &[&str]| Mount {
        queues: names.iter().map(|name| (*name).into()).collect(),
        ..mount(3, 1, "/ps", "pstore")
    };
    assert_eq!(fired("pstore-not-empty", &container(vec![records(&["dmesg-1"])]), &[]), ["/ps"]);
    assert!(fired("mqueue-not-empty", &container(vec![records(&["dmesg-1"])]), &[]).is_empty());
    assert!(fired("pstore-not-empty", &container(vec![records(&[])]), &[]).is_empty());
}

#[test]
fn fusectl_shows_fuse_mounts_and_wants_them_external() {
    let fuse = || mount(4, 1, "/fs", "fuse.sshfs");
    let control = || mount(3, 1, "/control", "fusectl");
    assert_eq!(fired("mount-fusectl", &container(vec![control(), fuse()]), &[]), ["/control"]);
    assert!(fired("mount-fusectl", &container(vec![control(), fuse()]), &["external mnt[/fs]:x"]).is_empty());
    assert!(fired("mount-fusectl", &container(vec![control(), fuse()]), &["skip-mnt /control"]).is_empty());
    assert!(fired("mount-fusectl", &container(vec![control()]), &[]).is_empty());
    let mut on_fuse = container(vec![control()]);
    on_fuse.mount_namespaces[0].mounts[0].fs_type = "fuse".into();
    assert_eq!(fired("mount-fusectl", &on_fuse, &[]), ["/control"]);
    assert!(fired("mount-fuse", &on_fuse, &[]).is_empty());
}

#[test]
fn two_mounts_at_one_point_must_lie_on_each_other() {
    let twins = container(vec![mount(3, 1, "/a", "tmpfs"), mount(4, 1, "/a", "tmpfs")]);
    assert_eq!(fired("mount-point-twice", &twins, &[]), ["/a"]);
    let stack = container(vec![mount(3, 1, "/a", "tmpfs"), mount(4, 3, "/a", "tmpfs")]);
    assert!(fired("mount-point-twice", &stack, &[]).is_empty());
}

#[test]
fn a_field_that_criu_does_not_know_stops_it_everywhere() {
    let odd = Mount { unknown_field: Some("lazy:7".into()), ..mount(3, 1, "/a", "tmpfs") };
    let mut facts = facts(vec![process(7)]);
    facts.mount_namespaces[0].mounts.push(odd);
    assert_eq!(findings("mount-field-unknown", &facts, &profile("4.2", &[]))[0].printed.line, "Unknown option [lazy:7]");
    assert!(fired("mount-field-unknown", &container(vec![]), &[]).is_empty());
}

#[test]
fn only_a_whole_file_system_of_an_unknown_type_is_a_device_from_outside() {
    let tmpfs = container(vec![Mount { queues: vec!["q".into()], ..mount(3, 1, "/q", "mqueue") }]);
    assert_eq!(fired("mqueue-not-empty", &tmpfs, &["external dev[0/3]:x"]), ["/q"]);
    let part = container(vec![bind(3, "/data", "ext4", "/srv")]);
    assert_eq!(fired("mount-no-root", &part, &["external dev[8/1]:x"]), ["/data"]);
}

#[test]
fn another_subvolume_of_a_btrfs_is_another_file_system() {
    let volume = |id, point: &str, root: &str, volume: &str| Mount {
        super_options: format!("rw,subvolid={volume},subvol=/{volume}").into(),
        ..bind(id, point, "btrfs", root)
    };
    let same = container(vec![volume(3, "/a", "/", "5"), volume(4, "/b", "/x", "5")]);
    assert!(fired("mount-no-root", &same, &["external mnt[/a]:a"]).is_empty());
    let other = container(vec![volume(3, "/a", "/", "5"), volume(4, "/b", "/x", "256")]);
    assert_eq!(fired("mount-no-root", &other, &["external mnt[/a]:a"]), ["/b"]);
}

#[test]
fn a_tmpfs_must_be_readable_by_the_root_of_its_user_namespace() {
    let tmpfs = |file: Option<&str>| Mount { unreadable: file.map(Into::into), ..mount(3, 1, "/shm", "tmpfs") };
    let found = findings("tmpfs-unreadable", &container(vec![tmpfs(Some("/shm/x"))]), &profile("4.2", &[]));
    assert!(found[0].what.contains("/shm/x"), "{}", found[0].what);
    assert!(fired("tmpfs-unreadable", &container(vec![tmpfs(None)]), &[]).is_empty());
    assert!(fired("tmpfs-unreadable", &container(vec![tmpfs(Some("/shm/x"))]), &["skip-mnt /shm"]).is_empty());
}

#[test]
fn an_automount_needs_its_daemon_in_the_tree() {
    let auto = |id, point, options: &str| Mount { super_options: options.into(), ..mount(id, 1, point, "autofs") };
    let mut facts = container(vec![
        auto(3, "/a", "rw,fd=6,pgrp=99,pipe_ino=5"),
        auto(4, "/b", "rw,fd=6,pgrp=7,pipe_ino=5"),
        auto(5, "/c", "rw,fd=-1,pgrp=99"),
    ]);
    assert_eq!(fired("mount-autofs-foreign", &facts, &[]), ["/a", "/b"]);
    facts.processes[0].fds = vec![Fd { flags: Some(1), ..fd(6, "pipe:[5]") }];
    assert_eq!(fired("mount-autofs-foreign", &facts, &[]), ["/a", "/b"]);
    facts.processes[0].fds = vec![Fd { flags: Some(0), ..fd(6, "pipe:[5]") }];
    assert_eq!(fired("mount-autofs-foreign", &facts, &[]), ["/a"]);
}

#[test]
fn a_bound_terminal_needs_its_master_or_an_engine_that_expects_it() {
    let console = || Mount { root: "/0".into(), ..mount(3, 1, "/dev/console", "devpts") };
    let mut facts = container(vec![console(), mount(4, 1, "/dev/pts", "devpts")]);
    assert_eq!(fired("mount-terminal-alone", &facts, &[]), ["/dev/console"]);
    assert!(fired("mount-terminal-alone", &facts, &["orphan-pts-master"]).is_empty());
    facts.processes[0].fds = vec![ptmx(3, 0)];
    assert!(fired("mount-terminal-alone", &facts, &[]).is_empty());
}

#[test]
fn a_mount_point_with_a_line_end_is_not_found() {
    let facts = container(vec![
        mount(3, 1, "/a\nb", "tmpfs"),
        mount(4, 1, "/c\r", "tmpfs"),
        mount(5, 1, "/d e", "tmpfs"),
        mount(6, 1, "/f\ng", "sysfs"),
    ]);
    assert_eq!(fired("mount-point-newline", &facts, &[]).len(), 2);
    let twice = container(vec![mount(3, 1, "/a\nb", "tmpfs"), Mount { id: 4, mount_point: "/b".into(), ..mount(3, 1, "/b", "tmpfs") }]);
    assert!(fired("mount-point-newline", &twice, &[]).is_empty());
    let queues = |points: [&str; 2]| {
        let at = |id, point: &str| Mount { id, mount_point: point.into(), ..mount(3, 1, point, "mqueue") };
        fired("mount-point-newline", &container(vec![at(3, points[0]), at(4, points[1])]), &[]).len()
    };
    assert_eq!([queues(["/a", "/b\n"]), queues(["/b\n", "/a"])], [1, 0]);
}

#[test]
fn a_skipped_parent_leaves_its_children_without_one() {
    let facts = container(vec![mount(3, 1, "/a", "tmpfs"), mount(4, 3, "/a/b", "tmpfs")]);
    assert!(fired("mount-parent-missing", &facts, &[]).is_empty());
    assert_eq!(fired("mount-parent-missing", &facts, &["skip-mnt /a"]), ["/a/b"]);
    assert!(fired("mount-parent-missing", &facts, &["skip-mnt /a", "skip-mnt /a/b"]).is_empty());
}
