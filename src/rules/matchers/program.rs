//! Programs, known by name or by a library they map, that hold what other rules found.
//!
//! A name never blocks by itself: this matcher fires only where other findings name such a process. It mirrors nothing
//! in CRIU; it says which service to switch off, and what would remain without it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Mapping, Pid, Process};
use crate::finding::{Finding, Subject};

/// Longest name of a process (`TASK_COMM_LEN` less its end).
const COMM_LENGTH: usize = 15;

/// Fires once when a process of the family holds what a deciding finding names.
///
/// The subject is the first such process. `{holders}` lists all of them with their counts, `{count}` is the sum,
/// `{rest}` says what would still be in the way without the family.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Names of programs; one that ends in `*` stands for all that begin so.
    #[serde(default)]
    names: Vec<String>,
    /// Beginning of the file name of a library: every process that maps it belongs to the family.
    mapping: Option<String>,
    /// Ids of the rules whose findings count. Empty: those of all rules.
    #[serde(default)]
    holds: Vec<String>,
}

impl Match for Program {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let family: Vec<&Process> = view.facts.processes.iter().filter(|process| self.includes(process)).collect();
        let pids: BTreeSet<Pid> = family.iter().map(|process| process.pid).collect();
        let of_family = |finding: &&Finding| finding.subject.pid.is_some_and(|pid| pids.contains(&pid));
        let deciding = || view.held.iter().filter(|finding| finding.decides());

        let mut counts = BTreeMap::<Pid, usize>::new();
        for finding in deciding().filter(of_family).filter(|finding| self.counts(finding)) {
            *counts.entry(finding.subject.pid.unwrap_or_default()).or_default() += 1;
        }
        let holders = family.iter().filter_map(|process| Some((*process, *counts.get(&process.pid)?)));
        let Some((first, _)) = holders.clone().next() else { return Vec::new() };

        let list: Vec<String> = holders.map(|(p, count)| format!("{} ({}) {count}", p.comm, p.pid)).collect();
        let rest = rest(deciding().filter(|finding| !of_family(finding)));
        let subject = Subject::process(first)
            .with("holders", list.join(", "))
            .with("count", counts.values().sum::<usize>().to_string())
            .with("rest", rest);
        vec![subject]
    }
}

impl Program {
    fn counts(&self, finding: &Finding) -> bool {
        self.holds.is_empty() || self.holds.contains(&finding.rule)
    }

    fn includes(&self, process: &Process) -> bool {
        let exe = process.exe.as_ref().map(|exe| file_name(exe.as_bytes()));
        let named = |name: &String| {
            is_name(name, process.comm.as_bytes(), COMM_LENGTH) || exe.is_some_and(|exe| is_name(name, exe, usize::MAX))
        };
        let maps = |prefix: &String| process.mappings.iter().any(|m: &Mapping| maps_library(m, prefix));
        self.names.iter().any(named) || self.mapping.as_ref().is_some_and(maps)
    }
}

/// Whether `pattern`, of which only the first `limit` bytes can be seen, is this name or the beginning of it.
fn is_name(pattern: &str, name: &[u8], limit: usize) -> bool {
    let cut = |text: &str| text.as_bytes().iter().copied().take(limit).collect::<Vec<u8>>();
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(&cut(beginning)),
        None => name == cut(pattern),
    }
}

fn maps_library(mapping: &Mapping, prefix: &str) -> bool {
    file_name(mapping.path.as_bytes()).starts_with(prefix.as_bytes())
}

/// The last part of a path, without what the kernel says of a deleted file.
fn file_name(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// What would still be in the way: `11 remain in 5 other processes (xfce4-panel, ...)`.
fn rest<'a>(others: impl Iterator<Item = &'a Finding>) -> String {
    let mut processes = BTreeMap::<Pid, String>::new();
    let (mut in_processes, mut elsewhere) = (0_usize, 0_usize);
    for finding in others {
        match finding.subject.pid {
            Some(pid) => {
                in_processes += 1;
                processes.entry(pid).or_insert_with(|| finding.subject.value("comm").unwrap_or_default());
            }
            None => elsewhere += 1,
        }
    }
    let names: BTreeSet<&str> = processes.values().map(String::as_str).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let remain = |count: usize| if count == 1 { "1 remains".to_owned() } else { format!("{count} remain") };
    let noun = if processes.len() == 1 { "process" } else { "processes" };
    let inside = format!("{} in {} other {noun} ({})", remain(in_processes), processes.len(), names.join(", "));
    match (in_processes, elsewhere) {
        (0, 0) => "nothing else is in the way".to_owned(),
        (0, count) => format!("{} that no process holds", remain(count)),
        (_, 0) => inside,
        (_, count) => format!("{inside} and {count} that no process holds"),
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::finding::Finding;
    use crate::rules::matchers::Matcher;
    use crate::rules::testing::{facts, mapping, pidfd, process, profile};
    use crate::rules::{Index, RuleSet, judge};

    fn named(pid: i32, comm: &str, exe: &str, pidfds: i32) -> Process {
        let fds = (0..pidfds).map(|number| pidfd(number, 1)).collect();
        Process { comm: comm.into(), exe: Some(exe.into()), fds, ..process(pid) }
    }

    fn told(rule: &str, tree: Vec<Process>, criu: &str) -> Vec<String> {
        let (tree, set) = (facts(tree), RuleSet::built_in().unwrap());
        let all = judge(&tree, &Index::new(&tree), &profile(criu, &[]), &set);
        all.into_iter().filter(|finding| finding.rule == rule).map(|Finding { what, .. }| what).collect()
    }

    fn desktop() -> Vec<Process> {
        vec![
            named(1, "tail", "/usr/bin/tail", 0),
            named(7, "ibus-daemon", "/usr/bin/ibus-daemon", 4),
            named(8, "ibus-extension-", "/usr/libexec/ibus-extension-gtk3 (deleted)", 1),
            named(9, "xfce4-session", "/usr/bin/xfce4-session", 5),
            named(10, "ibus-x11", "/usr/libexec/ibus-x11", 0),
        ]
    }

    #[test]
    fn a_family_is_told_with_who_holds_how_much_and_what_remains_without_it() {
        let rest = "5 remain in 1 other process (xfce4-session) and 1 that no process holds";
        let told = told("desktop-ibus", desktop(), "4.0");
        let holders = "ibus-daemon (7) 4, ibus-extension- (8) 1";
        assert_eq!(told, [format!("ibus holds 5 of what is in the way: {holders}; without it {rest}")]);
    }

    #[test]
    fn a_name_alone_is_never_told() {
        assert_eq!(told("desktop-ibus", desktop(), "4.2"), [""; 0]);
        assert_eq!(told("desktop-gvfs", desktop(), "4.0"), [""; 0]);
    }

    #[test]
    fn a_library_makes_the_family_whatever_the_name() {
        let unnamed = Process { mappings: vec![mapping("/usr/lib/libglib-2.0.so.0.7400.6")], ..named(7, "x", "/x", 2) };
        let told = told("glib-program", vec![unnamed, named(8, "y", "/y", 1)], "4.0");
        assert!(told[0].contains("hold 2 pidfds in the way: x (7) 2; without them 1 remains in 1 other"), "{told:?}");
    }

    #[test]
    fn rules_whose_findings_count_exist() {
        let set = RuleSet::built_in().unwrap();
        let known = |id: &String| set.rules.iter().any(|rule| rule.id == *id);
        for rule in &set.rules {
            if let Matcher::Program(program) = &rule.matcher {
                assert!(program.holds.iter().all(known), "{}", rule.id);
            }
        }
    }
}
