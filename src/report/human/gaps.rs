//! What could not be read, and what that may hide. Gaps of the same kind share a line.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{ColumnConstraint, Width};
use owo_colors::Style;

use super::Look;
use super::fold;
use super::look::clean;
use crate::assess::GapReport;
use crate::facts::Pid;
use crate::report::Report;

const MOST_FILES: usize = 8;
const MOST_PIDS: usize = 6;
const MOST_RULES: usize = 3;

pub(super) fn render(report: Report<'_>, look: &Look) -> String {
    let gaps = &report.assessment.gaps;
    if gaps.is_empty() {
        return String::new();
    }
    let heading = look.paint(Style::new().yellow().bold(), "NOT READ");
    let title = look.strong("gaps: what may be there is not known");
    let rows = if look.verbose { gaps.iter().map(verbose_row).collect() } else { folded_rows(gaps) };
    let upper = |share: u16| ColumnConstraint::UpperBoundary(Width::Percentage(share));
    let denied = gaps.iter().any(|gap| gap.gap.reason.to_lowercase().contains("permission denied"));
    let fix = if denied { vec![("fix", "run it as root with all capabilities".to_owned())] } else { Vec::new() };
    format!("{heading}  {title}\n{}{}", look.rows(&[], rows, &[upper(40), upper(25)]), look.labelled(&fix))
}

fn verbose_row(report: &GapReport) -> Vec<String> {
    let hides: Vec<&String> = report.hides.iter().collect();
    vec![report.gap.path.to_string(), clean(&report.gap.reason), hidden(&hides, 0)]
}

/// One row for all that could not be read of the same processes for the same reason.
fn folded_rows(gaps: &[GapReport]) -> Vec<Vec<String>> {
    let mut files = BTreeMap::<(&str, String), Vec<&GapReport>>::new();
    for gap in gaps {
        files.entry((&gap.gap.reason, file(&gap.gap.path.to_string()))).or_default().push(gap);
    }
    let mut rows = BTreeMap::<(&str, BTreeSet<Pid>), (Vec<String>, BTreeSet<&String>)>::new();
    for ((reason, file), gaps) in files {
        let pids = gaps.iter().filter_map(|gap| gap.gap.pid).collect();
        let (files, hides) = rows.entry((reason, pids)).or_default();
        files.push(file);
        hides.extend(gaps.iter().flat_map(|gap| &gap.hides));
    }
    let mut folded = Vec::new();
    for ((reason, pids), (files, hides)) in rows {
        let (pids, hides): (Vec<Pid>, Vec<&String>) = (pids.into_iter().collect(), hides.into_iter().collect());
        let of = if pids.is_empty() { String::new() } else { format!(" of pid {}", fold::list(&pids, MOST_PIDS)) };
        folded.push(vec![fold::list(&files, MOST_FILES) + &of, clean(reason), hidden(&hides, MOST_RULES)]);
    }
    folded
}

/// The path below the directory of the process, or as it is.
fn file(path: &str) -> String {
    let below = path.strip_prefix("/proc/").and_then(|rest| rest.split_once('/'));
    match below {
        Some((pid, "")) if is_number(pid) => "its directory".to_owned(),
        Some((pid, rest)) if is_number(pid) => rest.to_owned(),
        _ => path.to_owned(),
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn hidden(hides: &[&String], most: usize) -> String {
    match hides {
        [] => "hides nothing that was looked for".to_owned(),
        hides => format!("may hide {}", fold::list(hides, most)),
    }
}
