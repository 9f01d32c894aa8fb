//! Prediction and reality side by side, then whether they agree.

use comfy_table::{ColumnConstraint, Width};
use owo_colors::Style;

use super::look::clean;
use super::{Look, header};
use crate::criu::run::Outcome;
use crate::finding::Finding;
use crate::verify::{Agreement, Verification};

/// What stands where there is nothing to say.
const NOTHING: &str = "-";

/// Width of the first column: `dump by` and its gutter.
const ASPECT: u16 = 10;

pub(super) fn render(verification: &Verification<'_>, look: &Look) -> String {
    let header = header::render(verification.report, look);
    let parts = [header, run(verification, look), table(verification, look), verdict(verification, look)];
    parts.join("\n")
}

/// What was run and what that did to the target.
fn run(verification: &Verification<'_>, look: &Look) -> String {
    let Verification { dump, outcome, afterwards, remarks, .. } = verification;
    let frozen = match outcome.frozen {
        Some(time) => format!("it for {:.1} ms, by the times in criu's log; {afterwards}", time.as_secs_f64() * 1e3),
        None if outcome.dumped => format!("it, for how long criu's log does not say; {afterwards}"),
        None => format!("nothing: criu ended before; {afterwards}"),
    };
    let mut lines = vec![("froze", frozen)];
    lines.extend(remarks.iter().map(|remark| ("note", clean(remark))));
    look.unwrapped("ran", &clean(&dump.to_string())) + &look.labelled(&lines)
}

fn table(verification: &Verification<'_>, look: &Look) -> String {
    let Verification { report, outcome, comparison, .. } = verification;
    let first = verification.first_hit();
    let cause = outcome.cause.as_ref();
    let silent = if outcome.dumped { NOTHING } else { "its log names none" };
    let mut rows = vec![
        ["dump".to_owned(), report.assessment.verdict.to_string(), done(outcome).to_owned()],
        [
            "cause".to_owned(),
            or_nothing(first.map(says)),
            cause.map_or(silent.to_owned(), |cause| clean(&cause.message)),
        ],
        ["where".to_owned(), or_nothing(first.and_then(holder)), or_nothing(was_at(verification))],
    ];
    // Where CRIU met another finding first, or one that is only possible.
    if let Some(other) = comparison.named.filter(|named| first != Some(*named)) {
        rows.push(["named by".to_owned(), says(other), String::new()]);
    }
    let half = look.width.saturating_sub(ASPECT + 2) / 2;
    let widths = [ASPECT, half, half].map(|width| ColumnConstraint::Absolute(Width::Fixed(width)));
    let real = format!("CRIU {} DID", report.profile.criu_version());
    let dimmed = |[aspect, predicted, real]: [String; 3]| vec![look.dim(&aspect), predicted, real];
    look.rows(&["", "PREDICTED", &real], rows.into_iter().map(dimmed).collect(), &widths)
}

fn or_nothing(text: Option<String>) -> String {
    text.unwrap_or_else(|| NOTHING.to_owned())
}

/// Process and descriptor that a finding names.
fn holder(finding: &Finding) -> Option<String> {
    let subject = &finding.subject;
    let fd = subject.fd.map(|fd| format!(" fd {fd}")).unwrap_or_default();
    let process = subject.comm.as_ref().map(|comm| format!("{comm} ")).unwrap_or_default();
    subject.pid.map(|pid| format!("{process}({pid}){fd}"))
}

/// What criu was busy with when it gave up, which need not be what it gave up for.
fn was_at(verification: &Verification<'_>) -> Option<String> {
    let cause = verification.outcome.cause.as_ref()?;
    let pid = cause.pid?;
    let process = verification.report.facts.processes.iter().find(|process| process.pid == pid);
    let process = process.map(|process| format!("{} ", process.comm)).unwrap_or_default();
    let fd = cause.fd.map(|fd| format!(" fd {fd}")).unwrap_or_default();
    Some(format!("had come to {process}({pid}){fd}"))
}

fn says(finding: &Finding) -> String {
    format!("{}: {}", finding.rule, finding.what)
}

fn done(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome { hung: true, .. } => "did not end in time and was killed",
        Outcome { dumped: true, .. } => "dumped",
        _ => "refused",
    }
}

/// The last line.
fn verdict(verification: &Verification<'_>, look: &Look) -> String {
    let agreement = verification.comparison.agreement;
    let rule = verification.comparison.named.map(|finding| finding.rule.as_str()).unwrap_or_default();
    let done = done(verification.outcome);
    let text = match agreement {
        Agreement::Dumped => format!("{done}, as predicted"),
        Agreement::Refused => format!("{done}, as predicted, for what {rule} says"),
        Agreement::RefusedAsPossible => format!("{done}, for what {rule} said to be possible"),
        Agreement::OtherCause => format!("{done}, but for what no finding says"),
        Agreement::DumpedNevertheless => format!("{done}, although it was predicted to be refused"),
        Agreement::RefusedNevertheless => format!("{done}, although nothing was predicted to be in the way"),
        Agreement::NoPrediction => {
            format!("{done}; nothing was predicted, as what could not be read may hide something")
        }
    };
    let (word, style) = match agreement {
        agreement if agreement.holds() => ("AGREES", Style::new().green().bold()),
        Agreement::NoPrediction => ("NO ANSWER", Style::new().yellow().bold()),
        _ => ("DIFFERS", Style::new().red().bold()),
    };
    let blind = verification.blind_spot().map(|blind| format!(" (a known blind spot: {}, {})", blind.id, blind.title));
    format!("{}: {text}{}\n", look.paint(style, word), blind.unwrap_or_default())
}
