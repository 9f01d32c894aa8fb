//! The program as its user meets it: what it prints where, and its exit code.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "what goes wrong here fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ckpt_lint::facts::{Facts, Fd, Host, Process, Target};
use ckpt_lint::recording;

fn ckpt_lint(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ckpt-lint")).args(args).env_clear().stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The one message on stderr of a run that gave no answer.
fn refused(args: &[&str]) -> String {
    let output = ckpt_lint(args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
    assert_eq!(message.matches("error: ").count(), 1, "{args:?}: {message}");
    assert!(!message.contains("panic") && !message.contains("bug"), "{args:?}: {message}");
    message
}

/// A process with an open file that nothing can dump, and one with nothing special.
fn facts(link: &str) -> Facts {
    let fd = Fd { number: 3, link: link.into(), ..Fd::default() };
    let args = vec!["/usr/bin/prog".into(), "--password=secret".into()];
    let alone = Process { pid: 42, pgid: 42, sid: 42, ns_sid: 42, ns_pids: vec![42], state: 'S', ..Process::default() };
    let process = Process { comm: "prog".into(), fds: vec![fd], args, ..alone };
    let host = Host { kernel_release: "6.1.0".into(), architecture: "x86_64".into(), ..Host::default() };
    Facts { target: Target { root: 42, ..Target::default() }, host, processes: vec![process], ..Facts::default() }
}

fn in_folder(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn help_fits_a_screen_and_has_examples() {
    for flag in ["-h", "--help"] {
        let output = ckpt_lint(&[flag]);
        let help = stdout(&output);
        assert_eq!(output.status.code(), Some(0));
        assert!(help.lines().count() <= 24, "{help}");
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
        assert!(help.contains("Examples:\n  sudo ckpt-lint --container "), "{help}");
    }
}

#[test]
fn wrong_usage_is_one_message_and_exit_code_2() {
    let cases: [(&[&str], &str); 13] = [
        (&[], "--container"),
        (&["--container", "a", "--pid", "1"], "cannot be used with"),
        (&["--pid", "0"], "invalid value"),
        (&["--pid", "x"], "invalid value"),
        (&["--bogus"], "unexpected argument"),
        (&["--pid", "1", "--format", "yaml"], "human, json"),
        (&["--pid", "1", "-q", "-v"], "cannot be used with"),
        (&["--from", "x", "record"], "record"),
        (&["record", "--pid", "1"], "--output"),
        (&["rules", "--format", "xml"], "markdown"),
        (&["verify"], "--container"),
        (&["verify", "--pid", "1", "--from", "x"], "--from"),
        (&["verify", "--pid", "1", "--time-limit", "1h"], "90s, 2m"),
    ];
    for (args, expected) in cases {
        let message = refused(args);
        assert!(message.contains(expected), "{args:?}: {message}");
        assert_eq!(message.lines().count(), 2, "what is wrong, and what to do: {message}");
    }
}

#[test]
fn a_process_that_is_not_there_is_one_clear_error() {
    assert!(refused(&["--pid", "999999999"]).contains("999999999"));
}

#[test]
fn an_unknown_dump_option_is_an_error_and_not_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let recording = in_folder(folder.path(), "r", &recording::to_bytes(&facts("/dev/null")).unwrap());
    let message = refused(&["--from", &recording, "--criu", "4.2", "--", "--tcp-establishd"]);
    assert!(message.contains("tcp-established"), "{message}");
    assert!(refused(&["--from", &recording, "--criu", "four"]).contains("four"));
}

#[test]
fn a_recording_that_can_not_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let good = recording::to_bytes(&facts("/dev/null")).unwrap();
    let newer = br#"{"format": "ckpt-lint recording", "version": 2, "tool": "ckpt-lint 9.0.0", "facts": {}}"#;
    let deep = format!(r#"{{"format": "ckpt-lint recording", "version": 1, "facts": {}"#, "[".repeat(100_000));
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b' '), (1 << 28) + 2), 1).unwrap();
    let cases: [(&str, &[u8], &str); 8] = [
        ("newer", newer, "ckpt-lint 9.0.0 in version 2"),
        ("cut", &good[..good.len() / 2], "cut off or damaged"),
        ("empty", b"", "no ckpt-lint recording"),
        ("binary", b"\x7fELF\0\0\0", "no ckpt-lint recording"),
        ("other", br#"{"format": "something", "version": 1}"#, "no ckpt-lint recording"),
        ("json", br#"{"format": "ckpt-lint recording", "version": 1, "facts": 7}"#, "damaged"),
        ("deep", deep.as_bytes(), "damaged"),
        ("bomb", &bomb, "more than 256 MiB"),
    ];
    for (name, bytes, expected) in cases {
        let message = refused(&["--from", &in_folder(folder.path(), name, bytes)]);
        assert!(message.contains(expected), "{name}: {message}");
    }
    assert!(refused(&["--from", "/nonexistent"]).contains("No such file"));
    assert!(refused(&["--from", "/"]).contains("directory"));
    assert!(refused(&["--from", "/dev/zero"]).contains("no ckpt-lint recording"));
}

#[test]
fn exit_code_and_verdict_line_agree_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [("anon_inode:[never-heard-of]", "BLOCKED", 1), ("/dev/null", "READY", 0)];
    for (link, verdict, code) in cases {
        let recording = in_folder(folder.path(), "r", &recording::to_bytes(&facts(link)).unwrap());
        let from = ["--from", &recording, "--criu", "4.2"];
        let human = ckpt_lint(&from);
        let last = stdout(&human).lines().last().unwrap();
        assert!(last.starts_with(&format!("{verdict}: ")), "{last}");
        assert!(human.stderr.is_empty() && !stdout(&human).contains('\x1b'));
        let quiet = ckpt_lint(&[&from[..], &["-q"]].concat());
        assert_eq!(stdout(&quiet), format!("{last}\n"));
        let json = ckpt_lint(&[&from[..], &["--format", "json"]].concat());
        let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(report["verdict"], verdict.to_lowercase());
        let never = ckpt_lint(&[&from[..], &["--fail-on", "never"]].concat());
        let codes = [&human, &quiet, &json, &never].map(|output| output.status.code());
        assert_eq!(codes, [Some(code), Some(code), Some(code), Some(0)]);
    }
}

#[test]
fn output_replaces_a_file_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let recording = in_folder(folder.path(), "r", &recording::to_bytes(&facts("/dev/null")).unwrap());
    let report = in_folder(folder.path(), "report", b"old");
    let output = ckpt_lint(&["--from", &recording, "--criu", "4.2", "--output", &report]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), ""));
    assert!(fs::read_to_string(&report).unwrap().ends_with(")\n"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let missing = folder.path().join("missing/report");
    assert!(refused(&["--from", &recording, "--output", missing.to_str().unwrap()]).contains("missing/report"));
}

#[test]
fn a_recording_gives_the_report_of_the_live_target_without_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("self.zst");
    let mut target = Command::new("sleep").args(["1000"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let pid = target.id().to_string();
    let live = ckpt_lint(&["--pid", &pid, "--criu", "4.2", "--format", "json"]);
    let recorded = ckpt_lint(&["record", "--pid", &pid, "-o", path.to_str().unwrap()]);
    target.kill().unwrap();
    target.wait().unwrap();
    assert_eq!((recorded.status.code(), stdout(&recorded)), (Some(0), ""));
    let replayed = ckpt_lint(&["--from", path.to_str().unwrap(), "--criu", "4.2", "--format", "json"]);
    assert_eq!(stdout(&live), stdout(&replayed));
    let json = String::from_utf8(zstd::decode_all(fs::File::open(&path).unwrap()).unwrap()).unwrap();
    assert!(
        json.contains(r#""args":["sleep"]"#) && json.starts_with(r#"{"format":"ckpt-lint recording","version":1,"#)
    );
}

#[test]
fn plain_json_is_a_recording_too() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = serde_json::to_vec(&facts("/dev/null")).unwrap();
    let output = ckpt_lint(&["--from", &in_folder(folder.path(), "plain", &bytes), "--criu", "4.2", "-q"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ckpt-lint"))
        .args(["rules", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn colour_follows_flag_and_environment() {
    let folder = tempfile::tempdir().unwrap();
    let recording = in_folder(folder.path(), "r", &recording::to_bytes(&facts("/dev/null")).unwrap());
    let coloured = |flag: Option<&str>, variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ckpt-lint"));
        command.env_clear().envs(variables.iter().copied()).args(["--from", &recording, "--criu", "4.2"]);
        command.args(flag.into_iter().flat_map(|when| ["--color", when]));
        command.output().unwrap().stdout.contains(&b'\x1b')
    };
    assert!(!coloured(None, &[]));
    assert!(coloured(None, &[("FORCE_COLOR", "1")]) && coloured(None, &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(None, &[("FORCE_COLOR", "1"), ("NO_COLOR", "1")]));
    assert!(coloured(Some("always"), &[("NO_COLOR", "1")]));
    assert!(!coloured(Some("never"), &[("FORCE_COLOR", "1")]));
}

#[test]
fn the_host_alone_is_judged_without_a_target() {
    let human = ckpt_lint(&["host", "--criu", "4.3"]);
    assert!(stdout(&human).contains("no target was looked at"));
    let json = ckpt_lint(&["host", "--criu", "4.3", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let codes = [("ready", 0), ("blocked", 1), ("ready-with-options", 1), ("unknown", 2)];
    let expected = codes.iter().find(|(verdict, _)| report["verdict"] == *verdict).map(|(_, code)| *code);
    assert!(expected.is_some() && [&human, &json].map(|output| output.status.code()) == [expected; 2], "any kernel");
    assert!(report["target"].is_null() && report["host"]["tools"].is_array());
    assert!(report["rules_run"].as_array().unwrap().iter().any(|rule| rule == "caller-in-tree"));
    assert!(refused(&["host", "--criu", "four"]).contains("four"));
    let missing = ckpt_lint(&["host", "-q"]);
    assert_eq!(missing.status.code(), Some(1), "no PATH, so no criu");
}

#[test]
fn what_makes_a_target_wait_is_read_only_when_asked_for() {
    let own = std::process::id().to_string();
    let lists = |more: &[&str]| {
        let output = ckpt_lint(&[&["--pid", &own, "--criu", "4.2", "--format", "json"], more].concat());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let has = |list: &str| report[list].as_array().unwrap().iter().any(|rule| rule == "memory-sealed");
        (has("rules_run"), has("rules_not_run"))
    };
    assert_eq!((lists(&[]), lists(&["--deep"])), ((false, true), (true, false)));
}

#[test]
fn rules_are_listed_in_every_form() {
    for format in ["table", "markdown", "json"] {
        let output = ckpt_lint(&["rules", "--format", format]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("anon-inode-unsupported"), "{format}");
    }
}

#[test]
fn what_cannot_be_seen_is_listed_in_every_form() {
    for format in ["table", "markdown", "json"] {
        let output = ckpt_lint(&["rules", "--blind", "--format", format]);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        assert!(text.contains("udp-corked") && !text.contains("anon-inode-unsupported"), "{format}");
    }
    let output = ckpt_lint(&["rules", "--blind", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let corked = list["blind"].as_array().unwrap().iter().find(|blind| blind["id"] == "udp-corked").unwrap();
    assert_eq!(corked["error"], "inet: Can't dump corked dgram socket .*");
    assert!(corked["hidden"].as_str().unwrap().contains("UDP_CORK"));
}
