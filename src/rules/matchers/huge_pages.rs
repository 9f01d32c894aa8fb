//! Memory in huge pages on a host that has none left. CRIU 4.2: `kerndat.c: kerndat_get_hugetlb_dev` learns the device
//! of huge pages by mapping one; without it `proc_parse.c: handle_vma` and `files.c: dump_one_file` take them for files.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Link, Mapping};
use crate::finding::Subject;

/// Fires on memfds and mappings of huge pages where the host has no free one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HugePages {}

impl Match for HugePages {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let host = &view.facts.host;
        let (Some(shmem), Some(0)) = (host.shmem_device, host.huge_pages) else { return Vec::new() };
        let mapped = view.mappings().filter(|(_, mapping)| is_huge(mapping, shmem));
        let open = view.fds().filter(|(_, fd)| {
            matches!(fd.link(), Link::Memfd(_)) && fd.stat.is_some_and(|stat| stat.device != shmem)
        });
        let mapped = mapped.map(|(process, mapping)| Subject::mapping(process, mapping));
        mapped.chain(open.map(|(process, fd)| Subject::fd(process, fd))).collect()
    }
}

fn is_huge(mapping: &Mapping, shmem: (u32, u32)) -> bool {
    let path = mapping.path.as_bytes();
    path.starts_with(b"/anon_hugepage") || (path.starts_with(b"/memfd:") && mapping.device != shmem)
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
}
