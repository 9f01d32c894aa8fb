//! Memory that is larger than CRIU can keep account of. CRIU 4.2: `shmem.c: do_dump_one_shmem` asks for 16 bytes for every
//! two pages of shared memory (`page-pipe.c: create_page_pipe`), `pagemap-cache.c: pmc_init` for 8 bytes for each page
//! of the longest mapping where it does not use `PAGEMAP_SCAN`. The kernel refuses more than it has at all.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link, Mapping, Process};
use crate::finding::Subject;
use crate::version::Version;

const PAGE: u64 = 4 << 10;

/// First CRIU and first kernel with `PAGEMAP_SCAN`.
const SCANS: (Version, Version) = (Version::new(4, 0, 0), Version::new(6, 7, 0));

/// Fires on memory for whose list of pages the host has not memory enough. `{size}` is how large it is, `{needed}` what
/// CRIU asks for, `{limit}` what the kernel gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeMemory {
    of: Of,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Of {
    /// Shared memory: each mapping and memfd.
    Shared,
    /// The longest private mapping of each process, for a CRIU or a kernel without `PAGEMAP_SCAN`.
    LongestPrivate,
}

impl Match for LargeMemory {
    fn needs(&self) -> &'static [Area] {
        match self.of {
            Of::Shared => &[Area::Processes, Area::Fds, Area::Mappings],
            Of::LongestPrivate => &[Area::Processes, Area::Mappings],
        }
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(limit) = view.facts.host.largest_allocation else { return Vec::new() };
        let say = |subject: Subject, size: u64, needed: u64| {
            let values = subject.with("size", size.to_string()).with("needed", needed.to_string());
            (needed > limit).then(|| values.with("limit", limit.to_string()))
        };
        match self.of {
            Of::Shared => shared(view).filter_map(|(subject, size)| say(subject, size, pipe_bytes(size))).collect(),
            Of::LongestPrivate if scans(view) => Vec::new(),
            Of::LongestPrivate => {
                let longest = |process: &Process| {
                    let size = process.longest_private;
                    say(Subject::process(process), size, size.div_ceil(PAGE) * 8)
                };
                view.facts.processes.iter().filter_map(longest).collect()
            }
        }
    }
}

/// What is asked for: CRIU keeps the number of entries, of 16 bytes each, in 32 bits.
fn pipe_bytes(size: u64) -> u64 {
    let entries = size.div_ceil(PAGE).div_ceil(2);
    (entries & u64::from(u32::MAX)) * 16
}

fn scans(view: View<'_>) -> bool {
    view.profile.criu_version() >= SCANS.0 && view.profile.kernel.is_none_or(|kernel| kernel >= SCANS.1)
}

/// Shared memory with its size: that of its file, which CRIU saves whole.
fn shared(view: View<'_>) -> impl Iterator<Item = (Subject, u64)> + use<'_> {
    let device = view.facts.host.shmem_device;
    let is_shared = move |mapping: &Mapping| mapping.path.as_bytes().starts_with(b"/") && Some(mapping.device) == device;
    let mapped = view.mappings().filter(move |(_, mapping)| is_shared(mapping)).map(|(process, mapping)| {
        let seen = mapping.offset.saturating_add(mapping.end.saturating_sub(mapping.start));
        (Subject::mapping(process, mapping), mapping.stat.map_or(seen, |stat| stat.size))
    });
    let memfds = view.fds().filter(|(_, fd)| matches!(fd.link(), Link::Memfd(_)));
    mapped.chain(memfds.filter_map(|(process, fd)| Some((Subject::fd(process, fd), fd.stat?.size))))
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, FileStat, FileType, Mapping, Process};
    use crate::rules::testing::*;

    const TIB: u64 = 1 << 40;

    fn tree(size: u64, device: (u32, u32)) -> Facts {
        let file = Some(FileStat { size, ..stat(FileType::Regular) });
        let shared = Mapping { device, stat: file, ..mapping("/dev/zero (deleted)") };
        let memfd = crate::facts::Fd { stat: file, ..fd(3, "/memfd:x (deleted)") };
        let mut facts = facts(vec![Process { mappings: vec![shared], longest_private: size, ..holder(7, vec![memfd]) }]);
        facts.host.shmem_device = Some((0, 1));
        facts.host.largest_allocation = Some(16 << 30);
        facts
    }

    #[test]
    fn a_512th_of_shared_memory_must_be_allocatable() {
        let fires = |size| fired("shared-memory-too-large", &tree(size, (0, 1)), &[]);
        assert_eq!(fires(9 * TIB), ["7 7000-8000", "7 fd 3"]);
        assert!(fires(8 * TIB).is_empty() && fires(32 * TIB).is_empty(), "counted in 32 bits");
        assert_eq!(fired("shared-memory-too-large", &tree(9 * TIB, (0, 2)), &[]), ["7 fd 3"]);
    }

    #[test]
    fn a_512th_of_the_longest_mapping_must_be_allocatable_without_pagemap_scan() {
        let fires = |release, kernel: &str, size| {
            let profile = crate::profile::Profile { kernel: kernel.parse().ok(), ..profile(release, &[]) };
            findings("private-memory-too-long", &tree(size, (0, 1)), &profile).len()
        };
        assert_eq!((fires("4.2", "6.6", 9 * TIB), fires("4.2", "6.6", 8 * TIB)), (1, 0));
        assert_eq!((fires("4.2", "6.7", 9 * TIB), fires("3.19", "6.7", 9 * TIB)), (0, 1));
    }
}
