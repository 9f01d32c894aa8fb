//! `/proc/PID/limits`, `Max NAME  SOFT  HARD  UNIT`. Kernel: `fs/proc/base.c: proc_pid_limits`.

use bstr::ByteSlice as _;

use super::number::{decimal, words};
use crate::facts::Limits;

/// Takes the limits apart; `None` when one of those that are used is missing or no number.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Limits> {
    let soft = |name: &[u8]| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        match words(line).next()? {
            b"unlimited" => Some(None),
            number => decimal::<u64>(number).map(Some),
        }
    };
    Some(Limits {
        open_files: soft(b"Max open files ")?,
        address_space: soft(b"Max address space ")?,
        locked_memory: soft(b"Max locked memory ")?,
    })
}

/// How many descriptors a process may have as long as it does not raise that to `most` itself, as its hard limit lets it.
#[must_use]
pub fn fixed_open_files(text: &[u8], most: u64) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(b"Max open files"))?;
    let mut limits = words(line).map(decimal::<u64>);
    let (soft, hard) = (limits.next()??, limits.next()?);
    hard.is_some_and(|hard| hard < most).then_some(soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_limits_are_read_and_unlimited_is_none() {
        let text = b"Limit                     Soft Limit           Hard Limit           Units     \n\
            Max open files            1024                 4096                 files     \n\
            Max locked memory         8388608              8388608              bytes     \n\
            Max address space         unlimited            unlimited            bytes     \n";
        let limits = parse(text).unwrap();
        assert_eq!(
            (limits.open_files, limits.address_space, limits.locked_memory),
            (Some(1024), None, Some(8_388_608))
        );
        assert_eq!(parse(b"Max open files  1024 4096 files\n"), None);
    }
}
