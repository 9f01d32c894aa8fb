//! Parts of blocked targets: fixture programs run as children of an init that holds nothing, beside a child that holds
//! nothing either. The lint says which parts are dumped alone and whom to stop so that the rest is: both are done.
//!
//! A few programs are drawn; `CKPT_LINT_PARTS=SEED` draws others, `CKPT_LINT_PARTS=all` takes all of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ckpt_lint::facts::Pid;
use ckpt_lint::profile::CriuOption;
use libtest_mimic::Trial;

use crate::Suite;
use crate::compare::{Target, agree};
use crate::lint::Lint;
use crate::place::{Place, Running};
use crate::plan;
use crate::program::{Program, options};
use crate::random::Dice;

type Result<T> = std::result::Result<T, String>;

/// How many are drawn.
const DRAWN: usize = 24;
/// All are taken.
const ALL: &str = "all";

pub(crate) fn trials(suite: &Arc<Suite>, programs: &[Program]) -> Vec<Trial> {
    let blocking: Vec<Program> =
        programs.iter().filter(|program| program.blocks() && program.is_plain()).cloned().collect();
    let mut trials = of(suite, &blocking);
    let asked = asked().unwrap_or_else(|| "1".to_owned());
    if asked != ALL {
        let mut dice = Dice(asked.parse().expect("CKPT_LINT_PARTS: a number, or all"));
        while trials.len() > DRAWN {
            trials.swap_remove(dice.below(trials.len()));
        }
    }
    trials
}

/// Each program as a child, on the host and in a container.
pub(crate) fn of(suite: &Arc<Suite>, programs: &[Program]) -> Vec<Trial> {
    let trial = |program: &Program, place: Place| {
        let (suite, program) = (Arc::clone(suite), program.under_init());
        let name = format!("parts::{}::{place}", program.name);
        Trial::test(name, move || suite.settle(|| parts(&suite, &program, place)).map_err(Into::into))
    };
    let at = |program: &Program| -> Vec<Trial> {
        let places = program.places.iter().filter(|place| **place != Place::Overlay);
        places.map(|place| trial(program, *place)).collect()
    };
    programs.iter().flat_map(at).collect()
}

/// Whether parts are asked for.
pub(crate) fn are_asked() -> bool {
    asked().is_some()
}

fn asked() -> Option<String> {
    std::env::var("CKPT_LINT_PARTS").ok()
}

fn parts(suite: &Suite, program: &Program, place: Place) -> Result<()> {
    let running = Running::start(program, place)?;
    let criu = suite.releases.main();
    let path = suite.releases.path(&criu);
    let at = |root| Target { root, hangs: false, deep: false, caller: None };
    let given = options(&program.options, &running.scratch);
    let lint = Lint::run(at(running.root), path, &given)?;
    // A process that criu fails to dump may not live on: the parts come before the whole.
    let parts = lint_parts(&running, path, &given)?.map_or_else(|| lint.plan.free.clone(), |whole| whole.plan.free);
    for part in &parts {
        let options = [given.as_slice(), &part.way.options()].concat();
        let failed = |log| format!("a part is not dumped alone: {:?}\n{log}", part.command);
        plan::dumps(at(part.pid), path, &options).map_err(failed)?;
        suite.plans.subtrees.fetch_add(1, Ordering::Relaxed);
    }
    if lint.verdict == "blocked" {
        is_all(&lint, running.root, |pid| Lint::run(at(pid), path, &given))?;
    }
    let of = (format!("parts/{}", program.name), place.to_string(), criu.clone());
    let record = agree(of, at(running.root), path, &given)?;
    plan::passes(suite, &lint, at(running.root), &criu, &given, &[])?;
    if record.predicted != "blocked" {
        return Ok(());
    }
    if lint.plan.free.is_empty() {
        suite.plans.without.fetch_add(1, Ordering::Relaxed);
    }
    if lint.plan.stop_suffices {
        stopped(&lint, at(running.root), |options| plan::dumps(at(running.root), path, options), &given)?;
        suite.plans.stops.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// What is said of the whole container, which its engine would dump, where it is one.
fn lint_parts(running: &Running, criu: &Path, given: &[CriuOption]) -> Result<Option<Lint>> {
    let criu = criu.display().to_string();
    let of = |id: &str| Lint::of(&["--container", id, "--criu", &criu], given);
    running.container().map(of).transpose()
}

/// Looks at each process below those that fail as a user would: none may be dumped alone that the plan does not name.
fn is_all(lint: &Lint, root: Pid, alone: impl Fn(Pid) -> Result<Lint>) -> Result<()> {
    let mut failed = vec![root];
    while let Some(parent) = failed.pop() {
        for child in children(parent).into_iter().filter(|pid| is_alive(*pid)) {
            let named = lint.plan.free.iter().find(|part| part.pid == child);
            let seen = alone(child)?;
            let unknown = lint.plan.not_free.as_ref().is_some_and(|not_free| not_free.unknown > 0);
            if unknown && named.is_none() {
                continue;
            }
            let passes = matches!(seen.verdict.as_str(), "ready" | "ready-with-options");
            let as_said = |part: &crate::lint::Subtree| part.way.options() == seen.plan.way.options();
            if passes != named.is_some() || named.is_some_and(|part| !as_said(part)) {
                let (verdict, said) = (seen.verdict.clone(), (seen.rules(), seen.plan.way, seen.gaps));
                return Err(format!(
                    "{child} alone is {verdict}: {said:?}\nthe plan: {named:?} {:?}",
                    lint.plan.not_free
                ));
            }
            if !passes {
                failed.push(child);
            }
        }
    }
    Ok(())
}

/// Ends those that the plan names, and dumps the rest.
fn stopped(
    lint: &Lint,
    target: Target<'_>,
    dumps: impl Fn(&[CriuOption]) -> Result<()>,
    given: &[CriuOption],
) -> Result<()> {
    let pids: Vec<Pid> = lint.plan.stop.iter().map(|holder| holder.pid).collect();
    for pid in &pids {
        let process = rustix::process::Pid::from_raw(*pid).ok_or("a pid")?;
        // A dump that failed may have ended it.
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
    let end = Instant::now() + Duration::from_secs(5);
    while pids.iter().any(|pid| is_alive(*pid)) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let way = lint.plan.stopped.as_ref().ok_or("no way for what is left")?;
    let options = [given, &way.options()].concat();
    dumps(&options).map_err(|log| format!("with {pids:?} stopped {} is not dumped: {log}", target.root))
}

fn children(pid: Pid) -> Vec<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let lists: Vec<String> = tasks.map(of).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether a process has not ended.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
