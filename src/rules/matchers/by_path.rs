//! Files that CRIU saves by their path. CRIU 4.2: `files.c: dump_one_file`, `files-reg.c: dump_one_reg_file`.

use super::View;
use crate::facts::{Fd, FileStat, FileType, Link};
use crate::finding::Subject;
use crate::rules::terminals;

/// A file that is saved by path.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByPath<'a> {
    /// The path without ` (deleted)`.
    pub(super) path: &'a [u8],
    /// Whether the kernel says that it was deleted.
    pub(super) deleted: bool,
    /// Whether it is a terminal.
    pub(super) tty: bool,
}

/// The file behind a descriptor, if CRIU saves it by path: regular files, directories, symlinks, named pipes and those
/// devices that it knows. One whose type was not read is taken for a regular file.
pub(super) fn by_path<'a>(view: View<'_>, fd: &'a Fd) -> Option<ByPath<'a>> {
    let Link::Path { path, deleted } = fd.link() else { return None };
    let tty = fd.stat.is_some_and(|stat| is_tty(view, &stat));
    let known = match fd.stat {
        Some(FileStat { file_type: FileType::Socket | FileType::BlockDevice, .. }) => false,
        Some(FileStat { file_type: FileType::CharDevice, rdev, .. }) => tty || matches!(rdev, (1, _) | (10, 200 | 235)),
        _ => true,
    };
    known.then_some(ByPath { path, deleted, tty })
}

/// Whether CRIU takes the device for a terminal. CRIU 4.2: `tty.c: get_tty_driver`.
fn is_tty(view: View<'_>, stat: &FileStat) -> bool {
    let declared = || view.profile.has("external", Some(&terminals::external(stat)));
    stat.file_type == FileType::CharDevice && (terminals::is_terminal(stat.rdev) || declared())
}

/// Adds `{external}` to the subject, if mount and inode are known: how `--external` names the file, in hexadecimal.
pub(super) fn with_external(subject: Subject, fd: &Fd) -> Subject {
    let inode = fd.stat.map(|stat| stat.inode).or(fd.inode);
    match fd.mount_id.zip(inode) {
        Some((mount, inode)) => subject.with("external", format!("file[{mount:x}:{inode:x}]")),
        None => subject,
    }
}
