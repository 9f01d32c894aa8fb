//! Groups of findings as text: a heading, a table of who holds what, why, and what to do.

use comfy_table::{ColumnConstraint, Width};

use super::Look;
use super::fold;
use super::group::{Group, Row};
use super::look::severity_style;
use crate::finding::{Confidence, Severity};
use crate::report::Report;

/// No name of a process is given more room than this, however much of it is escaped.
const WIDEST_NAME: usize = 24;

/// Room for five descriptors: `fd 12, 14, 16, 18, 20`.
const NARROWEST_FDS: u16 = 24;

/// How many different fixes of one rule are listed.
const MOST_TEXTS: usize = 4;

pub(super) fn render(groups: &[Group<'_>], report: Report<'_>, look: &Look) -> String {
    let rows = || groups.iter().flat_map(|group| &group.rows);
    let widest = |text: fn(&Row) -> &str| rows().map(|row| text(row).chars().count()).max().unwrap_or(0);
    let name = widest(|row| &row.holder).clamp("PROCESS".len(), WIDEST_NAME);
    let pid = widest(|row| &row.pid).clamp("PID".len(), WIDEST_NAME);
    let first = |n: usize| n == 0;
    let block = |(n, group)| block(group, report, look, (name, pid, first(n)));
    groups.iter().enumerate().map(block).collect::<Vec<_>>().join("\n")
}

fn block(group: &Group<'_>, report: Report<'_>, look: &Look, widths: (usize, usize, bool)) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    lines.extend(group.why.iter().take(MOST_TEXTS).map(|why| ("why", (*why).to_owned())));
    lines.extend(group.fix.iter().take(MOST_TEXTS).map(|fix| ("fix", (*fix).to_owned())));
    if group.fix.len() > MOST_TEXTS {
        lines.push(("", format!("and {} more like it, see -v or --format json", group.fix.len() - MOST_TEXTS)));
    }
    lines.extend(group.lift.iter().map(|lift| ("lift by", lift.clone())));
    lines.extend(group.first_stop.iter().map(|stop| ("criu", stop.clone())));
    lines.push(("rule", look.dim(&(group.rule.to_owned() + &sureness(group, report)))));
    [heading(group, look), table(&group.rows, look, widths), look.labelled(&lines)].concat()
}

fn heading(group: &Group<'_>, look: &Look) -> String {
    let word = match (group.severity, group.decides()) {
        (Severity::Blocks, true) => "BLOCKS",
        (Severity::Blocks, false) => "MAY BLOCK",
        (Severity::NeedsOption, true) => "NEEDS OPTION",
        (Severity::NeedsOption, false) => "MAY NEED OPTION",
        (Severity::RestoreRisk, _) => "RESTORE RISK",
        (Severity::Info, _) => "INFO",
    };
    let word = look.paint(severity_style(group.severity, group.decides()), word);
    let often = match (group.findings, group.processes) {
        (1, _) => String::new(),
        (n, 0) => format!("  {n} times"),
        (n, processes) => format!("  {n} in {}", fold::count(processes, "process", "processes")),
    };
    format!("{word}  {}{}\n", look.strong(group.title), look.dim(&often))
}

fn table(rows: &[Row], look: &Look, (name, pid, first): (usize, usize, bool)) -> String {
    let fixed = |width: usize| ColumnConstraint::Absolute(Width::Fixed(u16::try_from(width + 2).unwrap_or(u16::MAX)));
    let mut constraints = vec![fixed(name), fixed(pid)];
    let has_fds = rows.iter().any(|row| !row.fds.is_empty());
    if has_fds {
        constraints.push(ColumnConstraint::UpperBoundary(Width::Fixed((look.width / 4).max(NARROWEST_FDS))));
    }
    let cells = |row: &Row| {
        let mut cells = vec![look.strong(&row.holder), row.pid.clone()];
        cells.extend(has_fds.then(|| row.fds.clone()));
        cells.push(row.what.clone());
        cells
    };
    let headings: &[&str] = match (first, has_fds) {
        (false, _) => &[],
        (true, false) => &["PROCESS", "PID", "HOLDS"],
        (true, true) => &["PROCESS", "PID", "FD", "HOLDS"],
    };
    look.rows(headings, rows.iter().map(cells).collect(), &constraints)
}

/// How sure the rule is of what CRIU does; nothing for a rule about programs, which says nothing of CRIU.
fn sureness(group: &Group<'_>, report: Report<'_>) -> String {
    let about_programs = |id: &str| report.rules.rules.iter().any(|r| r.id == id && r.matcher.is_about_programs());
    match group.confidence {
        _ if about_programs(group.rule) => String::new(),
        Confidence::Certain => format!(" (certain: seen with CRIU {})", report.profile.criu_version()),
        Confidence::Likely => " (likely: read in the source of CRIU)".to_owned(),
        Confidence::Possible => " (possible: depends on timing, kernel or a plugin)".to_owned(),
    }
}
