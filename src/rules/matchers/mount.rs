//! Mounts that CRIU can't save. CRIU 4.2: `mount.c: collect_mnt_namespaces` checks them as soon as one process of the
//! tree is in a mount namespace that is not criu's own; `dump_mnt_namespaces` saves those of the tree.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, FdInfo, Link, Process};
use crate::finding::{Confidence, Subject};
use crate::rules::Dated;
use crate::rules::mounts::{Collected, Mounts, is_unescaped_space};
use crate::text::RawText;


/// Fires on mounts with one problem. `{fs}` is the type of the file system; `{external}` and `{skip}` are set where the
/// mount can be declared external or skipped.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    problem: Problem,
    /// Types of file systems: those that CRIU can mount anew, or those the rule is about.
    #[serde(default)]
    fs: Dated,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Problem {
    /// A whole file system of a type outside of `fs`.
    UnsupportedFs,
    /// Part of a file system whose root is mounted nowhere in the tree.
    NoRoot,
    /// Receives mounts from a peer group that is not in the tree.
    UnreachableMaster,
    /// A file system of one of the types in `fs`.
    Refused,
    /// An automount whose daemon is not in the tree.
    AutofsForeign,
    /// A terminal bound somewhere, whose master is not in the tree.
    TerminalWithoutMaster,
    /// A file system of one of the types in `fs` that holds message queues or records.
    Queues,
    /// Shows connections of FUSE, among them that of a FUSE mount that is not external.
    ShowsFuse,
    /// Mounted at the same point of the same mount as another.
    SamePoint,
    /// Its line has a field that CRIU does not know.
    UnknownField,
    /// A whole tmpfs with a file that whom CRIU has save it may not read.
    Unreadable,
    /// Mounted on a mount that is not there.
    NoParent,
    /// A whole file system of one of the types in `fs` whose mount points all have names that CRIU does not read.
    PointMisread,
}

impl Match for Mount {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces, Area::Mounts]
    }

    fn lists(&self) -> Vec<&Dated> {
        vec![&self.fs]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mounts = Mounts::collect(view);
        // CRIU would look for the other side of each mount in its own namespace, which is not among the facts.
        let detects = view.profile.values("external").any(|value| value.starts_with("mnt[]"));
        let firing = mounts.all.iter().filter(|mount| self.fires(view, &mounts, mount));
        firing
            .map(|mount| describe(&mounts, mount))
            .map(|subject| if detects { subject.at_most(Confidence::Possible) } else { subject })
            .collect()
    }
}

impl Mount {
    fn fires<'a>(&self, view: View<'a>, mounts: &Mounts<'a>, mount: &Collected<'a>) -> bool {
        let kind = fs_type(mount);
        let listed = || self.fs.has(kind, view.profile.criu_version());
        let saved = || mounts.are_saved() && !mounts.is_external_bind(mount);
        match self.problem {
            Problem::NoParent => mounts.has_lost_parent(mount),
            Problem::PointMisread => {
                let saves = listed() && saved() && mounts.shows_whole_fs(mount) && !mounts.is_root_bind(mount);
                saves && is_misread(mount) && !mounts.any_whole(mount, |other| spares(mount, other))
            }
            Problem::UnsupportedFs => is_judged(mounts, mount, true) && !listed() && !is_enabled(view, kind),
            Problem::NoRoot => is_judged(mounts, mount, false) && !mounts.has_fs_root(mount),
            Problem::UnreachableMaster => mounts.are_validated() && !mounts.reaches_master(mount),
            Problem::Refused => listed() && saved() && !mounts.is_root_bind(mount),
            Problem::Queues => {
                listed() && saved() && !mounts.is_root_bind(mount) && !mount.mount.queues.is_empty()
            }
            // The number of a connection is the minor device number of its mount.
            Problem::ShowsFuse => {
                let fuse = |other: &Collected<'a>| fs_type(other) == b"fuse" && !mounts.is_external_bind(other);
                listed() && saved() && !mounts.is_root_bind(mount) && mounts.all.iter().any(fuse)
            }
            // CRIU 4.2: `mount.c: validate_children_collision`. The roots of namespaces lie on nothing.
            Problem::SamePoint => mounts.are_validated() && mounts.has_twin_before(mount),
            Problem::UnknownField => mount.mount.unknown_field.is_some(),
            Problem::Unreadable => {
                let whole = saved() && mounts.shows_whole_fs(mount) && !mounts.is_root_bind(mount);
                whole && mount.mount.unreadable.is_some()
            }
            Problem::AutofsForeign => listed() && saved() && lacks_daemon(view, &mount.mount.super_options),
            Problem::TerminalWithoutMaster => listed() && saved() && is_terminal_alone(view, mount),
        }
    }
}

/// Whether `mount.c: validate_mounts` looks at it, as a whole file system or as part of one.
fn is_judged<'a>(mounts: &Mounts<'a>, mount: &Collected<'a>, whole: bool) -> bool {
    mounts.are_validated()
        && mounts.shows_whole_fs(mount) == whole
        && !mounts.is_external_bind(mount)
        && !mounts.is_root_bind(mount)
}

/// Of what the kernel escapes CRIU restores blanks, tabs and backslashes, and it loses white space at the end.
/// CRIU 4.2: `proc_parse.c: cure_path`.
fn is_misread(mount: &Collected<'_>) -> bool {
    let point = mount.mount.mount_point.as_bytes();
    point.contains(&b'\n') || point.last().is_some_and(|last| is_unescaped_space(*last))
}

/// Whether CRIU saves the file system at another mount of it: those that were mounted last come first, and only a
/// tmpfs is tried at all of them. CRIU 4.2: `mount.c: dump_one_fs`.
fn spares(mount: &Collected<'_>, other: &Collected<'_>) -> bool {
    !is_misread(other) && (other.index > mount.index || fs_type(mount) == b"tmpfs")
}

/// The type without what stands behind a dot (`fuse.sshfs`). CRIU 4.2: `proc_parse.c: parse_mountinfo_ent`.
fn fs_type<'a>(mount: &Collected<'a>) -> &'a [u8] {
    mount.mount.fs_type.as_bytes().split(|byte| *byte == b'.').next().unwrap_or_default()
}

/// `--enable-fs` names the type or says `all`.
fn is_enabled(view: View<'_>, fs: &[u8]) -> bool {
    let mut names = view.profile.values("enable-fs").flat_map(|value| value.split(','));
    names.any(|name| name == "all" || name.as_bytes() == fs)
}

/// Whether the leader of the daemon's process group is not in the tree, or does not read the pipe of the automount
/// itself. CRIU 4.2: `autofs.c: autofs_create_entry`. An automount without a daemon has `fd=-1`.
fn lacks_daemon(view: View<'_>, options: &RawText) -> bool {
    let options = options.to_string();
    let number = |key: &str| options.split(',').find_map(|option| option.strip_prefix(key)?.parse::<i64>().ok());
    let (leader, pipe) = (number("pgrp="), number("pipe_ino="));
    let is_read_end = |fd: &Fd| {
        let reads = fd.flags.is_none_or(|flags| flags & Fd::O_WRONLY == 0);
        reads && matches!(fd.link(), Link::Pipe(inode) if pipe.is_none_or(|pipe| i64::try_from(inode) == Ok(pipe)))
    };
    let is_daemon = |process: &Process| Some(process.pid.into()) == leader && process.fds.iter().any(is_read_end);
    number("fd=") != Some(-1) && !view.facts.processes.iter().any(is_daemon)
}

/// CRIU 4.2: `tty.c: devpts_check_bindmount`.
fn is_terminal_alone(view: View<'_>, mount: &Collected<'_>) -> bool {
    let root = mount.mount.root.to_string();
    if root == "/" || root == "/ptmx" {
        return false;
    }
    let digits = root.strip_prefix('/').and_then(|name| name.split(|c: char| !c.is_ascii_digit()).next());
    let Some(number) = digits.and_then(|digits| digits.parse::<u32>().ok()) else { return true };
    if view.profile.has("orphan-pts-master", None) {
        return false;
    }
    !view.fds().any(|(_, fd)| match fd.info {
        FdInfo::Ptmx { index } => matches!(fd.link(), Link::Path { .. }) && index == number,
        _ => false,
    })
}

fn describe<'a>(mounts: &Mounts<'a>, mount: &Collected<'a>) -> Subject {
    let point = &mount.mount.mount_point;
    let subject = Subject::mount(mount.mount).with("fs", mount.mount.fs_type.clone());
    let subject = subject.with("root", shown_root(mount)).with("queues", joined(&mount.mount.queues));
    let named = [("file", &mount.mount.unreadable), ("field", &mount.mount.unknown_field)];
    let known = named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    let subject = known.fold(subject, |subject, (name, value)| subject.with(name, value));
    let (major, minor) = mount.mount.device;
    let subject = subject.with("device", format!("{:#x}", u64::from(major) << 20 | u64::from(minor)));
    let group = |group: Option<u64>| group.unwrap_or_default().to_string();
    let subject = subject.with("master", group(mount.mount.master)).with("shared", group(mount.mount.shared));
    let subject = subject.with("point", [b".", point.as_bytes()].concat());
    let (Some(path), true) = (point.as_str(), mount.parent.is_some()) else { return subject };
    let subject = if mounts.is_of_root_process(mount) {
        subject.with("external", format!("mnt[{path}]:{path}"))
    } else {
        subject
    };
    subject.with("skip", path.to_owned())
}

/// What it shows of its file system, as CRIU prints it: without the mark of a deleted file.
fn shown_root(mount: &Collected<'_>) -> RawText {
    let root = mount.mount.root.as_bytes();
    root.strip_suffix(b"//deleted").unwrap_or(root).into()
}

fn joined(names: &[RawText]) -> RawText {
    names.iter().map(RawText::as_bytes).collect::<Vec<&[u8]>>().join(b", ".as_slice()).into()
}

#[cfg(test)]
mod tests;
