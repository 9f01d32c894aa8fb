//! The report for people: who holds what, why that is in the way and what to do, then the plan, then one verdict line.
//!
//! Colour only repeats what words say. Every name from the target is escaped before it gets here or by `RawText`.

use super::Report;
use crate::verify::Verification;

mod examined;
mod findings;
mod fold;
mod gaps;
mod group;
mod header;
mod host;
mod look;
mod plan;
mod programs;
mod verdict;
mod verify;

pub use look::Look;

/// The report as text.
#[must_use]
pub fn render(report: Report<'_>, look: &Look) -> String {
    let verdict = verdict::line(report, look);
    if look.quiet {
        return verdict;
    }
    let mut parts = vec![header::render(report, look)];
    let groups = group::groups(report, look.verbose);
    let (in_the_way, beside): (Vec<_>, Vec<_>) = groups.into_iter().partition(group::Group::is_in_the_way);
    parts.push(findings::render(&in_the_way, report, look));
    parts.push(gaps::render(report, look));
    parts.push(findings::render(&beside, report, look));
    parts.push(if look.verbose { examined::render(report, look) } else { programs::render(report, look) });
    parts.push(plan::render(report, look));
    parts.push(verdict);
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// Prediction and reality as text.
#[must_use]
pub fn verify(verification: &Verification<'_>, look: &Look) -> String {
    verify::render(verification, look)
}
