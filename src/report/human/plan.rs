//! The plan: what to do so that the dump passes, with commands and config lines that are never wrapped.

use std::collections::BTreeSet;

use super::Look;
use super::fold;
use super::look::clean;
use crate::plan::{Holder, Loss, NotFree, Plan, Way};
use crate::report::Report;
use crate::verdict::Verdict;

const MOST_HOLDERS: usize = 8;
const MOST_SUBTREES: usize = 4;
const MOST_RULES: usize = 3;

pub(super) fn render(report: Report<'_>, look: &Look) -> String {
    let plan = &report.assessment.plan;
    if report.facts.is_of_host_only() || matches!(report.assessment.verdict, Verdict::Ready | Verdict::Unknown) {
        return String::new();
    }
    let most = |most: usize| if look.verbose { 0 } else { most };
    let mut out = look.labelled(&upgrade(plan));
    if plan.suffices {
        out += &way(&plan.way, look);
        out += &stop("or keep this criu and ", plan, look, most(MOST_HOLDERS));
    } else {
        out += &stop("", plan, look, most(MOST_HOLDERS));
        out += &if plan.stopped.is_none() { way(&plan.way, look) } else { String::new() };
    }
    out += &look.labelled(&changes(report, most(MOST_RULES)));
    out += &alone(report, look, most(MOST_SUBTREES));
    let mut lines = Vec::new();
    if !plan.suffices && !plan.stop_suffices {
        lines.extend(plan.remaining.iter().map(|line| ("remains", line.clone())));
    }
    lines.push(("ready", first_ready(report)));
    out += &look.labelled(&lines);
    let heading = if plan.suffices || plan.stop_suffices { "to make it pass" } else { "as far as it goes" };
    format!("{}  {heading}\n{out}", look.strong("PLAN"))
}

fn upgrade(plan: &Plan) -> Vec<(&'static str, String)> {
    plan.upgrade.map(|release| ("upgrade", format!("criu to {release} or later"))).into_iter().collect()
}

/// Options, what they lose, the lines of a config file, the command.
fn way(way: &Way, look: &Look) -> String {
    let mut out = String::new();
    if way.command.is_none() && way.config.is_none() && !way.options.is_empty() {
        let options: Vec<String> = way.options.iter().map(ToString::to_string).collect();
        out += &look.labelled(&[("add", clean(&options.join(", ")))]);
    }
    out += &look.labelled(&losses(&way.loses));
    if let Some(config) = &way.config {
        out += &look.labelled(&[("edit", format!("{}, add:", clean(&config.file)))]);
        out.extend(config.lines.iter().map(|line| look.unwrapped("", &clean(line))));
    }
    out.extend(way.command.iter().map(|command| look.unwrapped("run", &look.strong(&clean(command)))));
    out
}

fn losses<'a>(losses: impl IntoIterator<Item = &'a Loss>) -> Vec<(&'static str, String)> {
    losses.into_iter().map(|loss| ("lost by", clean(&format!("{}: {}", loss.option, loss.loses)))).collect()
}

/// Whom to stop, if that is enough, and how to dump the rest if that is not what stands above.
fn stop(instead: &str, plan: &Plan, look: &Look, most: usize) -> String {
    let Some(stopped) = &plan.stopped else { return String::new() };
    let unsure = plan.stop_unsure.as_ref().map_or_else(String::new, |unsure| format!("; try it: {unsure}"));
    let mut out = look.labelled(&[("stop", clean(&format!("{instead}stop {}{unsure}", holders(&plan.stop, most))))]);
    if !plan.suffices || *stopped != plan.way {
        out += &way(stopped, look);
    }
    out
}

/// Programs to do without, where that is enough; how stands in a table of its own.
fn changes(report: Report<'_>, most: usize) -> Vec<(&'static str, String)> {
    let plan = &report.assessment.plan;
    let programs = plan.actions.iter().filter(|action| action.is_program && plan.actions_suffice);
    let programs: Vec<String> = programs.map(|action| report.title(&action.rule).to_owned()).collect();
    let instead = if plan.suffices { "or keep this criu and do" } else { "or do" };
    let text = || format!("{instead} without {}, as said above", fold::list(&programs, most));
    (!programs.is_empty()).then(|| ("change", text())).into_iter().collect()
}

/// Which parts of the target are dumped alone, or why none is.
fn alone(report: Report<'_>, look: &Look, most: usize) -> String {
    let plan = &report.assessment.plan;
    let shown = if most == 0 || plan.free.len() <= most + 1 { plan.free.len() } else { most };
    let mut out = String::new();
    if plan.free.is_empty() {
        let reason = plan.not_free.as_ref().map(|not_free| none_alone(report, not_free));
        return look.labelled(&reason.map(|reason| ("alone", reason)).into_iter().collect::<Vec<_>>());
    }
    let more = plan.free.len() - shown;
    let more = if more == 0 { String::new() } else { format!(", or {more} more (-v)") };
    out += &look.labelled(&[("alone", format!("or dump one of these parts of it by bare criu{more}:"))]);
    for subtree in plan.free.iter().take(shown) {
        let root = &subtree.root;
        let size = if root.processes == 1 { String::new() } else { format!(" and {} below it", root.processes - 1) };
        let command = subtree.way.command.as_deref().unwrap_or_default();
        let comment = look.dim(&clean(&format!("# {}{size}", root.comm)));
        out += &look.unwrapped("", &format!("{} {comment}", clean(command)));
    }
    let lost: BTreeSet<&Loss> = plan.free.iter().take(shown).flat_map(|subtree| &subtree.way.loses).collect();
    out + &look.labelled(&losses(lost))
}

fn none_alone(report: Report<'_>, not_free: &NotFree) -> String {
    let rule = |(rule, subtrees): &(String, usize)| format!("{} ({subtrees})", report.title(rule));
    let rules: Vec<String> = not_free.rules.iter().map(rule).collect();
    let mut text = "no part of it is found that is dumped alone".to_owned();
    if !rules.is_empty() {
        text += &format!("; in the way, in how many parts: {}", fold::list(&rules, MOST_RULES));
    }
    if not_free.unknown > 0 {
        text += &format!("; not known of {}: try `ckpt-lint --pid` with their roots", not_free.unknown);
    }
    if not_free.cut_short {
        text += "; not all were tried";
    }
    text
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
