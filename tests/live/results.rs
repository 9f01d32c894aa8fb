//! What was seen, as data: `fixtures/conformance.json`, and from it `rules/measured.toml`. Which builds and which
//! kernel it was seen on stands in `fixtures/builds.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use ckpt_lint::criu::run::Outcome;
use ckpt_lint::profile::CriuOption;
use serde::{Deserialize, Serialize};

use crate::builds;
use crate::lint::{Finding, Lint};
use crate::releases::Releases;
use crate::restore::Restored;

/// Fixture program or recorded container, place, and release of the real criu.
pub(crate) type Of = (String, String, String);

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
    pub(crate) fn of(&self) -> Of {
        (self.target.clone(), self.place.clone(), self.criu.clone())
    }

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
    pub(crate) fn record(&self, releases: &Releases, complete: bool, restores: &BTreeSet<Restored>) {
        let mut seen = self.seen();
        if !complete {
            let anew: BTreeSet<Of> = seen.iter().map(Record::of).collect();
            seen.extend(recorded().iter().filter(|record| !anew.contains(&record.of())).cloned());
        }
        let json = serde_json::to_string_pretty(&seen).expect("plain data") + "\n";
        std::fs::write(file("fixtures/conformance.json"), json).expect("fixtures can be written");
        std::fs::write(file("rules/measured.toml"), measured(&seen, restores)).expect("rules can be written");
        std::fs::write(file("fixtures/builds.json"), builds::json(releases)).expect("fixtures can be written");
    }

    fn seen(&self) -> BTreeSet<Record> {
        self.0.lock().expect("all trials have ended").clone()
    }

    /// Forgets what an earlier try of the same trial saw.
    pub(crate) fn forget(&self, of: &Of) {
        self.0.lock().expect("no trial panics while it adds").retain(|record| record.of() != *of);
    }

    /// Compares what a trial saw with what is recorded of it. Debian moves on: a release that was never recorded is
    /// compared by its trials alone.
    pub(crate) fn check(&self, of: &Of) -> Result<(), String> {
        let recorded = recorded();
        let is_drawn = of.0.starts_with("random-state/");
        if is_drawn || Self::are_recorded() || !recorded.iter().any(|record| record.criu == of.2) {
            return Ok(());
        }
        let here = |records: &BTreeSet<Record>| -> BTreeSet<Record> {
            records.iter().filter(|record| record.of() == *of).map(Record::without_message).collect()
        };
        let (then, now) = (here(recorded), here(&self.seen()));
        let (gone, new): (Vec<_>, Vec<_>) = (then.difference(&now).collect(), now.difference(&then).collect());
        if gone.is_empty() && new.is_empty() {
            return Ok(());
        }
        Err(format!(
            "fixtures/conformance.json differs (CKPT_LINT_RECORD=1 records anew)\nonly recorded: {gone:?}\nonly seen: {new:?}"
        ))
    }

    /// Nothing may stand recorded that no trial looks at any more.
    pub(crate) fn check_that_all_are_tried(trials: &BTreeSet<Of>) {
        let releases: BTreeSet<&String> = trials.iter().map(|(_, _, criu)| criu).collect();
        let untried = |of: &Of| releases.contains(&of.2) && !trials.contains(of);
        let stale: BTreeSet<Of> = recorded().iter().map(Record::of).filter(untried).collect();
        assert!(stale.is_empty(), "recorded, but no trial looks at it (CKPT_LINT_RECORD=1 records anew): {stale:?}");
    }
}

/// What is recorded of all dumps.
pub(crate) fn recorded() -> &'static BTreeSet<Record> {
    static RECORDED: OnceLock<BTreeSet<Record>> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let text = std::fs::read_to_string(file("fixtures/conformance.json")).expect("fixtures/conformance.json");
        serde_json::from_str(&text).expect("records")
    })
}

/// Releases that did what a rule says, by rule.
fn measured(seen: &BTreeSet<Record>, restores: &BTreeSet<Restored>) -> String {
    let mut releases = BTreeMap::<String, BTreeSet<String>>::new();
    let dumps = seen.iter().map(|record| (&record.cause, record.criu.as_str()));
    for (cause, criu) in dumps.chain(restores.iter().map(|record| (&record.cause, record.criu()))) {
        if let Some(rule) = cause {
            releases.entry(rule.clone()).or_default().insert(criu.to_owned());
        }
    }
    let head =
        "# Written by the live tests from fixtures/conformance.json: CRIU releases with a recorded run, by rule.\n\n";
    head.to_owned() + &toml::to_string(&Measured { releases }).expect("plain data")
}
