use crate::facts::{
    Fd, FileStat, FileType, HeldAs, HeldFile, IdExtent, Mapping, Mount, NameLookup, Process, UserNamespace,
};
use crate::finding::Confidence;
use crate::rules::testing::*;

fn on(mount_id: u64, fd: Fd) -> Fd {
    Fd { mount_id: Some(mount_id), ..fd }
}

#[test]
fn a_file_outside_fires_and_is_lifted_by_its_hexadecimal_name() {
    let fds = vec![
        on(30, fd(1, "/var/log/host.log")),
        on(1, fd(3, "/inside")),
        on(31, fd(4, "/memfd:x (deleted)")),
        on(32, fd(5, "pipe:[9]")),
    ];
    let facts = facts(vec![holder(7, fds)]);
    let found = findings("file-mount-outside", &facts, &profile("4.2", &[]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].lifted_by[0].to_string(), "external file[1e:4d]");
    assert!(fired("file-mount-outside", &facts, &["external file[1e:4d]"]).is_empty());
}

#[test]
fn the_host_s_own_mounts_do_not_count_for_a_container() {
    let inside = Process { namespaces: container_namespaces(), ..holder(7, vec![on(1, fd(3, "/a"))]) };
    let back = Process { ppid: 7, ..holder(8, vec![on(50, fd(4, "/b"))]) };
    let mut facts = facts(vec![inside, back]);
    facts.mount_namespaces[1].mounts = vec![mount(50, 0, "/", "ext4")];
    assert_eq!(fired("file-mount-outside", &facts, &[]), ["8 fd 4"]);
}

#[test]
fn nothing_is_said_of_mounts_that_could_not_be_read() {
    let mut facts = facts(vec![holder(7, vec![on(30, fd(1, "/x"))])]);
    facts.mount_namespaces.clear();
    assert!(fired("file-mount-outside", &facts, &[]).is_empty());
}

#[test]
fn a_skipped_mount_is_as_good_as_not_there() {
    let mut facts = facts(vec![holder(7, vec![on(2, fd(3, "/data/a"))])]);
    facts.mount_namespaces[0].mounts.push(mount(2, 1, "/data", "ext4"));
    assert!(fired("file-mount-outside", &facts, &[]).is_empty());
    assert_eq!(fired("file-mount-outside", &facts, &["skip-mnt /data"]), ["7 fd 3"]);
}

#[test]
fn beside_an_overlay_the_same_file_under_the_same_path_is_found() {
    let left = |number, name| Fd { name, ..on(30, fd(number, "/srv/x")) };
    let mut facts = facts(vec![holder(7, vec![left(3, NameLookup::Same), left(4, NameLookup::Other)])]);
    assert_eq!(fired("file-mount-outside", &facts, &[]).len(), 2);
    facts.mount_namespaces[0].mounts = vec![mount(40, 0, "/", "overlay")];
    assert_eq!(fired("file-mount-outside", &facts, &[]), ["7 fd 4"]);
}

#[test]
fn what_is_mapped_or_a_directory_counts_as_an_open_file_does() {
    let directory = FileStat { inode: 5, ..stat(FileType::Directory) };
    let cwd = HeldFile {
        role: HeldAs::WorkingDirectory,
        link: "/x".into(),
        stat: Some(directory),
        mount_id: Some(30),
        ..HeldFile::default()
    };
    let mapped = Mapping { mount_id: Some(30), stat: Some(stat(FileType::Regular)), ..mapping("/lib/x.so") };
    let again = Mapping { start: 0x6000, ..mapped.clone() };
    let process = Process { held: vec![cwd], mappings: vec![mapped, again], ..process(7) };
    let found = findings("file-mount-outside", &facts(vec![process]), &profile("4.2", &[]));
    let said: Vec<&str> = found.iter().map(|finding| finding.what.split(',').next().unwrap()).collect();
    assert_eq!(said, ["p7 (7): its working directory is /x", "p7 (7): a mapped file is /lib/x.so"]);
    assert_eq!(found[0].lifted_by[0].to_string(), "external file[1e:5]");
}

#[test]
fn a_path_that_leads_onto_another_mount_is_refused_unless_to_the_same_file() {
    let below = |number, name| Fd { name, ..fd(number, "/a/x") };
    let fds = vec![
        below(3, NameLookup::Missing),
        below(4, NameLookup::Other),
        below(5, NameLookup::Same),
        below(6, NameLookup::SameDevice),
    ];
    let mut facts = facts(vec![holder(7, fds)]);
    facts.mount_namespaces[0].mounts.push(mount(2, 1, "/a", "tmpfs"));
    assert_eq!(fired("file-covered", &facts, &["link-remap"]), ["7 fd 3", "7 fd 4", "7 fd 6"]);
    assert_eq!(fired("file-covered", &facts, &["evasive-devices"]), ["7 fd 3", "7 fd 4"]);
    assert!(fired("link-remap", &facts, &[]).is_empty() && fired("path-replaced", &facts, &[]).is_empty());
}

#[test]
fn what_a_server_keeps_may_hang_once_for_each_process_and_mount() {
    let mut facts = facts(vec![holder(7, vec![on(2, fd(3, "/n/x")), on(2, fd(4, "/n/y")), fd(5, "/z")])]);
    facts.mount_namespaces[0].mounts.push(mount(2, 1, "/n", "nfs4"));
    assert_eq!(fired("file-may-hang", &facts, &[]), ["7 fd 3"]);
}

#[test]
fn names_on_procfs_are_not_looked_up() {
    let covered = |number, mount_id| Fd { name: NameLookup::Other, ..on(mount_id, fd(number, "/proc/kallsyms")) };
    let mut facts = facts(vec![holder(7, vec![covered(3, 2), covered(4, 1)])]);
    let mounts = [mount(2, 1, "/proc", "proc"), mount(3, 2, "/proc/kallsyms", "tmpfs")];
    facts.mount_namespaces[0].mounts.extend(mounts);
    assert_eq!(fired("file-covered", &facts, &[]), ["7 fd 4"]);
}

#[test]
fn a_file_of_sysfs_that_nobody_may_read_is_refused_unless_it_is_a_log() {
    let stat = FileStat { size: 4096, unreadable: true, ..stat(FileType::Regular) };
    let opened = |number, mount_id, flags| {
        Fd { stat: Some(stat), flags: Some(flags), ..on(mount_id, fd(number, "/sys/bus/platform/uevent")) }
    };
    let fds = vec![opened(3, 2, 0o100_001), opened(4, 2, 0o102_001), opened(5, 1, 0o100_001)];
    let mut facts = facts(vec![holder(7, fds)]);
    facts.mount_namespaces[0].mounts.push(mount(2, 1, "/sys", "sysfs"));
    assert_eq!(fired("file-write-only", &facts, &[]), ["7 fd 3"]);
    assert!(fired("file-write-only", &facts, &["file-validation filesize"]).is_empty());
}

#[test]
fn a_file_system_of_another_user_is_closed_to_criu() {
    let mapped = Mapping { device: (0, 2), mount_id: None, ..mapping("/n/lib.so") };
    let tree = |options: &str| {
        let mut facts = facts(vec![
            holder(7, vec![on(2, fd(3, "/n/x"))]),
            Process { mappings: vec![mapped.clone()], ..child(8, 7) },
        ]);
        let fuse = Mount { super_options: options.into(), ..mount(2, 1, "/n", "fuse.sshfs") };
        facts.mount_namespaces[0].mounts.push(fuse);
        facts
    };
    let found = |options| fired("file-fuse-closed", &tree(options), &[]);
    assert_eq!(found("rw,user_id=1000,group_id=1000"), ["7 fd 3", "8 7000-8000"]);
    assert!(found("rw,user_id=1000,group_id=1000,allow_other").is_empty());
    assert!(found("rw,user_id=0,group_id=0").is_empty());
}

#[test]
fn a_file_system_of_a_user_namespace_may_be_closed_to_the_host() {
    let sure = |options: &str, uids| {
        let mut facts = facts(vec![holder(7, vec![on(2, fd(3, "/n/file"))])]);
        let fuse = Mount { super_options: options.into(), ..mount(2, 1, "/n", "fuse.fuse-overlayfs") };
        facts.mount_namespaces[0].mounts.push(fuse);
        let extent = |outside| IdExtent { inside: 0, outside, count: 10 };
        facts.user_namespace = Some(UserNamespace { uids: vec![extent(uids)], ..UserNamespace::default() });
        let found = findings("file-fuse-closed", &facts, &profile("4.2", &[]));
        found.first().map(|finding| finding.confidence != Confidence::Possible)
    };
    assert_eq!(sure("rw,user_id=0,group_id=0", 100_000), Some(false), "root of the target, or of the host");
    assert_eq!(sure("rw,user_id=0,group_id=0,allow_other", 100_000), Some(false));
    assert_eq!(sure("rw,user_id=5,group_id=0", 100_000), Some(true));
    assert_eq!(sure("rw,user_id=0,group_id=0", 0), None);
}

#[test]
fn a_terminal_outside_is_lifted_by_shell_job() {
    let pts = FileStat { rdev: (136, 4), ..stat(FileType::CharDevice) };
    let facts = facts(vec![holder(7, vec![Fd { stat: Some(pts), ..on(30, fd(0, "/dev/pts/4")) }])]);
    assert!(fired("file-mount-outside", &facts, &[]).is_empty());
    assert_eq!(fired("tty-mount-outside", &facts, &[]), ["7 fd 0"]);
    assert!(fired("tty-mount-outside", &facts, &["shell-job"]).is_empty());
}

#[test]
fn secret_memory_has_a_rule_of_its_own() {
    let facts = facts(vec![holder(7, vec![on(15, fd(3, "/secretmem (deleted)"))])]);
    assert_eq!(fired("secretmem", &facts, &[]), ["7 fd 3"]);
    assert!(fired("file-mount-outside", &facts, &[]).is_empty());
}

#[test]
fn a_file_under_another_mount_is_refused() {
    let mut facts = facts(vec![holder(7, vec![on(2, fd(3, "/a/x")), on(3, fd(4, "/a/y"))])]);
    facts.mount_namespaces[0].mounts.extend([mount(2, 1, "/a", "tmpfs"), mount(3, 2, "/a", "tmpfs")]);
    assert_eq!(fired("file-overmounted", &facts, &[]), ["7 fd 3"]);
}
