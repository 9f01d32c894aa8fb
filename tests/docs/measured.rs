//! `docs/measured.md`: each rule with what the real criu did where it fires, and where a look-alike keeps it silent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use ckpt_lint::finding::Severity;
use ckpt_lint::rules::RuleSet;
use serde::Deserialize;
use toml::{Table, Value};

#[derive(Deserialize)]
struct Record {
    target: String,
    criu: String,
    options: Vec<String>,
    predicted_rules: Vec<String>,
    dumped: bool,
    cause: Option<String>,
}

#[derive(Deserialize)]
struct Build {
    says: Vec<String>,
    package: Option<String>,
    libraries: Vec<String>,
    kernel: String,
    architecture: String,
}

const HEAD: &str = "\
# What was measured

Written by a test, see CONTRIBUTING.md. Each rule with the fixture programs that make it fire and those that look alike
and keep it silent, as they were linted and then dumped by real releases of CRIU, without options, on the host and in
containers. *Fires*: predicted is that the dump fails; `refused` says how often it did, `named` how often this rule's
error was the decisive line of CRIU's log (with several causes it names one). *Silent*: predicted is that this rule is
not in the way; `other` says how often the dump failed for another cause, which other rules had predicted. Full results,
with options too, are in `fixtures/conformance.json`.

";

fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

fn read<T: for<'de> Deserialize<'de>>(path: &str) -> T {
    serde_json::from_str(&fs::read_to_string(fixtures(path)).unwrap()).unwrap()
}

/// Programs that resemble what a rule looks for, by rule.
fn look_alikes() -> BTreeMap<String, BTreeSet<String>> {
    let mut by_rule = BTreeMap::<String, BTreeSet<String>>::new();
    for path in fixtures("programs").read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let program: Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        for rule in program.get("resembles").and_then(Value::as_array).into_iter().flatten() {
            by_rule.entry(rule.as_str().unwrap().to_owned()).or_default().insert(name.clone());
        }
    }
    by_rule
}

/// The whole page.
pub(crate) fn page() -> String {
    let builds: BTreeMap<String, Build> = read("builds.json");
    let records: Vec<Record> = read("conformance.json");
    let records: Vec<Record> = records.into_iter().filter(|record| record.options.is_empty()).collect();
    let look_alikes = look_alikes();
    let mut page = HEAD.to_owned() + &measured_on(&builds);
    let releases: Vec<&String> = builds.keys().collect();
    let columns: String = releases.iter().map(|release| format!(" CRIU {release} |")).collect();
    let line = " --- |".repeat(releases.len());
    write!(page, "\n| Rule | Case | Fixtures |{columns}\n| --- | --- | --- |{line}\n").unwrap();
    let mut unmade = Vec::new();
    for rule in RuleSet::built_in().unwrap().rules {
        if !matches!(rule.severity, Severity::Blocks | Severity::NeedsOption) {
            continue;
        }
        let none = BTreeSet::new();
        let resembling = look_alikes.get(&rule.id).unwrap_or(&none);
        let predicts = |record: &&Record| record.predicted_rules.contains(&rule.id);
        let fires: Vec<&Record> = records.iter().filter(predicts).collect();
        let silent: Vec<&Record> =
            records.iter().filter(|record| !predicts(record) && resembling.contains(&record.target)).collect();
        if fires.is_empty() {
            unmade.push(rule.id.clone());
        } else {
            page.push_str(&row(&rule.id, "fires", &fires, &releases));
        }
        if !silent.is_empty() {
            page.push_str(&row(&rule.id, "silent", &silent, &releases));
        }
    }
    page + &not_measured(&unmade)
}

fn measured_on(builds: &BTreeMap<String, Build>) -> String {
    let mut table =
        "| CRIU | Says | Package | Kernel | Built with | Without |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    for (release, build) in builds {
        let (with, without): (Vec<&str>, Vec<&str>) = ["libbpf", "libgnutls", "libnftables"]
            .into_iter()
            .partition(|library| build.libraries.iter().any(|name| name.starts_with(library)));
        let package = build.package.as_deref().unwrap_or("none");
        let (with, without) = (with.join(", "), without.join(", "));
        let (says, kernel) = (build.says.join(", "), format!("{} {}", build.kernel, build.architecture));
        writeln!(table, "| {release} | {says} | {package} | {kernel} | {with} | {without}, plugins |").unwrap();
    }
    table
}

fn row(rule: &str, case: &str, records: &[&Record], releases: &[&String]) -> String {
    let programs: BTreeSet<&str> = records.iter().map(|record| record.target.as_str()).collect();
    let programs: Vec<&str> = programs.into_iter().collect();
    let cell = |release: &&&String| {
        let runs: Vec<&&Record> = records.iter().filter(|record| record.criu == ***release).collect();
        if runs.is_empty() { " |".to_owned() } else { format!(" {} |", real(rule, case, &runs)) }
    };
    let cells: String = releases.iter().map(|release| cell(&release)).collect();
    format!("| `{rule}` | {case} | {} |{cells}\n", programs.join(", "))
}

/// What the real criu did with these.
fn real(rule: &str, case: &str, runs: &[&&Record]) -> String {
    let count = |what: &dyn Fn(&Record) -> bool| runs.iter().filter(|record| what(record)).count();
    let dumped = count(&|record| record.dumped);
    let named = count(&|record| record.cause.as_deref() == Some(rule));
    let refused = runs.len() - dumped;
    let parts = match case {
        "fires" => [("refused", refused), ("named", named), ("dumped", dumped)],
        _ => [("dumped", dumped), ("other", refused - named), ("WRONG", named)],
    };
    let parts = parts.into_iter().filter(|(_, often)| *often > 0);
    parts.map(|(what, often)| format!("{often} {what}")).collect::<Vec<_>>().join(", ")
}

/// Rules that no recorded run without options shows, and why.
fn not_measured(rules: &[String]) -> String {
    let reasons: Table = fs::read_to_string(fixtures("unmade.toml")).unwrap().parse().unwrap();
    let mut list = "\n## Not measured\n\nRead in CRIU's source: `likely` at most.\n\n".to_owned();
    for rule in rules {
        let reason = reasons.get(rule).and_then(Value::as_str).unwrap_or("not recorded yet");
        writeln!(list, "- `{rule}`: {reason}").unwrap();
    }
    list
}
