//! How long a dump kept its target frozen, by the timestamps of its log: they are there when it fails, too.

use std::time::Duration;

/// The last line before it stops the first process, or the first one behind. CRIU 4.2: `seize.c: collect_pstree`,
/// `freeze_processes`; older releases do not print the first one.
const FREEZES: [&str; 3] = ["Detected cgroup V", "freezing processes:", "Seized task "];

/// Printed as it lets go of each process. CRIU 4.2: `seize.c: unseize_task_and_threads`, `infect.c`.
const LETS_GO: &str = "Unseizing ";

/// From the first process stopped to the last one let go; up to its last words where it let go of none.
pub(super) fn frozen(log: &str) -> Option<Duration> {
    let start = log.lines().find(|line| FREEZES.iter().any(|mark| line.contains(mark))).and_then(time)?;
    let end = log.lines().rev().find(|line| line.contains(LETS_GO)).and_then(time);
    end.or_else(|| log.lines().rev().find_map(time))?.checked_sub(start)
}

/// `(00.012345)`, in seconds since criu started.
fn time(line: &str) -> Option<Duration> {
    let (seconds, micros) = line.strip_prefix('(')?.split_once(')')?.0.split_once('.')?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?) + Duration::from_micros(micros.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_stands_still_from_the_first_to_the_last_process() {
        let log = "(00.000100) Version: 4.2.1\n(00.045000) Detected cgroup V2 freezer\n(00.046177) Seized task 7, state 1\n\
                   no timestamp\n(01.049747) Unfreezing tasks into 1\n(01.049748) \tUnseizing 8 into 1\n\
                   (01.050000) \tUnseizing 7 into 1\n(01.060000) Dumping finished successfully\n";
        assert_eq!(frozen(log), Some(Duration::from_millis(1005)));
    }

    #[test]
    fn a_dump_that_was_killed_froze_up_to_its_last_words_and_one_that_never_began_not_at_all() {
        let killed = "(00.010000) Seized task 7, state 1\n(00.030000) Wait for freezer";
        assert_eq!(frozen(killed), Some(Duration::from_millis(20)));
        assert_eq!(frozen("(00.010000) Error (criu/x.c:1): no\n"), None);
        assert_eq!(frozen(""), None);
    }
}
