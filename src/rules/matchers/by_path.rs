//! Files that CRIU saves by their path: open ones, mapped ones, programs, working and root directories. CRIU 4.2:
//! `cr-dump.c: dump_one_task`, `files.c: dump_one_file`, `files-reg.c: dump_one_reg_file`.

use std::collections::HashSet;

use super::View;
use crate::facts::{
    Fd, FileStat, FileType, HeldFile, Link, Mapping, MountNamespace, NameLookup, NamespaceKind, Process,
};
use crate::finding::Subject;
use crate::rules::terminals;
use crate::text::RawText;

/// `NAME_MAX`
const LONGEST_NAME: usize = 255;

/// A file that is saved by path.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByPath<'a> {
    pub(super) process: &'a Process,
    holder: Holder<'a>,
    /// The link as printed.
    pub(super) link: &'a RawText,
    /// The path without ` (deleted)`.
    pub(super) path: &'a [u8],
    /// Whether the kernel says that it was deleted.
    pub(super) deleted: bool,
    pub(super) mount_id: Option<u64>,
    inode: Option<u64>,
    pub(super) stat: Option<FileStat>,
    pub(super) name: NameLookup,
    /// Whether it is a terminal.
    pub(super) tty: bool,
}

/// As what the process has it.
#[derive(Clone, Copy, Debug)]
enum Holder<'a> {
    Mapping(&'a Mapping),
    Fd(&'a Fd),
    Held(&'a HeldFile),
}

/// Every such file in the order in which CRIU comes across it. What is no open file it saves once for each mount
/// (`file-ids.c: fd_id_generate_special`), so one that was met before under a good name needs none again.
pub(super) fn files(view: View<'_>) -> impl Iterator<Item = ByPath<'_>> {
    let mut seen = HashSet::new();
    view.facts.processes.iter().flat_map(of).filter_map(move |file| {
        let is_new = file.identity().is_none_or(|identity| seen.insert(identity));
        let is_open = matches!(file.holder, Holder::Fd(_));
        let tty = file.stat.is_some_and(|stat| is_tty(view, &stat));
        (is_new || is_open).then_some(ByPath { tty, ..file }).filter(ByPath::is_saved)
    })
}

fn of(process: &Process) -> impl Iterator<Item = ByPath<'_>> {
    let mappings = process.mappings.iter().filter_map(|mapping| ByPath::mapping(process, mapping));
    let fds = process.fds.iter().filter_map(|fd| ByPath::fd(process, fd));
    mappings.chain(fds).chain(process.held.iter().filter_map(|file| ByPath::held(process, file)))
}

impl<'a> ByPath<'a> {
    fn new(process: &'a Process, holder: Holder<'a>, link: &'a RawText) -> Option<Self> {
        let Link::Path { path, deleted } = Link::parse(link.as_bytes()) else { return None };
        let (mount_id, inode, stat, name) = match holder {
            Holder::Mapping(map) => (map.mount_id, Some(map.inode), map.stat, map.name),
            Holder::Fd(fd) => (fd.mount_id, fd.inode, fd.stat, fd.name),
            Holder::Held(file) => (file.mount_id, None, file.stat, file.name),
        };
        Some(Self { process, holder, link, path, deleted, mount_id, inode, stat, name, tty: false })
    }

    fn fd(process: &'a Process, fd: &'a Fd) -> Option<Self> {
        Self::new(process, Holder::Fd(fd), &fd.link)
    }

    fn held(process: &'a Process, file: &'a HeldFile) -> Option<Self> {
        Self::new(process, Holder::Held(file), &file.link)
    }

    /// Memory of the kernel's own is not saved by path, though it is called so.
    fn mapping(process: &'a Process, mapping: &'a Mapping) -> Option<Self> {
        Self::new(process, Holder::Mapping(mapping), &mapping.path).filter(|_| !mapping.is_kernels_own())
    }

    /// Whether CRIU saves it by path: regular files, directories, symlinks, named pipes and those devices that it knows.
    /// One whose type was not read is taken for a regular file.
    fn is_saved(&self) -> bool {
        match self.stat {
            Some(FileStat { file_type: FileType::Socket | FileType::BlockDevice | FileType::None, .. }) => false,
            Some(FileStat { file_type: FileType::CharDevice, rdev, .. }) => {
                self.tty || matches!(rdev, (1, _) | (10, 200 | 235))
            }
            _ => true,
        }
    }

    /// The device that it lies on, as far as that was read.
    pub(super) fn device(&self) -> Option<(u32, u32)> {
        match self.holder {
            Holder::Mapping(mapping) => Some(mapping.device),
            Holder::Fd(_) | Holder::Held(_) => self.stat.map(|stat| stat.device),
        }
    }

    /// The mount namespace in which CRIU looks its path up. CRIU 4.2: `mount.c: mntns_get_root_fd`.
    pub(super) fn searched_in<'v>(&self, view: View<'v>) -> Option<&'v MountNamespace> {
        let namespaces = &view.facts.mount_namespaces;
        if view.facts.shares_with_host(NamespaceKind::Mnt) {
            return namespaces.first();
        }
        namespaces.iter().find(|namespace| namespace.mounts.iter().any(|mount| Some(mount.id) == self.mount_id))
    }

    fn identity(&self) -> Option<(u64, (u32, u32), u64)> {
        let stat = self.stat.filter(|stat| stat.file_type != FileType::Directory)?;
        Some((self.mount_id?, stat.device, stat.inode))
    }

    /// The subject that it is: `{as}` tells as what it is held, `{external}` how `--external` names it if mount and
    /// inode are known, in hexadecimal.
    pub(super) fn subject(&self) -> Subject {
        match self.mount_id.zip(self.stat.map(|stat| stat.inode).or(self.inode)) {
            Some((mount, inode)) => self.unnamed_subject().with("external", format!("file[{mount:x}:{inode:x}]")),
            None => self.unnamed_subject(),
        }
    }

    /// [`Self::subject`] without what `--external` would name it. `{mount}` is the mount it lies on, `{identity}` device
    /// and inode as CRIU prints them, `{found}` what its name leads to instead.
    pub(super) fn unnamed_subject(&self) -> Subject {
        let subject = match self.holder {
            Holder::Fd(fd) => Subject::fd(self.process, fd).with("as", format!("fd {}", fd.number)),
            Holder::Mapping(mapping) => Subject::mapping(self.process, mapping).with("as", "a mapped file"),
            Holder::Held(file) => {
                let subject = Subject { path: Some(file.link.clone()), ..Subject::process(self.process) };
                subject.with("as", file.described())
            }
        };
        let found = match self.name {
            _ if self.is_name_too_long() => Some("no name so long"),
            NameLookup::Missing => Some("nothing"),
            NameLookup::Other | NameLookup::SameDevice => Some("another file"),
            _ => None,
        };
        let known = [("mount", self.mount_id.map(|id| id.to_string())), ("identity", self.identity_in_log())];
        let known = known.into_iter().chain([("found", found.map(str::to_owned))]);
        known
            .filter_map(|(key, value)| Some((key, value?)))
            .fold(subject, |subject, (key, value)| subject.with(key, value))
    }

    /// Whether ` (deleted)` makes the name longer than any file's: CRIU looks it up with that.
    fn is_name_too_long(&self) -> bool {
        self.deleted
            && self.link.as_bytes().rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.len() > LONGEST_NAME)
    }

    /// `DEVICE:INODE`, each of 32 bits. CRIU 4.2: `files-reg.c: check_path_remap`.
    fn identity_in_log(&self) -> Option<String> {
        let inode = self.stat.map(|stat| stat.inode).or(self.inode)?;
        Some(format!("{}:{}", low(terminals::stat_number(self.device()?)), low(inode)))
    }

    /// The flags that it was opened with, of a descriptor.
    pub(super) fn flags(&self) -> Option<u32> {
        match self.holder {
            Holder::Fd(fd) => fd.flags,
            _ => None,
        }
    }

    /// Whether it is one of the standard streams.
    pub(super) fn is_standard_stream(&self) -> bool {
        matches!(self.holder, Holder::Fd(Fd { number: 0..=2, .. }))
    }
}

fn low(number: u64) -> u64 {
    number & u64::from(u32::MAX)
}

/// Whether CRIU takes the device for a terminal. CRIU 4.2: `tty.c: get_tty_driver`.
fn is_tty(view: View<'_>, stat: &FileStat) -> bool {
    let declared = || view.profile.has("external", Some(&terminals::external(stat)));
    stat.file_type == FileType::CharDevice && (terminals::is_terminal(stat.rdev) || declared())
}
