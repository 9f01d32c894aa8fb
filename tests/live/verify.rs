//! `ckpt-lint verify` as a user runs it: it says whether the real criu did what was predicted, leaves the target
//! running and nothing behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::Value;
use tempfile::TempDir;

use crate::Suite;
use crate::place::{Place, Running};
use crate::program::Program;

type Result<T> = std::result::Result<T, String>;

/// A fixture, options of the dump, and what is to come out: exit code, agreement, rule or blind spot that names it.
type Case = (&'static str, &'static [&'static str], i32, &'static str, Option<&'static str>);

const CASES: [Case; 5] = [
    ("lock-released", &[], 0, "dumped", None),
    ("landlock-ruleset", &[], 0, "refused", Some("anon-inode-unsupported")),
    ("lock-flock", &[], 0, "refused", Some("file-lock")),
    ("lock-flock", &["--", "--file-locks"], 0, "dumped", None),
    ("udp-corked", &[], 1, "refused-nevertheless", Some("udp-corked")),
];

pub(crate) fn trials(suite: &Arc<Suite>, programs: &[Program]) -> Vec<Trial> {
    let places = [Place::Host, Place::Plain];
    let all = CASES.into_iter().flat_map(|case| places.map(|place| (case, place)));
    let trial = |(case, place): (Case, Place)| {
        let suite = Arc::clone(suite);
        let program = programs.iter().find(|program| program.name == case.0).expect("a fixture").clone();
        let name = format!("verify::{}{}::{place}", case.0, case.1.join(""));
        Trial::test(name, move || suite.settle(|| verify(&suite, &program, place, case)).map_err(Into::into))
    };
    let hangs = programs.iter().find(|program| program.name == "frozen-v2").expect("a fixture").clone();
    let criu = suite.releases.path(&suite.releases.main()).to_owned();
    let refuses = Trial::test("verify::frozen-v2::host", move || refuses(&hangs, &criu).map_err(Into::into));
    all.map(trial).chain([refuses]).collect()
}

/// Where the dump would never end, nothing is dumped unless that is wanted.
fn refuses(program: &Program, criu: &Path) -> Result<()> {
    let running = Running::start(program, Place::Host)?;
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ckpt-lint"));
        let output =
            command.args(["verify", "--pid", &running.root.to_string(), "--criu"]).arg(criu).args(more).output();
        let output = output.map_err(|e| e.to_string())?;
        let said = [output.stderr, output.stdout].concat();
        Ok::<_, String>((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
    };
    let (code, said) = run(&[])?;
    if code != Some(2) || !said.contains("criu may hang") || said.contains("now freezes") {
        return Err(said);
    }
    let (code, said) = run(&["--even-if-it-hangs", "--time-limit", "3s"])?;
    let is_killed =
        code == Some(0) && said.contains("killed after 3 s") && said.contains("AGREES: did not end in time");
    if is_killed { Ok(()) } else { Err(said) }
}

fn verify(suite: &Suite, program: &Program, place: Place, case: Case) -> Result<()> {
    let (_, options, code, agreement, named) = case;
    let running = Running::start(program, place)?;
    let work = TempDir::new().map_err(|e| e.to_string())?;
    let report = work.path().join("report.zst");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ckpt-lint"));
    command.args(["verify", "--format", "json", "--pid", &running.root.to_string(), "--criu"]);
    command.arg(suite.releases.path(&suite.releases.main())).arg("--work-dir").arg(work.path());
    command.arg("--report").arg(&report).args(options);
    let output = command.output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json: Value = serde_json::from_slice(&output.stdout).map_err(|_| said.clone())?;
    let saw = || format!("{json:#}\n{said}");
    let by = json["named_by"]["rule"].as_str().or(json["blind_spot"].as_str());
    if (output.status.code(), json["agreement"].as_str(), by) != (Some(code), Some(agreement), named) {
        return Err(saw());
    }
    let frozen = json["reality"]["frozen_ms"].as_f64().filter(|time| *time > 0.0 && *time < 60e3);
    if frozen.is_none() || !said.contains("now freezes process ") || json["target_after"] != "runs" {
        return Err(saw());
    }
    leaves_nothing(work.path(), running.root)
}

/// Of all that it made only the report is left, and nothing traces the target.
fn leaves_nothing(work: &Path, root: i32) -> Result<()> {
    let left: Vec<_> = work.read_dir().map_err(|e| e.to_string())?.flatten().map(|entry| entry.file_name()).collect();
    let status = fs::read_to_string(format!("/proc/{root}/status")).map_err(|e| format!("the target is gone: {e}"))?;
    if left != ["report.zst"] || !status.contains("TracerPid:\t0\n") || status.contains("State:\tT") {
        return Err(format!("left behind: {left:?}\n{status}"));
    }
    Ok(())
}
