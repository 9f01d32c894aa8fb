//! The list of what can't be seen from outside: a table, Markdown for documents, JSON for programs.

use comfy_table::ColumnConstraint;
use serde::Serialize;

use super::json;
use super::rules::{LiftV1, laid_out, markdown_line, refused};
use crate::error::Result;
use crate::rules::{Blind, KernelRange, RuleSet};
use crate::version::Version;

/// The table for a terminal of this width.
#[must_use]
pub fn table(rules: &RuleSet, width: u16) -> String {
    let rows = rules.blind.iter().map(|blind| {
        let [id, title, hidden, fix] = row(blind);
        [id, format!("{title}: {hidden}"), fix]
    });
    laid_out(
        ["BLIND SPOT", "WHAT, AND WHY IT IS NOT SEEN", "WHAT TO DO"],
        rows,
        width,
        &[ColumnConstraint::ContentWidth],
    )
}

/// The table for documents, one line for each.
#[must_use]
pub fn markdown(rules: &RuleSet) -> String {
    let head = ["Blind spot", "What", "Why it is not seen", "What to do"].map(str::to_owned);
    let rows: String = rules
        .blind
        .iter()
        .map(|blind| {
            let [id, title, hidden, fix] = row(blind);
            markdown_line([format!("`{id}`"), title, hidden, fix])
        })
        .collect();
    format!("{}| --- | --- | --- | --- |\n{rows}", markdown_line(head))
}

/// All there is to say of each.
///
/// # Errors
/// None that is known.
pub fn json(rules: &RuleSet) -> Result<String> {
    json::pretty(&ListV1 { schema_version: 1, blind: rules.blind.iter().map(BlindV1::from).collect() })
}

fn row(blind: &Blind) -> [String; 4] {
    let options: Vec<&str> = blind.lift.iter().map(|lift| lift.option.as_str()).collect();
    let lifted = if options.is_empty() { String::new() } else { format!("; lifted by {}", options.join(", ")) };
    let refused = match refused(&blind.criu).as_str() {
        "all" => String::new(),
        releases => format!(" (CRIU {releases})"),
    };
    let title = format!("{}{refused}", blind.title);
    [blind.id.clone(), title, blind.text.hidden.clone(), format!("{}{lifted}", blind.text.fix)]
}

#[derive(Serialize)]
struct ListV1<'a> {
    schema_version: u32,
    blind: Vec<BlindV1<'a>>,
}

#[derive(Serialize)]
struct BlindV1<'a> {
    id: &'a str,
    title: &'a str,
    refused_since: Option<Version>,
    dumpable_since: Option<Version>,
    kernel: Option<KernelRange>,
    error: String,
    error_lines: Vec<&'a str>,
    source: &'a str,
    lifted_by: Vec<LiftV1<'a>>,
    why: &'a str,
    hidden: &'a str,
    fix: &'a str,
}

impl<'a> From<&'a Blind> for BlindV1<'a> {
    fn from(blind: &'a Blind) -> Self {
        Self {
            id: &blind.id,
            title: &blind.title,
            refused_since: blind.criu.refused_since,
            dumpable_since: blind.criu.dumpable_since,
            kernel: blind.criu.kernel,
            error: blind.criu.error.pattern(),
            error_lines: blind.criu.error.texts().collect(),
            source: &blind.criu.source,
            lifted_by: blind.lift.iter().map(LiftV1::from).collect(),
            why: &blind.text.why,
            hidden: &blind.text.hidden,
            fix: &blind.text.fix,
        }
    }
}
