//! Recorded trees: the same facts must give the same findings, on any machine, with no container and no root.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "what goes wrong here fails the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
struct Said {
    verdict: String,
    findings: BTreeMap<String, usize>,
}

fn lint(facts: &Path, criu: &str) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_ckpt-lint"))
        .arg("--from")
        .arg(facts)
        .args(["--criu", criu, "--format", "json"])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut findings = BTreeMap::new();
    for finding in report["findings"].as_array().unwrap() {
        if matches!(finding["severity"].as_str(), Some("blocks" | "needs-option")) {
            *findings.entry(finding["rule"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    Said { verdict: report["verdict"].as_str().unwrap().to_owned(), findings }
}

#[test]
fn every_recorded_tree_gives_its_expected_findings() {
    let trees = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/trees");
    let mut judged = 0;
    for tree in trees.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        let expected = std::fs::read_to_string(tree.join("expected.json")).unwrap();
        let expected: BTreeMap<String, Said> = serde_json::from_str(&expected).unwrap();
        for (criu, said) in expected {
            assert_eq!(lint(&tree.join("facts.json.zst"), &criu), said, "{} with criu {criu}", tree.display());
            judged += 1;
        }
    }
    assert!(judged >= 8, "both desktops are recorded");
}

#[test]
fn verdicts_on_recorded_trees_are_what_the_real_criu_did() {
    let trees = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/trees");
    for tree in trees.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        let real = std::fs::read_to_string(tree.join("criu.json")).unwrap();
        let real: BTreeMap<String, serde_json::Value> = serde_json::from_str(&real).unwrap();
        for (criu, outcome) in real {
            let verdict = lint(&tree.join("facts.json.zst"), &criu).verdict;
            assert_eq!(verdict == "ready", outcome["dumped"].as_bool().unwrap(), "{} with criu {criu}", tree.display());
        }
    }
}
