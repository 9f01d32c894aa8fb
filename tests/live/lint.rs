//! Lints a live target with the real program, as a user would.

use std::path::Path;
use std::process::Command;

use ckpt_lint::facts::Pid;
use ckpt_lint::profile::CriuOption;
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
    pub(crate) plan: Plan,
}

/// What the report says to do.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Plan {
    pub(crate) suffices: bool,
    pub(crate) upgrade: Option<String>,
    #[serde(flatten)]
    pub(crate) way: Way,
    pub(crate) stop: Vec<Holder>,
    pub(crate) stop_suffices: bool,
    pub(crate) stopped: Option<Way>,
    pub(crate) free: Vec<Subtree>,
    pub(crate) not_free: Option<NotFree>,
}

/// Why not more parts are named.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NotFree {
    #[expect(dead_code, reason = "printed where a trial fails")]
    rules: Vec<serde_json::Value>,
    pub(crate) unknown: usize,
}

/// One way to dump.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Way {
    options: Vec<String>,
}

/// A process that the plan names.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: Pid,
}

/// A part of the target that is to be dumped alone.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Subtree {
    pub(crate) pid: Pid,
    #[serde(flatten)]
    pub(crate) way: Way,
    pub(crate) command: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) rule: String,
    pub(crate) severity: String,
    pub(crate) confidence: String,
    pub(crate) subject: Subject,
    pub(crate) error: String,
    #[serde(default)]
    pub(crate) lifted_by: Vec<String>,
    pub(crate) transient: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Subject {
    pub(crate) pid: Option<Pid>,
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

    /// The finding that says what CRIU printed.
    pub(crate) fn naming(&self, message: &str) -> Option<&Finding> {
        self.blocking().find(|finding| names(finding, message))
    }
}

impl Finding {
    /// The first option that lifts it.
    pub(crate) fn option(&self) -> Option<CriuOption> {
        self.lifted_by.first().map(|option| parsed(option))
    }
}

impl Way {
    /// The options to add.
    pub(crate) fn options(&self) -> Vec<CriuOption> {
        self.options.iter().map(|option| parsed(option)).collect()
    }
}

/// An option as the report spells it.
fn parsed(option: &str) -> CriuOption {
    let (name, value) = option.split_once(' ').map_or((option, None), |(name, value)| (name, Some(value)));
    CriuOption { name: name.to_owned(), value: value.map(str::to_owned) }
}

pub(crate) fn names(finding: &Finding, message: &str) -> bool {
    let pattern = regex::Regex::new(&finding.error).unwrap_or_else(|e| panic!("error of {}: {e}", finding.rule));
    pattern.is_match(message)
}
