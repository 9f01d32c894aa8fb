//! Mappings by their name in maps. CRIU 4.2: `proc_parse.c: vma_get_mapfile` refuses what can't be opened again
//! through map_files (`ENXIO`) unless it is a socket or an AIO ring; `proc_parse.c: handle_vma` refuses `[uprobes]`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind};
use crate::finding::Subject;

/// Fires on each mapping whose name is among `names` or begins with one of `prefixes`, unless it is in `except`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Whole names.
    #[serde(default)]
    names: Vec<String>,
    /// Beginnings of names.
    #[serde(default)]
    prefixes: Vec<String>,
    /// Names it never fires on.
    #[serde(default)]
    except: Vec<String>,
    /// Fires only on mappings that may not be read.
    #[serde(default)]
    unreadable: bool,
    /// Fires only on mappings whose changes stay with the process.
    #[serde(default)]
    private: bool,
    /// Fires only on memory of the kernel's own, not on a file of such a name.
    #[serde(default)]
    kernels_own: bool,
    /// Fires only where the root process is in this namespace of the host.
    host_namespace: Option<NamespaceKind>,
}

impl Match for Mapping {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if self.host_namespace.is_some_and(|kind| !view.facts.shares_with_host(kind)) {
            return Vec::new();
        }
        view.mappings()
            .filter(|(_, mapping)| self.fires(mapping.path.as_bytes()))
            .filter(|(_, mapping)| !self.unreadable || !mapping.permissions.starts_with('r'))
            .filter(|(_, mapping)| !self.kernels_own || mapping.is_kernels_own())
            .filter(|(_, mapping)| !self.private || mapping.permissions.ends_with('p'))
            .map(|(process, mapping)| {
                let subject = Subject::mapping(process, mapping).with_mode(mapping.stat);
                mapping.mount_id.map_or(subject.clone(), |id| subject.with("mount", id.to_string()))
            })
            .collect()
    }
}

impl Mapping {
    fn fires(&self, name: &[u8]) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| entry.as_bytes() == name);
        let begins = || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
        (listed(&self.names) || begins()) && !listed(&self.except)
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Mapping, Process};
    use crate::rules::testing::*;

    fn mapped(names: &[&str]) -> Facts {
        let at = |(index, name): (usize, &&str)| {
            let start = 0x1000 * (index as u64 + 1);
            Mapping { start, end: start + 0x1000, ..mapping(name) }
        };
        facts(vec![Process { mappings: names.iter().enumerate().map(at).collect(), ..process(7) }])
    }

    #[test]
    fn rings_and_other_objects_fire_each_under_its_own_rule() {
        let facts = mapped(&["anon_inode:[io_uring]", "anon_inode:[perf_event]", "/secretmem (deleted)"]);
        assert_eq!(fired("io-uring-mapping", &facts, &[]), ["7 1000-2000"]);
        assert_eq!(fired("mapping-unsupported", &facts, &[]), ["7 2000-3000", "7 3000-4000"]);
    }

    #[test]
    fn a_memfd_that_is_mapped_privately_is_refused_before_3_14() {
        let private = |permissions: &str| {
            let memfd = Mapping { permissions: permissions.to_owned(), ..mapping("/memfd:x (deleted)") };
            let tree = facts(vec![Process { mappings: vec![memfd], ..process(7) }]);
            ["3.13", "3.14"].map(|criu| findings("memfd-private-before-3-14", &tree, &profile(criu, &[])).len())
        };
        assert_eq!((private("rw-p"), private("rw-s")), ([1, 0], [0, 0]));
    }

    #[test]
    fn the_trampoline_of_a_uprobe_has_no_option_and_the_types_of_the_kernel_may_be_shared() {
        let tree = mapped(&["[uprobes-trampoline]", "/sys/kernel/btf/vmlinux"]);
        assert_eq!(fired("uprobes-trampoline", &tree, &["allow-uprobes"]), ["7 1000-2000"]);
        assert!(fired("btf-mapping", &tree, &[]).is_empty());
        let private = Mapping { permissions: "r--p".to_owned(), ..mapping("/sys/kernel/btf/vmlinux") };
        assert_eq!(fired("btf-mapping", &facts(vec![Process { mappings: vec![private], ..process(7) }]), &[]), ["7 7000-8000"]);
    }

    #[test]
    fn files_memory_sockets_and_aio_rings_are_fine() {
        let facts = mapped(&[
            "/usr/lib/libc.so.6",
            "/memfd:x (deleted)",
            "/dev/zero (deleted)",
            "/SYSV00000000 (deleted)",
            "/[aio] (deleted)",
            "socket:[77]",
            "[heap]",
            "[vvar_vclock]",
        ]);
        for rule in ["io-uring-mapping", "mapping-unsupported", "uprobes-mapping"] {
            assert!(fired(rule, &facts, &[]).is_empty(), "{rule}");
        }
    }

    #[test]
    fn an_aio_ring_fires_when_it_may_not_be_read() {
        let mut facts = mapped(&["/[aio] (deleted)"]);
        assert!(fired("aio-unreadable", &facts, &[]).is_empty());
        facts.processes[0].mappings[0].permissions = "-w-s".into();
        assert_eq!(fired("aio-unreadable", &facts, &[]), ["7 1000-2000"]);
    }

    #[test]
    fn sysv_memory_fires_in_the_ipc_namespace_of_the_host_only() {
        let mut facts = mapped(&["/SYSV0000002a (deleted)"]);
        assert_eq!(fired("sysv-shm-foreign-ipc", &facts, &[]), ["7 1000-2000"]);
        facts.processes[0].namespaces = container_namespaces();
        assert!(fired("sysv-shm-foreign-ipc", &facts, &[]).is_empty());
    }

    #[test]
    fn sysv_memory_that_is_mapped_privately_fires_and_a_file_of_such_a_name_does_not() {
        let mut facts = mapped(&["/SYSV0000002a (deleted)", "/SYSVfile"]);
        assert!(fired("sysv-shm-private", &facts, &[]).is_empty());
        facts.processes[0].mappings.iter_mut().for_each(|mapping| mapping.permissions = "r--p".into());
        assert_eq!(fired("sysv-shm-private", &facts, &[]), ["7 1000-2000"]);
        assert_eq!(fired("sysv-shm-foreign-ipc", &facts, &[]), ["7 1000-2000"]);
    }

    #[test]
    fn clock_pages_must_be_readable() {
        let mut facts = mapped(&["[vvar]", "[vvar_vclock]", "[vdso]"]);
        assert!(fired("vvar-unreadable", &facts, &[]).is_empty());
        facts.processes[0].mappings.iter_mut().for_each(|mapping| mapping.permissions = "---p".into());
        assert_eq!(fired("vvar-unreadable", &facts, &[]), ["7 1000-2000", "7 2000-3000"]);
    }

    #[test]
    fn uprobes_are_lifted_since_4_2() {
        let facts = mapped(&["[uprobes]"]);
        assert_eq!(fired("uprobes-mapping", &facts, &[]), ["7 1000-2000"]);
        assert!(fired("uprobes-mapping", &facts, &["allow-uprobes"]).is_empty());
        let older = findings("uprobes-mapping", &facts, &profile("4.1", &["allow-uprobes"]));
        assert!(older[0].lifted_by.is_empty());
    }
}
