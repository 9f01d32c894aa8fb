//! The last line: the verdict with its counts.

use std::collections::BTreeSet;

use super::Look;
use super::fold::count;
use super::look::verdict_style;
use crate::finding::{Finding, Severity};
use crate::report::Report;
use crate::verdict::Verdict;

pub(super) fn line(report: Report<'_>, look: &Look) -> String {
    let assessment = report.assessment;
    let word = look.paint(verdict_style(assessment.verdict), &assessment.verdict.to_string().to_uppercase());
    let counts = counts(report);
    let text = match (assessment.verdict, counts.is_empty()) {
        (Verdict::Ready, true) => format!("nothing is in the way {}", looked_at(report)),
        (Verdict::Ready, false) => format!("nothing is in the way {}; {}", looked_at(report), counts.join(", ")),
        (Verdict::Unknown, _) => format!("nothing was found, but what was not read may hide it; {}", counts.join(", ")),
        (Verdict::Blocked | Verdict::ReadyWithOptions, _) => counts.join(", "),
    };
    format!("{word}: {text}\n")
}

fn looked_at(report: Report<'_>) -> String {
    if report.facts.is_of_host_only() {
        return format!("of CRIU {} on this host", report.profile.criu_version());
    }
    let fds = report.facts.processes.iter().map(|process| process.fds.len()).sum();
    let processes = count(report.facts.processes.len(), "process", "processes");
    format!("of CRIU {} ({processes}, {})", report.profile.criu_version(), count(fds, "fd", "fds"))
}

fn counts(report: Report<'_>) -> Vec<String> {
    let counts = &report.assessment.counts;
    let mut texts = Vec::new();
    let findings = &report.assessment.findings;
    if counts.blocks > 0 {
        texts.push(count(counts.blocks, "blocker", "blockers") + &holders(findings, Severity::Blocks));
    }
    if counts.needs_option > 0 {
        let need = count(counts.needs_option, "needs an option", "need an option");
        texts.push(need + &holders(findings, Severity::NeedsOption));
    }
    let others = [
        (counts.possible, "may fail", "may fail"),
        (counts.restore_risk, "restore risk", "restore risks"),
        (counts.info, "note", "notes"),
        (counts.gaps, "gap", "gaps"),
    ];
    texts.extend(others.iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| count(*n, one, many)));
    texts
}

/// In how many processes: empty for what no process holds.
fn holders(findings: &[Finding], severity: Severity) -> String {
    let such = findings.iter().filter(|finding| finding.decides() && finding.severity == severity);
    match such.filter_map(|finding| finding.subject.pid).collect::<BTreeSet<_>>().len() {
        0 => String::new(),
        n => format!(" in {}", count(n, "process", "processes")),
    }
}
