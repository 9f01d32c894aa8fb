//! Prediction and reality as JSON, version 1: fields are only added.

use serde::Serialize;

use super::header::{ProfileV1, TargetV1, Tool};
use super::{Counts, FindingV1, GapV1, Pid, Result, SCHEMA_VERSION, Verdict, pretty};
use crate::error::Error;
use crate::finding::{Finding, Severity};
use crate::verify::{Afterwards, Agreement, Verification};

#[derive(Serialize)]
struct VerificationV1<'a> {
    schema_version: u32,
    tool: Tool,
    target: TargetV1<'a>,
    profile: ProfileV1<'a>,
    prediction: PredictionV1<'a>,
    reality: RealityV1<'a>,
    agreement: Agreement,
    /// `null` where nothing was predicted.
    agrees: Option<bool>,
    /// The finding that says what CRIU said.
    named_by: Option<FindingV1<'a>>,
    /// What can't be seen and CRIU refuses with these words.
    blind_spot: Option<&'a str>,
    /// How the root process is after the dump.
    target_after: Afterwards,
    remarks: &'a [String],
    /// In a file for maintainers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Vec<&'a str>>,
}

#[derive(Serialize)]
struct PredictionV1<'a> {
    verdict: Verdict,
    counts: Counts,
    /// By what it is predicted to fail first.
    first: Option<FindingV1<'a>>,
    /// All that is or may be in the way.
    findings: Vec<FindingV1<'a>>,
    gaps: Vec<GapV1<'a>>,
}

#[derive(Serialize)]
struct RealityV1<'a> {
    command: String,
    dumped: bool,
    /// Killed, as it did not end in time.
    hung: bool,
    /// By the times in its log; `null` when it ended before it froze anything.
    frozen_ms: Option<f64>,
    /// The line of its log that decides.
    message: Option<&'a str>,
    pid: Option<Pid>,
    fd: Option<i32>,
    /// What it said to the user, where it wrote no log.
    said: Option<&'a str>,
}

/// The comparison as JSON with a newline behind it.
pub(super) fn render(verification: &Verification<'_>) -> Result<String> {
    pretty(&VerificationV1::new(verification))
}

/// The comparison with criu's log.
pub(super) fn with_log(verification: &Verification<'_>) -> Result<serde_json::Value> {
    let log = Some(verification.outcome.log.lines().collect());
    let value = serde_json::to_value(VerificationV1 { log, ..VerificationV1::new(verification) });
    value.map_err(|error| Error::new("could not write the comparison as JSON").because(error))
}

impl<'a> VerificationV1<'a> {
    fn new(verification: &'a Verification<'a>) -> Self {
        let Verification { report, comparison, .. } = verification;
        let agreement = comparison.agreement;
        Self {
            schema_version: SCHEMA_VERSION,
            tool: Tool::THIS,
            target: TargetV1::new(report.facts),
            profile: ProfileV1::new(report.profile, report.facts),
            prediction: PredictionV1::new(verification),
            reality: RealityV1::new(verification),
            agreement,
            agrees: (agreement != Agreement::NoPrediction).then(|| agreement.holds()),
            named_by: comparison.named.map(FindingV1::new),
            blind_spot: verification.blind_spot().map(|blind| blind.id.as_str()),
            target_after: verification.afterwards,
            remarks: verification.remarks,
            log: None,
        }
    }
}

impl<'a> PredictionV1<'a> {
    fn new(verification: &'a Verification<'a>) -> Self {
        let assessment = verification.report.assessment;
        let in_the_way = |finding: &&Finding| finding.severity <= Severity::NeedsOption;
        Self {
            verdict: assessment.verdict,
            counts: assessment.counts,
            first: verification.first_hit().map(FindingV1::new),
            findings: assessment.findings.iter().filter(in_the_way).map(FindingV1::new).collect(),
            gaps: assessment.gaps.iter().map(GapV1::new).collect(),
        }
    }
}

impl<'a> RealityV1<'a> {
    fn new(verification: &'a Verification<'a>) -> Self {
        let Verification { dump, outcome, .. } = verification;
        let cause = outcome.cause.as_ref();
        Self {
            command: dump.to_string(),
            dumped: outcome.dumped,
            hung: outcome.hung,
            frozen_ms: outcome.frozen.map(|time| time.as_secs_f64() * 1e3),
            message: cause.map(|cause| cause.message.as_str()),
            pid: cause.and_then(|cause| cause.pid),
            fd: cause.and_then(|cause| cause.fd),
            said: Some(outcome.said.as_str()).filter(|said| outcome.log.is_empty() && !said.is_empty()),
        }
    }
}
