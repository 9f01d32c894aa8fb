//! Pipes by their open flags. CRIU 4.2: `pipes.c: dump_one_pipe` refuses packet mode, except for the pipes of autofs
//! mounts that are not skipped.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link};
use crate::finding::Subject;
use crate::rules::mounts::Mounts;

const O_DIRECT: u32 = 0o40_000;

/// Fires on each pipe in packet mode.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipeFlags {}

impl Match for PipeFlags {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::Mounts]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mounts = Mounts::collect(view);
        let autofs = |inode: u64| {
            let option = format!("pipe_ino={inode}");
            let mut mounts = mounts.all.iter().filter(|mount| mount.mount.fs_type.as_bytes() == b"autofs");
            mounts.any(|mount| mount.mount.super_options.to_string().split(',').any(|entry| entry == option))
        };
        view.fds()
            .filter(|(_, fd)| match (fd.link(), fd.flags) {
                (Link::Pipe(inode), Some(flags)) => flags & O_DIRECT != 0 && !autofs(inode),
                _ => false,
            })
            .map(|(process, fd)| Subject::fd(process, fd))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, Mount};
    use crate::rules::testing::*;

    #[test]
    fn packet_mode_fires_except_for_autofs() {
        let packets = |number, link| Fd { flags: Some(0o40_001), ..fd(number, link) };
        let fds = vec![packets(3, "pipe:[9]"), fd(4, "pipe:[10]"), packets(5, "pipe:[11]")];
        let mut facts = facts(vec![holder(7, fds)]);
        let options = "rw,fd=6,pgrp=7,pipe_ino=11";
        facts.mount_namespaces[0].mounts.push(Mount { super_options: options.into(), ..mount(2, 1, "/net", "autofs") });
        assert_eq!(fired("pipe-packet-mode", &facts, &[]), ["7 fd 3"]);
        assert_eq!(fired("pipe-packet-mode", &facts, &["skip-mnt /net"]), ["7 fd 3", "7 fd 5"]);
    }
}
