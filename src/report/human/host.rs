//! Who would run criu and what it finds on the host: said where only that is looked at, and with -v.

use crate::facts::{Abilities, CallerFacts, Tool};
use crate::report::Report;

/// Capabilities that CRIU needs for a dump, by their number in `CapEff`.
const NEEDED: [(u8, &str); 6] = [
    (12, "CAP_NET_ADMIN"),
    (18, "CAP_SYS_CHROOT"),
    (19, "CAP_SYS_PTRACE"),
    (21, "CAP_SYS_ADMIN"),
    (24, "CAP_SYS_RESOURCE"),
    (40, "CAP_CHECKPOINT_RESTORE"),
];

/// Lines for the header, each with its label.
pub(super) fn lines(report: Report<'_>) -> Vec<(&'static str, String)> {
    let Some(caller) = &report.profile.caller else { return Vec::new() };
    let host = &report.facts.host;
    let tools = host.tools.as_deref().map(|all| ("tools", tools(all)));
    let kernel = host.abilities.as_ref().map(|has| ("offers", offers(has)));
    [Some(("caller", who(caller))), tools, kernel].into_iter().flatten().collect()
}

fn who(caller: &CallerFacts) -> String {
    let lacks = NEEDED.iter().filter(|(number, _)| caller.capabilities & (1 << number) == 0).map(|(_, name)| *name);
    let lacks: Vec<&str> = lacks.collect();
    let capabilities = match lacks.as_slice() {
        [] => "every capability that CRIU uses".to_owned(),
        lacks => format!("without {}", lacks.join(", ")),
    };
    let mounts = if caller.owns_mounts == Some(false) { ", in a user namespace that may not mount" } else { "" };
    let seccomp = if caller.seccomp == 0 { "" } else { ", under seccomp" };
    format!("uid {}, {capabilities}{mounts}{seccomp}", caller.uid)
}

fn tools(all: &[Tool]) -> String {
    let names = |there: bool| -> Vec<&str> {
        all.iter().filter(|tool| tool.program.is_some() == there).map(|tool| tool.name.as_str()).collect()
    };
    match (names(true).join(", "), names(false).join(", ")) {
        (found, missing) if missing.is_empty() => found,
        (found, missing) if found.is_empty() => format!("none of {missing}"),
        (found, missing) => format!("{found}; not {missing}"),
    }
}

fn offers(has: &Abilities) -> String {
    let lacks: Vec<&str> = has.missing_diag.iter().chain(&has.missing).map(String::as_str).collect();
    let lacks =
        if lacks.is_empty() { "all that CRIU asks of it".to_owned() } else { format!("no {}", lacks.join(", ")) };
    let yama = has.ptrace_scope.map(|scope| format!(", ptrace_scope {scope}")).unwrap_or_default();
    format!("{lacks}{yama}")
}
