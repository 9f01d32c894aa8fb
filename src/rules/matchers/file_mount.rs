//! Files on mounts that CRIU can't use. CRIU 4.2: `files-reg.c: dump_one_reg_file`.

use serde::Deserialize;

use super::by_path::{ByPath, files};
use super::{Match, View};
use crate::facts::{Area, Fd, Mount, NameLookup};
use crate::finding::{Confidence, Subject};
use crate::rules::mounts::Mounts;
use crate::version::Version;

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
    /// Of FUSE, which lets in nobody but the user who mounted it. Kernel: `fs/fuse/dir.c: fuse_allow_current_process`.
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
        fired.iter().map(|file| described(view, file)).collect()
    }
}

fn described(view: View<'_>, file: &ByPath<'_>) -> Subject {
    let mount = on_mount(view, file);
    let subject = if is_read_in_vain(view, file) { file.unnamed_subject() } else { file.subject() };
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
    fn is_about(&self, file: &ByPath<'_>) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| entry.as_bytes() == file.link.as_bytes());
        let kind = self.terminals.is_none_or(|only| only == file.tty);
        kind && (self.only.is_empty() || listed(&self.only)) && !listed(&self.except)
    }

    fn fires(&self, view: View<'_>, mounts: &Mounts<'_>, file: &ByPath<'_>) -> bool {
        let closed = || on_mount(view, file).is_some_and(|mount| is_closed(view, mount));
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

/// Whether CRIU, which runs as the caller or else as root, is a stranger to the file system.
fn is_closed(view: View<'_>, mount: &Mount) -> bool {
    let words = || mount.super_options.as_bytes().split(|byte| *byte == b',');
    let user = words().find_map(|word| std::str::from_utf8(word.strip_prefix(b"user_id=")?).ok()?.parse::<u32>().ok());
    let caller = view.profile.caller.as_ref().map_or(0, |caller| caller.uid);
    let fs_type = mount.fs_type.as_bytes();
    let is_fuse = matches!(fs_type, b"fuse" | b"fuseblk") || fs_type.starts_with(b"fuse.");
    is_fuse && user.is_some_and(|user| user != caller) && !words().any(|word| word == b"allow_other")
}

/// Whether CRIU would look for a build id in a file that the kernel opens for nobody, even if `--external` names it.
/// CRIU 4.2: `store_validation_data_build_id`.
fn is_read_in_vain(view: View<'_>, file: &ByPath<'_>) -> bool {
    let looks = view.profile.criu_version() >= BUILD_IDS && !view.profile.has("file-validation", Some("filesize"));
    looks && file.link.as_bytes() == SECRET_MEMORY
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
mod tests {
    use crate::facts::{Fd, FileStat, FileType, HeldAs, HeldFile, Mapping, Mount, NameLookup, Process};
    use crate::rules::testing::*;

    fn on(mount_id: u64, fd: Fd) -> Fd {
        Fd { mount_id: Some(mount_id), ..fd }
    }

    #[test]
    fn a_file_outside_fires_and_is_lifted_by_its_hexadecimal_name() {
        let fds = vec![
            on(30, fd(1, "/var/log/host.log")),
            on(1, fd(3, "/inside")),
            on(31, fd(4, "/memfd:x (deleted)")),
            on(32, fd(5, "pipe:[9]")),
        ];
        let facts = facts(vec![holder(7, fds)]);
        let found = findings("file-mount-outside", &facts, &profile("4.2", &[]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].lifted_by[0].to_string(), "external file[1e:4d]");
        assert!(fired("file-mount-outside", &facts, &["external file[1e:4d]"]).is_empty());
    }

    #[test]
    fn the_host_s_own_mounts_do_not_count_for_a_container() {
        let inside = Process { namespaces: container_namespaces(), ..holder(7, vec![on(1, fd(3, "/a"))]) };
        let back = Process { ppid: 7, ..holder(8, vec![on(50, fd(4, "/b"))]) };
        let mut facts = facts(vec![inside, back]);
        facts.mount_namespaces[1].mounts = vec![mount(50, 0, "/", "ext4")];
        assert_eq!(fired("file-mount-outside", &facts, &[]), ["8 fd 4"]);
    }

    #[test]
    fn nothing_is_said_of_mounts_that_could_not_be_read() {
        let mut facts = facts(vec![holder(7, vec![on(30, fd(1, "/x"))])]);
        facts.mount_namespaces.clear();
        assert!(fired("file-mount-outside", &facts, &[]).is_empty());
    }

    #[test]
    fn a_skipped_mount_is_as_good_as_not_there() {
        let mut facts = facts(vec![holder(7, vec![on(2, fd(3, "/data/a"))])]);
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/data", "ext4"));
        assert!(fired("file-mount-outside", &facts, &[]).is_empty());
        assert_eq!(fired("file-mount-outside", &facts, &["skip-mnt /data"]), ["7 fd 3"]);
    }

    #[test]
    fn beside_an_overlay_the_same_file_under_the_same_path_is_found() {
        let left = |number, name| Fd { name, ..on(30, fd(number, "/srv/x")) };
        let mut facts = facts(vec![holder(7, vec![left(3, NameLookup::Same), left(4, NameLookup::Other)])]);
        assert_eq!(fired("file-mount-outside", &facts, &[]).len(), 2);
        facts.mount_namespaces[0].mounts = vec![mount(40, 0, "/", "overlay")];
        assert_eq!(fired("file-mount-outside", &facts, &[]), ["7 fd 4"]);
    }

    #[test]
    fn what_is_mapped_or_a_directory_counts_as_an_open_file_does() {
        let directory = FileStat { inode: 5, ..stat(FileType::Directory) };
        let cwd = HeldFile {
            role: HeldAs::WorkingDirectory,
            link: "/x".into(),
            stat: Some(directory),
            mount_id: Some(30),
            ..HeldFile::default()
        };
        let mapped = Mapping { mount_id: Some(30), stat: Some(stat(FileType::Regular)), ..mapping("/lib/x.so") };
        let again = Mapping { start: 0x6000, ..mapped.clone() };
        let process = Process { held: vec![cwd], mappings: vec![mapped, again], ..process(7) };
        let found = findings("file-mount-outside", &facts(vec![process]), &profile("4.2", &[]));
        let said: Vec<&str> = found.iter().map(|finding| finding.what.split(',').next().unwrap()).collect();
        assert_eq!(said, ["p7 (7): its working directory is /x", "p7 (7): a mapped file is /lib/x.so"]);
        assert_eq!(found[0].lifted_by[0].to_string(), "external file[1e:5]");
    }

    #[test]
    fn a_path_that_leads_onto_another_mount_is_refused_unless_to_the_same_file() {
        let below = |number, name| Fd { name, ..fd(number, "/a/x") };
        let fds = vec![
            below(3, NameLookup::Missing),
            below(4, NameLookup::Other),
            below(5, NameLookup::Same),
            below(6, NameLookup::SameDevice),
        ];
        let mut facts = facts(vec![holder(7, fds)]);
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/a", "tmpfs"));
        assert_eq!(fired("file-covered", &facts, &["link-remap"]), ["7 fd 3", "7 fd 4", "7 fd 6"]);
        assert_eq!(fired("file-covered", &facts, &["evasive-devices"]), ["7 fd 3", "7 fd 4"]);
        assert!(fired("link-remap", &facts, &[]).is_empty() && fired("path-replaced", &facts, &[]).is_empty());
    }

    #[test]
    fn what_a_server_keeps_may_hang_once_for_each_process_and_mount() {
        let mut facts = facts(vec![holder(7, vec![on(2, fd(3, "/n/x")), on(2, fd(4, "/n/y")), fd(5, "/z")])]);
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/n", "nfs4"));
        assert_eq!(fired("file-may-hang", &facts, &[]), ["7 fd 3"]);
    }

    #[test]
    fn names_on_procfs_are_not_looked_up() {
        let covered = |number, mount_id| Fd { name: NameLookup::Other, ..on(mount_id, fd(number, "/proc/kallsyms")) };
        let mut facts = facts(vec![holder(7, vec![covered(3, 2), covered(4, 1)])]);
        let mounts = [mount(2, 1, "/proc", "proc"), mount(3, 2, "/proc/kallsyms", "tmpfs")];
        facts.mount_namespaces[0].mounts.extend(mounts);
        assert_eq!(fired("file-covered", &facts, &[]), ["7 fd 4"]);
    }

    #[test]
    fn a_file_of_sysfs_that_nobody_may_read_is_refused_unless_it_is_a_log() {
        let stat = FileStat { size: 4096, unreadable: true, ..stat(FileType::Regular) };
        let opened = |number, mount_id, flags| {
            Fd { stat: Some(stat), flags: Some(flags), ..on(mount_id, fd(number, "/sys/bus/platform/uevent")) }
        };
        let fds = vec![opened(3, 2, 0o100_001), opened(4, 2, 0o102_001), opened(5, 1, 0o100_001)];
        let mut facts = facts(vec![holder(7, fds)]);
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/sys", "sysfs"));
        assert_eq!(fired("file-write-only", &facts, &[]), ["7 fd 3"]);
        assert!(fired("file-write-only", &facts, &["file-validation filesize"]).is_empty());
    }

    #[test]
    fn a_file_system_of_another_user_is_closed_to_criu() {
        let mapped = Mapping { device: (0, 2), mount_id: None, ..mapping("/n/lib.so") };
        let tree = |options: &str| {
            let mut facts = facts(vec![
                holder(7, vec![on(2, fd(3, "/n/x"))]),
                Process { mappings: vec![mapped.clone()], ..child(8, 7) },
            ]);
            let fuse = Mount { super_options: options.into(), ..mount(2, 1, "/n", "fuse.sshfs") };
            facts.mount_namespaces[0].mounts.push(fuse);
            facts
        };
        let found = |options| fired("file-fuse-closed", &tree(options), &[]);
        assert_eq!(found("rw,user_id=1000,group_id=1000"), ["7 fd 3", "8 7000-8000"]);
        assert!(found("rw,user_id=1000,group_id=1000,allow_other").is_empty());
        assert!(found("rw,user_id=0,group_id=0").is_empty());
    }

    #[test]
    fn a_terminal_outside_is_lifted_by_shell_job() {
        let pts = FileStat { rdev: (136, 4), ..stat(FileType::CharDevice) };
        let facts = facts(vec![holder(7, vec![Fd { stat: Some(pts), ..on(30, fd(0, "/dev/pts/4")) }])]);
        assert!(fired("file-mount-outside", &facts, &[]).is_empty());
        assert_eq!(fired("tty-mount-outside", &facts, &[]), ["7 fd 0"]);
        assert!(fired("tty-mount-outside", &facts, &["shell-job"]).is_empty());
    }

    #[test]
    fn secret_memory_has_a_rule_of_its_own() {
        let facts = facts(vec![holder(7, vec![on(15, fd(3, "/secretmem (deleted)"))])]);
        assert_eq!(fired("secretmem", &facts, &[]), ["7 fd 3"]);
        assert!(fired("file-mount-outside", &facts, &[]).is_empty());
    }

    #[test]
    fn a_file_under_another_mount_is_refused() {
        let mut facts = facts(vec![holder(7, vec![on(2, fd(3, "/a/x")), on(3, fd(4, "/a/y"))])]);
        facts.mount_namespaces[0].mounts.extend([mount(2, 1, "/a", "tmpfs"), mount(3, 2, "/a", "tmpfs")]);
        assert_eq!(fired("file-overmounted", &facts, &[]), ["7 fd 3"]);
    }
}
