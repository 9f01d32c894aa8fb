//! The founding story end to end: an XFCE, TightVNC and ibus desktop in a runc container.
//!
//! `CKPT_LINT_RECORD=1` records the desktop as `fixtures/trees/vnc-desktop*/`, with what the lint says of it and what
//! the real criu releases did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ckpt_lint::facts::Pid;
use libtest_mimic::Trial;
use serde_json::json;

use crate::Suite;
use crate::compare::{Target, agree};
use crate::lint::Lint;
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
    vec![trial(false), trial(true)]
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
    let desktop = Desktop::start(overlay)?;
    let old = desktop.lint("4.0")?;
    let holders: BTreeSet<&str> = holders(&old, "pidfd-before-4-1");
    if holders != BTreeSet::from(PIDFD_HOLDERS) {
        return Err(format!("criu 4.0 would name these holders of pidfds: {holders:?}"));
    }
    let mut real = BTreeMap::new();
    for criu in std::iter::once(suite.releases.main()).chain(suite.releases.others()) {
        let of = of_tree(overlay, &criu);
        let record = agree(
            (suite, true),
            of.clone(),
            Target { root: desktop.root, hangs: false, deep: false, caller: None },
            suite.releases.path(&criu),
            &[],
        )?;
        real.insert(criu, record.clone());
        suite.results.forget(&of);
        suite.results.add(record);
        suite.results.check(&of)?;
    }
    expect(overlay, &real)?;
    if std::env::var_os("CKPT_LINT_RECORD").is_some() { desktop.record(overlay, &real) } else { Ok(()) }
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
    fn start(overlay: bool) -> Result<Self> {
        let id = format!("ckpt-lint-test-{}", tree(overlay));
        let output = script("up.sh", &id, overlay).stderr(Stdio::inherit()).output().map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let root = text.trim().parse().map_err(|_| format!("the desktop did not start: {text}"))?;
        Ok(Self { id, root })
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
        let _ = script("down.sh", &self.id, false).status();
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

fn script(name: &str, id: &str, overlay: bool) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/desktop").join(name));
    command.env("DESKTOP_ID", id).env("DESKTOP_OVERLAY", if overlay { "1" } else { "0" }).stdin(Stdio::null());
    command
}
