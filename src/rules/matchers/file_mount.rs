//! Open files on mounts that CRIU can't use. CRIU 4.2: `files-reg.c: dump_one_reg_file`.

use serde::Deserialize;

use super::by_path::{by_path, with_external};
use super::{Match, View};
use crate::facts::{Area, Fd, Link, NameLookup};
use crate::finding::Subject;
use crate::rules::mounts::Mounts;
use crate::version::Version;

/// The release that looks for build ids.
const BUILD_IDS: Version = Version::new(3, 15, 0);
const SECRET_MEMORY: &[u8] = b"/secretmem (deleted)";

/// Fires on open files by the mount they lie on. `{external}` is how `--external` names the file.
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

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// In no mount namespace that CRIU collects.
    Outside,
    /// Hidden under another mount.
    Overmounted,
}

impl Match for FileMount {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::Mounts, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mounts = Mounts::collect(view);
        view.fds()
            .filter(|(_, fd)| self.is_about(view, fd) && self.fires(&mounts, fd))
            .map(|(process, fd)| match Subject::fd(process, fd) {
                subject if is_read_in_vain(view, fd) => subject,
                subject => with_external(subject, fd),
            })
            .map(|subject| match subject.fd {
                Some(0..=2) => subject.with("hint", "give the container pipes or a file inside of it as standard streams"),
                _ => subject.with("hint", "close the fd before the checkpoint, or open the file inside the container"),
            })
            .collect()
    }
}

impl FileMount {
    fn is_about(&self, view: View<'_>, fd: &Fd) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| entry.as_bytes() == fd.link.as_bytes());
        let kind = by_path(view, fd).is_some_and(|file| self.terminals.is_none_or(|only| only == file.tty));
        kind && (self.only.is_empty() || listed(&self.only)) && !listed(&self.except)
    }

    fn fires(&self, mounts: &Mounts<'_>, fd: &Fd) -> bool {
        fd.mount_id.is_some_and(|id| match self.mount {
            State::Outside => mounts.lack(id) && !is_found_by_path(mounts, fd),
            State::Overmounted => mounts.get(id).is_some_and(|mount| mounts.is_overmounted(mount.index)),
        })
    }
}

/// Whether CRIU would look for a build id in a file that the kernel opens for nobody, even if `--external` names it.
/// CRIU 4.2: `store_validation_data_build_id`.
fn is_read_in_vain(view: View<'_>, fd: &Fd) -> bool {
    let looks = view.profile.criu_version() >= BUILD_IDS && !view.profile.has("file-validation", Some("filesize"));
    looks && fd.link.as_bytes() == SECRET_MEMORY
}

/// Whether CRIU finds the file by its path although it does not know the mount. Where the path was not looked up, the
/// device of what is mounted there decides.
fn is_found_by_path(mounts: &Mounts<'_>, fd: &Fd) -> bool {
    let same_device = || match (fd.link(), fd.stat) {
        (Link::Path { path, deleted: false }, Some(stat)) => {
            mounts.at(path).is_some_and(|mount| mount.mount.device == stat.device)
        }
        _ => false,
    };
    mounts.are_looked_up_by_path()
        && match fd.name {
            NameLookup::Same => true,
            NameLookup::Missing | NameLookup::Other => false,
            NameLookup::NotNeeded | NameLookup::Unknown => same_device(),
        }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FileStat, FileType, NameLookup, Process};
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
        let left = |number, device, name| {
            let stat = FileStat { device, ..stat(FileType::Regular) };
            Fd { stat: Some(stat), name, ..on(30, fd(number, "/srv/x")) }
        };
        let fds = vec![
            left(3, (0, 40), NameLookup::NotNeeded),
            left(4, (8, 9), NameLookup::NotNeeded),
            left(5, (0, 40), NameLookup::Other),
            left(6, (8, 9), NameLookup::Same),
        ];
        let mut facts = facts(vec![holder(7, fds)]);
        assert_eq!(fired("file-mount-outside", &facts, &[]).len(), 4);
        facts.mount_namespaces[0].mounts = vec![mount(40, 0, "/", "overlay")];
        assert_eq!(fired("file-mount-outside", &facts, &[]), ["7 fd 4", "7 fd 5"]);
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
