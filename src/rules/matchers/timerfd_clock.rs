//! Timerfds by their clock. CRIU 4.2: `timerfd.h: verify_timerfd`, an allow-list of clocks.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, FdInfo};
use crate::finding::Subject;

/// Fires on each timerfd whose clock is not among `except`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimerfdClock {
    /// Clock numbers, `CLOCK_*`.
    except: Vec<i32>,
}

impl Match for TimerfdClock {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.fds()
            .filter_map(|(process, fd)| match fd.info {
                FdInfo::Timerfd { clock } if !self.except.contains(&clock) => {
                    Some(Subject::fd(process, fd).with("clock", clock.to_string()))
                }
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FdInfo};
    use crate::rules::testing::*;

    #[test]
    fn alarm_clocks_fire_and_plain_ones_do_not() {
        let timer = |number, clock| Fd { info: FdInfo::Timerfd { clock }, ..fd(number, "anon_inode:[timerfd]") };
        let timers = vec![timer(3, 0), timer(4, 1), timer(5, 7), timer(6, 8), timer(7, 9)];
        assert_eq!(fired("timerfd-clock", &facts(vec![holder(7, timers)]), &[]), ["7 fd 6", "7 fd 7"]);
    }
}
