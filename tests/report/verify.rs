//! Prediction and reality side by side, for all that they may come to.

use std::path::Path;
use std::time::Duration;

use ckpt_lint::criu::log::Decisive;
use ckpt_lint::criu::run::{Dump, Outcome};
use ckpt_lint::report::{human, json};
use ckpt_lint::verdict::Verdict;
use ckpt_lint::verify::{Afterwards, Verification, compare};

use crate::PLAIN;
use crate::case::Case;

/// Shows what a dump of a case comes to.
fn of<T>(case: &Case, outcome: &Outcome, afterwards: Afterwards, show: impl Fn(&Verification<'_>) -> T) -> T {
    let dump = Dump::by_criu(Path::new("/usr/sbin/criu"), 100, Path::new("/tmp/x"), &["--shell-job".to_owned()]);
    let comparison = compare(case.assessment.verdict, &case.assessment.findings, outcome);
    let remarks = ["a remark\u{1b}[2J".to_owned()];
    show(&Verification { report: case.report(), dump: &dump, outcome, comparison, afterwards, remarks: &remarks })
}

/// Beside all other snapshots.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn dumped() -> Outcome {
    Outcome { dumped: true, frozen: Some(Duration::from_micros(12_345)), ..Outcome::default() }
}

fn refused(message: &str) -> Outcome {
    let cause = Decisive { message: message.to_owned(), pid: Some(130), fd: Some(4) };
    Outcome { dumped: false, cause: Some(cause), ..dumped() }
}

#[test]
fn the_finding_that_criu_met_first_is_named_beside_the_one_that_was_expected() {
    let shown =
        of(&Case::mixed(), &refused("inet: Connected TCP socket, consider using \u{1b}[2J."), Afterwards::Runs, |v| {
            human::verify(v, &PLAIN)
        });
    snapshot("verify_human", &shown);
}

#[test]
fn what_programs_read_of_it() {
    let shown = of(&Case::mixed(), &refused("inet: Connected TCP socket, consider using it."), Afterwards::Runs, |v| {
        json::verify(v).unwrap()
    });
    let own = shown.split_once("\"reality\"").unwrap().1;
    snapshot("verify_json", own);
}

#[test]
fn last_lines() {
    let (mixed, ready, unknown) = (Case::mixed(), Case::empty(Verdict::Ready), Case::empty(Verdict::Unknown));
    let hung = Outcome { hung: true, dumped: false, ..dumped() };
    let cases = [
        (&ready, dumped(), Afterwards::Runs),
        (&ready, refused("never heard of"), Afterwards::Stopped),
        (&ready, hung, Afterwards::Unknown),
        (&mixed, dumped(), Afterwards::Gone),
        (&mixed, refused("never heard of"), Afterwards::Runs),
        (&unknown, dumped(), Afterwards::Runs),
        (&unknown, Outcome { frozen: None, ..refused("before") }, Afterwards::Runs),
    ];
    let both = |v: &Verification<'_>| {
        let text = human::verify(v, &PLAIN);
        let froze = text.lines().find(|line| line.starts_with("  froze")).unwrap();
        format!("{froze}\n{}: {}\n", v.exit_code(), text.lines().last().unwrap())
    };
    let lines: String = cases.iter().map(|(case, outcome, afterwards)| of(case, outcome, *afterwards, both)).collect();
    snapshot("verify_last_lines", &lines);
}
