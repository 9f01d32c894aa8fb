//! What was linted, for which dump: target, criu, options in force, what was read.

use super::Look;
use super::look::clean;
use super::{fold, host};
use crate::facts::{ContainerFacts, CriuState, Engine, Facts};
use crate::profile::{CriuOption, OptionInEffect, Profile};
use crate::report::Report;
use crate::version::Version;

/// How many options of one source are shown.
const MOST_OPTIONS: usize = 6;

/// An option with a longer value is shown without it.
const LONGEST_OPTION: usize = 40;

pub(super) fn render(report: Report<'_>, look: &Look) -> String {
    let Report { facts, profile, .. } = report;
    let mut lines = vec![
        ("target", target(facts)),
        ("dump by", dumped_by(profile)),
        ("kernel", format!("{} {}", facts.host.kernel_release, facts.host.architecture)),
    ];
    if look.verbose || facts.is_of_host_only() {
        lines.extend(host::lines(report));
    }
    let most = if look.verbose { 0 } else { MOST_OPTIONS };
    let mut in_force: Vec<&OptionInEffect> = profile.options.iter().collect();
    in_force.sort_by_key(|option| (!option.is_from_command_line(), &option.from));
    let sources: Vec<String> = in_force.chunk_by(|a, b| a.from == b.from).map(|o| options(o, most)).collect();
    match sources.as_slice() {
        [] => lines.push(("options", "none".to_owned())),
        [first, others @ ..] => {
            lines.push(("options", first.clone()));
            lines.extend(others.iter().map(|source| ("", source.clone())));
        }
    }
    if !profile.config_files.is_empty() {
        lines.push(("config", profile.config_files.join(", ")));
    }
    lines.extend(profile.notes.iter().map(|note| ("note", note.clone())));
    if !facts.is_of_host_only() {
        lines.push(("scanned", scanned(facts)));
    }
    let title = format!("{} {}", look.strong(env!("CARGO_PKG_NAME")), env!("CARGO_PKG_VERSION"));
    let lines: Vec<(&str, String)> = lines.into_iter().map(|(label, text)| (label, clean(&text))).collect();
    format!("{title}\n{}", look.labelled(&lines))
}

fn target(facts: &Facts) -> String {
    if facts.is_of_host_only() {
        return "the host and who would run criu; no target was looked at".to_owned();
    }
    let root = facts.root().map(|root| format!(" {}", root.comm)).unwrap_or_default();
    let process = format!("process {}{root}", facts.target.root);
    match &facts.target.container {
        Some(container) => format!("{}, root {process}", name(container)),
        None => format!("{process} and its descendants"),
    }
}

fn name(container: &ContainerFacts) -> String {
    let short: String = container.id.chars().take(12).collect();
    match &container.name {
        Some(name) => format!("{} container {name} ({short})", container.engine),
        None => format!("{} container {}", container.engine, container.id),
    }
}

fn dumped_by(profile: &Profile) -> String {
    let criu = criu(profile);
    let series = |version: Version| format!(" {}.{}.x", version.major, version.minor);
    let runc = profile.runtime_version.map(series).unwrap_or_default();
    match profile.engine {
        Engine::Criu => criu,
        Engine::Runc => format!("runc{runc}, {criu}"),
        Engine::Docker => format!("docker with runc{runc}, {criu}"),
    }
}

fn criu(profile: &Profile) -> String {
    let criu = &profile.criu;
    let path = criu.path.as_deref().unwrap_or("criu");
    let judged = format!("judged as {}", profile.criu_version());
    match (&criu.state, criu.version) {
        (Some(CriuState::Missing), _) => format!("no criu found ({}), {judged}", criu.from),
        (Some(CriuState::Unusable(why)), _) => format!("{path} does not run: {why} ({}), {judged}", criu.from),
        (Some(CriuState::NotRun(why)), _) => format!("{path} was not run: {why} ({}), {judged}", criu.from),
        (Some(CriuState::Runs { git_id: Some(id), .. }), Some(version)) => {
            format!("CRIU {version} ({id}), {path} ({})", criu.from)
        }
        (_, Some(version)) => match &criu.path {
            Some(path) => format!("CRIU {version}, {path} ({})", criu.from),
            None => format!("CRIU {version} ({}), taken as fully privileged", criu.from),
        },
        (_, None) => format!("release not known ({}), {judged}", criu.from),
    }
}

/// Options of one source; of those that are given often, such as `external`, only how often.
fn options(options: &[&OptionInEffect], most: usize) -> String {
    let from = options.first().map(|option| option.from.as_str()).unwrap_or_default();
    let mut texts: Vec<String> = Vec::new();
    for same in options.chunk_by(|a, b| a.option.name == b.option.name) {
        match same {
            [many @ .., last] if most > 0 && many.len() >= 3 => {
                texts.push(format!("{} ({} times)", last.option.name, same.len()));
            }
            few => texts.extend(few.iter().map(|option| short(&option.option, most == 0))),
        }
    }
    format!("{from}: {}", fold::list(&texts, most))
}

/// The option, without a long value unless everything is to be shown.
fn short(option: &CriuOption, whole: bool) -> String {
    let text = option.to_string();
    if whole || text.len() <= LONGEST_OPTION { text } else { format!("{} ...", option.name) }
}

fn scanned(facts: &Facts) -> String {
    let sum = |of: fn(&crate::facts::Process) -> usize| facts.processes.iter().map(of).sum::<usize>();
    let counts = [
        fold::count(facts.processes.len(), "process", "processes"),
        fold::count(sum(|p| p.threads.len()), "thread", "threads"),
        fold::count(sum(|p| p.fds.len()), "fd", "fds"),
        fold::count(facts.net_namespaces.iter().map(|ns| ns.sockets.len()).sum(), "socket", "sockets"),
        fold::count(facts.mount_namespaces.iter().map(|ns| ns.mounts.len()).sum(), "mount", "mounts"),
    ];
    let often = match facts.looks.len() {
        0 => String::new(),
        further => format!("; {} times, as it is busy", further + 1),
    };
    counts.join(", ") + &often + "; nothing was stopped"
}
