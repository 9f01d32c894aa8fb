//! Programs that hold what is in the way: how much of it, what would be left without them, and how to do without.

use std::cmp::Reverse;

use comfy_table::{ColumnConstraint, Width};

use super::Look;
use super::look::severity_style;
use crate::finding::{Finding, Severity};
use crate::report::Report;

const WIDEST_TITLE: u16 = 26;

/// Whether this table says it in one row; `-v` says it in full.
pub(super) fn is_row(finding: &Finding) -> bool {
    held(finding).is_some()
}

/// How many findings the program holds: what its matcher leaves under `count`.
fn held(finding: &Finding) -> Option<usize> {
    let count = finding.subject.values.get("count").filter(|_| finding.severity == Severity::Info)?;
    count.as_str()?.parse().ok()
}

pub(super) fn render(report: Report<'_>, look: &Look) -> String {
    let findings = &report.assessment.findings;
    let all = findings.iter().filter(|finding| finding.decides()).count();
    let mut programs: Vec<(usize, &Finding)> = findings.iter().filter_map(|f| Some((held(f)?, f))).collect();
    programs.sort_by_key(|(held, _)| Reverse(*held));
    if programs.is_empty() {
        return String::new();
    }
    let row = |(held, finding): (usize, &Finding)| {
        let left = all.saturating_sub(held);
        vec![look.strong(report.title(&finding.rule)), held.to_string(), left.to_string(), finding.fix.clone()]
    };
    let rows = programs.into_iter().map(row).collect();
    let word = look.paint(severity_style(Severity::Info, false), "INFO");
    let heading = look.strong("programs that hold what is in the way, and how to do without them");
    let headings = ["PROGRAM", "HOLDS", "LEAVES", "HOW TO DO WITHOUT"];
    let title = ColumnConstraint::UpperBoundary(Width::Fixed(WIDEST_TITLE));
    let numbers = [ColumnConstraint::ContentWidth, ColumnConstraint::ContentWidth];
    format!("{word}  {heading}\n{}", look.rows(&headings, rows, &[&[title][..], &numbers].concat()))
}
