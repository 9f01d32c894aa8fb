//! Files whose name is gone while other hard links remain. CRIU 4.2: `files-reg.c: check_path_remap`,
//! `create_link_remap`.

use serde::Deserialize;

use super::by_path::{ByPath, files};
use super::file_mount::{is_covered, leads_off_mount};
use super::{Match, View};
use crate::facts::{Area, Capability, FileStat, FileType, Mount, NameLookup};
use crate::finding::{Confidence, Subject};
use crate::version::Version;

/// The release that takes deleted files of a lower layer for ghosts.
const FALLS_BACK: Version = Version::new(3, 17, 0);

/// The kernel that tells in which layer of an overlay a file is.
const TELLS_LAYERS: Version = Version::new(6, 6, 0);

/// Fires on files that were deleted by name and still have a link, and on those that NFS renamed because they were
/// deleted. What lies under another mount has a rule of its own. `{linkable}` is set where a new link can be made,
/// `{node}` where the name leads to another node of the same device.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRemap {
    /// Whether the name leads to another file now, which makes no new link possible.
    #[serde(default)]
    replaced: bool,
}

impl Match for LinkRemap {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let wanted = |file: &ByPath<'_>| match file.name {
            NameLookup::Same => false,
            NameLookup::Other | NameLookup::SameDevice => self.replaced,
            _ => !self.replaced,
        };
        let fired = files(view).filter(|file| wanted(file) && fires(view, file) && !is_covered(view, file));
        fired.map(|file| described(view, &file)).collect()
    }
}

fn described(view: View<'_>, file: &ByPath<'_>) -> Subject {
    let mount = file.mount_id.and_then(|id| view.index.mounts.get(&id));
    let is_directory = file.stat.is_some_and(|stat| stat.file_type == FileType::Directory);
    let mut subject = file.subject();
    // The new link is made beside the old name, and no link leads across mounts: a file may be bound alone.
    let is_alone = leads_off_mount(view, file, parent(file.path));
    let layer = mount.filter(|mount| !falls_back(view, mount)).map_or(Lower::No, |_| lower(view, file));
    let is_unlinkable = layer == Lower::Yes || mount.is_some_and(|mount| is_read_only(mount));
    if is_directory || is_alone || is_unlinkable || !may_link(view, mount) {
    } else if layer == Lower::Perhaps && view.profile.has("link-remap", None) {
        // Told to make a link, CRIU may fail to.
        subject = subject.at_most(Confidence::Possible);
    } else {
        subject = subject.with("linkable", "yes");
    }
    if view.profile.has("link-remap", None) {
        subject = subject.with("linking", if may_link(view, mount) { "fails" } else { "barred" });
    }
    if file.name == NameLookup::SameDevice { subject.with("node", "yes") } else { subject }
}

/// Whether a file is of a lower layer of an overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lower {
    /// It is not.
    No,
    /// The kernel does not tell.
    Perhaps,
    /// It is, or was copied from there.
    Yes,
}

/// Whether it is a file of a lower layer of an overlay, deleted by name. It has all its links there, but none that the
/// overlay would make another of.
pub(super) fn lower(view: View<'_>, file: &ByPath<'_>) -> Lower {
    let is_overlay = |mount: &&Mount| mount.fs_type.as_bytes() == b"overlay";
    let mount = file.mount_id.and_then(|id| view.index.mounts.get(&id).copied()).filter(is_overlay);
    let not_upper = |stat: FileStat| stat.links > 0 && stat.file_type == FileType::Regular && !stat.in_upper;
    match view.profile.kernel {
        _ if mount.is_none() || !file.deleted || !file.stat.is_some_and(not_upper) => Lower::No,
        Some(kernel) if kernel < TELLS_LAYERS => Lower::Perhaps,
        _ => Lower::Yes,
    }
}

/// Whether CRIU, after it failed to link a file of a lower layer in any directory up to the root, saves its contents. It
/// ends where a mount does. CRIU 4.2: `files-reg.c: check_overlayfs_fallback`.
fn falls_back(view: View<'_>, mount: &Mount) -> bool {
    view.profile.criu_version() >= FALLS_BACK && mount.mount_point.as_bytes() == b"/"
}

/// Whether the kernel lets the caller link a file that it knows by a descriptor only. Where it does not, CRIU takes a file
/// on overlayfs for one without links. Kernel: `namei.c: do_linkat`. CRIU: `files-reg.c: check_overlayfs_fallback`.
fn may_link(view: View<'_>, mount: Option<&&Mount>) -> bool {
    let caller = view.profile.caller.as_ref();
    mount.is_some_and(|mount| mount.fs_type.as_bytes() == b"overlay")
        || caller.is_none_or(|caller| caller.has_over_host(Capability::DacReadSearch))
}

fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    path.get(..end).filter(|directory| !directory.is_empty()).unwrap_or(b"/")
}

fn is_read_only(mount: &Mount) -> bool {
    let has = |options: &[u8]| options.split(|byte| *byte == b',').any(|option| option == b"ro");
    has(mount.options.as_bytes()) || has(mount.super_options.as_bytes())
}

fn fires(view: View<'_>, file: &ByPath<'_>) -> bool {
    let Some(mount) = file.mount_id.and_then(|id| view.index.mounts.get(&id)) else { return false };
    match mount.fs_type.as_bytes() {
        b"proc" | b"devpts" => false,
        b"nfs" | b"nfs4" => file.deleted || is_silly_name(file.path),
        _ => file.deleted && file.stat.is_some_and(|stat| stat.links > 0),
    }
}

/// `.nfs` and 24 hex digits.
fn is_silly_name(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.strip_prefix(b".nfs")
        .and_then(|rest| rest.get(..24))
        .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use crate::facts::{CallerFacts, Facts, Fd, FileStat, FileType, Mapping, NameLookup, Process};
    use crate::profile::Profile;
    use crate::rules::testing::*;

    fn with_links(links: u32, fd: Fd) -> Fd {
        Fd { stat: Some(FileStat { links, ..stat(FileType::Regular) }), ..fd }
    }

    #[test]
    fn only_a_deleted_name_with_another_link_needs_the_option() {
        let fds = vec![
            with_links(1, fd(3, "/tmp/a (deleted)")),
            with_links(0, fd(4, "/tmp/b (deleted)")),
            with_links(2, fd(5, "/tmp/c")),
            fd(6, "/memfd:x (deleted)"),
        ];
        let facts = facts(vec![holder(7, fds)]);
        assert_eq!(fired("link-remap", &facts, &[]), ["7 fd 3"]);
        assert!(fired("link-remap", &facts, &["link-remap"]).is_empty());
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_beyond_the_option() {
        let named = |number, name| Fd { name, ..with_links(1, fd(number, "/tmp/a (deleted)")) };
        let fds = vec![
            named(3, NameLookup::Missing),
            named(4, NameLookup::Other),
            named(5, NameLookup::Same),
            named(6, NameLookup::SameDevice),
        ];
        let facts = facts(vec![holder(7, fds)]);
        assert_eq!(fired("link-remap", &facts, &[]), ["7 fd 3"]);
        assert_eq!(fired("path-replaced", &facts, &["link-remap"]), ["7 fd 4", "7 fd 6"]);
        assert_eq!(fired("path-replaced", &facts, &["evasive-devices"]), ["7 fd 4"]);
    }

    #[test]
    fn no_link_is_made_to_a_directory_or_on_a_read_only_mount() {
        let deleted = |number, file_type| Fd { stat: Some(stat(file_type)), ..fd(number, "/tmp/a (deleted)") };
        let fds = vec![deleted(3, FileType::Directory), deleted(4, FileType::Regular)];
        let mut facts = facts(vec![holder(7, fds)]);
        assert_eq!(fired("link-remap", &facts, &["link-remap"]), ["7 fd 3"]);
        facts.mount_namespaces[0].mounts[0].options = "ro,relatime".into();
        assert_eq!(fired("link-remap", &facts, &["link-remap"]), ["7 fd 3", "7 fd 4"]);
    }

    #[test]
    fn not_every_caller_may_make_a_link() {
        let mut facts = facts(vec![holder(7, vec![with_links(1, fd(3, "/tmp/a (deleted)"))])]);
        let found = |facts: &Facts, capabilities| {
            let caller = Some(CallerFacts { capabilities, ..CallerFacts::default() });
            findings("link-remap", facts, &Profile { caller, ..profile("4.2", &["link-remap"]) }).len()
        };
        assert_eq!((found(&facts, 0), found(&facts, 1 << 2)), (1, 0));
        facts.mount_namespaces[0].mounts[0].fs_type = "overlay".into();
        assert_eq!(found(&facts, 0), 0);
    }

    #[test]
    fn no_link_is_made_beside_a_file_that_is_bound_alone() {
        let mut facts = facts(vec![holder(7, vec![Fd { mount_id: Some(2), ..with_links(1, fd(3, "/a/b (deleted)")) }])]);
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/a/b", "ext4"));
        assert_eq!(fired("link-remap", &facts, &["link-remap"]), ["7 fd 3"]);
        facts.mount_namespaces[0].mounts[1].mount_point = "/a".into();
        assert!(fired("link-remap", &facts, &["link-remap"]).is_empty());
    }

    #[test]
    fn files_of_dead_processes_and_terminals_that_hung_up_are_fine() {
        let fds = vec![
            Fd { mount_id: Some(2), ..with_links(1, fd(3, "/proc/99 (deleted)")) },
            Fd { mount_id: Some(3), ..with_links(1, fd(4, "/dev/pts/9 (deleted)")) },
        ];
        let mut facts = facts(vec![holder(7, fds)]);
        facts.mount_namespaces[0].mounts.extend([mount(2, 1, "/proc", "proc"), mount(3, 1, "/dev/pts", "devpts")]);
        assert!(fired("link-remap", &facts, &[]).is_empty());
    }

    #[test]
    fn names_that_nfs_made_up_count_on_nfs_only() {
        let silly = || fd(3, "/data/.nfs000000000123456700000001");
        let mut facts = facts(vec![holder(7, vec![Fd { mount_id: Some(2), ..silly() }, Fd { number: 4, ..silly() }])]);
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/data", "nfs4"));
        assert_eq!(fired("link-remap", &facts, &[]), ["7 fd 3"]);
    }

    #[test]
    fn a_mapped_file_counts_once() {
        let mapped = |start| Mapping { start, stat: Some(stat(FileType::Regular)), ..mapping("/lib/a.so (deleted)") };
        let process = Process { mappings: vec![mapped(0x1000), mapped(0x2000)], ..process(7) };
        assert_eq!(fired("link-remap", &facts(vec![process]), &[]), ["7 1000-8000"]);
    }
}
