//! What each release of CRIU changed, read off the rules: a table in Markdown, the newest release first.

use std::collections::BTreeMap;

use super::rules::markdown_line;
use crate::profile::RELEASES;
use crate::rules::{Rule, RuleSet};
use crate::version::Version;

/// What one release changed, each as a rule with perhaps a word on what of it.
#[derive(Default)]
struct Changes {
    dumps: Vec<String>,
    refuses: Vec<String>,
    lifts: Vec<String>,
}

/// The table; releases that changed nothing are left out.
pub(super) fn markdown(rules: &RuleSet) -> String {
    let mut by_release = BTreeMap::<Version, Changes>::new();
    rules.rules.iter().for_each(|rule| note(rule, &mut by_release));
    let known = |release: &Version| RELEASES.first().is_none_or(|oldest| release > oldest);
    let row = |(release, changes): (Version, Changes)| {
        let cells = [changes.dumps, changes.refuses, changes.lifts].map(|cell| cell.join(", "));
        let [dumps, refuses, lifts] = cells;
        markdown_line([release.to_string(), dumps, refuses, lifts])
    };
    let rows: String = by_release.into_iter().rev().filter(|(release, _)| known(release)).map(row).collect();
    let head = ["CRIU", "Refused before, dumps since", "Refuses since", "Option that lifts since"].map(str::to_owned);
    format!("{}| --- | --- | --- | --- |\n{rows}", markdown_line(head))
}

fn note(rule: &Rule, by_release: &mut BTreeMap<Version, Changes>) {
    let id = format!("`{}`", rule.id);
    if let Some(since) = rule.criu.dumpable_since {
        by_release.entry(since).or_default().dumps.push(id.clone());
    }
    if let Some(since) = rule.criu.refused_since {
        by_release.entry(since).or_default().refuses.push(id.clone());
    }
    for (since, entry) in rule.matcher.learnt() {
        by_release.entry(since).or_default().dumps.push(format!("{entry} ({id})"));
    }
    for (since, option) in rule.lift.iter().filter_map(|lift| Some((lift.since?, &lift.option))) {
        by_release.entry(since).or_default().lifts.push(format!("{option} ({id})"));
    }
}
