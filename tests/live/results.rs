//! What was seen, as data: `fixtures/conformance.json`, and from it `rules/measured.toml`. Which builds and which
//! kernel it was seen on stands in `fixtures/builds.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ckpt_lint::criu::run::Outcome;
use ckpt_lint::profile::CriuOption;
use serde::{Deserialize, Serialize};

use crate::builds;
use crate::lint::{Finding, Lint};
use crate::releases::Releases;

/// One comparison of prediction and reality.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Fixture program or recorded container.
    pub(crate) target: String,
    pub(crate) place: String,
    /// Release of the real criu.
    pub(crate) criu: String,
    /// Dump options, as the fixture spells them.
    pub(crate) options: Vec<String>,
    /// Verdict of ckpt-lint.
    pub(crate) predicted: String,
    /// Rules of its findings that say the dump fails.
    pub(crate) predicted_rules: Vec<String>,
    /// Whether the real criu dumped.
    pub(crate) dumped: bool,
    /// The decisive line of its log, numbers as `N`.
    pub(crate) error: Option<String>,
    /// The rule that says that line.
    pub(crate) cause: Option<String>,
}

impl Record {
    pub(crate) fn new(
        of: (String, String, String),
        options: &[CriuOption],
        lint: &Lint,
        outcome: &Outcome,
        named: Option<&Finding>,
    ) -> Self {
        let error = outcome.cause.as_ref().map(|cause| without_numbers(&cause.message));
        Self {
            target: of.0,
            place: of.1,
            criu: of.2,
            options: options.iter().map(CriuOption::to_string).collect(),
            predicted: lint.verdict.clone(),
            predicted_rules: lint.rules(),
            dumped: outcome.dumped,
            error: if outcome.hung { Some("hang".to_owned()) } else { error },
            cause: named.map(|finding| finding.rule.clone()),
        }
    }
}

impl Record {
    /// The message may name paths and numbers of the moment; the rest must be the same each time.
    fn without_message(&self) -> Self {
        Self { error: None, ..self.clone() }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} criu {} {:?}", self.target, self.place, self.criu, self.options)?;
        writeln!(f, "predicted: {} {:?}", self.predicted, self.predicted_rules)?;
        write!(f, "real: dumped {} {:?} cause {:?}", self.dumped, self.error, self.cause)
    }
}

/// Pids, inodes and addresses differ from run to run.
fn without_numbers(message: &str) -> String {
    let number = regex::Regex::new(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|ckpt-lint-live-\w+|[0-9]+").expect("a pattern");
    number.replace_all(message, "N").into_owned()
}

/// What the trials of one run saw.
#[derive(Default)]
pub(crate) struct Results(Mutex<BTreeSet<Record>>);

#[derive(Serialize, Deserialize)]
struct Measured {
    releases: BTreeMap<String, BTreeSet<String>>,
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

impl Results {
    pub(crate) fn add(&self, record: Record) {
        self.0.lock().expect("no trial panics while it adds").insert(record);
    }

    /// Whether this run records what it sees.
    pub(crate) fn are_recorded() -> bool {
        std::env::var_os("CKPT_LINT_RECORD").is_some()
    }

    /// Records what was seen; what is recorded of other targets stays when not all of them were looked at.
    pub(crate) fn record(&self, releases: &Releases, complete: bool) {
        let mut seen = self.seen();
        if !complete {
            let of = |record: &Record| (record.target.clone(), record.place.clone(), record.criu.clone());
            let anew: BTreeSet<_> = seen.iter().map(of).collect();
            seen.extend(recorded().into_iter().filter(|record| !anew.contains(&of(record))));
        }
        let json = serde_json::to_string_pretty(&seen).expect("plain data") + "\n";
        std::fs::write(file("fixtures/conformance.json"), json).expect("fixtures can be written");
        std::fs::write(file("rules/measured.toml"), measured(&seen)).expect("rules can be written");
        std::fs::write(file("fixtures/builds.json"), builds::json(releases)).expect("fixtures can be written");
    }

    fn seen(&self) -> BTreeSet<Record> {
        self.0.lock().expect("all trials have ended").clone()
    }

    /// Compares with what is recorded.
    pub(crate) fn compare(&self) {
        let (seen, recorded) = (self.seen(), recorded());
        let releases: BTreeSet<&String> = recorded.iter().map(|record| &record.criu).collect();
        // Debian moves on: a release that was never recorded is compared by its trials alone.
        let comparable = |records: &BTreeSet<Record>, others: &BTreeSet<Record>| -> BTreeSet<Record> {
            let both = |record: &&Record| others.iter().any(|other| other.criu == record.criu);
            records.iter().filter(both).map(Record::without_message).collect()
        };
        let (then, now) = (comparable(&recorded, &seen), comparable(&seen, &recorded));
        for record in then.symmetric_difference(&now) {
            eprintln!("{}: {record}", if then.contains(record) { "recorded, not seen" } else { "seen, not recorded" });
        }
        assert!(then == now, "the results differ from fixtures/conformance.json (CKPT_LINT_RECORD=1 records anew)");
        println!("{} results agree with what is recorded of {releases:?}", now.len());
    }
}

fn recorded() -> BTreeSet<Record> {
    let text = std::fs::read_to_string(file("fixtures/conformance.json")).expect("fixtures/conformance.json");
    serde_json::from_str(&text).expect("records")
}

/// Releases that did what a rule says, by rule.
fn measured(seen: &BTreeSet<Record>) -> String {
    let mut releases = BTreeMap::<String, BTreeSet<String>>::new();
    for record in seen {
        if let Some(rule) = &record.cause {
            releases.entry(rule.clone()).or_default().insert(record.criu.clone());
        }
    }
    let head =
        "# Written by the live tests from fixtures/conformance.json: CRIU releases with a recorded run, by rule.\n\n";
    head.to_owned() + &toml::to_string(&Measured { releases }).expect("plain data")
}
