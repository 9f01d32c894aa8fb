//! Targets with several causes: lift or end what CRIU names, dump again, until it passes. The causes so named must
//! be the ones the lint named before the first dump.

use std::collections::BTreeSet;

use ckpt_lint::profile::CriuOption;

use crate::Suite;
use crate::compare::{Target, dump};
use crate::lint::{Finding, Lint, names};
use crate::place::{Place, Running};
use crate::program::Program;

pub(crate) fn peel(suite: &Suite, program: &Program, place: Place, criu: &str) -> Result<(), String> {
    let running = Running::start(program, place)?;
    let path = suite.releases.path(criu);
    let lint = Lint::run(running.root, path, &[])?;
    let mut left: Vec<&Finding> = lint.blocking().collect();
    let mut options: Vec<CriuOption> = Vec::new();
    let mut named = BTreeSet::new();
    loop {
        let outcome = dump(Target { root: running.root, hangs: false }, path, &options)?;
        if outcome.dumped {
            break;
        }
        let cause = outcome.cause.map(|cause| cause.message).ok_or("the log names no cause")?;
        let position = left.iter().position(|finding| names(finding, &cause));
        let finding = left.remove(position.ok_or_else(|| format!("not predicted: {cause}; left: {left:?}"))?);
        named.insert(finding.rule.clone());
        peel_off(finding, &mut options, &mut left)?;
    }
    let expected: BTreeSet<String> = program.expected(place, criu).fires.into_iter().collect();
    if named != expected || !left.is_empty() {
        return Err(format!("criu named {named:?}, expected {expected:?}; predicted but never named: {left:?}"));
    }
    Ok(())
}

/// Passes the option, or ends the process: what else that lifts or ends is peeled off as well.
fn peel_off(finding: &Finding, options: &mut Vec<CriuOption>, left: &mut Vec<&Finding>) -> Result<(), String> {
    if let Some(option) = finding.lifted_by.first() {
        let (name, value) = option.split_once(' ').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
        options.push(CriuOption { name: name.to_owned(), value: value.map(str::to_owned) });
        left.retain(|other| !other.lifted_by.contains(option));
        return Ok(());
    }
    let pid = finding.subject.pid.ok_or_else(|| format!("nothing to end for {finding:?}"))?;
    let process = rustix::process::Pid::from_raw(pid).ok_or("a pid")?;
    rustix::process::kill_process(process, rustix::process::Signal::KILL).map_err(|e| e.to_string())?;
    left.retain(|other| other.rule != finding.rule || other.subject.pid != finding.subject.pid);
    Ok(())
}
