//! `/proc/PID/fdinfo/N`. Kernel: `fs/proc/fd.c: seq_show`, `fs/locks.c: show_fd_locks`, and the `show_fdinfo` of
//! each kind of file.
//!
//! `pos`, `flags`, `mnt_id`, `ino` (since 5.14) and `lock` lines come first, then what the kind of file adds. Watch
//! descriptors, inodes, devices and handles are hexadecimal, everything else decimal, flags octal.

use bstr::ByteSlice as _;

use super::number::{decimal, hex, octal, signed, words};
use crate::facts::{FdInfo, InotifyWatch, Lock};

/// What is used of an fdinfo file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Open flags.
    pub flags: u32,
    /// Mount id.
    pub mount_id: u64,
    /// Inode number; absent before Linux 5.14.
    pub inode: Option<u64>,
    /// Locks held through the descriptor.
    pub locks: Vec<Lock>,
    /// What the kind of file adds.
    pub info: FdInfo,
    /// Unix socket: descriptors in its unread messages.
    pub queued_fds: Option<u32>,
}

/// Takes an fdinfo file apart; `None` when the lines every kernel prints are missing or any known one is no number.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Record> {
    let mut record = Record::default();
    let (mut flags, mut mount_id) = (None, None);
    for line in text.lines() {
        let Some(end) = line.find_byteset(b": ") else { continue };
        let (key, value) = (line.get(..end)?, line.get(end + 1..)?.trim_ascii_start());
        match key {
            b"flags" => flags = Some(octal(value)?),
            b"mnt_id" => mount_id = Some(decimal(value)?),
            b"ino" => record.inode = Some(decimal(value)?),
            b"lock" => record.locks.push(lock(value)?),
            b"inotify" => push_inotify(&mut record.info, value)?,
            b"fanotify" => push_fanotify(&mut record.info, value)?,
            b"tfd" => push_epoll(&mut record.info, value)?,
            b"clockid" => record.info = FdInfo::Timerfd { clock: signed(value)? },
            b"Pid" => record.info = FdInfo::Pidfd { pid: signed(value)? },
            b"scm_fds" => record.queued_fds = Some(decimal(value)?),
            b"iff" => record.info = FdInfo::Tun { interface: value.into() },
            b"map_type" => record.info = FdInfo::BpfMap { kind: decimal(value)?, lines: Vec::new() },
            b"tty-index" => record.info = FdInfo::Ptmx { index: decimal(value)? },
            _ => {}
        }
        if let FdInfo::BpfMap { lines, .. } = &mut record.info {
            lines.push(key.into());
        }
    }
    (record.flags, record.mount_id) = (flags?, mount_id?);
    Some(record)
}

/// `1: FLOCK  ADVISORY  WRITE 123 08:01:42 0 EOF`
fn lock(value: &[u8]) -> Option<Lock> {
    let mut fields = words(value);
    let (kind, access) = (fields.nth(1)?, fields.nth(1)?);
    Some(Lock { kind: kind.into(), access: access.into(), line: value.into() })
}

/// The value of `KEY:VALUE` among the words of a line.
fn word<'a>(line: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    words(line).find_map(|word| word.strip_prefix(key)?.strip_prefix(b":"))
}

/// `wd:1 ino:2 sdev:800001 mask:fce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:...`; the kernel leaves
/// out the handle where the file system makes none.
fn watch(line: &[u8], wd: i32) -> Option<InotifyWatch> {
    Some(InotifyWatch {
        wd,
        inode: hex(word(line, b"ino")?)?,
        device: hex(word(line, b"sdev")?)?,
        handle_type: word(line, b"fhandle-type").map_or(Some(0), hex)?,
        handle: word(line, b"f_handle").unwrap_or_default().to_str().ok()?.to_owned(),
        ..InotifyWatch::default()
    })
}

fn push_inotify(info: &mut FdInfo, line: &[u8]) -> Option<()> {
    let new = watch(line, hex::<u32>(word(line, b"wd")?)?.cast_signed())?;
    match info {
        FdInfo::Inotify { watches } => watches.push(new),
        _ => *info = FdInfo::Inotify { watches: vec![new] },
    }
    Some(())
}

/// `flags:..`, `mnt_id:..` of a mount mark, `ino:..` of an inode mark; a mark of a file system has neither.
fn push_fanotify(info: &mut FdInfo, line: &[u8]) -> Option<()> {
    if !matches!(info, FdInfo::Fanotify { .. }) {
        *info = FdInfo::Fanotify { watches: Vec::new(), mounts: Vec::new() };
    }
    if let FdInfo::Fanotify { watches, mounts } = info {
        if let Some(id) = word(line, b"mnt_id") {
            mounts.push(hex(id)?);
        } else if word(line, b"ino").is_some() {
            watches.push(watch(line, 0)?);
        }
    }
    Some(())
}

/// `5 events: 1d data: ffffffffffffffff pos:0 ino:61af sdev:7`; kernels before 4.14 print no inode.
fn push_epoll(info: &mut FdInfo, line: &[u8]) -> Option<()> {
    let target = signed(words(line).next()?)?;
    let number = |key: &[u8]| word(line, key).map_or(Some(0), hex);
    let new = (target, number(b"ino")?, number(b"sdev")?);
    match info {
        FdInfo::Epoll { targets, .. } => targets.push(new),
        _ => *info = FdInfo::Epoll { targets: vec![new], holders: None },
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "pos:\t0\nflags:\t02004000\nmnt_id:\t15\nino:\t1049\n";

    fn info(tail: &str) -> FdInfo {
        parse(format!("{HEAD}{tail}").as_bytes()).unwrap().info
    }

    #[test]
    fn every_kind_says_what_it_adds() {
        assert_eq!(info("Pid:\t-1\nNSpid:\t-1\n"), FdInfo::Pidfd { pid: -1 });
        assert_eq!(info("clockid: 7\nticks: 0\nit_value: (0, 0)\n"), FdInfo::Timerfd { clock: 7 });
        assert_eq!(info("tty-index:\t3\n"), FdInfo::Ptmx { index: 3 });
        assert_eq!(info("iff:\ttun0\n"), FdInfo::Tun { interface: "tun0".into() });
        assert_eq!(info("iff:\t\n"), FdInfo::Tun { interface: "".into() });
        assert_eq!(
            info("map_type:\t2\nkey_size:\t4\n"),
            FdInfo::BpfMap { kind: 2, lines: vec!["map_type".into(), "key_size".into()] }
        );
        assert_eq!(info("eventfd-count: 0\n"), FdInfo::None);
        let epoll = "tfd:        5 events:       1d data: ffffffffffffffff  pos:0 ino:61af sdev:7\n";
        assert_eq!(info(&epoll.repeat(2)), FdInfo::Epoll { targets: vec![(5, 0x61af, 7); 2], holders: None });
    }

    #[test]
    fn watches_keep_device_and_handle() {
        let line = "inotify wd:1f ino:3c4a7 sdev:fe00000 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:f8 f_handle:a7c4\n";
        let expected = InotifyWatch {
            wd: 0x1f,
            inode: 0x3c4a7,
            device: 0xfe0_0000,
            handle_type: 0xf8,
            handle: "a7c4".into(),
            ..InotifyWatch::default()
        };
        assert_eq!(info(line), FdInfo::Inotify { watches: vec![expected.clone()] });
        let marks = "fanotify flags:10 event-flags:0\nfanotify mnt_id:1c mflags:0 mask:3b ignored_mask:0\n\
                     fanotify sdev:800013 mflags:0 mask:3b ignored_mask:0\n\
                     fanotify ino:3c4a7 sdev:fe00000 mflags:0 mask:3b ignored_mask:0\n";
        let watch = InotifyWatch { wd: 0, handle_type: 0, handle: String::new(), ..expected };
        assert_eq!(info(marks), FdInfo::Fanotify { watches: vec![watch], mounts: vec![0x1c] });
    }

    #[test]
    fn locks_are_named_and_kept() {
        let tail =
            "lock:\t1: OFDLCK ADVISORY  READ -1 08:01:42 0 EOF\nlock:\t2: LEASE  ACTIVE    WRITE 5 08:01:42 0 EOF\n";
        let record = parse(format!("{HEAD}{tail}").as_bytes()).unwrap();
        let seen = |lock: &Lock| (lock.kind.to_string(), lock.access.to_string());
        assert_eq!(
            record.locks.iter().map(seen).collect::<Vec<_>>(),
            [("OFDLCK".to_owned(), "READ".to_owned()), ("LEASE".to_owned(), "WRITE".to_owned())]
        );
        assert_eq!(record.locks[0].line.as_bytes(), b"1: OFDLCK ADVISORY  READ -1 08:01:42 0 EOF");
        assert_eq!((record.flags, record.mount_id, record.inode), (0o2_004_000, 15, Some(1049)));
    }

    #[test]
    fn a_cut_off_file_is_not_half_understood() {
        for text in [
            "",
            "pos:\t0\n",
            "pos:\t0\nflags:\t02",
            "flags:\t0\nmnt_id:\t1\ninotify wd:1 ino:2",
            "flags:\t9\nmnt_id:\t1\n",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
