//! The forms of a report, on one small hand-made case that has some of everything, hostile names included.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "what goes wrong here fails the test")]

#[path = "report/case.rs"]
mod case;
#[path = "report/verify.rs"]
mod verify;

use case::Case;
use ckpt_lint::facts::Facts;
use ckpt_lint::report::human::{self, Look};
use ckpt_lint::report::{json, rules};
use ckpt_lint::verdict::Verdict;

const PLAIN: Look = Look { width: 80, colour: false, quiet: false, verbose: false };

fn human(case: &Case, look: Look) -> String {
    human::render(case.report(), &look)
}

/// The longest line but for those that are to be copied and the verdict.
fn widest(text: &str) -> usize {
    let one_line = |line: &&str| line.starts_with("  run ") || line.starts_with("BLOCKED: ");
    text.lines().filter(|line| !one_line(line)).map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn human_on_a_narrow_terminal() {
    insta::assert_snapshot!(human(&Case::mixed(), PLAIN));
}

#[test]
fn human_on_a_wide_terminal() {
    insta::assert_snapshot!(human(&Case::mixed(), Look { width: 120, ..PLAIN }));
}

#[test]
fn human_with_everything() {
    insta::assert_snapshot!(human(&Case::mixed(), Look { width: 120, verbose: true, ..PLAIN }));
}

#[test]
fn json_version_1() {
    insta::assert_snapshot!(json::render(Case::mixed().report()).unwrap());
}

#[test]
fn verdict_lines() {
    let quiet = |case: &Case| human(case, Look { quiet: true, ..PLAIN });
    let mut lines = vec![quiet(&Case::mixed()), quiet(&Case::many()), quiet(&Case::empty(Verdict::Ready))];
    lines.push(quiet(&Case::empty(Verdict::Unknown)));
    insta::assert_snapshot!(lines.concat());
}

#[test]
fn list_of_rules() {
    insta::assert_snapshot!(rules::table(&Case::mixed().rules, 100));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for case in [Case::mixed(), Case::many(), Case::empty(Verdict::Ready)] {
        for width in [80, 100, 120, 200] {
            for verbose in [false, true] {
                let text = human(&case, Look { width, verbose, ..PLAIN });
                assert!(widest(&text) <= width.into(), "{width}: {text}");
            }
        }
    }
}

#[test]
fn three_hundred_findings_stay_short_and_all_processes_are_named() {
    let case = Case::many();
    assert_eq!(case.assessment.findings.len(), 300);
    let text = human(&case, PLAIN);
    assert!(text.lines().count() < 250, "{text}");
    for process in &case.facts.processes {
        assert!(text.contains(&process.comm.to_string()), "{} is missing", process.comm);
    }
    let wide = human(&case, Look { width: 200, ..PLAIN });
    assert!(wide.contains(" and 32 more ") && wide.contains("the same in 59 others: 1001, "), "{wide}");
    let verbose = human(&case, Look { verbose: true, ..PLAIN });
    assert!(verbose.lines().count() > 300);
}

#[test]
fn names_from_the_target_can_not_drive_the_terminal() {
    for verbose in [false, true] {
        let text = human(&Case::mixed(), Look { verbose, ..PLAIN });
        let unsafe_sign = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.contains(unsafe_sign), "{text:?}");
    }
}

#[test]
fn colour_only_adds_escapes() {
    let coloured = human(&Case::mixed(), Look { colour: true, ..PLAIN });
    assert!(coloured.contains("\x1b["));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), human(&Case::mixed(), PLAIN));
}

#[test]
fn the_last_line_is_the_verdict_in_words() {
    let text = human(&Case::mixed(), PLAIN);
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("BLOCKED: 6 blockers in 3 processes, "), "{last}");
    assert_eq!(text.matches("BLOCKED").count(), 1);
}

#[test]
fn json_keeps_the_bytes_of_a_name() {
    let report: serde_json::Value = serde_json::from_str(&json::render(Case::mixed().report()).unwrap()).unwrap();
    let subject =
        &report["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "tcp-established").unwrap()["subject"];
    assert_eq!(subject["comm"], "ev\u{1b}[2Jil\\xff");
    assert_eq!(subject["comm_base64"], "ZXYbWzJKaWz/");
    assert_eq!(report["schema_version"], 1);
}

#[test]
fn fingerprints_do_not_change_with_pids_and_inodes() {
    let prints = |shift: i32| {
        let report = json::render(Case::shifted(shift).report()).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        report["findings"].as_array().unwrap().iter().map(|f| f["fingerprint"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(prints(0), prints(7000));
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    let render = || json::render(Case::many().report()).unwrap();
    assert_eq!(render(), render());
    let facts: Facts = serde_json::from_str(&serde_json::to_string(&Case::mixed().facts).unwrap()).unwrap();
    let replayed = Case { facts, ..Case::mixed() };
    assert_eq!(json::render(replayed.report()).unwrap(), json::render(Case::mixed().report()).unwrap());
}
