//! The list of rules, from the rule files: a table, Markdown for documents, JSON for programs.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use serde::Serialize;

use super::{changes, json};
use crate::error::Result;
use crate::finding::Severity;
use crate::rules::{CriuBehaviour, KernelRange, Lift, Rule, RuleSet};
use crate::version::Version;

/// Id and severity are never wrapped.
const COLUMNS: [ColumnConstraint; 2] = [ColumnConstraint::ContentWidth, ColumnConstraint::ContentWidth];

/// The table for a terminal of this width.
#[must_use]
pub fn table(rules: &RuleSet, width: u16) -> String {
    laid_out(["RULE", "SEVERITY", "WHAT"], rules.rules.iter().map(short_row), width, &COLUMNS)
}

/// A table without lines; the first columns as constrained, the others share the rest of the width.
pub(super) fn laid_out<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    width: u16,
    first: &[ColumnConstraint],
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(head);
    table.add_rows(rows);
    for (column, constraint) in table.column_iter_mut().zip(first) {
        column.set_padding((0, 2)).set_constraint(*constraint);
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn short_row(rule: &Rule) -> [String; 3] {
    let [id, severity, title, refused, lifted] = row(rule);
    let refused = if matches!(refused.as_str(), "all" | "none") { String::new() } else { format!("; CRIU {refused}") };
    let lifted = if lifted.is_empty() { lifted } else { format!("; lifted by {lifted}") };
    [id, severity, title + &refused + &lifted]
}

/// The table for documents, one line for each rule, and what each release of CRIU changed.
#[must_use]
pub fn markdown(rules: &RuleSet) -> String {
    let head = ["Rule", "Severity", "What", "Refused by CRIU", "Lifted by"].map(str::to_owned);
    let rule = |rule: &Rule| {
        let [id, severity, title, refused, lifted] = row(rule);
        markdown_line([format!("`{id}`"), severity, title, refused, lifted])
    };
    let rows: String = rules.rules.iter().map(rule).collect();
    let table = format!("{}| --- | --- | --- | --- | --- |\n{rows}", markdown_line(head));
    format!("{table}\nWhat each release of CRIU changed:\n\n{}", changes::markdown(rules))
}

/// One line of a table in Markdown.
pub(super) fn markdown_line<const N: usize>(cells: [String; N]) -> String {
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// All of the rules but for what their matchers are given.
///
/// # Errors
/// None that is known.
pub fn json(rules: &RuleSet) -> Result<String> {
    let rules = rules.rules.iter().map(|rule| RuleV1::new(rule, rules)).collect();
    json::pretty(&RulesV1 { schema_version: 1, rules })
}

fn row(rule: &Rule) -> [String; 5] {
    let options: Vec<&str> = rule.lift.iter().map(|lift| lift.option.as_str()).collect();
    let refused = match refused(&rule.criu) {
        all if all == "all" && rule.severity == Severity::Info => "none".to_owned(),
        refused => refused,
    };
    [rule.id.clone(), severity(rule.severity).to_owned(), rule.title.clone(), refused, options.join(", ")]
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocks => "blocks",
        Severity::NeedsOption => "needs-option",
        Severity::RestoreRisk => "restore-risk",
        Severity::Info => "info",
    }
}

/// Which releases refuse it: `all`, `before 4.1`, `since 3.17 on Linux >=6.16`.
pub(super) fn refused(criu: &CriuBehaviour) -> String {
    let releases = match (criu.refused_since, criu.dumpable_since) {
        (None, None) => "all".to_owned(),
        (None, Some(end)) => format!("before {end}"),
        (Some(start), None) => format!("since {start}"),
        (Some(start), Some(end)) => format!("{start} to before {end}"),
    };
    let kernel = criu.kernel.map(|range| format!(", on Linux {}", String::from(range))).unwrap_or_default();
    releases + &kernel
}

#[derive(Serialize)]
struct RulesV1<'a> {
    schema_version: u32,
    rules: Vec<RuleV1<'a>>,
}

#[derive(Serialize)]
struct RuleV1<'a> {
    id: &'a str,
    area: &'a str,
    title: &'a str,
    severity: Severity,
    refused_since: Option<Version>,
    dumpable_since: Option<Version>,
    kernel: Option<KernelRange>,
    feature: Option<&'a str>,
    perhaps_with: &'a [String],
    learnt: Vec<LearntV1<'a>>,
    error: String,
    error_lines: Vec<&'a str>,
    source: &'a str,
    lifted_by: Vec<LiftV1<'a>>,
    why: &'a str,
    fix: &'a str,
    measured_with: &'a [Version],
}

/// Something of a list that CRIU did not know before.
#[derive(Serialize)]
struct LearntV1<'a> {
    entry: &'a str,
    since: Version,
}

#[derive(Serialize)]
pub(super) struct LiftV1<'a> {
    option: &'a str,
    value: Option<&'a str>,
    since: Option<Version>,
    loses: Option<&'a str>,
}

impl<'a> From<&'a Lift> for LiftV1<'a> {
    fn from(lift: &'a Lift) -> Self {
        Self { option: &lift.option, value: lift.value.as_deref(), since: lift.since, loses: lift.loses.as_deref() }
    }
}

impl<'a> RuleV1<'a> {
    fn new(rule: &'a Rule, set: &'a RuleSet) -> Self {
        Self {
            id: &rule.id,
            area: &rule.area,
            title: &rule.title,
            severity: rule.severity,
            refused_since: rule.criu.refused_since,
            dumpable_since: rule.criu.dumpable_since,
            kernel: rule.criu.kernel,
            feature: rule.criu.feature.as_deref(),
            perhaps_with: &rule.criu.perhaps_with,
            learnt: rule.matcher.learnt().map(|(since, entry)| LearntV1 { entry, since }).collect(),
            error: rule.criu.error.pattern(),
            error_lines: rule.criu.error.texts().collect(),
            source: &rule.criu.source,
            lifted_by: rule.lift.iter().map(LiftV1::from).collect(),
            why: &rule.text.why,
            fix: &rule.text.fix,
            measured_with: set.measured.get(&rule.id).map_or(&[], Vec::as_slice),
        }
    }
}
