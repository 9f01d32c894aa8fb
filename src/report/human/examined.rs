//! What was examined and is fine: kinds of open files, and the rules that found nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Look;
use super::fold;
use crate::facts::Link;
use crate::report::Report;

pub(super) fn render(report: Report<'_>, look: &Look) -> String {
    let fired: BTreeSet<&str> = report.assessment.findings.iter().map(|finding| finding.rule.as_str()).collect();
    let silent: Vec<&str> = report.rules_run().filter(|rule| !fired.contains(rule)).collect();
    let mut lines = Vec::new();
    if !report.facts.is_of_host_only() {
        lines.push(("fds", kinds(report)));
    }
    if !silent.is_empty() {
        lines.push(("silent", format!("{}: {}", fold::count(silent.len(), "rule", "rules"), silent.join(", "))));
    }
    let left_out: Vec<&str> = report.rules_not_run().collect();
    if !left_out.is_empty() {
        lines.push(("not run", format!("needs --deep: {}", left_out.join(", "))));
    }
    format!("{}\n{}", look.strong("EXAMINED"), look.labelled(&lines))
}

fn kinds(report: Report<'_>) -> String {
    let mut kinds = BTreeMap::<String, usize>::new();
    for fd in report.facts.processes.iter().flat_map(|process| &process.fds) {
        let kind = match fd.link() {
            Link::Socket(_) => "sockets".to_owned(),
            Link::Pipe(_) => "pipes".to_owned(),
            Link::AnonInode(name) => crate::text::RawText::from(name).to_string().trim_matches(['[', ']']).to_owned(),
            Link::Namespace(..) => "namespaces".to_owned(),
            Link::Memfd(_) => "memfds".to_owned(),
            Link::Path { deleted: true, .. } => "deleted files".to_owned(),
            Link::Path { path, .. } if path.starts_with(b"/dev/") => "files in /dev".to_owned(),
            Link::Path { .. } => "files".to_owned(),
            Link::Other(_) => "others".to_owned(),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let mut kinds: Vec<(String, usize)> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    fold::list(&kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>(), 0)
}
