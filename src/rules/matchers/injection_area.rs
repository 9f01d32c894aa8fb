//! Memory into which CRIU puts its first code. CRIU 4.2: `parasite-syscall.c: get_exec_start` takes the first executable
//! mapping of a process, `compel/src/lib/infect.c: compel_execute_syscall` writes there by ptrace. Kernel:
//! `mm/gup.c: check_vma_flags` lets ptrace write to what the process may not write to only if it is private.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Mapping, Process};
use crate::finding::Subject;

/// Fires on the first executable mapping of a process if it is shared and may not be written to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectionArea {}

impl Match for InjectionArea {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let processes = view.facts.processes.iter();
        let first = processes.filter_map(|process| Some((process, code(process)?)));
        let refused = first.filter(|(_, mapping)| is_shared(mapping) && !may_write(mapping));
        refused.map(|(process, mapping)| Subject::mapping(process, mapping)).collect()
    }
}

fn code(process: &Process) -> Option<&Mapping> {
    process.mappings.iter().find(|mapping| mapping.permissions.as_bytes().get(2) == Some(&b'x'))
}

fn is_shared(mapping: &Mapping) -> bool {
    mapping.permissions.ends_with('s')
}

fn may_write(mapping: &Mapping) -> bool {
    mapping.permissions.as_bytes().get(1) == Some(&b'w')
}

#[cfg(test)]
mod tests {
    use crate::facts::{Mapping, Process};
    use crate::rules::testing::*;

    fn at(start: u64, permissions: &str) -> Mapping {
        Mapping { start, end: start + 0x1000, permissions: permissions.to_owned(), ..mapping("/dev/zero (deleted)") }
    }

    #[test]
    fn only_shared_memory_that_is_not_writable_fires_and_only_before_all_other_code() {
        let fires = |mappings| fired("code-shared-first", &facts(vec![Process { mappings, ..process(7) }]), &[]);
        assert_eq!(fires(vec![at(0x1000, "rw-s"), at(0x2000, "r-xs"), at(0x3000, "r-xp")]), ["7 2000-3000"]);
        assert_eq!(fires(vec![at(0x1000, "--xs")]), ["7 1000-2000"]);
        assert!(fires(vec![at(0x1000, "r-xp"), at(0x2000, "r-xs")]).is_empty());
        assert!(fires(vec![at(0x1000, "rwxs"), at(0x2000, "r-xs")]).is_empty());
    }
}
