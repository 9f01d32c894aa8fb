//! JSON, version 1: types of its own, so that a change elsewhere does not change what programs read.
//!
//! Within version 1 fields are only added. No clocks and no durations: the same facts give the same bytes. Names and
//! paths that are not UTF-8 stand escaped (`\xNN`, `\\`) with the bytes in a second field `..._base64`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use super::Report;
use crate::assess::GapReport;
use crate::error::{Error, Result};
use crate::facts::{Area, Engine, Facts, Pid};
use crate::finding::{Confidence, Finding, Seen, Severity, Subject};
use crate::profile::{CriuOption, OptionInEffect, Profile};
use crate::rules::Phase;
use crate::text::RawText;
use crate::verdict::{Counts, Verdict};
use crate::verify::Verification;
use crate::version::Version;

mod header;
mod plan;
mod verify;

use header::{HostV1, ProfileV1, TargetV1, Tool};
use plan::PlanV1;

const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct ReportV1<'a> {
    schema_version: u32,
    tool: Tool,
    /// `null` where only the host was looked at.
    target: Option<TargetV1<'a>>,
    profile: ProfileV1<'a>,
    verdict: Verdict,
    counts: Counts,
    findings: Vec<FindingV1<'a>>,
    gaps: Vec<GapV1<'a>>,
    rules_run: Vec<&'a str>,
    /// Rules that only `--deep` looks for.
    rules_not_run: Vec<&'a str>,
    /// `null` where only the host was looked at.
    plan: Option<PlanV1<'a>>,
    first_ready: Option<Version>,
    first_ready_with_options: Option<Version>,
    host: HostV1<'a>,
}

#[derive(Serialize)]
struct FindingV1<'a> {
    rule: &'a str,
    severity: Severity,
    confidence: Confidence,
    subject: SubjectV1<'a>,
    message: &'a str,
    why: &'a str,
    fix: &'a str,
    lifted_by: &'a [CriuOption],
    /// Comes and goes: not every look at a busy target met it.
    transient: bool,
    /// In how many looks it was met, where it comes and goes.
    seen: Option<Seen>,
    /// What CRIU prints, as a regular expression.
    error: &'a str,
    /// The same as a line, with `...` for what nobody knows beforehand.
    error_line: &'a str,
    /// When CRIU prints it.
    phase: Option<Phase>,
    /// Whether CRIU would stop at it first.
    first_hit: bool,
    /// The same in two runs: has no pids and inode numbers in it.
    fingerprint: String,
}

#[derive(Serialize)]
struct SubjectV1<'a> {
    pid: Option<Pid>,
    start_time: Option<u64>,
    #[serde(flatten)]
    comm: Option<Named<'a>>,
    fd: Option<i32>,
    #[serde(flatten)]
    path: Option<Named<'a>>,
    mount_id: Option<u64>,
    range: Option<String>,
    details: BTreeMap<&'a str, &'a RawText>,
}

#[derive(Serialize)]
struct GapV1<'a> {
    area: Area,
    pid: Option<Pid>,
    #[serde(flatten)]
    path: Named<'a>,
    reason: &'a str,
    hides: &'a [String],
    decides: bool,
}

/// Bytes as the field of a name, and as base64 in a second field when they are not UTF-8.
struct Named<'a>(&'static str, &'a RawText);

impl Serialize for Named<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self(name, text) = self;
        let base64 = text.as_str().is_none().then(|| BASE64_STANDARD.encode(text.as_bytes()));
        let text = text.as_str().map_or_else(|| text.escaped(), Into::into);
        serializer.collect_map(
            std::iter::once(((*name).to_owned(), text.into_owned()))
                .chain(base64.map(|bytes| (format!("{name}_base64"), bytes))),
        )
    }
}

/// The report as JSON with a newline behind it.
///
/// # Errors
/// None that is known: what serde_json would refuse is not in a report.
pub fn render(report: Report<'_>) -> Result<String> {
    let Report { facts, profile, assessment, .. } = report;
    let host_only = facts.is_of_host_only();
    let mut findings: Vec<&Finding> = assessment.findings.iter().collect();
    findings.sort_by(|a, b| (&a.rule, &a.subject).cmp(&(&b.rule, &b.subject)));
    let out = ReportV1 {
        schema_version: SCHEMA_VERSION,
        tool: Tool::THIS,
        target: (!host_only).then(|| TargetV1::new(facts)),
        profile: ProfileV1::new(profile, facts),
        verdict: assessment.verdict,
        counts: assessment.counts,
        findings: findings.into_iter().map(FindingV1::new).collect(),
        gaps: assessment.gaps.iter().map(GapV1::new).collect(),
        rules_run: report.rules_run().collect(),
        rules_not_run: report.rules_not_run().collect(),
        plan: (!host_only).then(|| PlanV1::new(&assessment.plan)),
        first_ready: assessment.first_ready,
        first_ready_with_options: assessment.first_ready_with_options,
        host: HostV1::new(facts),
    };
    pretty(&out)
}

/// Prediction and reality as JSON with a newline behind it.
///
/// # Errors
/// As of [`render`].
pub fn verify(verification: &Verification<'_>) -> Result<String> {
    verify::render(verification)
}

/// The same with criu's log, to be written into a file.
///
/// # Errors
/// As of [`render`].
pub fn verify_with_log(verification: &Verification<'_>) -> Result<serde_json::Value> {
    verify::with_log(verification)
}

pub(super) fn pretty(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string_pretty(value);
    json.map(|json| json + "\n").map_err(|error| Error::new("could not write the report as JSON").because(error))
}

impl<'a> FindingV1<'a> {
    fn new(finding: &'a Finding) -> Self {
        Self {
            rule: &finding.rule,
            severity: finding.severity,
            confidence: finding.confidence,
            subject: SubjectV1::new(&finding.subject),
            message: &finding.what,
            why: &finding.why,
            fix: &finding.fix,
            lifted_by: &finding.lifted_by,
            transient: finding.seen.is_some(),
            seen: finding.seen,
            error: &finding.printed.pattern,
            error_line: &finding.printed.line,
            phase: finding.printed.phase,
            first_hit: finding.first_hit,
            fingerprint: fingerprint(finding),
        }
    }
}

impl<'a> SubjectV1<'a> {
    fn new(subject: &'a Subject) -> Self {
        Self {
            pid: subject.pid,
            start_time: subject.start_time,
            comm: subject.comm.as_ref().map(|comm| Named("comm", comm)),
            fd: subject.fd,
            path: subject.path.as_ref().map(|path| Named("path", path)),
            mount_id: subject.mount_id,
            range: subject.value("range"),
            details: subject.values.iter().map(|(key, value)| (*key, value)).collect(),
        }
    }
}

impl<'a> GapV1<'a> {
    fn new(report: &'a GapReport) -> Self {
        let GapReport { gap, hides, decides } = report;
        let path = Named("path", &gap.path);
        Self { area: gap.area, pid: gap.pid, path, reason: &gap.reason, hides, decides: *decides }
    }
}

/// Rule, process and path; numbers in the path are most often pids and inodes, so each becomes `N`.
fn fingerprint(finding: &Finding) -> String {
    let comm = finding.subject.value("comm").unwrap_or_default();
    let path = finding.subject.value("path").unwrap_or_default();
    let mut normal = String::with_capacity(path.len());
    for c in path.chars() {
        match (c.is_ascii_digit(), normal.ends_with('N')) {
            (true, true) => {}
            (true, false) => normal.push('N'),
            (false, _) => normal.push(c),
        }
    }
    format!("{}:{comm}:{normal}", finding.rule)
}
