//! From a name to a process, on made-up proc and state trees: what is found, what is refused, and what is said.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, reason = "a test program: what goes wrong here fails the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ckpt_lint::error::Error;
use ckpt_lint::facts::{Engine, Target};
use ckpt_lint::target::{Ask, Roots, resolve_in};
use serde_json::{Value, json};

const WEB: &str = "3f2a91c04d11aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SHOP: &str = "3f2b00000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A made-up host in a temporary folder.
struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        for dir in ["proc", "run/runc", "run/docker", "data/containers"] {
            fs::create_dir_all(host.path(dir)).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn roots(&self) -> Roots {
        Roots {
            proc: self.path("proc"),
            runc: vec![self.path("run/runc")],
            docker_exec: self.path("run/docker"),
            docker_data: self.path("data"),
        }
    }

    fn process(&self, pid: i32, args: &[&str], start_time: u64) -> PathBuf {
        let dir = self.path("proc").join(pid.to_string());
        fs::create_dir_all(&dir).unwrap();
        let zeros = "0 ".repeat(18);
        fs::write(dir.join("stat"), format!("{pid} (a) b) S {zeros}{start_time} 0")).unwrap();
        fs::write(dir.join("status"), format!("Name:\ta\nTgid:\t{pid}\nNSpid:\t{pid}\nUid:\t0\t0\t0\t0\n")).unwrap();
        fs::write(dir.join("cmdline"), args.join("\0") + "\0").unwrap();
        fs::write(dir.join("cgroup"), "0::/\n").unwrap();
        dir
    }

    /// A running runc container.
    fn runc(&self, id: &str, pid: i32) -> PathBuf {
        self.process(pid, &["sh"], 77);
        self.state(&self.path("run/runc").join(id), &state(id, pid, 77))
    }

    fn state(&self, dir: &Path, state: &Value) -> PathBuf {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("state.json"), state.to_string()).unwrap();
        dir.join("state.json")
    }

    /// A running docker container: its shim, bundle, runtime state and configuration.
    fn docker(&self, id: &str, name: &str, shim: i32, pid: i32) {
        self.stopped_docker(id, name);
        let bundle = self.path("bundles").join(id);
        fs::create_dir_all(&bundle).unwrap();
        let hostname = self.path("data/containers").join(id).join("hostname");
        let spec =
            json!({"mounts": [{"destination": "/etc/hostname", "source": hostname}], "process": {"terminal": true}});
        fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
        let root = self.path("elsewhere/runtime-runc");
        fs::write(bundle.join("options.json"), json!({"binary_name": "runc", "root": root}).to_string()).unwrap();
        let args = ["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", id, "-address", "/x.sock"];
        symlink(&bundle, self.process(shim, &args, 5).join("cwd")).unwrap();
        self.process(pid, &["sh"], 78);
        let mut state = state(id, pid, 78);
        state["config"]["labels"] = json!([format!("bundle={}", bundle.display())]);
        self.state(&root.join("moby").join(id), &state);
    }

    fn stopped_docker(&self, id: &str, name: &str) {
        let folder = self.path("data/containers").join(id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.v2.json"), json!({"ID": id, "Name": format!("/{name}")}).to_string()).unwrap();
    }

    fn ask(&self, text: &str) -> Result<Target, Error> {
        resolve_in(&self.roots(), &Ask::Container { text: text.into(), engine: None })
    }

    fn ask_pid(&self, pid: i32, engine: Option<Engine>) -> Result<Target, Error> {
        resolve_in(&self.roots(), &Ask::Pid { pid, engine })
    }

    /// What a person reads when it does not work.
    fn refusal(&self, text: &str) -> String {
        said(&self.ask(text).unwrap_err())
    }
}

fn said(error: &Error) -> String {
    format!("{error} [{}]", error.hint.clone().unwrap_or_default())
}

fn state(id: &str, pid: i32, start: u64) -> Value {
    json!({
        "id": id, "init_process_pid": pid, "init_process_start": start,
        "cgroup_paths": {"freezer": format!("/sys/fs/cgroup/freezer/{id}")},
        "config": {
            "rootfs": "/nowhere", "version": "1.0.2-dev",
            "labels": ["org.criu.config=/etc/criu/mine.conf", "bundle=/b"],
            "mounts": [{"source": "/srv", "destination": "/data", "device": "bind", "flags": 4096}],
            "mask_paths": ["/proc/keys"], "devices": [{"path": "/dev/null"}],
            "namespaces": [{"type": "NEWNET", "path": "/run/netns/a"}, {"type": "NEWNS", "path": ""}]
        }
    })
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} not all in: {text}");
}

#[test]
fn a_runc_container_is_found_by_id_and_prefix_with_what_its_state_says() {
    let host = Host::new();
    host.runc("web-1", 40);
    for text in ["web-1", "web", "runc:web-1"] {
        let target = host.ask(text).unwrap();
        assert_eq!((target.root, target.dumped_by), (40, Engine::Runc));
    }
    let container = host.ask("web-1").unwrap().container.unwrap();
    assert_eq!(container.criu_config_annotation.as_deref(), Some("/etc/criu/mine.conf"));
    assert_eq!(container.bundle.as_str(), Some("/b"));
    assert_eq!(container.mounts[0].destination.as_str(), Some("/data"));
    assert_eq!(container.masked_paths[0].as_str(), Some("/proc/keys"));
    assert_eq!(container.joined_namespaces.keys().collect::<Vec<_>>(), ["net"]);
    assert_eq!(container.freezer_cgroup.unwrap().as_str(), Some("/sys/fs/cgroup/freezer/web-1"));
    assert_eq!(container.runtime_version.unwrap().to_string(), "1.1");
}

#[test]
fn a_docker_container_is_found_by_full_id_name_and_prefix() {
    let host = Host::new();
    host.docker(WEB, "web", 30, 40);
    host.docker(SHOP, "shop", 31, 41);
    for (text, root) in [(WEB, 40), ("web", 40), ("3f2a", 40), ("docker:shop", 41), ("3f2b", 41)] {
        let target = host.ask(text).unwrap();
        assert_eq!((target.root, target.dumped_by), (root, Engine::Docker), "{text}");
    }
    let container = host.ask("web").unwrap().container.unwrap();
    assert_eq!((container.name.as_deref(), container.terminal), (Some("web"), true));
    assert!(container.bundle.as_str().unwrap().ends_with(WEB));
    assert_says(
        &host.refusal("3f2"),
        &["means 2 containers", "docker:web (3f2a91c04d11)", "docker:shop (3f2b00000000)"],
    );
}

#[test]
fn the_name_of_a_docker_container_with_an_unknown_data_folder_is_found_by_its_hostname_mount() {
    let host = Host::new();
    host.docker(WEB, "web", 30, 40);
    let roots = Roots { docker_data: host.path("other"), ..host.roots() };
    let target = resolve_in(&roots, &Ask::Container { text: "web".into(), engine: None }).unwrap();
    assert_eq!(target.root, 40);
}

#[test]
fn one_name_in_two_engines_is_asked_back_unless_the_engine_is_said() {
    let host = Host::new();
    host.runc("web", 50);
    host.docker(WEB, "web", 30, 40);
    assert_says(
        &host.refusal("web"),
        &["`web` means 2 containers", "runc:web, docker:web (3f2a91c04d11)", "ENGINE:NAME"],
    );
    assert_eq!(host.ask("docker:web").unwrap().root, 40);
    assert_eq!(host.ask("runc:web").unwrap().root, 50);
    let ask = Ask::Container { text: "web".into(), engine: Some(Engine::Docker) };
    assert_eq!(resolve_in(&host.roots(), &ask).unwrap().root, 40);
    host.runc("3f2a91-copy", 52);
    assert_says(&host.refusal("3f2a91"), &["runc:3f2a91-copy, docker:web (3f2a91c04d11)"]);
}

#[test]
fn a_container_that_is_not_there_is_said_with_those_that_are() {
    let host = Host::new();
    assert_says(&host.refusal("web"), &["no container `web`", "no runc or docker container is here", "--pid"]);
    host.runc("shop", 50);
    host.docker(WEB, "web", 30, 40);
    assert_says(&host.refusal("wob"), &["no container `wob`", "runc:shop, docker:web (3f2a91c04d11)"]);
    assert_says(&host.refusal("1234"), &["--pid 1234"]);
    assert_says(&host.refusal(""), &["no container named"]);
    assert_says(&host.refusal("docker:"), &["no container named"]);
    (0..30).for_each(|n| drop(host.runc(&format!("many-{n}"), 100 + n)));
    assert_says(&host.refusal("wob"), &["22 more"]);
    assert_says(&host.refusal("a\u{1b}[2Jb"), &["\\u{1b}"]);
}

#[test]
fn a_container_that_does_not_run_is_no_target() {
    let host = Host::new();
    host.stopped_docker(WEB, "web");
    assert_says(&host.refusal("web"), &["docker:web (3f2a91c04d11) is not running"]);
    host.runc("gone", 60);
    fs::remove_dir_all(host.path("proc/60")).unwrap();
    assert_says(&host.refusal("gone"), &["runc:gone is not running", "process 60, is gone"]);
    host.runc("ended", 61);
    let stat = fs::read_to_string(host.path("proc/61/stat")).unwrap().replace(") S ", ") Z ");
    fs::write(host.path("proc/61/stat"), stat).unwrap();
    assert_says(&host.refusal("ended"), &["runc:ended is not running"]);
    let state = host.runc("created", 62);
    fs::write(state.with_file_name("exec.fifo"), "").unwrap();
    assert_says(&host.refusal("created"), &["created but not started"]);
}

#[test]
fn a_reused_pid_is_never_taken_for_the_container() {
    let host = Host::new();
    let state = host.runc("web", 40);
    host.process(40, &["someone-else"], 9999);
    assert_says(&host.refusal("web"), &["is stale: process 40 is another one", state.to_str().unwrap()]);
}

#[test]
fn a_broken_state_file_is_named_and_hinders_nobody_else() {
    let host = Host::new();
    host.runc("good", 40);
    let broken = [
        ("cut", r#"{"id": "cut", "init_process_pid": 40"#.to_owned(), "is broken"),
        ("text", state("text", 40, 77).to_string().replace("77", "\"77\""), "is broken"),
        ("empty", String::new(), "is broken"),
        ("deep", "[".repeat(100_000), "is broken"),
        ("huge", " ".repeat(5 << 20), "larger than any state file"),
        ("other", state("good", 40, 77).to_string(), "is of another container, `good`"),
        ("zero", state("zero", 0, 77).to_string(), "names no process"),
        ("minus", state("minus", -1, 77).to_string(), "names no process"),
    ];
    for (id, text, why) in broken {
        let file = host.state(&host.path("run/runc").join(id), &Value::Null);
        fs::write(&file, text).unwrap();
        assert_says(&host.refusal(id), &[&format!("runc:{id}"), file.to_str().unwrap(), why]);
        assert_eq!(host.ask("good").unwrap().root, 40);
        assert!(host.ask_pid(40, None).unwrap().container.is_some());
    }
}

#[test]
fn links_and_odd_names_among_the_state_are_not_followed() {
    let host = Host::new();
    let real = host.runc("real", 40);
    fs::create_dir(host.path("run/runc/linked")).unwrap();
    symlink(&real, host.path("run/runc/linked/state.json")).unwrap();
    assert_says(&host.refusal("linked"), &["state.json: is a symbolic link"]);
    symlink(host.path("run/runc/real"), host.path("run/runc/alias")).unwrap();
    assert_says(&host.refusal("alias"), &["no container `alias`"]);
    fs::create_dir(host.path("run/runc/\u{1b}[31mred")).unwrap();
    fs::create_dir(host.path("run/runc").join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff")))
        .unwrap();
    assert!(!host.refusal("none").contains("red"));
    for text in ["../runc/real", "/", "real/", ".", "..", "real\0"] {
        assert!(host.ask(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_process_that_poses_as_a_shim_is_not_believed() {
    let host = Host::new();
    host.docker(WEB, "web", 30, 40);
    let status = host.path("proc/30/status");
    let honest = fs::read_to_string(&status).unwrap();
    fs::write(&status, honest.replace("Uid:\t0\t0", "Uid:\t1000\t54321")).unwrap();
    assert_says(&host.refusal("web"), &["is not running"]);
    fs::write(&status, honest.replace("NSpid:\t30", "NSpid:\t30\t7")).unwrap();
    assert_says(&host.refusal("web"), &["is not running"]);
    fs::write(&status, honest).unwrap();
    assert_eq!(host.ask("web").unwrap().root, 40);
}

#[test]
fn a_root_of_ones_own_is_found_by_the_runc_that_waits_there() {
    let host = Host::new();
    let root = host.path("mine");
    host.process(50, &["sh"], 77);
    host.state(&root.join("own"), &state("own", 50, 77));
    assert!(host.ask("own").is_err());
    host.process(49, &["runc", "--root", root.to_str().unwrap(), "run", "own"], 1);
    assert_eq!(host.ask("own").unwrap().root, 50);
}

#[test]
fn a_pid_is_bare_criu_and_labelled_with_its_container() {
    let host = Host::new();
    host.docker(WEB, "web", 30, 40);
    let init = host.ask_pid(40, None).unwrap();
    assert_eq!((init.root, init.dumped_by), (40, Engine::Criu));
    assert_eq!(init.container.unwrap().name.as_deref(), Some("web"));
    assert_eq!(host.ask_pid(40, Some(Engine::Docker)).unwrap().dumped_by, Engine::Docker);

    for (pid, line) in [(41, format!("0::/docker/{WEB}\n")), (42, format!("0::/system.slice/docker-{WEB}.scope\n"))] {
        let inside = host.process(pid, &["worker"], 80);
        fs::write(inside.join("cgroup"), line).unwrap();
        assert_eq!(host.ask_pid(pid, None).unwrap().container.unwrap().id, WEB);
    }
    let error = host.ask_pid(41, Some(Engine::Docker)).unwrap_err();
    assert_says(&said(&error), &["41 is not the init of its container", "process 40"]);

    host.process(50, &["host"], 1);
    assert_eq!(host.ask_pid(50, None).unwrap().container, None);
    let error = host.ask_pid(50, Some(Engine::Runc)).unwrap_err();
    assert_says(&said(&error), &["50 is in no container that runc has", "criu dump"]);
    host.runc("shop", 60);
    let error = host.ask_pid(60, Some(Engine::Docker)).unwrap_err();
    assert_says(&said(&error), &["docker does not know runc:shop", "--container runc:shop"]);
}

#[test]
fn what_is_no_process_is_said_so() {
    let host = Host::new();
    let thread = host.process(71, &["a"], 1);
    let status = fs::read_to_string(thread.join("status")).unwrap().replace("Tgid:\t71", "Tgid:\t70");
    fs::write(thread.join("status"), status).unwrap();
    assert_says(&said(&host.ask_pid(71, None).unwrap_err()), &["71 is a thread of process 70", "--pid 70"]);
    assert_says(&said(&host.ask_pid(99, None).unwrap_err()), &["no process 99"]);
    assert_says(&said(&host.ask_pid(0, None).unwrap_err()), &["0 is no process id"]);
    assert_says(&said(&host.ask_pid(-7, None).unwrap_err()), &["-7 is no process id"]);
}

#[test]
fn bare_criu_may_dump_a_container_but_docker_only_its_own() {
    let host = Host::new();
    host.runc("web", 40);
    let ask = |engine| Ask::Container { text: "web".into(), engine: Some(engine) };
    assert_eq!(resolve_in(&host.roots(), &ask(Engine::Criu)).unwrap().dumped_by, Engine::Criu);
    assert_says(
        &said(&resolve_in(&host.roots(), &ask(Engine::Docker)).unwrap_err()),
        &["docker does not know runc:web"],
    );
}
