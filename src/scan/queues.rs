//! Message queues below mounted mqueue file systems, which CRIU wants empty (`filesystems.c: dump_empty_fs`).
//!
//! Listing such a directory opens no queue and changes nothing. The host's own mount namespace, which CRIU does not
//! save, is left alone.

use rustix::fs::Dir;
use rustix::io::{Errno, Result};

use super::lookup::Lookup;
use crate::facts::{Area, Facts, Gap, Mount, MountNamespace};
use crate::text::RawText;

/// Fills in the names of queues.
pub(super) fn queues(facts: &mut Facts) {
    let host = facts.host.namespaces.mnt;
    for namespace in facts.mount_namespaces.iter_mut().filter(|namespace| Some(namespace.id) != host) {
        let mqueue = namespace.mounts.iter().enumerate().filter(|(_, mount)| mount.fs_type.as_bytes() == b"mqueue");
        let found: Vec<_> = mqueue.map(|(index, mount)| (index, read(namespace, mount))).collect();
        for (index, queues) in found {
            let Some(mount) = namespace.mounts.get_mut(index) else { continue };
            match queues {
                Ok(queues) => mount.queues = queues,
                Err(error) => facts.gaps.push(Gap {
                    area: Area::Mounts,
                    pid: Some(namespace.pid),
                    path: format!("{} below /proc/{}/root", mount.mount_point, namespace.pid).into(),
                    reason: error.to_string(),
                }),
            }
        }
    }
}

fn read(namespace: &MountNamespace, mount: &Mount) -> Result<Vec<RawText>> {
    let lookup = Lookup::below(namespace)?;
    let point = mount.mount_point.as_bytes();
    if ![0, mount.id].contains(&lookup.find(point)?.mount_id) {
        // Another mount hides it.
        return Err(Errno::BUSY);
    }
    let mut names = Vec::new();
    for entry in Dir::read_from(lookup.open_mount(point)?)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_bytes().into());
        }
    }
    names.sort();
    Ok(names)
}
