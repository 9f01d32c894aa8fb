//! Program, working directory and root directory as files: CRIU saves them as it does open ones (`cr-dump.c:
//! dump_task_exe_link`, `dump_task_fs`).

use rustix::io::Errno;

use super::{Scanner, stat};
use crate::facts::{Area, HeldAs, HeldFile, Process};
use crate::procfs::ProcessDir;
use crate::text::RawText;

/// Asks what they are, where that can not hang.
pub(super) fn held(scanner: &mut Scanner, dir: &ProcessDir, process: &mut Process) {
    let links = [
        (HeldAs::Program, "exe", process.exe.clone()),
        (HeldAs::WorkingDirectory, "cwd", process.cwd.clone()),
        (HeldAs::Root, "root", process.root.clone()),
    ];
    for (role, name, link) in links {
        let Some(link) = link else { continue };
        let mut file = HeldFile { role, link, ..HeldFile::default() };
        if !file.link.as_bytes().is_empty() && is_local(scanner, process, &file.link) {
            match stat::stat_on_mount(dir.dir(), name, file.link.as_bytes()) {
                Ok((found, mount_id)) => (file.stat, file.mount_id) = (Some(found), mount_id),
                // The process is still there if the link is, and what it leads to is not.
                Err(Errno::NOENT) => {
                    let found = dir.link(name, &mut scanner.buffer);
                    file.vanished = found.is_ok_and(|found| found == file.link.as_bytes());
                }
                Err(errno) => scanner.failed(Area::FileStat, dir.pid(), name, errno),
            }
        }
        process.held.push(file);
    }
}

/// Whether nothing that may hang is mounted on the way to it. The link says no mount id, so every mount counts that
/// could be meant.
fn is_local(scanner: &Scanner, process: &Process, link: &RawText) -> bool {
    process.namespaces.mnt.is_some_and(|id| scanner.mounts.are_local_above(id, link.as_bytes()))
}
