//! What CRIU printed against what the lint said that it would print, and where it stopped against where the lint said
//! that it would stop first.

use std::sync::atomic::{AtomicUsize, Ordering};

use ckpt_lint::criu::log::Decisive;

use crate::lint::{Finding, Lint};

/// How the failing dumps of this run compared.
#[derive(Default)]
pub(crate) struct Tally {
    predicted: AtomicUsize,
    by_chance: AtomicUsize,
    first: AtomicUsize,
    not_first: AtomicUsize,
}

impl Tally {
    /// Counts a dump that failed for what a finding says; an error where CRIU did not stop at the first hit.
    pub(crate) fn count(&self, lint: &Lint, named: &Finding, cause: &Decisive) -> Result<(), String> {
        let is_predicted = is_line(&named.error_line, &cause.message);
        add(if is_predicted { &self.predicted } else { &self.by_chance });
        // What was only possible may have happened before anything else did.
        let first = lint.findings.iter().find(|finding| finding.first_hit).ok_or("no finding is the first hit")?;
        let agrees = first == named || (named.confidence == "possible" && first.confidence != "possible");
        add(if agrees { &self.first } else { &self.not_first });
        let told = |finding: &Finding| {
            format!("{} {:?} {:?} at {:?}", finding.rule, finding.subject, finding.error_line, finding.phase)
        };
        if agrees { Ok(()) } else { Err(format!("first hit: {}\nCRIU: {}", told(first), told(named))) }
    }

    pub(crate) fn say(&self) {
        let get = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        println!(
            "lines: {} as predicted, {} that chance decided; first hits: {} right, {} not",
            get(&self.predicted),
            get(&self.by_chance),
            get(&self.first),
            get(&self.not_first)
        );
    }
}

fn add(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Whether a message is a predicted line, `...` standing for anything.
fn is_line(line: &str, message: &str) -> bool {
    let parts: Vec<String> = line.split("...").map(regex::escape).collect();
    regex::Regex::new(&format!("^{}$", parts.join(".*"))).is_ok_and(|pattern| pattern.is_match(message))
}
