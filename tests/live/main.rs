//! The proof: every fixture program is linted and then really dumped, by real criu releases, and both must agree.
//!
//! Needs root and what `tests/setup.sh` installs. One trial per program, place and CRIU release. What was seen is
//! compared with `fixtures/conformance.json`; `CKPT_LINT_RECORD=1` writes that file and `rules/measured.toml` anew.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]
#![allow(clippy::indexing_slicing, reason = "a test program: what goes wrong here fails the trial")]

mod builds;
mod caller;
mod compare;
mod desktop;
mod lint;
mod parts;
mod peel;
mod place;
mod plan;
mod program;
mod random;
mod releases;
mod results;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use libtest_mimic::{Arguments, Trial};

use crate::place::Place;
use crate::program::Program;
use crate::releases::Releases;
use crate::results::{Of, Results};

fn main() {
    let arguments = Arguments::from_args();
    let suite = Arc::new(Suite::new());
    if let Some(programs) = random::programs() {
        let trials = if parts::are_asked() { parts::of(&suite, &programs) } else { suite.trials(&programs) };
        let conclusion = libtest_mimic::run(&arguments, trials);
        suite.say_unsettled(conclusion.num_passed);
        conclusion.exit();
    }
    let programs = Program::all();
    if !Results::are_recorded() {
        Results::check_that_all_are_tried(&desktop::of(&suite).chain(suite.of(&programs)).collect());
    }
    let mut trials = desktop::trials(&suite);
    trials.extend(suite.trials(&programs));
    trials.extend(parts::trials(&suite, &programs));
    let conclusion = libtest_mimic::run(&arguments, trials);
    let passed = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list && !conclusion.has_failed();
    suite.say_unsettled(conclusion.num_passed);
    if Results::are_recorded() {
        suite.results.record(&suite.releases, passed);
    }
    conclusion.exit();
}

/// What all trials share.
struct Suite {
    releases: Releases,
    results: Results,
    /// Held by all that run side by side, and for writing by the one that is tried again alone.
    side_by_side: RwLock<()>,
    /// How many trials agreed only when they were tried alone.
    unsettled: AtomicUsize,
    /// How many plans were tried.
    plans: plan::Tried,
}

/// One in so many trials may disagree beside others and agree alone; more are a fault of ours, not of a loaded machine.
const SETTLED: usize = 100;

impl Suite {
    fn new() -> Self {
        Self {
            releases: Releases::find(),
            results: Results::default(),
            side_by_side: RwLock::new(()),
            unsettled: AtomicUsize::new(0),
            plans: plan::Tried::default(),
        }
    }

    /// Every place with the main release; for version-sensitive programs the other releases too.
    fn matrix(&self, program: &Program) -> Vec<(Place, String)> {
        let all = std::env::var_os("CKPT_LINT_ALL_RELEASES").is_some();
        let others = if program.versions || all { self.releases.others() } else { Vec::new() };
        let releases = std::iter::once(self.releases.main()).chain(others);
        releases.flat_map(|criu| program.places.iter().map(move |place| (*place, criu.clone()))).collect()
    }

    fn trials(self: &Arc<Self>, programs: &[Program]) -> Vec<Trial> {
        let of = programs.iter().flat_map(|program| self.matrix(program).into_iter().map(move |at| (program, at)));
        of.map(|(program, (place, criu))| self.trial(program.clone(), place, criu)).collect()
    }

    /// What the trials record.
    fn of(&self, programs: &[Program]) -> impl Iterator<Item = Of> {
        let of = |program: &Program, place: Place, criu| (program.name.clone(), place.to_string(), criu);
        programs.iter().flat_map(move |program| {
            self.matrix(program).into_iter().map(move |(place, criu)| of(program, place, criu))
        })
    }

    fn trial(self: &Arc<Self>, program: Program, place: Place, criu: String) -> Trial {
        let suite = Arc::clone(self);
        let name = format!("{}::{place}::criu-{criu}", program.name);
        Trial::test(name, move || {
            let work = || {
                let of = (program.name.clone(), place.to_string(), criu.clone());
                suite.results.forget(&of);
                if program.peel && criu == suite.releases.main() {
                    peel::peel(&suite, &program, place, &criu)?;
                } else {
                    compare::compare(&suite, &program, place, &criu)?;
                }
                suite.results.check(&of)
            };
            suite.settle(work).map_err(Into::into)
        })
    }

    /// Tries once more, with no other trial beside it, what fails: a loaded machine makes criu give up on waiting, and
    /// what comes and goes do so at other times. What fails alone as well has failed.
    fn settle(&self, work: impl Fn() -> Result<(), String>) -> Result<(), String> {
        let beside_others = {
            let _shared = self.side_by_side.read().unwrap_or_else(PoisonError::into_inner);
            work()
        };
        let Err(first) = beside_others else { return Ok(()) };
        let _alone = self.side_by_side.write().unwrap_or_else(PoisonError::into_inner);
        work().map_err(
            |second| if second == first { second } else { format!("{second}\n\nbeside other trials:\n{first}") },
        )?;
        self.unsettled.fetch_add(1, Ordering::Relaxed);
        eprintln!("agreed only when tried again alone; beside other trials:\n{first}");
        Ok(())
    }

    fn say_unsettled(&self, passed: u64) {
        let unsettled = self.unsettled.load(Ordering::Relaxed);
        self.plans.say();
        println!("{unsettled} of {passed} trials agreed only when tried again alone");
        let limit = usize::try_from(passed).unwrap_or(usize::MAX) / SETTLED;
        assert!(unsettled <= limit.max(1), "too many trials that depend on what else runs");
    }
}
