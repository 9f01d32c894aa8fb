//! Memory in huge pages. CRIU 4.2: `kerndat.c: kerndat_get_hugetlb_dev` learns the device of huge pages by mapping one;
//! without it, and before 3.17, `proc_parse.c: handle_vma` and `files.c: dump_one_file` take them for files.

use serde::Deserialize;

use super::{Match, View, is_probed_before};
use crate::facts::{Area, Link, Mapping};
use crate::finding::{Confidence, Subject};

/// Fires on memfds and mappings of huge pages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HugePages {
    /// Only where the host has no free one.
    #[serde(default)]
    none_free: bool,
}

impl Match for HugePages {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let host = &view.facts.host;
        if self.none_free && host.huge_pages != Some(0) {
            return Vec::new();
        }
        let elsewhere = |device| host.shmem_device.is_some_and(|shmem| device != shmem);
        let mapped = view.mappings().filter(|(_, mapping)| is_huge(mapping, elsewhere));
        let open = view.fds().filter(|(_, fd)| {
            matches!(fd.link(), Link::Memfd(_)) && fd.stat.is_some_and(|stat| elsewhere(stat.device))
        });
        let on = |subject: Subject, mount_id: Option<u64>| match mount_id {
            Some(id) => subject.with("mount", id.to_string()),
            None => subject,
        };
        let mapped = mapped.map(|(process, mapping)| on(Subject::mapping(process, mapping), mapping.mount_id));
        let found = mapped.chain(open.map(|(process, fd)| on(Subject::fd(process, fd), fd.mount_id)));
        // An earlier run may have found the device while there was a free page.
        let perhaps = self.none_free && is_probed_before(view);
        found.map(|subject| if perhaps { subject.at_most(Confidence::Possible) } else { subject }).collect()
    }
}

/// `elsewhere`: whether a device is not that of ordinary shared memory.
fn is_huge(mapping: &Mapping, elsewhere: impl Fn((u32, u32)) -> bool) -> bool {
    let path = mapping.path.as_bytes();
    let shared = path.starts_with(b"/memfd:") || path.starts_with(b"/SYSV");
    let kernels_own = path.ends_with(b" (deleted)");
    path.starts_with(b"/anon_hugepage") || (kernels_own && shared && elsewhere(mapping.device))
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, FileStat, FileType, Host, Mapping, Process};
    use crate::rules::testing::*;

    fn tree(free: Option<u64>, device: (u32, u32)) -> Facts {
        let memfd = Fd { stat: Some(FileStat { device, ..stat(FileType::Regular) }), ..fd(3, "/memfd:x (deleted)") };
        let mapped = Mapping { device, ..mapping("/memfd:x (deleted)") };
        let anonymous = mapping("/anon_hugepage (deleted)");
        let mut facts = facts(vec![Process { mappings: vec![mapped, anonymous], ..holder(7, vec![memfd]) }]);
        facts.host = Host { shmem_device: Some((0, 1)), huge_pages: free, ..facts.host };
        facts
    }

    #[test]
    fn huge_pages_fire_when_the_host_has_none_free() {
        let all = ["7 fd 3", "7 7000-8000", "7 7000-8000"];
        assert_eq!(fired("huge-pages-none-free", &tree(Some(0), (0, 16)), &[]).len(), all.len());
        assert_eq!(fired("huge-pages-none-free", &tree(Some(0), (0, 1)), &[]), ["7 7000-8000"]);
        assert!(fired("huge-pages-none-free", &tree(Some(4), (0, 16)), &[]).is_empty());
        assert!(fired("huge-pages-none-free", &tree(None, (0, 16)), &[]).is_empty());
    }

    #[test]
    fn a_file_that_is_named_like_system_v_memory_holds_no_huge_pages() {
        let named = Process { mappings: vec![mapping("/SYSV0000002a")], ..process(7) };
        let facts = Facts { processes: vec![named], ..tree(Some(0), (0, 1)) };
        assert!(fired("huge-pages-none-free", &facts, &[]).is_empty());
    }

    #[test]
    fn before_3_17_huge_pages_are_refused_though_some_are_free() {
        let old = |device| findings("hugetlb-before-3-17", &tree(Some(4), device), &profile("3.16", &[])).len();
        assert_eq!((old((0, 16)), old((0, 1))), (3, 1));
        assert!(findings("hugetlb-before-3-17", &tree(Some(4), (0, 16)), &profile("3.17", &[])).is_empty());
    }
}
