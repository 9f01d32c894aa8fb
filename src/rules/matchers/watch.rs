//! Inotify watches and fanotify marks that CRIU can dump only by a path it does not find. CRIU: `fsnotify.c:
//! check_open_handle`, `irmap.c: irmap_lookup`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, CallerFacts, Capability, Fd, FdInfo, InotifyWatch, Mount, Process, WatchPath};
use crate::finding::Subject;
use crate::text::RawText;
use crate::version::Version;

/// A hint directory that CRIU searches only since this release.
const LATER_HINT: (&[u8], Version) = (b"/usr/share/dbus-1/services", Version::new(4, 0, 0));

/// Fires on each watch on these file systems to which CRIU finds no path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    on: On,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum On {
    /// overlayfs
    Overlay,
    /// A file that no path leads to any more, on a file system whose inodes are not kept.
    Deleted,
    /// A file system that the tree has not mounted.
    Unmounted,
    /// One that opens file handles, but not for this caller. Kernel: `fs/fhandle.c: may_decode_fh`.
    Handles,
    /// A file that no path leads to any more, on a file system whose inodes are kept: CRIU looks for one if it is told to.
    Forced,
    /// A file of which the kernel tells no handle, without which CRIU does not read the watch.
    NoHandle,
    /// Any other that opens no file handles.
    Other,
}

impl Match for Watch {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::Mounts, Area::Watches]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let scanned: Vec<&str> = view.profile.values("irmap-scan-path").collect();
        let watches = view.fds().flat_map(|(process, fd)| of(fd).iter().map(move |watch| (process, fd, watch)));
        let subjects = watches.filter_map(|(process, fd, watch)| {
            let mount = view.index.mounts.values().copied().find(|mount| is_on(watch, mount));
            let path = match &watch.path {
                WatchPath::Elsewhere(path) => Some(path),
                WatchPath::Hinted(path) if is_too_new(path, view.profile.criu_version()) => Some(path),
                _ if watch.handle.is_empty() => None,
                WatchPath::NotHinted | WatchPath::Unreachable => None,
                WatchPath::HandleOnly if view.profile.has("force-irmap", None) => None,
                WatchPath::NotNeeded | WatchPath::Hinted(_) | WatchPath::HandleOnly | WatchPath::Unknown => return None,
            };
            let is_scanned = path.is_some_and(|path| scanned.iter().any(|top| finds(top, path.as_bytes())));
            (on(view, watch, mount) == Some(self.on) && !is_scanned).then(|| subject(process, fd, watch, mount, path))
        });
        subjects.collect()
    }
}

fn of(fd: &Fd) -> &[InotifyWatch] {
    match &fd.info {
        FdInfo::Inotify { watches } | FdInfo::Fanotify { watches, .. } => watches,
        _ => &[],
    }
}

fn is_too_new(path: &RawText, criu: Version) -> bool {
    let (directory, since) = LATER_HINT;
    criu < since && path.as_bytes().starts_with(directory)
}

fn is_on(watch: &InotifyWatch, mount: &Mount) -> bool {
    u64::from(mount.device.0) << 20 | u64::from(mount.device.1) == watch.device
}

fn on(view: View<'_>, watch: &InotifyWatch, mount: Option<&Mount>) -> Option<On> {
    let may_open = |caller: &CallerFacts| caller.has_over_host(Capability::DacReadSearch);
    Some(match mount {
        _ if watch.handle.is_empty() => On::NoHandle,
        Some(mount) if mount.opens_handles() && !view.profile.caller.as_ref().is_none_or(may_open) => On::Handles,
        // The path was looked for only because the scanner may not open handles.
        Some(mount) if mount.opens_handles() && !may_open(&view.facts.host.caller) => return None,
        _ if watch.path == WatchPath::HandleOnly => On::Forced,
        _ if watch.path == WatchPath::Unreachable => On::Deleted,
        None => On::Unmounted,
        Some(mount) if mount.fs_type.as_bytes() == b"overlay" => On::Overlay,
        Some(_) => On::Other,
    })
}

/// Whether a search that starts at `top` comes across the path. `/` alone CRIU can't search: it takes the path without
/// its first byte.
fn finds(top: &str, path: &[u8]) -> bool {
    let top = top.trim_end_matches('/').as_bytes();
    let rest = path.strip_prefix(top).filter(|_| !top.is_empty());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn subject(process: &Process, fd: &Fd, watch: &InotifyWatch, mount: Option<&Mount>, path: Option<&RawText>) -> Subject {
    let fs_type = mount.map_or_else(|| "a file system that is not mounted".into(), |mount| mount.fs_type.clone());
    let subject = Subject::fd(process, fd).with("wd", watch.wd.to_string()).with("fs", fs_type);
    let subject = subject.with("device", format!("{:#x}", watch.device)).with("inode", format!("{:#x}", watch.inode));
    match path {
        Some(path) => subject.with("watch", path.clone()).with("dir", scan_path(path.as_bytes())),
        None => subject.with("watch", format!("inode {} (path not found)", watch.inode)),
    }
}

/// The directory to have searched: two levels deep at most, so that one option serves many watches.
fn scan_path(path: &[u8]) -> RawText {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let end = ends.chain([path.len()]).filter(|&at| at > 0).nth(1).unwrap_or(path.len());
    path.get(..end).unwrap_or(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use crate::rules::testing::*;

    fn tree(fs_type: &str, paths: Vec<WatchPath>) -> Facts {
        let watches = paths.into_iter().zip(1..).map(|(path, wd)| InotifyWatch {
            wd,
            inode: 40,
            device: 55,
            handle: "a7c4".into(),
            path,
            ..InotifyWatch::default()
        });
        let info = FdInfo::Inotify { watches: watches.collect() };
        let mut facts = facts(vec![holder(7, vec![Fd { info, ..fd(5, "anon_inode:inotify") }])]);
        facts.mount_namespaces[0].mounts.push(mount(55, 1, "/x", fs_type));
        facts.host.caller.capabilities = u64::MAX;
        facts
    }

    fn watches_of(facts: &mut Facts) -> &mut Vec<InotifyWatch> {
        let FdInfo::Inotify { watches } = &mut facts.processes[0].fds[0].info else { panic!() };
        watches
    }

    fn elsewhere(path: &str) -> WatchPath {
        WatchPath::Elsewhere(path.into())
    }

    fn watched(facts: &Facts, options: &[&str]) -> Vec<String> {
        let found = findings("inotify-overlay", facts, &profile("4.2", options));
        found.iter().filter_map(|finding| finding.subject.value("watch")).collect()
    }

    #[test]
    fn overlay_watches_outside_of_the_hints_fire_until_criu_4_3() {
        let hinted = WatchPath::Hinted("/etc/fonts".into());
        let facts = tree("overlay", vec![elsewhere("/usr/share/fonts/X11"), hinted, WatchPath::NotNeeded]);
        assert_eq!(watched(&facts, &[]), ["/usr/share/fonts/X11"]);
        assert!(findings("inotify-overlay", &facts, &profile("4.3", &[])).is_empty());
        assert!(fired("inotify-pseudo-fs", &facts, &[]).is_empty());
    }

    #[test]
    fn a_scan_path_lifts_what_lies_below_it() {
        let facts = tree("overlay", vec![elsewhere("/usr/share/fonts"), elsewhere("/usr/shared")]);
        assert_eq!(watched(&facts, &["irmap-scan-path /usr/share/"]), ["/usr/shared"]);
        assert_eq!(watched(&facts, &["irmap-scan-path /"]).len(), 2);
        let found = findings("inotify-overlay", &facts, &profile("4.2", &[]));
        let lifts: Vec<String> = found.iter().flat_map(|f| &f.lifted_by).map(ToString::to_string).collect();
        assert_eq!(lifts, ["irmap-scan-path /usr/share", "irmap-scan-path /usr/shared"]);
    }

    #[test]
    fn a_hint_directory_counts_from_the_release_that_has_it() {
        let hinted = |path: &str| WatchPath::Hinted(path.into());
        let facts = tree("overlay", vec![hinted("/usr/share/dbus-1/services"), hinted("/etc")]);
        assert_eq!(findings("inotify-overlay", &facts, &profile("3.19", &[])).len(), 1);
        assert_eq!(findings("inotify-overlay", &facts, &profile("4.0", &[])).len(), 0);
    }

    #[test]
    fn handles_are_not_opened_for_every_caller() {
        let caller = |capabilities| CallerFacts { capabilities, ..CallerFacts::default() };
        let found = |facts: &Facts, caller: Option<CallerFacts>| {
            let profile = crate::profile::Profile { caller, ..profile("4.2", &[]) };
            findings("caller-cannot-open-handles", facts, &profile).len()
        };
        let mut facts = tree("ext4", vec![elsewhere("/srv/x"), WatchPath::Hinted("/etc".into())]);
        facts.host.caller = caller(0);
        assert_eq!((found(&facts, Some(caller(0))), found(&facts, None)), (1, 0));
        assert!(fired("inotify-pseudo-fs", &facts, &[]).is_empty());
        facts.host.caller = caller(u64::MAX);
        assert_eq!(found(&facts, Some(caller(u64::MAX))), 0);
    }

    #[test]
    fn a_watch_without_a_known_path_has_no_option() {
        let found = findings("inotify-pseudo-fs", &tree("proc", vec![WatchPath::NotHinted]), &profile("4.3", &[]));
        assert_eq!((found.len(), found[0].severity), (1, crate::finding::Severity::Blocks));
    }

    #[test]
    fn a_path_that_only_force_irmap_looks_for() {
        let facts = tree("ext4", vec![WatchPath::HandleOnly, WatchPath::NotNeeded]);
        assert_eq!(fired("inotify-forced", &facts, &["force-irmap"]), ["7 fd 5"]);
        assert!(fired("inotify-forced", &facts, &[]).is_empty());
    }

    #[test]
    fn a_watch_without_a_handle_is_refused_wherever_it_is() {
        let mut facts = tree("overlay", vec![WatchPath::Hinted("/etc".into())]);
        assert!(fired("watch-without-handle", &facts, &[]).is_empty());
        watches_of(&mut facts)[0].handle.clear();
        assert_eq!(fired("watch-without-handle", &facts, &[]), ["7 fd 5"]);
        watches_of(&mut facts)[0].path = elsewhere("/x");
        assert!(fired("inotify-overlay", &facts, &[]).is_empty());
    }

    #[test]
    fn a_deleted_file_of_a_tmpfs_and_a_device_that_is_not_mounted_have_rules_of_their_own() {
        assert_eq!(fired("inotify-deleted", &tree("tmpfs", vec![WatchPath::Unreachable]), &[]), ["7 fd 5"]);
        let mut facts = tree("ext4", vec![WatchPath::NotHinted]);
        facts.mount_namespaces[0].mounts.pop();
        assert_eq!(fired("inotify-unmounted", &facts, &[]), ["7 fd 5"]);
    }
}
