//! One program, one place, one release: the lint and the real dump must agree, without options and with the lift.

use std::path::Path;
use std::time::Duration;

use ckpt_lint::criu::run::{Dump, Outcome};
use ckpt_lint::facts::Pid;
use ckpt_lint::profile::CriuOption;
use ckpt_lint::verify::{self, Agreement};

use crate::Suite;
use crate::caller::Caller;
use crate::lint::Lint;
use crate::place::{Place, Running};
use crate::plan;
use crate::program::{Flickers, Program, options};
use crate::results::{Of, Record};

type Result<T> = std::result::Result<T, String>;

/// What to dump.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) root: Pid,
    /// Whether the dump never ends: then it is ended soon.
    pub(crate) hangs: bool,
    /// Whether the lint may make it wait.
    pub(crate) deep: bool,
    /// Who looks at it and dumps it, when that is not the tests themselves.
    pub(crate) caller: Option<&'a Caller>,
}

pub(crate) fn compare(suite: &Suite, program: &Program, place: Place, criu: &str) -> Result<()> {
    let running = Running::start(program, place)?;
    let expected = program.expected(place, criu);
    let path = suite.releases.path(criu);
    let caller = Caller::of(program, running.root)?;
    let caller = caller.as_ref();
    let subject = || (program.name.clone(), place.to_string(), criu.to_owned());
    if expected.blind {
        let seen = expected.fires.unwrap_or_default();
        return blind(Target { root: running.root, hangs: false, deep: program.deep, caller }, path, &sorted(&seen));
    }
    let target = Target { root: running.root, hangs: program.hangs, deep: program.deep, caller };
    if let Some(how) = program.flickers {
        return flickers(target, path, expected.fires.as_deref().unwrap_or_default(), how);
    }
    let with = |more: &[String]| [program.options.as_slice(), more].concat();
    let given = options(&program.options, &running.scratch);
    let by = (suite, program.has_order());
    let (mut record, lint) = look(by, subject(), target, path, &given)?;
    record.options.clone_from(&program.options);
    if program.hangs != (record.error.as_deref() == Some("hang")) {
        return Err(format!("expected to hang: {}\n{record}", program.hangs));
    }
    if let Some(fires) = expected.fires.as_ref().filter(|fires| record.predicted_rules != sorted(fires)) {
        return Err(format!("expected {:?} to fire\n{record}", sorted(fires)));
    }
    suite.results.add(record);
    let lift = options(&with(&expected.lift), &running.scratch);
    plan::passes(suite, &lint, target, criu, &given, &lift)?;
    if !expected.lift.is_empty() {
        let all = with(&expected.lift);
        let mut record = agree(by, subject(), target, path, &lift)?;
        if !record.dumped {
            return Err(format!("the lift does not lift\n{record}"));
        }
        record.options = all;
        suite.results.add(record);
    }
    for tried in &program.tries {
        let all = with(tried);
        let mut record =
            agree((suite, program.has_order()), subject(), target, path, &options(&all, &running.scratch))?;
        record.options = all;
        suite.results.add(record);
    }
    Ok(())
}

/// What the documentation says the lint does not see: but for what is `seen` nothing fires, and it is refused for what
/// no finding says.
fn blind(target: Target<'_>, criu: &Path, seen: &[String]) -> Result<()> {
    let lint = Lint::run(target, criu, &[])?;
    let outcome = dump(target, criu, &[])?;
    if lint.rules() != seen || outcome.dumped {
        return Err(format!("no blind spot any more: {:?}, dumped {}", lint.rules(), outcome.dumped));
    }
    match outcome.cause.as_ref().and_then(|cause| verify::naming(&lint.findings, cause)) {
        Some(finding) if seen.is_empty() => {
            Err(format!("{} says what CRIU printed: {:?}", finding.rule, outcome.cause))
        }
        _ => Ok(()),
    }
}

/// How often what comes and goes is linted and dumped at most, and how many of these times are most.
const TRIES: usize = 15;
const MOST: usize = TRIES / 2 + 1;

/// What is seldom there, lints rather say to be possible than decide by, and most dumps pass. By what is there mostly,
/// most lints decide, and most dumps fail for what they say. No single try has to agree: chance has its part in each.
fn flickers(target: Target<'_>, criu: &Path, rules: &[String], how: Flickers) -> Result<()> {
    let (mut possible, mut decided, mut dumped, mut failed, mut named) = (0, 0, 0, 0, 0);
    for _ in 0..TRIES {
        let lint = Lint::run(target, criu, &[])?;
        if lint.rules().iter().any(|rule| !rules.contains(rule)) {
            return Err(format!("fired: {:?}", lint.rules()));
        }
        let decides = lint.blocking().any(|finding| finding.confidence != "possible");
        if decides != (lint.verdict != "ready") {
            return Err(format!("{} although a possible finding decides nothing", lint.verdict));
        }
        decided += usize::from(decides);
        possible += usize::from(!decides && lint.blocking().any(|finding| finding.transient));
        let outcome = dump(target, criu, &[])?;
        dumped += usize::from(outcome.dumped);
        failed += usize::from(!outcome.dumped);
        named += usize::from(verify::compare(lint.verdict()?, &lint.findings, &outcome).named.is_some());
        let is_settled = match how {
            Flickers::Seldom => dumped >= MOST && possible > decided,
            Flickers::Mostly => decided >= MOST && failed >= MOST && named * 2 > failed,
        };
        if is_settled {
            return Ok(());
        }
    }
    Err(format!("of {TRIES}: possible {possible}, decided {decided}, dumped {dumped}, failed {failed}, named {named}"))
}

/// Lints, dumps, and says what both said; an error when they differ. `by`: whether it is one, too, when CRIU stops
/// elsewhere than said.
pub(crate) fn agree(
    by: (&Suite, bool),
    of: Of,
    target: Target<'_>,
    criu: &Path,
    options: &[CriuOption],
) -> Result<Record> {
    look(by, of, target, criu, options).map(|(record, _)| record)
}

/// The same, with all that the lint said.
pub(crate) fn look(
    (suite, strict): (&Suite, bool),
    of: Of,
    target: Target<'_>,
    criu: &Path,
    options: &[CriuOption],
) -> Result<(Record, Lint)> {
    let lint = Lint::run(target, criu, options)?;
    let outcome = dump(target, criu, options)?;
    let compared = verify::compare(lint.verdict()?, &lint.findings, &outcome);
    let record = Record::new(of, options, &lint, &outcome, compared.named);
    if let (Some(named), Some(cause), false) = (compared.named, &outcome.cause, outcome.hung)
        && let Err(other) = suite.tally.count(&lint, named, cause)
    {
        let said = format!("CRIU stopped elsewhere first\n{record}\n{other}\n{}", tail(&outcome));
        if strict {
            return Err(said);
        }
        eprintln!("{said}");
    }
    match compared.agreement {
        agreement if agreement.holds() => Ok((record, lint)),
        Agreement::OtherCause => {
            let lines: Vec<&str> = lint.blocking().map(|finding| finding.error_line.as_str()).collect();
            Err(format!("the cause is not among the findings\n{record}\npredicted: {lines:#?}\n{}", tail(&outcome)))
        }
        _ => Err(format!("the verdict is wrong\n{record}\ngaps: {:?}\n{}", lint.gaps, tail(&outcome))),
    }
}

pub(crate) fn dump(target: Target<'_>, criu: &Path, options: &[CriuOption]) -> Result<Outcome> {
    let directory = tempfile::Builder::new().prefix("ckpt-lint-dump-").tempdir().map_err(|e| e.to_string())?;
    let limit = Duration::from_secs(if target.hangs { 20 } else { 240 });
    let as_caller = target.caller.map(|caller| caller.criu(criu)).transpose()?;
    let criu = as_caller.as_deref().unwrap_or(criu);
    let mut dump = Dump::by_criu(criu, target.root, directory.path(), &["--no-default-config".to_owned()]);
    // Behind ours, so that those of a fixture win.
    dump.words.extend(options.iter().map(|option| option.word().into()));
    dump.run(limit).map_err(|e| e.to_string())
}

fn sorted(rules: &[String]) -> Vec<String> {
    let mut rules = rules.to_vec();
    rules.sort();
    rules
}

pub(crate) fn tail(outcome: &Outcome) -> String {
    let errors: Vec<&str> = outcome.log.lines().filter(|line| line.contains("Error")).collect();
    errors.join("\n")
}
