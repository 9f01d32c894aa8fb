//! The plan: what to do so that the dump passes, with commands and config lines that are never wrapped.

use super::Look;
use super::fold;
use super::look::clean;
use crate::finding::{Finding, Severity};
use crate::plan::{Holder, Plan};
use crate::report::Report;
use crate::verdict::Verdict;

const MOST_HOLDERS: usize = 8;

pub(super) fn render(report: Report<'_>, look: &Look) -> String {
    let plan = &report.assessment.plan;
    if report.facts.is_of_host_only() || matches!(report.assessment.verdict, Verdict::Ready | Verdict::Unknown) {
        return String::new();
    }
    let mut out = look.labelled(&steps(plan));
    if let Some(config) = &plan.config {
        out += &look.labelled(&[("edit", format!("{}, add:", clean(&config.file)))]);
        out.extend(config.lines.iter().map(|line| look.unwrapped("", &clean(line))));
    }
    out.extend(plan.command.iter().map(|command| look.unwrapped("run", &look.strong(&clean(command)))));
    out += &look.labelled(&otherwise(report, if look.verbose { 0 } else { MOST_HOLDERS }));
    let heading = if plan.suffices { "to make it pass" } else { "as far as it goes" };
    format!("{}  {heading}\n{out}", look.strong("PLAN"))
}

fn steps(plan: &Plan) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    lines.extend(plan.upgrade.map(|release| ("upgrade", format!("criu to {release} or later"))));
    if plan.command.is_none() && plan.config.is_none() && !plan.options.is_empty() {
        lines.push(("add", clean(&plan.options.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))));
    }
    lines.extend(plan.loses.iter().map(|loss| ("lost by", clean(&format!("{}: {}", loss.option, loss.loses)))));
    lines
}

/// What else could be done, what would remain, and which release does.
fn otherwise(report: Report<'_>, most: usize) -> Vec<(&'static str, String)> {
    let plan = &report.assessment.plan;
    let blocks = |finding: &&Finding| finding.decides() && finding.severity == Severity::Blocks;
    let only_processes = report.assessment.findings.iter().filter(blocks).all(|finding| finding.subject.pid.is_some());
    let mut lines = Vec::new();
    if !plan.stop.is_empty() && only_processes {
        let instead = if plan.suffices { "or keep this criu and " } else { "" };
        let enough = if plan.stop_suffices { "" } else { "; that alone is not enough" };
        lines.push(("stop", format!("{instead}stop {}{enough}", holders(&plan.stop, most))));
    }
    if !plan.free.is_empty() && only_processes {
        lines.push(("free", format!("or dump one of these alone, by bare criu: {}", holders(&plan.free, most))));
    }
    if !plan.suffices {
        lines.extend(plan.remaining.iter().map(|line| ("remains", line.clone())));
    }
    lines.push(("ready", first_ready(report)));
    lines
}

fn first_ready(report: Report<'_>) -> String {
    let (as_it_is, with_options) = (report.assessment.first_ready, report.assessment.first_ready_with_options);
    match (as_it_is, with_options) {
        (Some(release), Some(earlier)) if earlier < release => {
            format!("first with CRIU {earlier} and options, first with CRIU {release} as it is")
        }
        (Some(release), _) => format!("first with CRIU {release}"),
        (None, Some(release)) => format!("first with CRIU {release} and options"),
        (None, None) if report.assessment.counts.hiding_gaps > 0 => "not known, for what was not read".to_owned(),
        (None, None) => "with no known release of CRIU".to_owned(),
    }
}

fn holders(holders: &[Holder], most: usize) -> String {
    let names: Vec<String> = holders.iter().map(|holder| format!("{} ({})", holder.comm, holder.pid)).collect();
    fold::list(&names, most)
}
