//! What could not be read, and what that may hide. Gaps of the same kind share a line.

use std::collections::BTreeMap;

use comfy_table::{ColumnConstraint, Width};
use owo_colors::Style;

use super::Look;
use super::fold;
use super::look::clean;
use crate::assess::GapReport;
use crate::report::Report;

const MOST_PIDS: usize = 6;
const MOST_RULES: usize = 3;

pub(super) fn render(report: Report<'_>, look: &Look) -> String {
    let gaps = &report.assessment.gaps;
    if gaps.is_empty() {
        return String::new();
    }
    let mut alike = BTreeMap::<_, Vec<&GapReport>>::new();
    for gap in gaps {
        let file = if look.verbose { gap.gap.path.to_string() } else { file_name(&gap.gap.path.to_string()) };
        alike.entry((gap.gap.area, file, &gap.gap.reason)).or_default().push(gap);
    }
    let rows = alike.into_iter().map(|((_, file, reason), gaps)| row(&file, reason, &gaps, look)).collect();
    let heading = look.paint(Style::new().yellow().bold(), "NOT READ");
    let upper = |share: u16| ColumnConstraint::UpperBoundary(Width::Percentage(share));
    format!(
        "{heading}  {}\n{}",
        look.strong("gaps: what may be there is not known"),
        look.rows(&[], rows, &[upper(35), upper(25)])
    )
}

/// What was read below the directory of the process.
fn file_name(path: &str) -> String {
    let below = path.strip_prefix("/proc/").and_then(|rest| rest.split_once('/'));
    match below {
        Some((pid, rest)) if pid.chars().all(|c| c.is_ascii_digit()) => format!("/proc/PID/{rest}"),
        _ => path.to_owned(),
    }
}

fn row(file: &str, reason: &str, gaps: &[&GapReport], look: &Look) -> Vec<String> {
    let most = |folded: usize| if look.verbose { 0 } else { folded };
    let mut pids: Vec<_> = gaps.iter().filter_map(|gap| gap.gap.pid).collect();
    pids.dedup();
    let of = if pids.is_empty() || look.verbose {
        String::new()
    } else {
        format!(" of pid {}", fold::list(&pids, MOST_PIDS))
    };
    let mut hides: Vec<&String> = gaps.iter().flat_map(|gap| &gap.hides).collect();
    hides.sort();
    hides.dedup();
    let hidden = match hides.as_slice() {
        [] => "hides nothing that was looked for".to_owned(),
        hides => format!("may hide {}", fold::list(hides, most(MOST_RULES))),
    };
    vec![format!("{file}{of}"), clean(reason), hidden]
}
