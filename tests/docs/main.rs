//! The README says what the program does, and `docs/measured.md` what was measured: what is generated of them is that of
//! this very build.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` writes them anew.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test program: what goes wrong fails the test")]

use std::fs;
use std::path::Path;
use std::process::Command;

mod measured;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const MEASURED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/measured.md");
const DESKTOP: &str = "fixtures/trees/vnc-desktop/facts.json.zst";

fn ckpt_lint(args: &[&str]) -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(env!("CARGO_BIN_EXE_ckpt-lint")).args(args).current_dir(folder).env_clear().output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

fn code(text: &str) -> String {
    format!("```text\n{text}```\n")
}

/// The report on the recorded desktop; nothing while none is recorded.
fn desktop() -> String {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join(DESKTOP).exists() {
        return String::new();
    }
    code(&ckpt_lint(&["--from", DESKTOP, "--criu", "4.0"]))
}

/// The text with what stands between a block's markers replaced.
fn with_block(text: &str, name: &str, content: &str) -> String {
    let marker = format!("<!-- {name}: written by a test, see CONTRIBUTING.md -->\n");
    let Some((before, rest)) = text.split_once(&marker) else { panic!("no block {name}") };
    let Some((_, after)) = rest.split_once("<!-- end -->") else { panic!("no end of block {name}") };
    let gap = if content.is_empty() { "" } else { "\n" };
    format!("{before}{marker}{gap}{content}{gap}<!-- end -->{after}")
}

#[test]
fn generated_parts_of_the_readme_are_up_to_date() {
    let found = fs::read_to_string(README).unwrap();
    let blocks = [
        ("report", desktop()),
        ("help", code(&ckpt_lint(&["--help"]))),
        ("blind", ckpt_lint(&["rules", "--blind", "--format", "markdown"])),
        ("rules", ckpt_lint(&["rules", "--format", "markdown"])),
    ];
    let expected = blocks.iter().fold(found.clone(), |text, (name, content)| with_block(&text, name, content));
    settle(README, &found, &expected);
}

#[test]
fn the_page_of_what_was_measured_is_up_to_date() {
    settle(MEASURED, &fs::read_to_string(MEASURED).unwrap_or_default(), &measured::page());
}

/// Writes the file anew when asked to, else it must be what is expected.
fn settle(path: &str, found: &str, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, expected).unwrap();
    } else {
        assert!(found == expected, "{path} is stale: run UPDATE_DOCS=1 cargo test --test docs");
    }
}
