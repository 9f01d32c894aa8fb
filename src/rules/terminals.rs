//! Open terminals as CRIU tells them apart. CRIU 4.2: `tty.c: get_tty_driver`, `pts_fd_get_index`, `ptm_fd_get_index`.

use super::View;
use crate::facts::{Fd, FdInfo, FileStat, FileType, Link, Process};

/// An open terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal<'a> {
    /// Who has it open.
    pub(super) process: &'a Process,
    /// The descriptor.
    pub(super) fd: &'a Fd,
    /// Which end of what.
    pub(super) end: End,
    /// Device numbers of the node.
    pub(super) stat: FileStat,
}

/// Kinds of terminals, as far as CRIU treats them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// Master of the pty with that number, if the kernel tells it.
    Master(Option<u32>),
    /// Slave of the pty with that number.
    Slave(u32),
    /// `/dev/tty`: whatever the process's controlling terminal is.
    Controlling,
    /// A console, virtual terminal or serial line.
    Other,
}

/// All open terminals, without those held by path only, those declared external and those whose other end hung up.
pub(super) fn terminals<'a>(view: View<'a>) -> impl Iterator<Item = Terminal<'a>> {
    with_external(view).filter(move |terminal| !view.profile.has("external", Some(&external(&terminal.stat))))
}

/// The same with those declared external.
pub(super) fn with_external<'a>(view: View<'a>) -> impl Iterator<Item = Terminal<'a>> {
    view.fds().filter_map(move |(process, fd)| {
        let stat = fd.stat.filter(|stat| !fd.is_path_only() && stat.file_type == FileType::CharDevice)?;
        let Link::Path { path, deleted } = fd.link() else { return None };
        let end = end(fd, path, stat.rdev)?;
        let hung_up = deleted && matches!(end, End::Slave(_));
        (!hung_up).then_some(Terminal { process, fd, end, stat })
    })
}

fn end(fd: &Fd, path: &[u8], rdev: (u32, u32)) -> Option<End> {
    let index = || match fd.info {
        FdInfo::Ptmx { index } => Some(index),
        _ => None,
    };
    match rdev {
        (5, 2) | (128..=135, _) => Some(End::Master(index())),
        (136, _) => Some(End::Slave(trailing_number(path))),
        (5, 0) => Some(End::Controlling),
        (5, 1) | (4, 1..=63) | (188 | 204, _) => Some(End::Other),
        _ => None,
    }
}

/// The number behind the last slash, 0 where there is none: CRIU takes `/dev/console` on a pty for number 0.
pub(super) fn trailing_number(path: &[u8]) -> u32 {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let digits = name.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u32, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
}

/// Whether the device is a terminal.
pub(super) fn is_terminal((major, minor): (u32, u32)) -> bool {
    matches!((major, minor), (5, 0..=2) | (4, 1..=63) | (128..=136 | 188 | 204, _))
}

/// How `--external` names a terminal: device numbers as stat returns them, in hexadecimal.
pub(super) fn external(stat: &FileStat) -> String {
    format!("tty[{:x}:{:x}]", stat_number(stat.rdev), stat_number(stat.device))
}

/// As in `st_rdev`: glibc's `makedev`.
pub(super) fn stat_number((major, minor): (u32, u32)) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    (major & 0xfff) << 8 | (major & !0xfff) << 32 | (minor & 0xff) | (minor & !0xff) << 12
}

/// As in `tty_nr` of `/proc/PID/stat`: the kernel's `new_encode_dev`.
pub(crate) fn tty_number((major, minor): (u32, u32)) -> u32 {
    (minor & 0xff) | major << 8 | (minor & !0xff) << 12
}
