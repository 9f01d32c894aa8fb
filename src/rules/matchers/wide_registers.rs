//! Registers that do not fit CRIU's buffer. CRIU 3.16 to 3.18: `compel/arch/x86/src/lib/infect.c:
//! compel_set_task_ext_regs` gives threads back one page of them, and the kernel wants all (`xstateregs_set`).

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;
use crate::version::Version;

/// First kernel that counts the tiles of AMX among the registers.
const AMX_SINCE: Version = Version::new(5, 16, 0);

/// Fires on each process with more than one thread, on a CPU with AMX. CRIU looks into its first thread by other means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WideRegisters {}

impl Match for WideRegisters {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if !view.facts.host.amx || view.profile.kernel.is_none_or(|kernel| kernel < AMX_SINCE) {
            return Vec::new();
        }
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        alive.filter(|process| process.threads.len() > 1).map(Subject::process).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::rules::testing::*;

    #[test]
    fn threads_are_refused_on_cpus_with_amx_by_releases_with_too_small_a_buffer() {
        let threaded = Process { threads: vec![thread(7), thread(8)], ..process(7) };
        let mut facts = facts(vec![threaded, process(9)]);
        let by = |facts: &_, criu| findings("registers-too-wide", facts, &profile(criu, &[])).len();
        assert_eq!(by(&facts, "3.17"), 0);
        facts.host.amx = true;
        assert_eq!(["3.15", "3.16", "3.18", "3.19"].map(|criu| by(&facts, criu)), [0, 1, 1, 0]);
    }
}
