//! The layout of the vDSO. CRIU < 4.1: `vdso.c: vdso_parse_maps`, `validate_vdso_addr`.
//!
//! Linux 6.13 put the clock pages of x86 into a mapping of their own, `[vvar_vclock]`, between `[vvar]` and `[vdso]`
//! (`arch/x86/entry/vdso/vma.c`); CRIU before 4.1 knows only the other two and wants them side by side.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::{Confidence, Subject};
use crate::version::Version;

/// First kernel that splits the mapping.
const SPLIT_SINCE: Version = Version::new(6, 13, 0);

/// Fires once when the kernel maps the clock pages apart: told by any process, else by the kernel's release.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VdsoLayout {}

impl Match for VdsoLayout {
    fn needs(&self) -> &'static [Area] {
        &[Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let maps = |name: &[u8]| {
            view.facts.processes.iter().any(|p| p.mappings.iter().any(|mapping| mapping.path.as_bytes() == name))
        };
        let new_kernel = view.profile.kernel.is_some_and(|kernel| kernel >= SPLIT_SINCE);
        let subject = Subject::host("[vvar_vclock]");
        if maps(b"[vvar_vclock]") {
            vec![subject]
        } else if !maps(b"[vvar]") && new_kernel && view.profile.architecture == "x86_64" {
            vec![subject.at_most(Confidence::Likely)]
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Process;
    use crate::profile::Profile;
    use crate::rules::testing::{facts, findings, mapping, process, profile};

    fn fires(paths: &[&str], criu: &str, kernel: &str) -> bool {
        let mappings = paths.iter().map(|path| mapping(path)).collect();
        let tree = facts(vec![Process { mappings, ..process(9) }]);
        let profile = Profile { kernel: kernel.parse().ok(), ..profile(criu, &[]) };
        !findings("vdso-layout", &tree, &profile).is_empty()
    }

    #[test]
    fn the_mappings_decide_and_the_kernel_only_where_they_say_nothing() {
        let split = ["[vvar]", "[vvar_vclock]", "[vdso]"];
        assert!(fires(&split, "4.0", "6.18"));
        assert!(fires(&split, "3.17.1", "6.12"), "a distribution may have taken the change over");
        assert!(!fires(&split, "4.1", "6.18"));
        assert!(!fires(&["[vvar]", "[vdso]"], "4.0", "6.18"));
        assert!(fires(&[], "4.0", "6.13") && !fires(&[], "4.0", "6.12"));
    }
}
