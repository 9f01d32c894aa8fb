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

/// What would still be in the way: `11 in 5 other processes (xfce4-panel, ...)`.
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
    let other = format!("{in_processes} in {} other processes ({})", processes.len(), names.join(", "));
    match (in_processes, elsewhere) {
        (0, 0) => "nothing else is in the way".to_owned(),
        (0, n) => format!("{n} that belong to no process remain"),
        (_, 0) => format!("{other} remain"),
        (_, n) => format!("{other} and {n} that belong to no process remain"),
    }
}
