//! 32-bit tasks on a 64-bit kernel. CRIU 4.2: `compel/arch/x86/src/lib/infect.c: arch_can_dump_task`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Process};
use crate::finding::Subject;

/// First address that a 32-bit task does not have.
const END: u64 = 1 << 32;

/// Fires on each process whose vDSO lies where 32-bit tasks have theirs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task32 {}

impl Match for Task32 {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.profile.architecture != "x86_64" {
            return Vec::new();
        }
        view.facts.processes.iter().filter(|process| is_32_bit(process)).map(Subject::process).collect()
    }
}

/// Only a 64-bit task sees `[vsyscall]`, wherever its other mappings are.
fn is_32_bit(process: &Process) -> bool {
    let named = |name: &[u8]| process.mappings.iter().find(|mapping| mapping.path.as_bytes() == name);
    named(b"[vdso]").is_some_and(|vdso| vdso.end <= END) && named(b"[vsyscall]").is_none()
}

#[cfg(test)]
mod tests {
    use crate::facts::{Mapping, Process};
    use crate::rules::testing::*;

    #[test]
    fn a_low_vdso_alone_is_that_of_a_32_bit_task() {
        let at = |name: &str, start: u64| Mapping { start, end: start + 0x2000, ..mapping(name) };
        let with = |mappings| facts(vec![Process { mappings, ..process(7) }]);
        let fires = |mappings| fired("task-32-bit", &with(mappings), &[]);
        assert_eq!(fires(vec![at("[vdso]", 0xf7f0_0000)]), ["7"]);
        assert!(fires(vec![at("[vdso]", 0x7ffe_0000_0000)]).is_empty());
        assert!(fires(vec![at("[vdso]", 0xbff0_0000), at("[vsyscall]", 0xffff_ffff_ff60_0000)]).is_empty());
        let able = crate::profile::Criu { features: vec!["compat".into()], ..profile("4.2", &[]).criu };
        let tree = with(vec![at("[vdso]", 0xf7f0_0000)]);
        let profile = crate::profile::Profile { criu: able, ..profile("4.2", &[]) };
        assert!(findings("task-32-bit", &tree, &profile).is_empty());
    }
}
