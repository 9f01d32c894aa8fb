//! Findings grouped by rule and then by process, in the order in which CRIU comes to the processes.

use std::collections::BTreeMap;

use super::fold;
use super::look::clean;
use super::programs;
use crate::facts::Pid;
use crate::finding::{Confidence, Finding, Severity};
use crate::profile::{CriuOption, Profile, Reach};
use crate::report::Report;
use crate::rules::UNKNOWN;

/// How many fds, differing words and rows of one process are shown before `and N more`.
const MOST_FDS: usize = 8;
const MOST_WORDS: usize = 4;
const MOST_ROWS: usize = 4;

/// From how many equal processes on they share a row.
const MANY_ALIKE: usize = 4;

/// All findings of a rule that are equally bad and sure.
pub(super) struct Group<'a> {
    pub(super) severity: Severity,
    pub(super) confidence: Confidence,
    pub(super) rule: &'a str,
    pub(super) title: &'a str,
    pub(super) findings: usize,
    pub(super) processes: usize,
    pub(super) rows: Vec<Row>,
    pub(super) why: Vec<&'a str>,
    pub(super) fix: Vec<&'a str>,
    pub(super) lift: Option<String>,
    /// What CRIU would print, where it would stop at one of them first.
    pub(super) first_stop: Option<String>,
    /// When CRIU comes to the first of the processes; host and mounts come before them.
    reached: Option<usize>,
}

/// One line of the table: who, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) holder: String,
    pub(super) pid: String,
    pub(super) fds: String,
    pub(super) what: String,
}

impl Group<'_> {
    pub(super) fn is_in_the_way(&self) -> bool {
        self.severity <= Severity::NeedsOption
    }

    pub(super) fn decides(&self) -> bool {
        self.is_in_the_way() && self.confidence != Confidence::Possible
    }
}

/// The groups, the worst first, then in the order in which CRIU comes to them.
pub(super) fn groups<'a>(report: Report<'a>, verbose: bool) -> Vec<Group<'a>> {
    let mut by_rule = BTreeMap::<(Severity, bool, &str, Confidence), Vec<&'a Finding>>::new();
    for finding in report.assessment.findings.iter().filter(|finding| verbose || !programs::is_row(finding)) {
        let key = (finding.severity, !finding.decides(), finding.rule.as_str(), finding.confidence);
        by_rule.entry(key).or_default().push(finding);
    }
    let mut groups: Vec<Group<'a>> = by_rule.into_values().map(|findings| group(findings, report, verbose)).collect();
    groups.sort_by_key(|group| (!group.is_in_the_way(), !group.decides(), group.severity, group.reached));
    groups
}

fn group<'a>(mut findings: Vec<&'a Finding>, report: Report<'a>, verbose: bool) -> Group<'a> {
    let walk: BTreeMap<Pid, usize> = report.facts.processes.iter().enumerate().map(|(n, p)| (p.pid, n)).collect();
    let reached = |finding: &&Finding| finding.subject.pid.map(|pid| walk.get(&pid).copied().unwrap_or(usize::MAX));
    findings.sort_by_key(reached);
    let distinct = |text: fn(&'a Finding) -> &'a str| {
        let mut texts: Vec<&'a str> = findings.iter().map(|finding| text(finding)).filter(|t| !t.is_empty()).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    };
    let mut pids: Vec<Pid> = findings.iter().filter_map(|finding| finding.subject.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    let first = findings.first().copied();
    let rule = first.map_or("", |finding| finding.rule.as_str());
    Group {
        severity: first.map_or(Severity::Info, |finding| finding.severity),
        confidence: first.map_or(Confidence::Possible, |finding| finding.confidence),
        rule,
        title: report.title(rule),
        findings: findings.len(),
        processes: pids.len(),
        why: distinct(|finding| &finding.why),
        fix: distinct(|finding| &finding.fix),
        lift: lift(&findings, report.profile),
        first_stop: first_stop(&findings),
        reached: first.as_ref().and_then(reached),
        rows: if verbose { findings.iter().map(|f| verbose_row(f)).collect() } else { folded_rows(&findings) },
    }
}

fn verbose_row(finding: &Finding) -> Row {
    let mut row = row(finding, &finding.subject.fd.into_iter().collect::<Vec<_>>(), detail(finding));
    if let Some(line) = line(finding) {
        row.what += &format!("\nCRIU: {line}");
    }
    row
}

/// What CRIU would print, as far as anything of it is known.
fn line(finding: &Finding) -> Option<String> {
    let line = &finding.printed.line;
    (!line.is_empty() && line != UNKNOWN).then(|| clean(&line.replace('\t', "")))
}

/// That CRIU would stop at one of the findings before it comes to any other.
fn first_stop(findings: &[&Finding]) -> Option<String> {
    let first = findings.iter().find(|finding| finding.first_hit)?;
    let value = |key| first.subject.value(key);
    let who = value("comm").zip(value("pid")).map_or("this".to_owned(), |(comm, pid)| format!("{comm} ({pid})"));
    let line = line(first).map(|line| format!(": {line}"));
    Some(format!("stops first at {who}{}", line.unwrap_or_default()))
}

fn folded_rows(findings: &[&Finding]) -> Vec<Row> {
    let same = |a: &&Finding, b: &&Finding| a.subject.pid.is_some() && a.subject.pid == b.subject.pid;
    let rows: Vec<Row> = findings.chunk_by(same).flat_map(rows_of_process).collect();
    let mut folded: Vec<(Row, Vec<String>)> = Vec::new();
    for row in rows {
        let alike = |(other, _): &&mut (Row, Vec<String>)| {
            (&other.holder, &other.fds, &other.what) == (&row.holder, &row.fds, &row.what) && !row.pid.is_empty()
        };
        match folded.iter_mut().find(alike) {
            Some((_, pids)) => pids.push(row.pid),
            None => folded.push((row.clone(), vec![row.pid])),
        }
    }
    let unfold = |(row, pids): (Row, Vec<String>)| match pids.get(1..) {
        Some(others) if pids.len() >= MANY_ALIKE => {
            let others = format!("the same in {} others: {}", others.len(), fold::list(others, MOST_WORDS));
            vec![Row { what: format!("{}; {others}", row.what), ..row }]
        }
        _ => pids.into_iter().map(|pid| Row { pid, ..row.clone() }).collect(),
    };
    folded.into_iter().flat_map(unfold).collect()
}

fn rows_of_process(findings: &[&Finding]) -> Vec<Row> {
    let mut details: Vec<(String, Vec<i32>)> = Vec::new();
    for finding in findings {
        let (detail, fd) = (detail(finding), finding.subject.fd);
        match details.iter_mut().find(|(other, _)| *other == detail) {
            Some((_, fds)) => fds.extend(fd.filter(|fd| !fds.contains(fd))),
            None => details.push((detail, fd.into_iter().collect())),
        }
    }
    let Some(first) = findings.first() else { return Vec::new() };
    let phrases: Vec<String> = details.iter().map(|(detail, _)| detail.clone()).collect();
    if let Some(phrase) = fold::phrase(&phrases, MOST_WORDS).filter(|_| details.len() > 1) {
        let mut fds: Vec<i32> = details.into_iter().flat_map(|(_, fds)| fds).collect();
        fds.sort_unstable();
        fds.dedup();
        return vec![row(first, &fds, phrase)];
    }
    let hidden = if details.len() > MOST_ROWS + 1 { details.len() - MOST_ROWS } else { 0 };
    details.truncate(details.len() - hidden);
    let mut rows: Vec<Row> = details.into_iter().map(|(detail, fds)| row(first, &fds, detail)).collect();
    if hidden > 0 {
        rows.push(row(first, &[], format!("and {hidden} more")));
    }
    rows
}

fn row(finding: &Finding, fds: &[i32], what: String) -> Row {
    let subject = &finding.subject;
    let holder = match (&subject.comm, subject.mount_id) {
        (Some(comm), _) => comm.to_string(),
        (None, Some(id)) => format!("mount {id}"),
        (None, None) => "host".to_owned(),
    };
    let fds = if fds.is_empty() { String::new() } else { format!("fd {}", fold::list(fds, MOST_FDS)) };
    Row { holder, pid: subject.pid.map(|pid| pid.to_string()).unwrap_or_default(), fds, what }
}

/// What stands in the message behind who it is and which fd: these have columns of their own.
fn detail(finding: &Finding) -> String {
    let value = |key| finding.subject.value(key).unwrap_or_default();
    let what = finding.what.as_str();
    let rest = what.strip_prefix(&format!("{} ({})", value("comm"), value("pid"))).unwrap_or(what);
    let rest = rest.strip_prefix(&format!(" fd {}", value("fd"))).unwrap_or(rest);
    let rest = rest.trim_start_matches([':', ',', ' ']);
    let verbs: &[&str] = if finding.subject.fd.is_some() { &["is ", "has ", "holds "] } else { &[] };
    verbs.iter().find_map(|verb| rest.strip_prefix(verb)).unwrap_or(rest).to_owned()
}

/// How the user of this engine passes what lifts the findings: `--tcp-established or --tcp-close`.
fn lift(findings: &[&Finding], profile: &Profile) -> Option<String> {
    let mut by_name: Vec<(&str, Vec<&CriuOption>)> = Vec::new();
    for option in findings.iter().flat_map(|finding| &finding.lifted_by) {
        match by_name.iter_mut().find(|(name, _)| *name == option.name) {
            Some((_, options)) if options.contains(&option) => {}
            Some((_, options)) => options.push(option),
            None => by_name.push((&option.name, vec![option])),
        }
    }
    let mut lines = false;
    let mut way = |option: &&CriuOption| match profile.reach(option) {
        Reach::Flag(flag) => flag,
        Reach::ConfigLine(line) => {
            lines = true;
            format!("`{line}`")
        }
        Reach::Nowhere => format!("{option} (which {} can't pass on)", profile.engine),
    };
    let mut ways = |options: &[&CriuOption]| options.iter().map(&mut way).collect::<Vec<_>>();
    let ways: Vec<String> = by_name.iter().map(|(_, options)| fold::list(&ways(options), MOST_WORDS)).collect();
    let file = profile.config_line_file.as_ref().filter(|_| lines).map(|file| format!(" in {file}"));
    (!ways.is_empty()).then(|| clean(&(ways.join(", or ") + &file.unwrap_or_default())))
}
