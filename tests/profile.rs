//! The dump that the user intends: which criu, which options, from where, on made-up hosts.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, reason = "a test program: what goes wrong here fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use ckpt_lint::facts::{
    Area, ContainerFacts, CriuState, Engine, Facts, Mount, MountNamespace, Namespaces, Process, SpecMount,
};
use ckpt_lint::profile::{Profile, ProfileAsk, Surroundings, build, observe_in};
use ckpt_lint::target::Roots;
use ckpt_lint::version::Version;

const ID: &str = "3f2a91c04d11aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A made-up host below a folder that only root can change.
struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// A criu that prints this; its folder is returned.
    fn criu(&self, dir: &str, prints: &str) -> String {
        self.file(&format!("{dir}/criu"), &format!("#!/bin/sh\nprintf '{prints}'\n"));
        fs::set_permissions(self.path(dir).join("criu"), fs::Permissions::from_mode(0o755)).unwrap();
        self.path(dir).to_str().unwrap().to_owned()
    }

    fn surroundings(&self, environment: &[(&str, &str)]) -> Surroundings {
        let roots = Roots { proc: self.path("proc"), ..Roots::default() };
        let environment: BTreeMap<_, _> = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Surroundings { roots, etc: self.dir.path().to_owned(), environment }
    }

    /// Observes and builds, as a lint does.
    fn profile(&self, ask: &ProfileAsk, facts: &mut Facts) -> Profile {
        observe_in(&self.surroundings(&[("HOME", "/home/me")]), ask, facts).unwrap();
        build(ask, facts).unwrap()
    }
}

fn facts(engine: Engine, container: Option<ContainerFacts>) -> Facts {
    let mut facts = Facts::default();
    facts.target.dumped_by = engine;
    facts.target.container = container;
    facts
}

fn container(engine: Engine) -> ContainerFacts {
    ContainerFacts { engine, id: ID.into(), runtime_version: Some(Version::new(1, 1, 0)), ..ContainerFacts::default() }
}

fn shown(profile: &Profile) -> Vec<String> {
    profile.options.iter().map(|known| known.option.to_string()).collect()
}

fn has(profile: &Profile, option: &str) -> bool {
    shown(profile).iter().any(|shown| shown == option)
}

fn pasted(words: &[&str]) -> ProfileAsk {
    ProfileAsk { pasted: words.iter().map(|word| (*word).to_owned()).collect(), ..ProfileAsk::default() }
}

#[test]
fn what_runc_sends_as_false_beats_default_conf_and_loses_to_runc_conf() {
    let host = Host::new();
    let all = "tcp-established\nlink-remap\nghost-limit 64M\n";
    host.file("etc/criu/default.conf", all);
    let mut old = facts(Engine::Runc, Some(container(Engine::Runc)));
    let profile = host.profile(&ProfileAsk::default(), &mut old);
    assert!(!has(&profile, "tcp-established") && has(&profile, "link-remap") && has(&profile, "ghost-limit 64M"));

    let newer = ContainerFacts { runtime_version: Some(Version::new(1, 3, 0)), ..container(Engine::Runc) };
    let profile = host.profile(&ProfileAsk::default(), &mut facts(Engine::Runc, Some(newer)));
    assert!(!has(&profile, "link-remap") && has(&profile, "ghost-limit 64M"));

    host.file("etc/criu/runc.conf", "tcp-established\nghost-limit 8M\n");
    let profile = host.profile(&ProfileAsk::default(), &mut old);
    assert!(has(&profile, "tcp-established") && has(&profile, "ghost-limit 8M") && !has(&profile, "ghost-limit 64M"));
    assert_eq!(profile.config_files, ["/etc/criu/default.conf", "/etc/criu/runc.conf"]);
    assert_eq!(profile.config_line_file.as_deref(), Some("/etc/criu/runc.conf"));
    let from = profile.options.iter().find(|known| known.option.name == "tcp-established").unwrap();
    assert_eq!(from.from, "/etc/criu/runc.conf");
}

#[test]
fn the_annotation_replaces_runc_conf_and_an_empty_one_leaves_none() {
    let host = Host::new();
    host.file("etc/criu/runc.conf", "tcp-established\n");
    host.file("srv/mine.conf", "file-locks\n");
    let with = |annotation: &str| ContainerFacts {
        criu_config_annotation: Some(annotation.into()),
        ..container(Engine::Docker)
    };
    let mine = host.profile(&ProfileAsk::default(), &mut facts(Engine::Docker, Some(with("/srv/mine.conf"))));
    assert!(has(&mine, "file-locks") && !has(&mine, "tcp-established"));
    assert_eq!(mine.config_line_file.as_deref(), Some("/srv/mine.conf"));
    let none = host.profile(&ProfileAsk::default(), &mut facts(Engine::Docker, Some(with(""))));
    assert!(!has(&none, "file-locks") && !has(&none, "tcp-established"));
    assert_eq!(none.config_line_file, None);
}

#[test]
fn bare_criu_reads_its_own_files_and_the_command_line_wins() {
    let host = Host::new();
    host.file("etc/criu/default.conf", "tcp-established\ntimeout 5\n");
    host.file("home/me/.criu/default.conf", "timeout 7\nshell-job\n");
    host.file("etc/criu/runc.conf", "file-locks\n");
    let profile =
        host.profile(&pasted(&["criu", "dump", "-t", "7", "--no-shell-job", "-l"]), &mut facts(Engine::Criu, None));
    assert_eq!(shown(&profile), ["file-locks", "tcp-established", "timeout 7"]);
    assert_eq!(profile.config_files, ["/etc/criu/default.conf", "/home/me/.criu/default.conf"]);
    assert_eq!(profile.config_line_file, None);
    assert_eq!(profile.notes, ["`tree 7` plays no part in the prediction"]);

    let paged = host.profile(&pasted(&["--page-server"]), &mut facts(Engine::Criu, None));
    assert!(paged.notes[0].starts_with("`page-server`: its other end has to be there"), "{:?}", paged.notes);

    host.file("srv/own.conf", "link-remap\n");
    let own = host.profile(&pasted(&["--config", "/srv/own.conf"]), &mut facts(Engine::Criu, None));
    assert_eq!(shown(&own), ["link-remap"]);
    let none = host.profile(&pasted(&["--no-default-config"]), &mut facts(Engine::Criu, None));
    assert!(none.options.is_empty());
}

#[test]
fn options_are_taken_with_or_without_dashes_and_wrong_ones_are_named() {
    let one = |text: &str| {
        let ask = ProfileAsk { criu_options: vec![text.into()], ..ProfileAsk::default() };
        build(&ask, &facts(Engine::Criu, None)).map(|profile| shown(&profile)).map_err(|error| error.to_string())
    };
    for text in ["external unix[4711]", "external=unix[4711]", "--external unix[4711]", "--external=unix[4711]"] {
        assert_eq!(one(text).unwrap(), ["external unix[4711]"], "{text}");
    }
    assert_eq!(one("tcp-established").unwrap(), ["tcp-established"]);
    assert_eq!(one("-j").unwrap(), ["shell-job"]);
    assert_eq!(one("manage-cgroups full").unwrap(), ["manage-cgroups full"]);
    assert_eq!(one("ghost-limit=64M").unwrap(), ["ghost-limit 64M"]);
    for (text, part) in [
        ("tcp-establised", "did you mean `tcp-established`"),
        ("ghost-limit", "needs a value"),
        ("tcp-established=1", "takes no value"),
        ("manage-cgroups=some", "takes none, props, soft"),
        ("inherit-fd fd[1]:x", "refuses"),
        ("", "is no option"),
        ("\u{1b}[2J", "\\u{1b}"),
    ] {
        let said = one(text).unwrap_err();
        assert!(said.contains(part), "{text:?}: {said}");
    }
    for (text, option, note) in [
        ("ghost-limit 64m", "ghost-limit 64", "takes this for 64"),
        ("timeout soon", "timeout soon", "for none"),
        ("external 4711", "external 4711", "TYPE[ID]"),
    ] {
        let ask = ProfileAsk { criu_options: vec![text.into()], ..ProfileAsk::default() };
        let profile = build(&ask, &facts(Engine::Criu, None)).unwrap();
        assert_eq!(shown(&profile), [option]);
        assert!(profile.notes[0].contains(note), "{:?}", profile.notes);
    }
    let stray = build(&pasted(&["--manage-cgroups", "full"]), &facts(Engine::Criu, None)).unwrap_err();
    assert!(stray.to_string().contains("`full` belongs to no option"));
}

#[test]
fn an_option_newer_than_the_release_is_an_error_by_flag_and_stops_criu_in_a_file() {
    let host = Host::new();
    let ask =
        ProfileAsk { criu: Some("4.1".into()), criu_options: vec!["allow-uprobes".into()], ..ProfileAsk::default() };
    let said = build(&ask, &facts(Engine::Criu, None)).unwrap_err().to_string();
    assert!(said.contains("CRIU 4.1 does not know `allow-uprobes`, 4.2 is the first"), "{said}");
    host.file("etc/criu/runc.conf", "allow-uprobes\ntcp-establised\n");
    let ask = ProfileAsk { criu: Some("4.1".into()), ..ProfileAsk::default() };
    let profile = host.profile(&ask, &mut facts(Engine::Runc, Some(container(Engine::Runc))));
    assert_eq!(profile.config_errors.len(), 2, "{:?}", profile.config_errors);
    assert!(profile.config_errors.iter().all(|error| error.starts_with("/etc/criu/runc.conf: ")));
}

#[test]
fn a_named_release_is_ideal_and_a_wrong_name_is_said() {
    let ask = ProfileAsk { criu: Some("4.0".into()), criu_features: vec!["pidfd".into()], ..ProfileAsk::default() };
    let profile = build(&ask, &facts(Engine::Criu, None)).unwrap();
    assert_eq!(
        (profile.criu.version, &profile.criu.state, &profile.caller),
        (Some(Version::new(4, 0, 0)), &None, &None)
    );
    assert_eq!(profile.criu.features, ["compat", "nftables", "pidfd"]);
    let wrong = ProfileAsk { criu: Some("newest".into()), ..ProfileAsk::default() };
    assert!(
        build(&wrong, &facts(Engine::Criu, None)).unwrap_err().to_string().contains("neither a release nor a path")
    );
    let path = ProfileAsk { criu: Some("/opt/criu".into()), ..ProfileAsk::default() };
    assert!(build(&path, &facts(Engine::Criu, None)).unwrap_err().to_string().contains("was not looked at"));
}

#[test]
fn the_criu_of_a_docker_container_is_that_on_the_path_of_its_shim() {
    let host = Host::new();
    let theirs = host.criu("daemon/bin", "Version: 4.2\\n");
    let ours = host.criu("user/bin", "Version: 4.1.1\\nGitID: v4.1-7-gabc\\n");
    host.file("proc/30/cmdline", &format!("containerd-shim-runc-v2\0-namespace\0moby\0-id\0{ID}\0"));
    host.file(
        "proc/30/status",
        "State:\tS\nTgid:\t30\nTracerPid:\t0\nNSpid:\t30\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t000000000000001f\nSeccomp:\t2\n",
    );
    host.file("proc/30/environ", &format!("HOME=/root\0PATH=/none:{theirs}:{ours}\0"));
    let here = host.surroundings(&[("PATH", &ours)]);
    let observed = |engine| {
        let mut facts = facts(engine, Some(container(engine)));
        observe_in(&here, &ProfileAsk::default(), &mut facts).unwrap();
        build(&ProfileAsk::default(), &facts).unwrap()
    };
    let docker = observed(Engine::Docker);
    assert_eq!(docker.criu.state, Some(CriuState::Runs { version: Version::new(4, 2, 0), git_id: None }));
    assert_eq!(docker.criu.from, "PATH of containerd-shim-runc-v2 (pid 30)");
    let caller = docker.caller.unwrap();
    assert_eq!((caller.capabilities, caller.seccomp), (0x1f, 2));
    let runc = observed(Engine::Runc);
    assert_eq!(runc.criu.path, Some(format!("{ours}/criu")));
    assert!(matches!(runc.criu.state, Some(CriuState::Runs { git_id: Some(id), .. }) if id == "v4.1-7-gabc"));
}

#[test]
fn a_criu_that_is_missing_fails_hangs_or_is_not_roots_is_a_state_and_never_run_blindly() {
    let host = Host::new();
    let state = |dir: &str| {
        let mut facts = facts(Engine::Criu, None);
        observe_in(&host.surroundings(&[("PATH", dir)]), &ProfileAsk::default(), &mut facts).unwrap();
        let gaps = facts.gaps.iter().filter(|gap| gap.area == Area::Criu).count();
        (facts.host.criu.unwrap().state, gaps)
    };
    assert_eq!(state("/none"), (CriuState::Missing, 0));
    assert_eq!(state(""), (CriuState::Missing, 0));
    assert!(matches!(state(&host.criu("bad", "usage")), (CriuState::Unusable(_), _)));
    let loose = host.criu("loose", "Version: 4.2\\n");
    fs::set_permissions(host.path("loose/criu"), fs::Permissions::from_mode(0o757)).unwrap();
    assert!(matches!(state(&loose), (CriuState::NotRun(why), 1) if why.contains("others than root")));
    host.file("hang/criu", "#!/bin/sh\n/bin/sleep 60\n");
    fs::set_permissions(host.path("hang/criu"), fs::Permissions::from_mode(0o755)).unwrap();
    let started = std::time::Instant::now();
    assert!(
        matches!(state(host.path("hang").to_str().unwrap()), (CriuState::NotRun(why), _) if why.contains("two seconds"))
    );
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn a_recording_is_judged_without_a_look_at_this_host() {
    let host = Host::new();
    host.file("etc/criu/runc.conf", "tcp-established\n");
    let bin = host.criu("bin", "Version: 4.2\\n");
    let mut recorded = facts(Engine::Runc, Some(container(Engine::Runc)));
    observe_in(&host.surroundings(&[("PATH", &bin)]), &ProfileAsk::default(), &mut recorded).unwrap();
    let there = build(&ProfileAsk::default(), &recorded).unwrap();
    let json = serde_json::to_string(&recorded).unwrap();
    drop(host);
    let replayed: Facts = serde_json::from_str(&json).unwrap();
    assert_eq!(build(&ProfileAsk::default(), &replayed).unwrap(), there);
    assert!(has(&there, "tcp-established"));
}

#[test]
fn a_config_file_that_cannot_be_read_is_a_gap_and_a_foreign_one_is_not_quoted() {
    let host = Host::new();
    host.file("etc/criu/runc.conf", &"# filler\n".repeat(40_000));
    let mut runc = facts(Engine::Runc, Some(container(Engine::Runc)));
    host.profile(&ProfileAsk::default(), &mut runc);
    assert_eq!(runc.gaps.len(), 1);
    assert_eq!((runc.gaps[0].area, runc.gaps[0].path.as_str()), (Area::Config, Some("/etc/criu/runc.conf")));
    fs::create_dir_all(host.path("etc/criu/default.conf")).unwrap();
    symlink("/dev/null", host.path("etc/null")).unwrap();
    let empty = ContainerFacts { criu_config_annotation: Some("/etc/null".into()), ..container(Engine::Runc) };
    let mut empty = facts(Engine::Runc, Some(empty));
    host.profile(&ProfileAsk::default(), &mut empty);
    assert_eq!(empty.gaps, [], "CRIU reads nothing there either");

    host.file("home/me/.criu/default.conf", &"# filler\n".repeat(40_000));
    let mut bare = facts(Engine::Criu, None);
    host.profile(&ProfileAsk::default(), &mut bare);
    assert!(bare.gaps[0].reason.contains("larger than the 256 KiB"), "{:?}", bare.gaps);

    host.file("etc/shadow", "root:$6$secret:1::\n");
    symlink("shadow", host.path("etc/link")).unwrap();
    let nosy = ContainerFacts { criu_config_annotation: Some("/etc/link".into()), ..container(Engine::Runc) };
    let mut nosy = facts(Engine::Runc, Some(nosy));
    let profile = host.profile(&ProfileAsk::default(), &mut nosy);
    assert!(!serde_json::to_string(&nosy).unwrap().contains("secret"));
    assert_eq!(profile.config_errors.len(), 1);
}

#[test]
fn a_pasted_config_file_is_looked_for_where_the_lint_was_started() {
    let host = Host::new();
    let here = std::env::current_dir().unwrap().join("my.conf");
    host.file(here.strip_prefix("/").unwrap().to_str().unwrap(), "file-locks\n");
    let profile = host.profile(&pasted(&["--config", "my.conf"]), &mut facts(Engine::Criu, None));
    assert_eq!(shown(&profile), ["file-locks"]);
    let missing = host.profile(&pasted(&["--config", "other.conf"]), &mut facts(Engine::Criu, None));
    assert!(shown(&missing).is_empty() && missing.notes[0].contains("passes over it"), "{:?}", missing.notes);
}

#[test]
fn config_files_count_from_3_11_on() {
    let host = Host::new();
    host.file("etc/criu/default.conf", "file-locks\n");
    let with = |release: &str| {
        let ask = ProfileAsk { criu: Some(release.into()), ..ProfileAsk::default() };
        shown(&host.profile(&ask, &mut facts(Engine::Criu, None)))
    };
    assert_eq!((with("3.10"), with("3.11")), (vec![], vec!["file-locks".to_owned()]));
}

#[test]
fn plugins_are_those_of_the_directory_that_this_criu_loads() {
    let host = Host::new();
    let dir = host.criu("usr/sbin", "Version: 4.2\\n");
    host.file("usr/lib/criu/amdgpu_plugin.so", "");
    host.file("plugins/cuda_plugin.so", "");
    let features = |words: &[&str]| {
        let ask = ProfileAsk { criu: Some(format!("{dir}/criu")), ..pasted(words) };
        host.profile(&ask, &mut facts(Engine::Criu, None)).criu.features
    };
    assert_eq!(features(&[]), ["amdgpu-plugin", "compat", "nftables"]);
    assert_eq!(features(&["--libdir", "/plugins"]), ["compat", "cuda-plugin", "nftables"]);
}

/// A docker container in a network namespace of its own making, with mounts of every kind.
fn facts_with_mounts() -> Facts {
    let mount = |point: &str, fs_type: &str, root: &str| Mount {
        mount_point: point.into(),
        fs_type: fs_type.into(),
        root: root.into(),
        ..Mount::default()
    };
    let spec = |destination: &str, fs_type: &str| SpecMount {
        destination: destination.into(),
        fs_type: fs_type.into(),
        source: "x".into(),
    };
    let made = ContainerFacts {
        mounts: vec![spec("/data", "bind"), spec("/tmp", "tmpfs"), spec("/sys/fs/cgroup", "cgroup")],
        masked_paths: vec!["/proc/keys".into(), "/proc/acpi".into(), "/proc/gone".into()],
        devices: vec!["/dev/null".into()],
        joined_namespaces: [("net".to_owned(), "/run/netns/a".into())].into(),
        freezer_cgroup: Some("/sys/fs/cgroup/freezer/a".into()),
        ..container(Engine::Docker)
    };
    let mut facts = facts(Engine::Docker, Some(made));
    let namespaces = Namespaces { net: Some(42), cgroup: Some(7), ..Namespaces::default() };
    facts.host.namespaces.cgroup = Some(7);
    facts.processes = vec![Process { namespaces, ..Process::default() }];
    let mounts = vec![
        mount("/sys/fs/cgroup", "tmpfs", "/"),
        mount("/sys/fs/cgroup/freezer", "cgroup", "/a"),
        mount("/proc/keys", "tmpfs", "/null"),
        mount("/proc/acpi", "tmpfs", "/"),
    ];
    facts.mount_namespaces = vec![MountNamespace { id: 1, pid: 1, mounts, closed: Vec::new() }];
    facts
}

#[test]
fn runc_declares_binds_masked_files_devices_and_joined_namespaces_external() {
    let facts = facts_with_mounts();
    let profile = build(&ProfileAsk::default(), &facts).unwrap();
    assert_eq!(
        shown(&profile),
        [
            "empty-ns net",
            "external mnt[/data]:/data",
            "external mnt[/dev/null]:/dev/null",
            "external mnt[/proc/keys]:/dev/null",
            "external mnt[/sys/fs/cgroup/freezer]:/sys/fs/cgroup/freezer",
            "external net[42]:extRootNetNS",
            "freeze-cgroup /sys/fs/cgroup/freezer/a",
            "manage-cgroups soft",
            "orphan-pts-master"
        ]
    );
    let bare = build(&ProfileAsk { engine: Some(Engine::Criu), ..ProfileAsk::default() }, &facts).unwrap();
    assert!(bare.options.is_empty());
}
