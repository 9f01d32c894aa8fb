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

/// No look is taken that would end later than this after the first one, but for the fewest that make a majority: a
/// large tree gets fewer.
const LONGEST: Duration = Duration::from_millis(1500);
const FEWEST: usize = 2;

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
        if looks.len() >= FEWEST && start.elapsed() + pause + one_look > LONGEST {
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

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn running(script: &str) -> (Child, Target) {
        let child = Command::new("bash").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap();
        let root = child.id().cast_signed();
        (child, Target { root, ..Target::default() })
    }

    #[test]
    fn an_idle_target_is_looked_at_once_and_a_busy_one_often() {
        let (mut works, busy) = running("while :; do exec 7</dev/null; sleep 0.01; exec 7<&-; done");
        let (mut sleeps, idle) = running("exec sleep 60");
        let watched = watch(busy).unwrap();
        assert!(watched.looks.len() >= FEWEST && watched.looks.iter().all(|look| look.looks.is_empty()));
        assert!((0..10).any(|_| watch(idle.clone()).unwrap().looks.is_empty()));
        for child in [&mut works, &mut sleeps] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
