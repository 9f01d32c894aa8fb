//! Lints a live target with the real program, as a user would.

use std::path::Path;
use std::process::Command;

use ckpt_lint::facts::Pid;
use ckpt_lint::profile::CriuOption;
use ckpt_lint::rules::Phase;
use serde::Deserialize;

use crate::compare::Target;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ckpt-lint");

/// What `ckpt-lint --format json` says, as far as the comparison needs it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Lint {
    pub(crate) verdict: String,
    pub(crate) findings: Vec<Finding>,
    #[serde(default)]
    pub(crate) gaps: Vec<serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Finding {
    pub(crate) rule: String,
    pub(crate) severity: String,
    pub(crate) confidence: String,
    pub(crate) subject: Subject,
    /// What CRIU prints, as a pattern.
    pub(crate) error: String,
    /// What it is predicted to print.
    pub(crate) error_line: String,
    /// When it prints it.
    pub(crate) phase: Option<Phase>,
    /// Whether CRIU is to stop at it first.
    pub(crate) first_hit: bool,
    #[serde(default)]
    pub(crate) lifted_by: Vec<String>,
    pub(crate) transient: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Subject {
    pub(crate) pid: Option<Pid>,
    pub(crate) fd: Option<i32>,
    pub(crate) range: Option<String>,
    pub(crate) mount_id: Option<u64>,
    pub(crate) comm: Option<String>,
}

impl Lint {
    pub(crate) fn run(target: Target<'_>, criu: &Path, options: &[CriuOption]) -> Result<Self, String> {
        let command = target.caller.map_or_else(|| Command::new(PROGRAM), |caller| caller.command(PROGRAM));
        let (root, criu) = (target.root.to_string(), criu.display().to_string());
        let deep = target.deep.then_some("--deep");
        let arguments: Vec<&str> = ["--pid", &root, "--criu", &criu].into_iter().chain(deep).collect();
        Self::by(command, &arguments, options)
    }

    pub(crate) fn of(arguments: &[&str], options: &[CriuOption]) -> Result<Self, String> {
        Self::by(Command::new(PROGRAM), arguments, options)
    }

    fn by(mut command: Command, arguments: &[&str], options: &[CriuOption]) -> Result<Self, String> {
        command.args(arguments).args(["--format", "json"]);
        for option in options {
            command.arg("--criu-option").arg(option.to_string());
        }
        let output = command.output().map_err(|e| e.to_string())?;
        serde_json::from_slice(&output.stdout).map_err(|e| {
            format!("ckpt-lint printed no report ({e}): {}", String::from_utf8_lossy(&output.stderr).trim())
        })
    }

    /// Findings that say the dump fails.
    pub(crate) fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| matches!(finding.severity.as_str(), "blocks" | "needs-option"))
    }

    /// Rules that say the dump fails, each once, sorted.
    pub(crate) fn rules(&self) -> Vec<String> {
        let mut rules: Vec<String> = self.blocking().map(|finding| finding.rule.clone()).collect();
        rules.sort();
        rules.dedup();
        rules
    }
}

impl Finding {
    /// The first option that lifts it.
    pub(crate) fn option(&self) -> Option<CriuOption> {
        let option = self.lifted_by.first()?;
        let (name, value) = option.split_once(' ').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
        Some(CriuOption { name: name.to_owned(), value: value.map(str::to_owned) })
    }
}

pub(crate) fn names(finding: &Finding, message: &str) -> bool {
    let pattern = regex::Regex::new(&format!("^(?:{})$", finding.error))
        .unwrap_or_else(|e| panic!("error of {}: {e}", finding.rule));
    pattern.is_match(message)
}
