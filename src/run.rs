//! From the command line to the exit code: each step hands a plain type on to the next.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use anstream::{AutoStream, ColorChoice};

use crate::assess::assess;
use crate::cli::{self, Cli, DumpArgs, Format, ReportArgs, RulesFormat, Subcommands};
use crate::error::{Error, Result};
use crate::facts::{Engine, Facts, Target};
use crate::output;
use crate::profile::{self, ProfileAsk};
use crate::recording;
use crate::report::{self, Report, human, json};
use crate::rules::{Rule, RuleSet};
use crate::scan::{scan_host, watch, watch_deep};
use crate::target::{self, Ask};
use crate::verdict::FailOn;

mod verify;

/// Width of a report that goes to no terminal.
const WIDTH_OF_NO_TERMINAL: u16 = 100;

/// Does what the command line says; gives the exit code.
///
/// # Errors
/// Whatever keeps it from an answer.
pub fn run(cli: Cli) -> Result<u8> {
    let color = match &cli.command {
        Some(Subcommands::Host { report, .. }) => report.color,
        Some(Subcommands::Verify(args)) => args.how.color,
        _ => cli.report.color,
    };
    ColorChoice::write_global(colour_choice(color));
    match cli.command {
        Some(Subcommands::Host { dump, report }) => host(dump, &report),
        Some(Subcommands::Verify(args)) => verify::run(args),
        None => lint(cli.target, cli.dump, &cli.report),
        Some(Subcommands::Rules { format, blind }) => list_rules(format, blind),
        Some(Subcommands::Record { target, output, criu, engine }) => {
            let ask = ProfileAsk { engine: engine_of(engine), criu, ..ProfileAsk::default() };
            let facts = live(ask_for(target.container, target.pid, &ask)?, target.deep, &ask)?;
            output::to_file(&output, &recording::to_bytes(&facts)?)?;
            Ok(0)
        }
    }
}

fn lint(target: cli::LintTarget, dump: DumpArgs, args: &ReportArgs) -> Result<u8> {
    let ask = profile_ask(dump);
    let facts = match &target.from {
        Some(path) => recording::read(path)?,
        None => live(ask_for(target.container, target.pid, &ask)?, target.deep, &ask)?,
    };
    say(&facts, &ask, args)
}

/// The host and who would run criu, for no target in particular.
fn host(dump: DumpArgs, args: &ReportArgs) -> Result<u8> {
    let ask = profile_ask(dump);
    let dumped_by = ask.engine.unwrap_or_default();
    let mut facts = scan_host(Target { asked: "host".to_owned(), dumped_by, ..Target::default() })?;
    profile::observe(&ask, &mut facts)?;
    say(&facts, &ask, args)
}

/// Judges the facts and writes the report.
fn say(facts: &Facts, ask: &ProfileAsk, args: &ReportArgs) -> Result<u8> {
    let profile = profile::build(ask, facts)?;
    let mut rules = built_in_rules()?;
    check_features(&profile.criu.features, &rules)?;
    if facts.is_of_host_only() {
        rules.keep_those_of_the_host();
    }
    let assessment = assess(facts, &profile, &rules);
    let report = Report { facts, profile: &profile, assessment: &assessment, rules: &rules };
    let text = match args.format {
        Format::Human => human::render(report, &look(args)),
        Format::Json => json::render(report)?,
    };
    match &args.output {
        Some(path) => output::to_file(path, text.as_bytes())?,
        None => output::to_stdout(&text)?,
    }
    Ok(fail_on(args.fail_on).exit_code(&assessment.counts))
}

fn live(ask: Ask, deep: bool, profile: &ProfileAsk) -> Result<Facts> {
    let target = target::resolve(&ask)?;
    let mut facts = if deep { watch_deep(target)? } else { watch(target)? };
    profile::observe(profile, &mut facts)?;
    Ok(facts)
}

fn ask_for(container: Option<String>, pid: Option<i32>, profile: &ProfileAsk) -> Result<Ask> {
    let engine = profile.engine;
    match (container, pid) {
        (Some(text), _) => Ok(Ask::Container { text, engine }),
        (None, Some(pid)) => Ok(Ask::Pid { pid, engine }),
        (None, None) => Err(Error::new("nothing to look at").hint("name a --container or a --pid")),
    }
}

fn profile_ask(dump: DumpArgs) -> ProfileAsk {
    ProfileAsk {
        engine: engine_of(dump.engine),
        criu: dump.criu,
        criu_features: dump.criu_feature,
        criu_options: dump.criu_option,
        pasted: dump.dump_options,
    }
}

fn list_rules(format: RulesFormat, blind: bool) -> Result<u8> {
    let rules = built_in_rules()?;
    let text = match (format, blind) {
        (RulesFormat::Table, false) => report::rules::table(&rules, width()),
        (RulesFormat::Markdown, false) => report::rules::markdown(&rules),
        (RulesFormat::Json, false) => report::rules::json(&rules)?,
        (RulesFormat::Table, true) => report::blind::table(&rules, width()),
        (RulesFormat::Markdown, true) => report::blind::markdown(&rules),
        (RulesFormat::Json, true) => report::blind::json(&rules)?,
    };
    output::to_stdout(&text)?;
    Ok(0)
}

fn built_in_rules() -> Result<RuleSet> {
    RuleSet::built_in().map_err(|error| Error::new("the built-in rules can't be used").because(error))
}

/// Refuses a feature that no rule asks for: a misspelt one would pass for vouched.
fn check_features(features: &[String], rules: &RuleSet) -> Result<()> {
    let known: BTreeSet<&str> = rules.rules.iter().flat_map(Rule::features).collect();
    match features.iter().find(|feature| !known.contains(feature.as_str())) {
        None => Ok(()),
        Some(feature) => Err(Error::new(format!("--criu-feature `{feature}` is none that a rule knows"))
            .hint(format!("the known ones: {}", known.into_iter().collect::<Vec<_>>().join(", ")))),
    }
}

fn look(args: &ReportArgs) -> human::Look {
    let (width, colour) = match args.output {
        Some(_) => (WIDTH_OF_NO_TERMINAL, args.color == cli::Color::Always),
        None => (width(), is_coloured()),
    };
    human::Look { width, colour, quiet: args.quiet, verbose: args.verbose }
}

fn is_coloured() -> bool {
    AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
}

fn width() -> u16 {
    let stdout = std::io::stdout();
    let columns = |size: rustix::termios::Winsize| (size.ws_col > 0).then_some(size.ws_col);
    let terminal = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok().and_then(columns));
    terminal.flatten().unwrap_or(WIDTH_OF_NO_TERMINAL)
}

/// The flag; without one `FORCE_COLOR`, then what anstream looks at (`NO_COLOR`, `CLICOLOR_FORCE`, `TERM`, terminal).
fn colour_choice(color: cli::Color) -> ColorChoice {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    match color {
        cli::Color::Always => ColorChoice::Always,
        cli::Color::Never => ColorChoice::Never,
        cli::Color::Auto if set("FORCE_COLOR") && !set("NO_COLOR") => ColorChoice::Always,
        cli::Color::Auto => ColorChoice::Auto,
    }
}

fn engine_of(engine: cli::Engine) -> Option<Engine> {
    match engine {
        cli::Engine::Auto => None,
        cli::Engine::Runc => Some(Engine::Runc),
        cli::Engine::Docker => Some(Engine::Docker),
        cli::Engine::Criu => Some(Engine::Criu),
    }
}

fn fail_on(fail_on: cli::FailOn) -> FailOn {
    match fail_on {
        cli::FailOn::Blocks => FailOn::Blocks,
        cli::FailOn::NeedsOption => FailOn::NeedsOption,
        cli::FailOn::RestoreRisk => FailOn::RestoreRisk,
        cli::FailOn::Never => FailOn::Never,
    }
}
