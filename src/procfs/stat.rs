//! `/proc/PID/stat`. Kernel: `fs/proc/array.c: do_task_stat`.
//!
//! The name stands in parentheses and is printed raw: it may hold `) `, blanks and newlines, but nothing behind it
//! does, so the last `)` ends it.

use bstr::ByteSlice as _;

use super::number::{decimal, signed, words};
use crate::facts::Pid;
use crate::text::RawText;

/// What is used of a stat line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Name, at most 15 bytes.
    pub comm: RawText,
    /// State letter.
    pub state: char,
    /// Parent.
    pub ppid: Pid,
    /// Process group.
    pub pgid: Pid,
    /// Session.
    pub sid: Pid,
    /// Device number of the controlling terminal, 0 for none.
    pub tty: u32,
    /// Foreground process group of the controlling terminal, -1 for none.
    pub tty_group: Pid,
    /// Number of threads; 0 for a process that is just ending.
    pub threads: u32,
    /// Start time in clock ticks since boot.
    pub start_time: u64,
    /// Start and end of the code and start of the stack: equal for processes that share their memory.
    /// Zeros, or 1, 1 and 0, for a reader who may not know.
    pub layout: [u64; 3],
    /// Of a stopped process the signal that stopped it, until its parent has waited for that (since Linux 5.17).
    pub exit_code: u32,
}

/// Takes a stat line apart.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Stat> {
    let (open, close) = (text.find_byte(b'(')?, text.rfind_byte(b')')?);
    let comm = text.get(open + 1..close)?;
    let mut fields = words(text.get(close + 1..)?);
    let state = char::from(*fields.next()?.first()?);
    let (ppid, pgid, sid) = (signed(fields.next()?)?, signed(fields.next()?)?, signed(fields.next()?)?);
    let tty = signed::<i32>(fields.next()?)?.cast_unsigned();
    let tty_group = signed(fields.next()?)?;
    let threads = decimal(fields.nth(11)?)?;
    let start_time = decimal(fields.nth(1)?)?;
    let layout = [decimal(fields.nth(3)?)?, decimal(fields.next()?)?, decimal(fields.next()?)?];
    let exit_code = fields.nth(23).and_then(decimal).unwrap_or(0);
    Some(Stat { comm: comm.into(), state, ppid, pgid, sid, tty, tty_group, threads, start_time, layout, exit_code })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "S 1 42 7 -2147483648 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 98765 1000 200 \
                        18446744073709551615 4096 8192 140000 0 0";

    #[test]
    fn a_hostile_name_moves_no_field() {
        for comm in ["sh", "a) R 9 9", "x\n(y", "", ")))"] {
            let stat = parse(format!("42 ({comm}) {TAIL}\n").as_bytes()).unwrap();
            assert_eq!(stat.comm.as_bytes(), comm.as_bytes());
            assert_eq!((stat.state, stat.ppid, stat.pgid, stat.sid), ('S', 1, 42, 7));
            assert_eq!((stat.tty, stat.threads, stat.start_time), (1 << 31, 3, 98765));
            assert_eq!(stat.layout, [4096, 8192, 140_000]);
        }
    }

    #[test]
    fn a_stopped_process_tells_by_which_signal() {
        let line = format!("42 (sh) {TAIL}").replace("140000 0 0", &format!("140000 {}19", "0 ".repeat(23)));
        assert_eq!(parse(line.as_bytes()).unwrap().exit_code, 19);
    }

    #[test]
    fn a_cut_off_line_is_not_half_understood() {
        for text in ["", "42", "42 (sh", ")(", "42 (sh)", "42 (sh) S 1 2"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
