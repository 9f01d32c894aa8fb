use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::rules::testing;

#[test]
fn what_criu_would_do_with_a_path_decides_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("file"), "").unwrap();
    for used in [Use::Fill, Use::Enter, Use::List, Use::Freeze] {
        assert_eq!(used.fault(&path("none")), Some(PathFault::Missing));
        assert_eq!(used.fault(&path("file")), Some(PathFault::NoDirectory));
    }
    for used in [Use::Fill, Use::Enter, Use::List] {
        assert_eq!(used.fault(dir.path()), None);
    }
    assert_eq!(Use::Freeze.fault(dir.path()), Some(PathFault::NoFreezer));
    assert_eq!(Use::Write.fault(dir.path()), Some(PathFault::Directory));
    assert_eq!(Use::Write.fault(&path("none/log")), Some(PathFault::Missing));
    assert_eq!([Use::Write.fault(&path("file")), Use::Write.fault(&path("log"))], [None, None]);
    assert_eq!(Use::Execute.fault(&path("file")), Some(PathFault::Denied));
    assert_eq!(Use::Execute.fault(dir.path()), Some(PathFault::Directory));
    for (text, fault) in [("#!/none\n", Some(PathFault::NoInterpreter)), ("#! /bin/sh -e\n", None), ("exit 0\n", None)]
    {
        std::fs::write(path("script"), text).unwrap();
        std::fs::set_permissions(path("script"), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(Use::Execute.fault(&path("script")), fault, "{text}");
    }
    assert_eq!(Use::Follow.fault(dir.path()), Some(PathFault::NoInventory));
    std::fs::write(path("inventory.img"), "").unwrap();
    assert_eq!(Use::Follow.fault(dir.path()), None);
    assert_eq!((Use::See.fault(&path("file")), Use::See.fault(&path("none"))), (None, Some(PathFault::Missing)));
    assert_eq!(Use::Parse.fault(&path("file")), Some(PathFault::Malformed), "it is empty");
    assert_eq!(Use::Load.fault(dir.path()), None);
    std::fs::write(path("plugin.so"), "").unwrap();
    assert_eq!(Use::Load.fault(dir.path()), Some(PathFault::NoPlugin));
    assert_eq!(Use::Fill.fault(Path::new("/proc")), None, "a file system without a size");
    assert_eq!((free(Path::new("/proc")), free(dir.path()).is_some()), (None, true));
}

#[test]
fn a_yard_has_to_show_the_cgroups_that_the_caller_is_not_in() {
    let dir = tempfile::tempdir().unwrap();
    let here = Surroundings { etc: dir.path().into(), ..Surroundings::default() };
    let mut tree = testing::facts(vec![testing::process(7)]);
    tree.processes[0].cgroups = vec!["2:name=systemd:/".into(), "0::/box".into()];
    let profile = testing::profile("4.2", &["cgroup-yard /yard"]);
    let fault = |tree: &Facts| {
        let found = yard(&here, &profile, tree, Path::new(""))?;
        Some((found.path.to_string(), found.fault?, found.value))
    };
    let missing = |path: &str| Some((path.to_owned(), PathFault::Missing, "/yard".to_owned()));
    std::fs::create_dir_all(dir.path().join("yard/systemd")).unwrap();
    assert_eq!(fault(&tree), missing("/yard/unified/box"));
    tree.processes[0].threads[0].cgroups = Some(vec!["2:name=systemd:/x".into()]);
    std::fs::create_dir_all(dir.path().join("yard/unified/box")).unwrap();
    assert_eq!(fault(&tree), missing("/yard/systemd/x"));
    tree.host.caller.cgroups.push("2:name=systemd:/x".into());
    assert_eq!(fault(&tree), None);
}
