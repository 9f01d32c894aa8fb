//! The plan: what to do so that the dump passes, as exact commands and lines that are never wrapped.

use super::Look;
use super::fold;
use crate::plan::{Holder, Plan};
use crate::report::Report;
use crate::verdict::Verdict;

const MOST_HOLDERS: usize = 8;

pub(super) fn render(report: Report<'_>, look: &Look) -> String {
    let assessment = report.assessment;
    let plan = &assessment.plan;
    if assessment.verdict == Verdict::Ready && plan.options.is_empty() {
        return String::new();
    }
    let most = if look.verbose { 0 } else { MOST_HOLDERS };
    let mut out = look.labelled(&steps(plan, most, report));
    if let Some(config) = &plan.config {
        out += &format!("  {}\n", look.dim(&format!("in {}:", config.file)));
        out.extend(config.lines.iter().map(|line| format!("      {line}\n")));
    }
    if let Some(command) = &plan.command {
        out += &format!("  {}\n      {}\n", look.dim("then run:"), look.strong(command));
    }
    let heading = if plan.suffices { "PLAN  to make it pass" } else { "PLAN  as far as it goes" };
    format!("{}\n{out}", look.strong(heading))
}

fn steps(plan: &Plan, most: usize, report: Report<'_>) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(release) = plan.upgrade {
        lines.push(("upgrade", format!("criu to {release} or later")));
    }
    if !plan.options.is_empty() {
        lines.push(("add", plan.options.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    }
    lines.extend(plan.loses.iter().map(|loss| ("lost", format!("{}: {}", loss.option, loss.loses))));
    if !plan.stop.is_empty() {
        let other = if plan.suffices { "or, with this criu, stop" } else { "stop" };
        let enough = if plan.stop_suffices { "" } else { " (more is in the way than these)" };
        lines.push(("stop", format!("{other} {}{enough}", holders(&plan.stop, most))));
    }
    if !plan.free.is_empty() {
        let free = holders(&plan.free, most);
        lines.push(("free", format!("nothing in the way in these subtrees, which can be dumped alone: {free}")));
    }
    if !plan.suffices {
        lines.extend(plan.remaining.iter().map(|line| ("remains", line.clone())));
    }
    lines.push(("first ok", first_ready(report)));
    lines
}

fn first_ready(report: Report<'_>) -> String {
    let assessment = report.assessment;
    match (assessment.first_ready, assessment.first_ready_with_options) {
        (Some(release), _) => format!("CRIU {release} is the first release with which this target is ready as it is"),
        (None, Some(release)) => {
            format!("CRIU {release} is the first release with which it is ready, given the options")
        }
        (None, None) => "no known release of CRIU can dump this target as it is".to_owned(),
    }
}

fn holders(holders: &[Holder], most: usize) -> String {
    let names: Vec<String> = holders.iter().map(|holder| format!("{} ({})", holder.comm, holder.pid)).collect();
    fold::list(&names, most)
}
