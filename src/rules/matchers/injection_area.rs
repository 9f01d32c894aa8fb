//! Memory into which CRIU puts its first code. CRIU 4.2: `parasite-syscall.c: get_exec_start` takes the first executable
//! mapping of a process that is not the kernel's own, `compel/src/lib/infect.c: compel_execute_syscall` writes there by ptrace. Kernel:
//! `mm/gup.c: check_vma_flags` lets ptrace write to what the process may not write to only if it is private.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Mapping, Process};
use crate::finding::Subject;

/// Fires on the first executable mapping of a process that CRIU can't write to, or on a process without one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectionArea {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// It is shared and may not be written to.
    Shared,
    /// It may only be executed, on a CPU that can tell: CRIU reads what it wrote there.
    Unreadable,
    /// There is none.
    None,
}

impl Match for InjectionArea {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let mapped = view.facts.processes.iter().filter(|process| process.mapping_count > 0);
        let subject = |process: &Process| match (self.which, code(process)) {
            (Which::Shared, Some(mapping)) if is_shared(mapping) && !may_write(mapping) => {
                Some(Subject::mapping(process, mapping))
            }
            (Which::Unreadable, Some(mapping)) if view.facts.host.protection_keys && !may_read(mapping) => {
                Some(Subject::mapping(process, mapping))
            }
            (Which::None, None) => Some(Subject::process(process)),
            _ => None,
        };
        mapped.filter_map(subject).collect()
    }
}

fn code(process: &Process) -> Option<&Mapping> {
    let mut own = process.mappings.iter().filter(|mapping| mapping.path.as_bytes() != b"[vsyscall]");
    own.find(|mapping| mapping.permissions.as_bytes().get(2) == Some(&b'x'))
}

fn may_read(mapping: &Mapping) -> bool {
    mapping.permissions.starts_with('r')
}

fn is_shared(mapping: &Mapping) -> bool {
    mapping.permissions.ends_with('s')
}

fn may_write(mapping: &Mapping) -> bool {
    mapping.permissions.as_bytes().get(1) == Some(&b'w')
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Mapping, Process};
    use crate::rules::testing::*;

    fn at(start: u64, permissions: &str) -> Mapping {
        Mapping { start, end: start + 0x1000, permissions: permissions.to_owned(), ..mapping("/dev/zero (deleted)") }
    }

    fn tree(mappings: Vec<Mapping>) -> Facts {
        facts(vec![Process { mappings, mapping_count: 3, ..process(7) }])
    }

    #[test]
    fn a_process_without_code_of_its_own_fires() {
        let fires = |mappings| fired("code-none", &tree(mappings), &[]);
        let vsyscall = || Mapping { path: "[vsyscall]".into(), ..at(0xffff_ffff_ff60_0000, "--xp") };
        assert_eq!(fires(vec![at(0x1000, "r--p"), vsyscall()]), ["7"]);
        assert!(fires(vec![at(0x1000, "r-xp"), vsyscall()]).is_empty());
        assert!(fired("code-none", &facts(vec![process(7)]), &[]).is_empty(), "its mappings were not read");
    }

    #[test]
    fn code_that_may_only_be_executed_fires_where_the_cpu_can_tell() {
        let mut tree = tree(vec![at(0x1000, "--xp"), at(0x2000, "r-xp")]);
        assert!(fired("code-unreadable-first", &tree, &[]).is_empty());
        tree.host.protection_keys = true;
        assert_eq!(fired("code-unreadable-first", &tree, &[]), ["7 1000-2000"]);
        tree.processes[0].mappings.reverse();
        assert!(fired("code-unreadable-first", &tree, &[]).is_empty());
    }

    #[test]
    fn only_shared_memory_that_is_not_writable_fires_and_only_before_all_other_code() {
        let fires = |mappings| fired("code-shared-first", &tree(mappings), &[]);
        assert_eq!(fires(vec![at(0x1000, "rw-s"), at(0x2000, "r-xs"), at(0x3000, "r-xp")]), ["7 2000-3000"]);
        assert_eq!(fires(vec![at(0x1000, "--xs")]), ["7 1000-2000"]);
        assert!(fires(vec![at(0x1000, "r-xp"), at(0x2000, "r-xs")]).is_empty());
        assert!(fires(vec![at(0x1000, "rwxs"), at(0x2000, "r-xs")]).is_empty());
    }
}
