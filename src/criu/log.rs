//! Finds the decisive line of a dump log: the one that says why CRIU gave up.
//!
//! CRIU marks far more lines as errors than the one that matters: harmless ones come before it, wrappers of the
//! functions it passes on its way out come after it, and the roll-back adds its own. So: cut the log where the
//! roll-back starts, drop harmless lines and wrappers, and take the last error that is left.

/// The line that says why the dump failed, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisive {
    /// The message without timestamp and source position.
    pub message: String,
    /// Process that CRIU was busy with.
    pub pid: Option<i32>,
    /// Descriptor that CRIU was busy with.
    pub fd: Option<i32>,
}

/// From here on CRIU only undoes what it did.
const ROLL_BACK: [&str; 3] = ["Unlock network", "Unfreezing tasks", "Unseizing"];

/// Marked as errors, seen in dumps that succeed as well.
const HARMLESS: [&str; 13] = [
    "Can't setup RLIMIT_NOFILE",
    "net: Unexpected error: -1(Operation not permitted)",
    "-1 reported by netlink: Operation not permitted",
    "net: Unable to create a veth pair: -1",
    "irmap: Can't stat /no-such-path",
    "overlay walk: readdir failed",
    "exited, status=",
    "Unable to detach from",
    "POKEDATA failed",
    "Failed to find pipe_ino option",
    "Lazy pages are not available",
    "Unable to get $HOME directory",
    "Unable to interrupt task",
];

/// Said on the way out by the callers of what failed, or as a hint behind it.
const WRAPPERS: [&str; 30] = [
    "Could not initialize kernel features detection",
    "Can't open sysctl vm/mmap_min_addr",
    "Can't open sysctl fs/nr_open",
    "Failed to check handle for",
    "Dump files (pid:",
    "Dump eventpoll (pid:",
    "Dump core (pid:",
    "Dump mappings (pid:",
    "Dump ids (pid:",
    "Dump fs (pid:",
    "Dump cgroup (pid:",
    "Dumping FAILED",
    "Collect ",
    "Can't infect (pid:",
    "Can't dump thread for pid",
    "Can't dump threads",
    "Can't dump posix timers",
    "Can't rmap memfd",
    "remote_mprotect failed",
    "compel_syscall for mprotect failed",
    "Parasite failed to dump",
    "namespaces doesn't belong to the target user namespace",
    "Can't dump misc (pid:",
    "Can't cure (pid:",
    "Can't retrieve FDs from socket",
    "Message reply from daemon is trimmed",
    "mapfile link",
    "For Go programs, consider using",
    "Namespaces dumping finished with error",
    "Error parsing proc status file",
];

/// Wrappers with a changing middle: beginning and end of the message.
const FRAMED_WRAPPERS: [(&str, &str); 4] = [
    ("Command ", "for daemon failed"),
    ("Can't make ", " id"),
    ("mnt: Can't parse ", "mountinfo"),
    ("parse_fdinfo", ""),
];

/// Among the wrappers: what CRIU says as well where nothing went wrong before, as when it has no room for descriptors.
const WRAPPERS_OF_NOTHING: [&str; 1] = ["Can't retrieve FDs from socket"];

/// Where CRIU failed without marking a line as an error: the last such line before the wrapper says it.
const UNMARKED: [&str; 5] = [
    "kid_lookup_epoll: no match",
    "kid_lookup_epoll: pid mismatch",
    "Turning repair on for socket",
    "Sockets collect procedure",
    "Dumping shared memory",
];

/// The decisive line, or `None` when the log does not tell.
#[must_use]
pub fn decisive(log: &str) -> Option<Decisive> {
    let lines: Vec<&str> = log.lines().take_while(|line| !any(&ROLL_BACK, line)).collect();
    let is_error = |line: &str| line.contains("Error (") && !any(&HARMLESS, line) && !is_wrapper(message(line));
    let position = lines
        .iter()
        .rposition(|line| is_error(line))
        .or_else(|| lines.iter().rposition(|line| any(&WRAPPERS_OF_NOTHING, line)))
        .or_else(|| lines.iter().rposition(|line| any(&UNMARKED, line)))
        .or_else(|| lines.iter().position(|line| line.contains("Error (") && !any(&HARMLESS, line)))?;
    let message = message(lines.get(position)?).to_owned();
    let before = || lines.iter().take(position).rev();
    Some(Decisive {
        message,
        pid: before().find_map(|line| number_after(line, "(pid: ")),
        fd: before().find_map(|line| number_after(line, " fdinfo ")),
    })
}

fn any(words: &[&str], line: &str) -> bool {
    words.iter().any(|word| line.contains(word))
}

fn is_wrapper(message: &str) -> bool {
    let framed = |(start, end): &(&str, &str)| message.starts_with(start) && message.contains(end);
    // Behind the name-less socket that it refuses CRIU prints its descriptor. CRIU: `sk-unix.c: __dump_external_socket`.
    let is_number = message.strip_prefix("unix: ").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    any(&WRAPPERS, message) || FRAMED_WRAPPERS.iter().any(framed) || is_number
}

/// The text behind `(00.012345) Error (criu/file.c:12): `.
fn message(line: &str) -> &str {
    let line = line.strip_prefix('(').and_then(|rest| rest.split_once(") ")).map_or(line, |(_, rest)| rest);
    match line.split_once("Error (") {
        Some((_, rest)) => rest.split_once("): ").map_or(rest, |(_, text)| text),
        None => line,
    }
}

fn number_after(line: &str, mark: &str) -> Option<i32> {
    let (_, rest) = line.split_once(mark)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_between_noise_wrappers_and_roll_back() {
        let log = "(00.000001) Error (criu/rlimit.c:20): rlimit: Can't setup RLIMIT_NOFILE for self\n\
                   (00.010000) Dumping opened files (pid: 42)\n\
                   (00.010100) 42 fdinfo 7: pos:                0 flags:          2000002/0x1\n\
                   (00.010200) Error (criu/files-ext.c:98): Can't dump file 7 of that type [600] (anon anon_inode:[pidfd])\n\
                   (00.010300) Error (criu/cr-dump.c:1681): Dump files (pid: 42) failed with -1\n\
                   (00.010400) Unlock network\n\
                   (00.010500) Error (criu/cr-dump.c:2111): Dumping FAILED.\n";
        let expected = "Can't dump file 7 of that type [600] (anon anon_inode:[pidfd])".to_owned();
        assert_eq!(decisive(log), Some(Decisive { message: expected, pid: Some(42), fd: Some(7) }));
    }

    #[test]
    fn what_else_wraps_may_be_the_cause_itself() {
        let log = "(00.010000) sockets: Sockets collect procedure family AF_INET6 proto IPPROTO_RAW: -2\n\
                   (00.010200) Error (criu/parasite-syscall.c:280): Can't retrieve FDs from socket\n\
                   (00.010300) Error (criu/cr-dump.c:1545): Dump files (pid: 42) failed with -23\n";
        assert_eq!(decisive(log).unwrap().message, "Can't retrieve FDs from socket");
    }

    #[test]
    fn a_log_without_a_cause_tells_nothing() {
        let log = "(00.000001) Error (criu/rlimit.c:20): rlimit: Can't setup RLIMIT_NOFILE for self\n\
                   (00.010400) Unseizing 42 into 1\n(00.010500) Error (compel/src/lib/infect.c:1): Dumping FAILED.\n";
        assert_eq!(decisive(log), None);
    }
}
