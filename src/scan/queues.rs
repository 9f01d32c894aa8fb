//! Message queues and crash records below mounted mqueue and pstore file systems, which CRIU wants empty
//! (`filesystems.c: dump_empty_fs`).
//!
//! Listing such a directory opens nothing in it and changes nothing. The host's own mount namespace, which CRIU does not
//! save, is left alone.

use std::collections::HashMap;

use rustix::fs::Dir;
use rustix::io::{Errno, Result};

use super::lookup::Lookup;
use crate::facts::{Area, Facts, Gap, Mount, MountNamespace};
use crate::text::RawText;

/// Fills in the names of queues.
pub(super) fn queues(facts: &mut Facts) {
    let host = facts.host.namespaces.mnt;
    for namespace in facts.mount_namespaces.iter_mut().filter(|namespace| Some(namespace.id) != host) {
        let listed = |mount: &Mount| matches!(mount.fs_type.as_bytes(), b"mqueue" | b"pstore");
        let listed = namespace.mounts.iter().enumerate().filter(|(_, mount)| listed(mount));
        let found: Vec<_> = listed.map(|(index, mount)| (index, mount.device, read(namespace, mount))).collect();
        // One that another mount hides shows what others of the same file system show.
        let known: HashMap<_, _> =
            found.iter().filter_map(|(_, device, queues)| Some((*device, queues.as_ref().ok()?.clone()))).collect();
        for (index, device, queues) in found {
            let Some(mount) = namespace.mounts.get_mut(index) else { continue };
            match (queues, known.get(&device)) {
                (Ok(queues), _) => mount.queues = queues,
                (_, Some(queues)) => mount.queues.clone_from(queues),
                (Err(error), None) => facts.gaps.push(Gap {
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
