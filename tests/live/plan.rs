//! What the plan of a report promises, by real dumps: with its options, after its upgrade, the target is dumped.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ckpt_lint::profile::CriuOption;

use crate::Suite;
use crate::compare::{Target, dump, tail};
use crate::lint::Lint;

/// How many plans were tried.
#[derive(Default)]
pub(crate) struct Tried {
    /// By a dump with options that the fixture does not name itself.
    options: AtomicUsize,
    /// By the dump with the options that the fixture names.
    as_named: AtomicUsize,
    /// By the release that the plan asks for.
    upgrades: AtomicUsize,
    /// By stopping the processes that it names.
    pub(crate) stops: AtomicUsize,
    /// Subtrees dumped alone.
    pub(crate) subtrees: AtomicUsize,
    /// Blocked targets of which no part is dumped alone.
    pub(crate) without: AtomicUsize,
}

impl Tried {
    pub(crate) fn say(&self) {
        let count = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        println!(
            "plans tried: {} with options of their own, {} with those that the fixture names, {} with a later criu",
            count(&self.options),
            count(&self.as_named),
            count(&self.upgrades)
        );
        println!(
            "{} stopped what was in the way, {} parts were dumped alone, {} targets had none",
            count(&self.stops),
            count(&self.subtrees),
            count(&self.without)
        );
    }
}

/// Dumps the target as the plan says, unless it says no way that the tests can go. `given` are the options that the
/// lint had, `lift` those of which another dump shows that they are enough.
pub(crate) fn passes(
    suite: &Suite,
    lint: &Lint,
    target: Target<'_>,
    criu: &str,
    given: &[CriuOption],
    lift: &[CriuOption],
) -> Result<(), String> {
    if lint.verdict == "ready" || !lint.plan.suffices {
        return Ok(());
    }
    let wanted = lint.plan.upgrade.as_deref();
    let release = wanted.map_or(Some(criu.to_owned()), |release| suite.releases.since(release));
    let Some(criu) = release else { return Ok(()) };
    let options = [given, &lint.plan.way.options()].concat();
    let named = |option: &CriuOption| lift.contains(option);
    if wanted.is_none() && options.len() == lift.len() && options.iter().all(named) {
        suite.plans.as_named.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    dumps(target, suite.releases.path(&criu), &options).map_err(|log| format!("the plan does not do: {log}"))?;
    let tried = if wanted.is_some() { &suite.plans.upgrades } else { &suite.plans.options };
    tried.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Dumps with these options. What was only possible may have happened: that is no fault of a plan.
pub(crate) fn dumps(target: Target<'_>, criu: &Path, options: &[CriuOption]) -> Result<(), String> {
    let outcome = dump(target, criu, options)?;
    let said = || Lint::run(target, criu, options);
    let is_possible = |lint: &Lint, message: &str| lint.naming(message).is_some_and(|f| f.confidence == "possible");
    match &outcome.cause {
        _ if outcome.dumped => Ok(()),
        Some(cause) if is_possible(&said()?, &cause.message) => Ok(()),
        _ => {
            let options: Vec<String> = options.iter().map(CriuOption::to_string).collect();
            Err(format!("{} of {} with {options:?}\n{}", criu.display(), target.root, tail(&outcome)))
        }
    }
}
