//! Targets with several causes: lift or end what CRIU names, dump again, until it passes. The causes so named must
//! be the ones the lint named before the first dump.

use std::collections::BTreeSet;
use std::time::Duration;

use ckpt_lint::facts::Pid;
use ckpt_lint::profile::CriuOption;

use crate::Suite;
use crate::compare::{Target, agree, dump};
use crate::lint::{Finding, Lint, names};
use crate::parts::is_alive;
use crate::place::{Place, Running};
use crate::program::Program;

pub(crate) fn peel(suite: &Suite, program: &Program, place: Place, criu: &str) -> Result<(), String> {
    let running = Running::start(program, place)?;
    let path = suite.releases.path(criu);
    let target = Target { root: running.root, hangs: false, deep: false, caller: None };
    let lint = Lint::run(target, path, &[])?;
    let of = (program.name.clone(), place.to_string(), criu.to_owned());
    suite.results.add(agree(of, target, path, &[])?);
    let mut left: Vec<&Finding> = lint.blocking().collect();
    let mut options: Vec<CriuOption> = Vec::new();
    let mut named = BTreeSet::new();
    loop {
        let outcome = dump(target, path, &options)?;
        if outcome.dumped {
            break;
        }
        let cause = outcome.cause.map(|cause| cause.message).ok_or("the log names no cause")?;
        let position = left.iter().position(|finding| names(finding, &cause));
        let finding = left.remove(position.ok_or_else(|| format!("not predicted: {cause}; left: {left:?}"))?);
        named.insert(finding.rule.clone());
        peel_off(finding, running.root, &mut options, &mut left)?;
    }
    let expected: BTreeSet<String> = program.expected(place, criu).fires.unwrap_or_default().into_iter().collect();
    if named != expected || !left.is_empty() {
        return Err(format!("criu named {named:?}, expected {expected:?}; predicted but never named: {left:?}"));
    }
    Ok(())
}

/// Passes the option, or ends the process: what else that lifts or ends is peeled off as well.
fn peel_off(
    finding: &Finding,
    root: Pid,
    options: &mut Vec<CriuOption>,
    left: &mut Vec<&Finding>,
) -> Result<(), String> {
    if let (Some(option), Some(spelled)) = (finding.option(), finding.lifted_by.first()) {
        options.push(option);
        left.retain(|other| !other.lifted_by.contains(spelled));
        return Ok(());
    }
    let pid =
        finding.subject.pid.filter(|pid| *pid != root).ok_or_else(|| format!("nothing to end for {finding:?}"))?;
    let process = rustix::process::Pid::from_raw(pid).ok_or("a pid")?;
    rustix::process::kill_process(process, rustix::process::Signal::KILL).map_err(|e| e.to_string())?;
    std::thread::sleep(Duration::from_millis(200));
    // With it end those that asked to end with their parent.
    left.retain(|other| other.subject.pid.is_none_or(is_alive));
    Ok(())
}
