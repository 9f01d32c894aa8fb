//! Files on mounts that CRIU can't use. CRIU 4.2: `files-reg.c: dump_one_reg_file`.

use serde::Deserialize;

use super::by_path::{ByPath, files};
use super::{Match, View};
use crate::facts::{Area, Fd, Mount, NameLookup};
use crate::finding::{Confidence, Subject};
use crate::rules::mounts::Mounts;
use crate::version::Version;

mod fuse;

use fuse::closed;

/// The release that looks for build ids.
pub(super) const BUILD_IDS: Version = Version::new(3, 15, 0);
/// A file of up to that many bytes is too short for a build id. CRIU: `SELFMAG`.
pub(super) const SHORTEST_CHECKED: u64 = 4;
const O_APPEND: u32 = 0o2000;
const SECRET_MEMORY: &[u8] = b"/secretmem (deleted)";

/// Fires on files by the mount they lie on. `{external}` is how `--external` names the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMount {
    mount: State,
    /// Terminals only, or all but terminals. Absent: both.
    terminals: Option<bool>,
    /// Fires on these links only. Empty: on all.
    #[serde(default)]
    only: Vec<String>,
    /// Never fires on these links.
    #[serde(default)]
    except: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// In no mount namespace that CRIU collects.
    Outside,
    /// Hidden under another mount.
    Overmounted,
    /// In sight itself, but something is mounted over the file or a directory above it.
    Covered,
    /// Of a file system that may wait for somebody else: one finding for each process and mount, as of those below.
    MayHang,
    /// Of sysfs, which lets nobody read a file whose mode says so: CRIU reads all but logs.
    WriteOnly,
    /// Of FUSE, which lets in nobody but the user who mounted it.
    Closed,
}

impl Match for FileMount {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::Mappings, Area::Mounts, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mounts = Mounts::collect(view);
        let mut fired: Vec<ByPath<'_>> =
            files(view).filter(|file| self.is_about(file) && self.fires(view, &mounts, file)).collect();
        if matches!(self.mount, State::MayHang | State::Closed) {
            let mut seen = std::collections::HashSet::new();
            fired.retain(|file| seen.insert((file.process.pid, file.mount_id)));
        }
        fired.iter().map(|file| self.described(view, file)).collect()
    }
}

fn described(view: View<'_>, file: &ByPath<'_>) -> Subject {
    let mount = on_mount(view, file);
    let subject = if is_read_in_vain(view, file) { read_in_vain(view, file) } else { file.subject() };
    let subject = subject.with("fs", mount.map_or_else(Default::default, |mount| mount.fs_type.clone()));
    let subject = if file.name == NameLookup::SameDevice { subject.with("node", "yes") } else { subject };
    let subject = if file.name == NameLookup::Unknown { subject.at_most(Confidence::Possible) } else { subject };
    subject.with("hint", if file.is_standard_stream() {
        "give the container pipes or a file inside of it as standard streams"
    } else {
        "close the fd before the checkpoint, or open the file inside the container"
    })
}

impl FileMount {
    fn described(&self, view: View<'_>, file: &ByPath<'_>) -> Subject {
        let closed = || closed(view, on_mount(view, file)?);
        let perhaps = self.mount == State::Closed && closed() == Some(Confidence::Possible);
        let subject = described(view, file);
        if perhaps { subject.at_most(Confidence::Possible) } else { subject }
    }

    fn is_about(&self, file: &ByPath<'_>) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| entry.as_bytes() == file.link.as_bytes());
        let kind = self.terminals.is_none_or(|only| only == file.tty);
        kind && (self.only.is_empty() || listed(&self.only)) && !listed(&self.except)
    }

    fn fires(&self, view: View<'_>, mounts: &Mounts<'_>, file: &ByPath<'_>) -> bool {
        let closed = || on_mount(view, file).is_some_and(|mount| closed(view, mount).is_some());
        let Some(id) = file.mount_id else { return self.mount == State::Closed && closed() };
        let mount = mounts.get(id);
        let is_overmounted = || mount.is_some_and(|mount| mounts.is_overmounted(mount.index));
        match self.mount {
            State::Outside => mounts.lack(id) && !is_found_by_path(mounts, file),
            State::Overmounted => is_overmounted(),
            State::Covered => {
                mount.is_some_and(|mount| is_looked_up(mount.mount)) && !is_overmounted() && is_elsewhere(view, file)
            }
            State::Closed => closed(),
            State::MayHang => view.index.mounts.get(&id).is_some_and(|mount| mount.may_hang()),
            State::WriteOnly => mount.is_some_and(|mount| mount.mount.fs_type.as_bytes() == b"sysfs") && is_write_only(file),
        }
    }
}

/// The mount that the file lies on; of a mapped one that was not asked, one of the same file system.
fn on_mount<'a>(view: View<'a>, file: &ByPath<'_>) -> Option<&'a Mount> {
    let mounts = &view.index.mounts;
    match (file.mount_id, file.device()) {
        (Some(id), _) => mounts.get(&id).copied(),
        (None, device) => mounts.values().copied().find(|mount| Some(mount.device) == device),
    }
}

/// Whether CRIU would look for a build id in a file that the kernel opens for nobody, even if `--external` names it.
/// CRIU 4.2: `store_validation_data_build_id`.
fn is_read_in_vain(view: View<'_>, file: &ByPath<'_>) -> bool {
    let looks = view.profile.criu_version() >= BUILD_IDS && !view.profile.has("file-validation", Some("filesize"));
    looks && file.link.as_bytes() == SECRET_MEMORY
}

/// Declaring it external helps nothing: `{declared}` is how that is done, if it is.
fn read_in_vain(view: View<'_>, file: &ByPath<'_>) -> Subject {
    let named = file.subject().value("external").filter(|named| view.profile.has("external", Some(named)));
    let subject = file.unnamed_subject();
    named.map_or(subject.clone(), |named| subject.with("declared", named))
}

/// Whether CRIU would look for a build id in a file that nobody may read. Only a log, opened to append, is left alone.
/// CRIU 4.2: `should_check_size`.
fn is_write_only(file: &ByPath<'_>) -> bool {
    file.flags().is_some() && !is_log(file) && file.stat.is_some_and(|stat| stat.unreadable && stat.size > SHORTEST_CHECKED)
}

/// Whether it is a file to which a program only appends.
pub(super) fn is_log(file: &ByPath<'_>) -> bool {
    file.flags().is_some_and(|flags| flags & (Fd::O_WRONLY | O_APPEND) == Fd::O_WRONLY | O_APPEND)
}

/// Whether CRIU finds the file by its path although it does not know the mount.
fn is_found_by_path(mounts: &Mounts<'_>, file: &ByPath<'_>) -> bool {
    mounts.are_looked_up_by_path() && file.name == NameLookup::Same
}

/// Whether CRIU looks the names of files on such a mount up.
fn is_looked_up(mount: &Mount) -> bool {
    !matches!(mount.fs_type.as_bytes(), b"proc" | b"devpts")
}

/// Whether a name was looked up that leads onto another mount than the file's own, and not to the file.
fn is_elsewhere(view: View<'_>, file: &ByPath<'_>) -> bool {
    let looked_up = matches!(file.name, NameLookup::Missing | NameLookup::Other | NameLookup::SameDevice);
    looked_up && is_covered(view, file)
}

/// Whether the path of a file leads onto another mount than its own.
pub(super) fn is_covered(view: View<'_>, file: &ByPath<'_>) -> bool {
    leads_off_mount(view, file, file.path)
}

/// Whether a path leads onto another mount than that of this file, from where CRIU looks it up.
pub(super) fn leads_off_mount(view: View<'_>, file: &ByPath<'_>, path: &[u8]) -> bool {
    file.searched_in(view).is_some_and(|ns| ns.mount_at(path).map(|mount| mount.id) != file.mount_id)
}

#[cfg(test)]
mod tests;
