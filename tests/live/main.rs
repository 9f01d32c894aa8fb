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
mod peel;
mod place;
mod program;
mod releases;
mod results;

use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::place::Place;
use crate::program::Program;
use crate::releases::Releases;
use crate::results::Results;

fn main() {
    let arguments = Arguments::from_args();
    let suite = Arc::new(Suite::new());
    let mut trials = desktop::trials(&suite);
    for program in Program::all() {
        for (place, criu) in suite.matrix(&program) {
            trials.push(suite.trial(program.clone(), place, criu));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let complete = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    if Results::are_recorded() {
        suite.results.record(&suite.releases, complete && !conclusion.has_failed());
    } else if complete && !conclusion.has_failed() {
        suite.results.compare();
    }
    conclusion.exit();
}

/// What all trials share.
struct Suite {
    releases: Releases,
    results: Results,
}

impl Suite {
    fn new() -> Self {
        Self { releases: Releases::find(), results: Results::default() }
    }

    /// Every place with the main release; for version-sensitive programs the other releases too.
    fn matrix(&self, program: &Program) -> Vec<(Place, String)> {
        let all = std::env::var_os("CKPT_LINT_ALL_RELEASES").is_some();
        let others = if program.versions || all { self.releases.others() } else { Vec::new() };
        let releases = std::iter::once(self.releases.main()).chain(others);
        releases.flat_map(|criu| program.places.iter().map(move |place| (*place, criu.clone()))).collect()
    }

    fn trial(self: &Arc<Self>, program: Program, place: Place, criu: String) -> Trial {
        let suite = Arc::clone(self);
        let name = format!("{}::{place}::criu-{criu}", program.name);
        Trial::test(name, move || {
            let work = || {
                if program.peel && criu == suite.releases.main() {
                    peel::peel(&suite, &program, place, &criu)
                } else {
                    compare::compare(&suite, &program, place, &criu)
                }
            };
            work().map_err(Into::into)
        })
    }
}
