//! Targets that nobody thought of: states of `random-state.c` drawn by a seed, in one tree, at one place, with options.
//!
//! Nothing is expected of them but that the lint and the real criu agree. `CKPT_LINT_RANDOM=FROM..TO` runs these seeds
//! instead of the fixtures; `CKPT_LINT_RANDOM="SEED STATE STATE"` runs these states at every place, without options.

use std::ops::Range;

use crate::place::Place;
use crate::program::{Program, source};

/// The source of the states, and the name of its targets.
const PROGRAM: &str = "random-state";

/// Options that a dump gets, each in one of some draws: those that lift something and those that should change nothing.
const OPTIONS: [&[&str]; 10] = [
    &["--tcp-established"],
    &["--tcp-close"],
    &["--skip-in-flight"],
    &["--ext-unix-sk"],
    &["--file-locks"],
    &["--link-remap"],
    &["--shell-job"],
    &["--ghost-limit", "100000000"],
    &["--force-irmap"],
    &["--manage-cgroups", "ignore"],
];

/// The drawn targets, when they are asked for.
pub(crate) fn programs() -> Option<Vec<Program>> {
    let asked = std::env::var("CKPT_LINT_RANDOM").ok()?;
    if let Some(seeds) = range(&asked) {
        let states = states();
        return Some(seeds.map(|seed| draw(seed, &states)).collect());
    }
    Some(vec![Program::drawn(named(asked.split_whitespace()), Place::all(), Vec::new())])
}

fn range(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

fn named<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.fold(PROGRAM.to_owned(), |name, word| format!("{name}/{word}"))
}

/// The names of all states, as the source defines them.
fn states() -> Vec<String> {
    let text = std::fs::read_to_string(source().join(format!("{PROGRAM}.c"))).expect("the source of the states");
    let name = |line: &str| line.strip_prefix("STATE(")?.split_once(')').map(|(name, _)| name.to_owned());
    text.lines().filter_map(name).collect()
}

/// Few states more often than many: what differs is then found among few.
fn draw(seed: u64, states: &[String]) -> Program {
    let mut dice = Dice(seed);
    let count = 1 + dice.below(3) + dice.below(4) * dice.below(2);
    let words: Vec<&str> = (0..count).map(|_| states[dice.below(states.len())].as_str()).collect();
    let places = Place::all();
    let place = places[dice.below(places.len())];
    let mut options: Vec<String> = Vec::new();
    while dice.below(3) == 0 {
        let option = OPTIONS[dice.below(OPTIONS.len())];
        if !options.iter().any(|word| word == option[0]) {
            options.extend(option.iter().map(|word| (*word).to_owned()));
        }
    }
    let seed = seed.to_string();
    Program::drawn(named(std::iter::once(seed.as_str()).chain(words)), vec![place], options)
}

/// The splitmix64 generator: the same draws for the same seed on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit as u64).expect("below a usize")
    }
}
