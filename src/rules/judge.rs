//! Facts and profile in, findings out.

use super::{Index, Lift, Rule, RuleSet, View, looks};
use crate::facts::{Area, Facts};
use crate::finding::{Confidence, Finding, Severity, Subject};
use crate::profile::{CriuOption, Profile};

/// Runs every rule: first those about resources, then those about programs, which see what the first ones found.
/// Findings are ordered by severity, rule and subject: the same facts give the same list.
#[must_use]
pub fn judge(facts: &Facts, index: &Index<'_>, profile: &Profile, set: &RuleSet) -> Vec<Finding> {
    let mut findings: Vec<Finding> = about_resources(facts, index, profile, set).collect();
    let about_programs = about_programs(facts, index, profile, set, &findings);
    findings.extend(about_programs);
    findings.sort_by(|a, b| (a.severity, &a.rule, &a.subject).cmp(&(b.severity, &b.rule, &b.subject)));
    findings
}

/// Runs the rules about resources only, one after another as their findings are asked for: enough for a verdict. Of a
/// busy target, what all looks come to.
pub(crate) fn about_resources<'a>(
    facts: &'a Facts,
    index: &'a Index<'a>,
    profile: &'a Profile,
    set: &'a RuleSet,
) -> Box<dyn Iterator<Item = Finding> + 'a> {
    let look = |facts, index| fired(View { facts, profile, index, held: &[] }, set, false);
    if index.looks.is_empty() {
        return Box::new(look(facts, index));
    }
    let further = index.looks.iter().map(|(facts, index)| look(facts, index).collect());
    let looks = std::iter::once(look(facts, index).collect()).chain(further).collect();
    Box::new(looks::merge(looks, &index.settled, set).into_iter())
}

/// What the rules about programs say of these findings.
pub(crate) fn about_programs(
    facts: &Facts,
    index: &Index<'_>,
    profile: &Profile,
    set: &RuleSet,
    held: &[Finding],
) -> Vec<Finding> {
    fired(View { facts, profile, index, held }, set, true).collect()
}

/// Whether something blocks in every look at a busy target: told by judging the first look, and the others by its rule
/// alone.
pub(crate) fn is_always_blocked(facts: &Facts, index: &Index<'_>, profile: &Profile, set: &RuleSet) -> bool {
    let blocks = |finding: &Finding| finding.decides() && finding.severity == Severity::Blocks;
    let first = View { facts, profile, index, held: &[] };
    let lasts = |(rule, found): (&Rule, Finding)| {
        let mut further = index.looks.iter().map(|(facts, index)| View { facts, profile, index, held: &[] });
        further.all(|view| rule.findings(view, set).any(|other| looks::are_same(&found, &other)))
    };
    let found = set.rules.iter().flat_map(|rule| rule.findings(first, set).map(move |finding| (rule, finding)));
    found.filter(|(rule, found)| !rule.matcher.is_about_programs() && blocks(found)).any(lasts)
}

fn fired<'a>(view: View<'a>, set: &'a RuleSet, about_programs: bool) -> impl Iterator<Item = Finding> + use<'a> {
    let rules = set.rules.iter().filter(move |rule| rule.matcher.is_about_programs() == about_programs);
    rules.flat_map(move |rule| rule.findings(view, set))
}

impl Rule {
    /// Features of a build that change what this rule says.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.criu.feature.iter().chain(&self.criu.perhaps_with).map(String::as_str)
    }

    /// What it finds, if it applies.
    fn findings<'a>(&'a self, view: View<'a>, set: &'a RuleSet) -> impl Iterator<Item = Finding> + use<'a> {
        let subjects = if self.applies(view.profile) { self.matcher.subjects(view) } else { Vec::new() };
        subjects.into_iter().filter_map(move |subject| finding(self, subject, view.profile, set))
    }

    /// Whether what the rule looks at was read: some is read with `--deep` only.
    #[must_use]
    pub fn is_examined(&self, facts: &Facts) -> bool {
        let read = || facts.processes.iter().any(|process| process.sealed.is_some());
        !self.matcher.needs().contains(&Area::MappingFlags) || read()
    }

    /// Whether this CRIU on this kernel refuses what the rule looks for.
    #[must_use]
    pub fn applies(&self, profile: &Profile) -> bool {
        let criu = profile.criu_version();
        let behaviour = &self.criu;
        let vouched = behaviour.feature.as_ref().is_some_and(|feature| profile.criu.features.contains(feature));
        let refused = behaviour.refused_since.is_none_or(|since| criu >= since);
        let dumps = vouched || behaviour.dumpable_since.is_some_and(|since| criu >= since);
        let kernel = match (behaviour.kernel, profile.kernel) {
            (Some(range), Some(kernel)) => range.contains(kernel),
            _ => true,
        };
        refused && !dumps && kernel
    }
}

fn finding(rule: &Rule, subject: Subject, profile: &Profile, set: &RuleSet) -> Option<Finding> {
    let criu = profile.criu_version();
    let available = rule.lift.iter().filter(|lift| lift.since.is_none_or(|since| criu >= since));
    let lifted_by: Vec<CriuOption> = available.filter_map(|lift| option(lift, &subject)).collect();
    if lifted_by.iter().any(|option| profile.has(&option.name, option.value.as_deref())) {
        return None;
    }
    let severity = match rule.severity {
        Severity::NeedsOption if lifted_by.is_empty() => Severity::Blocks,
        severity => severity,
    };
    // What is only possible stays so: that it came true once does not say that it will here.
    let perhaps = rule.criu.perhaps_with.iter().any(|feature| profile.criu.features.contains(feature));
    let measured = match rule.criu.confidence {
        _ if perhaps => Confidence::Possible,
        Confidence::Likely if set.is_measured(&rule.id, criu) => Confidence::Certain,
        confidence => confidence,
    };
    Some(Finding {
        rule: rule.id.clone(),
        severity,
        confidence: subject.confidence.map_or(measured, |limit| limit.max(measured)),
        what: fill(rule.text.host.as_ref().filter(|_| subject.pid.is_none()).unwrap_or(&rule.text.what), &subject),
        why: fill(&rule.text.why, &subject),
        fix: fill(&rule.text.fix, &subject),
        error: pattern(&rule.criu.error, &subject),
        lifted_by,
        seen: None,
        subject,
    })
}

/// The option as it lifts this subject; `None` when it does not, for want of a value.
fn option(lift: &Lift, subject: &Subject) -> Option<CriuOption> {
    let lacks = |key: &str| subject.value(key).is_none();
    let placeholders = lift.value.iter().flat_map(|value| value.split('{').skip(1)).filter_map(|v| v.split_once('}'));
    if placeholders.map(|(key, _)| key).chain(lift.only_with.as_deref()).any(lacks) {
        return None;
    }
    let value = lift.value.as_ref().map(|value| fill(value, subject));
    Some(CriuOption { name: lift.option.clone(), value })
}

/// Fills `{placeholders}` in.
fn fill(template: &str, subject: &Subject) -> String {
    fill_with(template, |key| subject.value(key))
}

/// Fills `{placeholders}` of a regular expression in, so that the values stand for themselves.
fn pattern(template: &str, subject: &Subject) -> String {
    fill_with(template, |key| subject.value(key).map(|value| regex_escape(&value)))
}

fn regex_escape(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$#&-~".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Fills placeholders in; one without a value stays as it is.
fn fill_with(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}').and_then(|(key, tail)| Some((value(key)?, tail))) {
            Some((value, tail)) => {
                out.push_str(&value);
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
