//! Real runc and docker containers: found by any name they have, and predicted as their engine then does it.
//!
//! Needs root and what `tests/setup.sh` sets up. The daemon is the test's own: data, state and socket in a temporary
//! folder, no network rules. `/etc/criu/runc.conf` is host-wide: while it is changed no other test here runs.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, reason = "a test program: what goes wrong here fails the test")]

mod dockerd;
mod parts;
mod runc;

use dockerd::Dockerd;
use parts::{Lint, RuncConf, Verify, alone};
use runc::Runc;

/// A program that holds nothing in the way, and two that do.
const CLEAN: &str = "lock-released";
const LOCK: (&str, &str) = ("lock-flock", "file-locks");
const TCP: (&str, &str) = ("tcp-established", "tcp-established");

#[test]
fn docker_containers_are_found_by_id_prefix_and_name() {
    let _alone = alone();
    let docker = Dockerd::start();
    let id = docker.run(CLEAN, CLEAN);
    let pid = docker.pid(CLEAN);
    for text in [id.as_str(), &id[..12], &id[..5], CLEAN, &format!("docker:{CLEAN}")] {
        let lint = Lint::container(text);
        assert_eq!(lint.root_pid(), pid, "{text}");
        assert_eq!(lint.json["target"]["container"]["name"], CLEAN);
        assert_eq!(lint.json["profile"]["engine"], "docker");
    }
    let same_name = Runc::start(CLEAN, CLEAN, None);
    let said = Lint::refusal(CLEAN);
    assert!(said.contains(&format!("runc:{CLEAN}, docker:{CLEAN} ({})", &id[..12])), "{said}");
    assert_eq!(Lint::container(&format!("docker:{CLEAN}")).root_pid(), pid);
    assert_eq!(Lint::container(&format!("runc:{CLEAN}")).root_pid(), same_name.pid());
    assert_eq!(Lint::container(&same_name.prefix()).root_pid(), same_name.pid());

    docker.command(&["stop", "-t", "0", CLEAN]);
    let said = Lint::refusal(&id);
    assert!(said.contains("is not running"), "{said}");
}

#[test]
fn docker_does_what_was_predicted() {
    let _alone = alone();
    let docker = Dockerd::start();
    docker.run(CLEAN, CLEAN);
    let clean = Lint::container(CLEAN);
    assert_eq!(clean.verdict(), "ready", "{clean:?}");
    assert!(clean.json["profile"]["criu"]["found_by"].as_str().unwrap().starts_with("PATH of containerd-shim-runc-v2"));
    docker.checkpoint(CLEAN).expect("docker checkpoints what is ready");
    for (program, option) in [LOCK, TCP] {
        docker.run(program, program);
        let before = Lint::container(program);
        assert_eq!((before.verdict(), before.code), ("ready-with-options", 1), "{before:?}");
        assert_eq!(before.rules().len(), 1, "{before:?}");
        let plan = Lint::human(program);
        assert!(plan.contains("/etc/criu/runc.conf") && plan.contains(option), "{plan}");
        docker.checkpoint(program).expect_err("docker sends no permission");

        let _line = RuncConf::write(&format!("{option}\n"));
        let after = Lint::container(program);
        assert_eq!((after.verdict(), after.code), ("ready", 0), "{after:?}");
        docker.checkpoint(program).expect("the line in runc.conf lifts it");
    }
}

#[test]
fn runc_does_what_was_predicted() {
    let _alone = alone();
    let clean = Runc::start("ckpt-lint-clean", CLEAN, None);
    assert_eq!(Lint::container("ckpt-lint-clean").verdict(), "ready");
    clean.checkpoint(&[]).expect("runc checkpoints what is ready");
    let stale = clean.copy_of_state();
    drop(clean);
    stale.put_back();
    let said = Lint::refusal("ckpt-lint-clean");
    assert!(said.contains("is not running"), "{said}");
    drop(stale);

    for (program, option) in [LOCK, TCP] {
        let plain = Runc::start("ckpt-lint-plain", program, None);
        let before = Lint::container("ckpt-lint-plain");
        assert_eq!(before.verdict(), "ready-with-options", "{before:?}");
        plain.checkpoint(&[]).expect_err("runc sends no permission by itself");
        let flag = Lint::with(&["--container", "ckpt-lint-plain", "--criu-option", option]);
        assert_eq!(flag.verdict(), "ready", "{flag:?}");
        plain.checkpoint(&[&format!("--{option}")]).expect("runc's own flag lifts it");
        {
            let _line = RuncConf::write("# nothing\n");
            let annotated = Runc::start("ckpt-lint-annotated", program, Some(option));
            assert_eq!(Lint::container("ckpt-lint-annotated").verdict(), "ready");
            annotated.checkpoint(&[]).expect("the annotation's file lifts it");
        }
    }
}

#[test]
fn verify_does_by_runc_what_the_lint_says_that_it_does() {
    let _alone = alone();
    let _clean = Runc::start("ckpt-lint-clean", CLEAN, None);
    let name = ["--container", "ckpt-lint-clean"];
    let dumped = Verify::with(&name);
    assert_eq!((dumped.agreement(), dumped.code), ("dumped", 0), "{dumped:?}");
    assert!(dumped.command().contains("runc --root /run/runc checkpoint --leave-running "), "{dumped:?}");
    let _conf = RuncConf::write("# nothing\n");
    let said = Verify::refusal(&[&name[..], &["--", "--ghost-limit", "2M"]].concat());
    assert!(said.contains("put `ghost-limit 2M` into /etc/criu/runc.conf"), "{said}");

    let (program, option) = LOCK;
    let _lock = Runc::start("ckpt-lint-lock", program, None);
    let name = ["--container", "ckpt-lint-lock"];
    let refused = Verify::with(&name);
    assert_eq!((refused.agreement(), refused.code), ("refused", 0), "{refused:?}");
    let flag = format!("--{option}");
    let lifted = Verify::with(&[&name[..], &["--", &flag]].concat());
    assert_eq!((lifted.agreement(), lifted.code), ("dumped", 0), "{lifted:?}");
    assert!(lifted.command().contains(&flag), "{lifted:?}");
}

#[test]
fn verify_does_without_dockerd_what_docker_does() {
    let _alone = alone();
    let docker = Dockerd::start();
    let (program, option) = LOCK;
    docker.run(program, program);
    let name = format!("docker:{program}");
    let refused = Verify::with(&["--container", &name]);
    assert_eq!((refused.agreement(), refused.code), ("refused", 0), "{refused:?}");
    assert!(refused.json["remarks"][0].as_str().unwrap().contains("without the daemon"), "{refused:?}");
    let said = Verify::refusal(&["--container", &name, "--criu-option", option]);
    assert!(said.contains("into /etc/criu/runc.conf"), "{said}");
    let _line = RuncConf::write(&format!("{option}\n"));
    let lifted = Verify::with(&["--container", &name]);
    assert_eq!((lifted.agreement(), lifted.code), ("dumped", 0), "{lifted:?}");
    docker.checkpoint(program).expect("it can still be dumped by docker itself");
}

#[test]
fn a_config_file_that_criu_refuses_is_found_before_it_fails() {
    let _alone = alone();
    let clean = Runc::start("ckpt-lint-clean", CLEAN, None);
    let _line = RuncConf::write("tcp-establised\n");
    let lint = Lint::container("ckpt-lint-clean");
    assert_eq!((lint.verdict(), lint.rules()), ("blocked", vec!["criu-config-refused".to_owned()]));
    let seen = Verify::with(&["--container", "ckpt-lint-clean"]);
    assert_eq!((seen.agreement(), seen.code), ("refused", 0), "{seen:?}");
    clean.checkpoint(&[]).expect_err("criu does not know the option");
}
