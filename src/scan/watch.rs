//! Many looks at a target that is busy.
//!
//! What lives for milliseconds, such as a connection or a lock, one look meets by chance, and so will CRIU, which looks
//! once. How many of many looks meet it tells how likely that is.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Scanner, look, open_proc, pulse, scan, sockets};
use crate::error::Result;
use crate::facts::{Facts, Target};

/// Milliseconds between the looks: uneven, so as not to keep step with what a target does at a steady pace.
const PAUSES: [u64; 12] = [3, 29, 7, 53, 13, 41, 5, 67, 19, 37, 11, 47];

/// No further look is taken that would end later than this after the first one: a large tree gets fewer.
const LONGEST: Duration = Duration::from_millis(1500);

/// Reads everything; of a target that is busy and does not stay as it is, many times.
///
/// # Errors
/// As [`scan`].
pub fn watch(target: Target) -> Result<Facts> {
    let start = Instant::now();
    let mut facts = scan(target)?;
    let one_look = start.elapsed();
    if !pulse::is_busy(&facts.processes) {
        return Ok(facts);
    }
    let (start, mut looks) = (Instant::now(), Vec::new());
    for pause in PAUSES.map(Duration::from_millis) {
        if start.elapsed() + pause + one_look > LONGEST {
            break;
        }
        sleep(pause);
        looks.push(look(Scanner::new(open_proc()?), facts.target.clone(), facts.host.clone())?);
    }
    if looks.iter().any(|look| *look != facts) {
        facts.looks = looks;
        sockets::note_calls(&mut facts, start.elapsed());
    }
    Ok(facts)
}
