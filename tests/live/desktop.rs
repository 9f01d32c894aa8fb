//! The founding story end to end: an XFCE, TightVNC and ibus desktop in a runc container, alone and with what it has to
//! do with outside of it.
//!
//! `CKPT_LINT_RECORD=1` records the desktop as `fixtures/trees/vnc-desktop*/`, with what the lint says of it and what
//! the real criu releases did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ckpt_lint::facts::Pid;
use libtest_mimic::Trial;
use serde_json::json;

use crate::Suite;
use crate::compare::{Target, agree, look};
use crate::lint::Lint;
use crate::place::wait_for;
use crate::plan;
use crate::results::{Of, Record};

type Result<T> = std::result::Result<T, String>;

/// Programs of the desktop that hold pidfds of their children: measured with a criu that refuses pidfds.
const PIDFD_HOLDERS: [&str; 6] =
    ["at-spi-bus-laun", "gvfsd", "ibus-daemon", "xfce4-panel", "xfce4-session", "xfce4-terminal"];

/// Releases for which the recorded desktop says what is expected.
const JUDGED: [&str; 4] = ["4.0", "4.1.1", "4.2.1", "4.3"];

pub(crate) fn trials(suite: &Arc<Suite>) -> Vec<Trial> {
    let trial = |overlay: bool| {
        let suite = Arc::clone(suite);
        let name = format!("desktop::{}", tree(overlay));
        Trial::test(name, move || suite.settle(|| founding_story(&suite, overlay)).map_err(Into::into))
    };
    let outside = Arc::clone(suite);
    let with_outside = move || outside.settle(|| mounts_from_outside(&outside)).map_err(Into::into);
    vec![trial(false), trial(true), Trial::test("desktop::mounts-from-outside", with_outside)]
}

/// What the trials record.
pub(crate) fn of(suite: &Suite) -> impl Iterator<Item = Of> {
    let releases = move || std::iter::once(suite.releases.main()).chain(suite.releases.others());
    [false, true].into_iter().flat_map(move |overlay| releases().map(move |criu| of_tree(overlay, &criu)))
}

fn of_tree(overlay: bool, criu: &str) -> Of {
    (tree(overlay).to_owned(), "runc".to_owned(), criu.to_owned())
}

fn tree(overlay: bool) -> &'static str {
    if overlay { "vnc-desktop-overlay" } else { "vnc-desktop" }
}

fn founding_story(suite: &Suite, overlay: bool) -> Result<()> {
    let desktop = Desktop::start(tree(overlay), &[("DESKTOP_OVERLAY", if overlay { "1" } else { "0" })])?;
    let old = desktop.lint("4.0")?;
    let holders: BTreeSet<&str> = holders(&old, "pidfd-before-4-1");
    if holders != BTreeSet::from(PIDFD_HOLDERS) {
        return Err(format!("criu 4.0 would name these holders of pidfds: {holders:?}"));
    }
    let mut real = BTreeMap::new();
    for criu in std::iter::once(suite.releases.main()).chain(suite.releases.others()) {
        let of = of_tree(overlay, &criu);
        let record = agree((suite, true), of.clone(), desktop.target(), suite.releases.path(&criu), &[])?;
        real.insert(criu, record.clone());
        suite.results.forget(&of);
        suite.results.add(record);
        suite.results.check(&of)?;
    }
    expect(overlay, &real)?;
    if std::env::var_os("CKPT_LINT_RECORD").is_some() {
        desktop.record(overlay, &real)?;
    }
    if overlay { Ok(()) } else { clients(suite, &desktop) }
}

/// Who may be connected when the checkpoint comes, and the rule that says so.
const CLIENTS: [(&str, &str); 3] =
    [("vnc", "tcp-established"), ("x", "unix-peer-outside"), ("bus", "unix-peer-outside")];

fn clients(suite: &Suite, desktop: &Desktop) -> Result<()> {
    for (client, rule) in CLIENTS {
        let pid = desktop.client(client)?.trim().parse().map_err(|e| format!("client {client}: {e}"))?;
        let found = desktop.planned(suite, &[rule]);
        let pid = rustix::process::Pid::from_raw(pid).ok_or("a pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).map_err(|e| e.to_string())?;
        found.map_err(|error| format!("with the client {client}: {error}"))?;
    }
    Ok(())
}

/// The home directory and the socket of a bus come from outside, and a terminal keeps much to scroll back to.
fn mounts_from_outside(suite: &Suite) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("ckpt-lint-desktop-").tempdir().map_err(|e| e.to_string())?;
    let home = directory.path().join("home");
    let terminal = home.join(".config/xfce4/terminal");
    std::fs::create_dir_all(&terminal).map_err(|e| e.to_string())?;
    std::fs::write(terminal.join("terminalrc"), "[Configuration]\nScrollingUnlimited=TRUE\n")
        .map_err(|e| e.to_string())?;
    let bus = Bus::start(directory.path().join("bus"))?;
    let path = |path: &Path| path.display().to_string();
    let (home, socket) = (path(&home), path(&bus.socket));
    let desktop = Desktop::start("mounts", &[("DESKTOP_HOME", &home), ("DESKTOP_BUS", &socket)])?;
    desktop.planned(suite, &["mount-no-root", "unix-peer-outside"])?;
    desktop.client("scroll")?;
    desktop.planned(suite, &["ghost-file-too-big", "mount-no-root", "unix-peer-outside"])
}

/// A bus outside of the container, as that of a host.
struct Bus {
    socket: PathBuf,
    daemon: Child,
}

impl Bus {
    fn start(socket: PathBuf) -> Result<Self> {
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--nofork", "--nopidfile"]).arg(format!("--address=unix:path={}", socket.display()));
        let daemon = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let bus = Self { socket, daemon: daemon.map_err(|e| e.to_string())? };
        wait_for(&bus.socket)?;
        Ok(bus)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// On a plain directory nothing stands in the way of 4.2; on overlayfs the inotify watches do, and of 4.3 nothing.
fn expect(overlay: bool, real: &BTreeMap<String, Record>) -> Result<()> {
    for (criu, record) in real {
        let expected: &[&str] = match (criu.as_str(), overlay) {
            (old, _) if old.starts_with("4.1") => &["inet-passcred"],
            (middle, true) if middle.starts_with("4.2") => &["inotify-overlay"],
            _ => &[],
        };
        if !expected.iter().all(|rule| record.predicted_rules.iter().any(|predicted| predicted == rule))
            || record.dumped != expected.is_empty()
        {
            return Err(format!("expected {expected:?}\n{record}"));
        }
    }
    Ok(())
}

fn holders<'a>(lint: &'a Lint, rule: &str) -> BTreeSet<&'a str> {
    lint.findings.iter().filter(|f| f.rule == rule).filter_map(|f| f.subject.comm.as_deref()).collect()
}

/// A running desktop container; ends when dropped.
struct Desktop {
    id: String,
    root: Pid,
}

impl Desktop {
    fn start(name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let id = format!("ckpt-lint-test-{name}");
        let mut up = script("up.sh", &id);
        let output = up.envs(settings.iter().copied()).stderr(Stdio::inherit()).output().map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let root = text.trim().parse().map_err(|_| format!("the desktop did not start: {text}"))?;
        Ok(Self { id, root })
    }

    fn target(&self) -> Target<'_> {
        Target { root: self.root, hangs: false, deep: false, caller: None }
    }

    /// What a client prints that starts, or has started, from outside of the tree.
    fn client(&self, kind: &str) -> Result<String> {
        let output =
            script("client.sh", &self.id).arg(kind).stderr(Stdio::inherit()).output().map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(format!("client.sh {kind} failed"));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Only these rules fire, the real dump fails for one of them, and passes as the plan says.
    fn planned(&self, suite: &Suite, rules: &[&str]) -> Result<()> {
        let criu = suite.releases.main();
        let of = (self.id.clone(), "runc".to_owned(), criu.clone());
        let (record, lint) = look((suite, true), of, self.target(), suite.releases.path(&criu), &[])?;
        if record.predicted_rules != rules || record.dumped {
            return Err(format!("expected {rules:?}\n{record}"));
        }
        if !lint.plan.suffices || lint.plan.upgrade.is_some() {
            return Err(format!("expected options as the plan: {:?}", lint.plan));
        }
        plan::passes(suite, &lint, self.target(), &criu, &[], &[])
    }

    fn lint(&self, criu: &str) -> Result<Lint> {
        Lint::of(&["--container", &self.id, "--criu", criu], &[])
    }

    fn record(&self, overlay: bool, real: &BTreeMap<String, Record>) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/trees").join(tree(overlay));
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let facts = folder.join("facts.json.zst");
        let mut record = Command::new(env!("CARGO_BIN_EXE_ckpt-lint"));
        record.args(["record", "--container", &self.id, "-o"]).arg(&facts);
        if !record.status().map_err(|e| e.to_string())?.success() {
            return Err("the desktop was not recorded".to_owned());
        }
        let expected: BTreeMap<&str, _> = JUDGED.iter().map(|criu| (*criu, said(&facts, criu))).collect();
        write(folder.join("expected.json"), &json!(expected))?;
        write(folder.join("criu.json"), &json!(real))
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        let _ = script("down.sh", &self.id).status();
    }
}

/// Verdict and, by rule, how many findings.
fn said(facts: &Path, criu: &str) -> serde_json::Value {
    let lint = Lint::of(&["--from", &facts.display().to_string(), "--criu", criu], &[]).expect("a report");
    let mut counts = BTreeMap::<String, usize>::new();
    lint.blocking().for_each(|finding| *counts.entry(finding.rule.clone()).or_default() += 1);
    json!({"verdict": lint.verdict, "findings": counts})
}

fn write(path: PathBuf, value: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())? + "\n";
    std::fs::write(path, text).map_err(|e| e.to_string())
}

fn script(name: &str, id: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/desktop").join(name));
    command.env("DESKTOP_ID", id).stdin(Stdio::null());
    command
}
