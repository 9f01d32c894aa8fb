//! The command line as types. No behaviour but the layout of the help.

use std::path::PathBuf;

use clap::{ArgGroup, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Result};

mod help;
mod verify;

pub use help::command;
pub use verify::{VerifyArgs, VerifyHow};

/// Says, before anyone freezes anything, whether CRIU can checkpoint a container.
#[derive(Debug, Parser)]
#[command(
    name = "ckpt-lint",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = help::EXAMPLES
)]
pub struct Cli {
    /// What to do instead of a lint.
    #[command(subcommand)]
    pub command: Option<Subcommands>,
    /// What to lint.
    #[command(flatten)]
    pub target: LintTarget,
    /// The dump that is intended.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// How to say it.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub enum Subcommands {
    /// Save what a lint reads, for a later --from
    #[command(after_help = "Arguments, environment and names of home directories are not saved.\n\
        Exit code: 0 when it was saved, 2 when not.")]
    Record {
        /// What to read.
        #[command(flatten)]
        target: LiveTarget,
        /// The recording to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// The criu that would run, when it is not the one of the engine
        #[arg(long, value_name = "PATH")]
        criu: Option<String>,
        /// Who runs the dump: auto, runc, docker or criu
        #[arg(
            long,
            value_name = "ENGINE",
            default_value = "auto",
            hide_default_value = true,
            hide_possible_values = true
        )]
        engine: Engine,
    },
    /// Check only the host and who would run criu
    #[command(
        after_help = "What only some targets need may fail, and is said to. Exit codes as of a lint: 0 ready, 1 not, 2 not known."
    )]
    Host {
        /// The dump that is intended.
        #[command(flatten)]
        dump: DumpArgs,
        /// How to say it.
        #[command(flatten)]
        report: ReportArgs,
    },
    /// Dump for real, leave it running, and compare
    #[command(override_usage = verify::USAGE, after_help = verify::AFTER_HELP)]
    Verify(VerifyArgs),
    /// List what is looked for and which CRIU can dump it
    Rules {
        /// table, markdown or json
        #[arg(
            long,
            value_name = "FORMAT",
            default_value = "table",
            hide_default_value = true,
            hide_possible_values = true
        )]
        format: RulesFormat,
        /// List what can't be seen from outside instead
        #[arg(long)]
        blind: bool,
    },
}

/// Exactly one of a live target and a recording.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).multiple(false), next_help_heading = "Target")]
pub struct LintTarget {
    /// Container: id, start of an id, name, or ENGINE:NAME
    #[arg(long, value_name = "NAME", group = "target")]
    pub container: Option<String>,
    /// Process, with all its descendants
    #[arg(long, value_name = "PID", group = "target", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// Recording made by `ckpt-lint record`
    #[arg(long, value_name = "FILE", group = "target")]
    pub from: Option<PathBuf>,
    /// Read smaps too, which makes the target wait a little
    #[arg(long, conflicts_with = "from")]
    pub deep: bool,
}

/// Exactly one live target.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("live").required(true).multiple(false))]
pub struct LiveTarget {
    /// Container: id, start of an id, name, or ENGINE:NAME
    #[arg(long, value_name = "NAME", group = "live")]
    pub container: Option<String>,
    /// Process, with all its descendants
    #[arg(long, value_name = "PID", group = "live", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// Read smaps too, which makes the target wait a little
    #[arg(long)]
    pub deep: bool,
}

/// The dump that is intended.
#[derive(Debug, Args)]
#[command(next_help_heading = "Dump")]
pub struct DumpArgs {
    /// criu or release to judge by [default: what would run]
    #[arg(long, value_name = "PATH|VERSION")]
    pub criu: Option<String>,
    /// What a self-built criu can beyond its release: pidfd
    // Rare: left to the README, so that the help fits a screen.
    #[arg(long, value_name = "FEATURE", hide = true)]
    pub criu_feature: Vec<String>,
    /// Dump option as CRIU spells it: 'ghost-limit 64M'
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub criu_option: Vec<String>,
    /// Who runs the dump: auto, runc, docker or criu
    #[arg(long, value_name = "ENGINE", default_value = "auto", hide_default_value = true)]
    pub engine: Engine,
    /// The same options as of your dump command, behind `--`
    #[arg(last = true, value_name = "DUMP OPTIONS", allow_hyphen_values = true)]
    pub dump_options: Vec<String>,
}

/// How to say it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub struct ReportArgs {
    /// human or json
    #[arg(long, value_name = "FORMAT", default_value = "human", hide_default_value = true)]
    pub format: Format,
    /// File to write the report to [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// blocks, needs-option (default), restore-risk or never
    #[arg(long, value_name = "SEVERITY", default_value = "needs-option", hide_default_value = true)]
    pub fail_on: FailOn,
    /// auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    pub color: Color,
    /// The verdict only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Every subject, what CRIU would print, what is fine
    #[arg(short, long)]
    pub verbose: bool,
}

/// Who runs the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// The container's engine; bare criu for a pid.
    Auto,
    /// `runc checkpoint`
    Runc,
    /// `docker checkpoint create`
    Docker,
    /// `criu dump`
    Criu,
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs: the current version of the JSON form.
    Json,
}

/// Form of the list of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RulesFormat {
    /// For people.
    Table,
    /// For documents.
    Markdown,
    /// For programs.
    Json,
}

/// From which severity on a finding makes the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Only what no option lifts.
    Blocks,
    /// Also what an option would lift.
    NeedsOption,
    /// Also what endangers the restore.
    RestoreRisk,
    /// Nothing.
    Never,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Cli {
    /// Reads the arguments of the process; help and version end it as clap does.
    ///
    /// # Errors
    /// Wrong usage.
    pub fn from_process() -> Result<Self> {
        let parsed = command().try_get_matches().and_then(|matches| Self::from_arg_matches(&matches));
        parsed.map_err(|error| if error.use_stderr() { wrong_usage(&error) } else { error.exit() })
    }
}

/// What clap says of it, in one line and without the usage.
fn wrong_usage(error: &clap::Error) -> Error {
    let text = error.to_string();
    let said = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let words: Vec<&str> =
        said.map(|line| line.trim().trim_start_matches("error: ")).filter(|l| !l.is_empty()).collect();
    Error::new(words.join(" ")).hint("see ckpt-lint --help")
}
