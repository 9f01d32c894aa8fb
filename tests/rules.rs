//! Every rule has something that makes it fire and a look-alike that must not, and is sure only of what was measured.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "what goes wrong here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::LazyLock;

use ckpt_lint::finding::Severity;
use ckpt_lint::rules::{Rule, RuleSet};
use toml::{Table, Value};

fn fixtures(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// What is said of each fixture program, by name.
fn programs() -> BTreeMap<String, Table> {
    let files = fixtures("programs").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    files
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap().parse().unwrap())
        })
        .collect()
}

/// Texts in the lists of that name, at any depth.
fn listed(table: &Table, name: &str) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for (key, value) in table {
        match value {
            Value::Array(list) if key == name => {
                texts.extend(list.iter().filter_map(|t| t.as_str().map(str::to_owned)))
            }
            Value::Table(inner) => texts.extend(listed(inner, name)),
            _ => {}
        }
    }
    texts
}

/// Rules that recorded trees expect to fire.
fn in_trees() -> BTreeSet<String> {
    let mut rules = BTreeSet::new();
    for tree in fixtures("trees").read_dir().unwrap() {
        let text = std::fs::read_to_string(tree.unwrap().path().join("expected.json")).unwrap();
        let said: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        said.values().for_each(|said| rules.extend(said["findings"].as_object().unwrap().keys().cloned()));
    }
    rules
}

fn recorded() -> Vec<serde_json::Value> {
    serde_json::from_str(&std::fs::read_to_string(fixtures("conformance.json")).unwrap()).unwrap()
}

/// Rules that CRIU confirmed of programs with variants, which expect what is recorded, and those of restores.
fn in_variants() -> BTreeSet<String> {
    let is_variant = |record: &&serde_json::Value| record["target"].as_str().unwrap().contains('/');
    let records = recorded();
    let restores = restored();
    let causes = records.iter().filter(is_variant).chain(&restores).filter_map(|record| record["cause"].as_str());
    causes.map(str::to_owned).collect()
}

/// Pids, inodes and addresses are recorded as `N`: what a text says, and `{placeholders}` and `...` for anything.
fn as_recorded(text: &str) -> regex::Regex {
    static OPEN: LazyLock<regex::Regex> = LazyLock::new(|| regex::Regex::new(r"(0x)?\{\w+\}|\.\.\.").unwrap());
    static NUMBER: LazyLock<regex::Regex> = LazyLock::new(|| regex::Regex::new("[0-9]+").unwrap());
    let open = OPEN.replace_all(text, "\0").into_owned();
    let parts = open.split('\0').map(|part| regex::escape(&NUMBER.replace_all(part, "N")));
    regex::Regex::new(&format!("^{}$", parts.collect::<Vec<_>>().join(".*"))).unwrap()
}

fn unmade() -> Table {
    std::fs::read_to_string(fixtures("unmade.toml")).unwrap().parse().unwrap()
}

/// Restores by the real CRIU.
fn restored() -> Vec<serde_json::Value> {
    serde_json::from_str(&std::fs::read_to_string(fixtures("restores.json")).unwrap()).unwrap()
}

/// Rules that say that a dump or a restore fails or loses something.
fn rules() -> Vec<Rule> {
    let rules = RuleSet::built_in().unwrap().rules.into_iter();
    rules.filter(|rule| rule.severity != Severity::Info).collect()
}

#[test]
fn every_rule_has_a_fixture_that_makes_it_fire_or_a_reason_why_none_can() {
    let mut made = in_trees();
    made.extend(in_variants());
    programs().values().for_each(|program| {
        made.extend(listed(program, "fires"));
        made.extend(listed(program, "risks"));
    });
    for rule in rules() {
        let reason = unmade().contains_key(&rule.id);
        assert!(made.contains(&rule.id) != reason, "{}: made by a fixture, or else a reason in unmade.toml", rule.id);
    }
}

#[test]
fn every_rule_that_a_fixture_makes_fire_has_a_look_alike() {
    let resembled: BTreeSet<String> = programs().values().flat_map(|program| listed(program, "resembles")).collect();
    // Judged by release, kernel or place alone: there the look-alike is the same target under another one.
    let without = ["pidfd-before-4-1", "vdso-layout"];
    for rule in rules() {
        let exempt = unmade().contains_key(&rule.id) || without.contains(&rule.id.as_str());
        assert!(exempt || resembled.contains(&rule.id), "no program resembles what {} looks for", rule.id);
    }
}

#[test]
fn fixtures_name_rules_that_exist() {
    let known: BTreeSet<String> = rules().into_iter().map(|rule| rule.id).collect();
    for (name, program) in programs() {
        let named = ["fires", "risks", "resembles"].map(|list| listed(&program, list));
        for rule in named.iter().flatten() {
            assert!(known.contains(rule), "{name} names {rule}, which is no rule");
        }
    }
    unmade().keys().for_each(|rule| assert!(known.contains(rule), "unmade.toml names {rule}, which is no rule"));
}

#[test]
fn what_criu_printed_is_what_the_rule_that_it_confirmed_says() {
    let lines = |rule: Rule| (rule.id, rule.criu.error.texts().map(as_recorded).collect::<Vec<_>>());
    let said: BTreeMap<String, Vec<regex::Regex>> = rules().into_iter().map(lines).collect();
    for record in recorded() {
        let (Some(error), Some(cause)) = (record["error"].as_str(), record["cause"].as_str()) else { continue };
        let says = || said[cause].iter().any(|line| line.is_match(error));
        assert!(error == "hang" || says(), "{cause} does not say: {error}");
    }
}

#[test]
fn every_rule_says_when_criu_comes_to_it() {
    let of_dump = rules().into_iter().filter(|rule| rule.severity != Severity::RestoreRisk);
    of_dump.for_each(|rule| assert!(rule.criu.phase.is_some(), "{}", rule.id));
}

#[test]
fn a_rule_is_certain_only_where_a_recorded_run_says_so() {
    let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
    for record in recorded().into_iter().chain(restored()) {
        if let (Some(cause), Some(criu)) = (record["cause"].as_str(), record["criu"].as_str()) {
            seen.entry(cause.to_owned()).or_default().insert(criu.to_owned());
        }
    }
    let measured: BTreeMap<String, BTreeSet<String>> = RuleSet::built_in()
        .unwrap()
        .measured
        .into_iter()
        .map(|(rule, releases)| (rule, releases.iter().map(ToString::to_string).collect()))
        .collect();
    assert_eq!(measured, seen, "rules/measured.toml is not what fixtures/conformance.json says");
}
