//! What is mapped, for a caller who may not open it by its mapping. CRIU 4.2: `proc_parse.c: vma_get_mapfile_user`,
//! `files-reg.c: dump_one_reg_file`, `shmem.c: dump_one_shmem`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Mapping, Process};
use crate::finding::{Confidence, Subject};
use crate::rules::mounts::Mounts;

/// Memory of the kernel's own that CRIU knows by its device or name, without opening it.
const KNOWN: [&[u8]; 4] = [b"/dev/zero", b"/SYSV", b"/anon_hugepage", b"/memfd:"];

/// Fires where such a caller runs criu.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingByPath {
    of: What,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    /// Files, which CRIU then opens by their paths, and of which it so learns nothing; `{reason}` says why.
    Files,
    /// Memory without a file that may be shared, which CRIU reads by its mapping.
    SharedMemory,
}

impl Match for MappingByPath {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings, Area::Mounts, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if view.profile.caller.as_ref().is_none_or(|caller| caller.opens_mapped()) {
            return Vec::new();
        }
        let mounts = Mounts::collect(view);
        let subject = |(process, mapping)| {
            let (reason, confidence) = match self.of {
                What::Files => reason(view, &mounts, process, mapping)?,
                What::SharedMemory => is_shared_memory(mapping).then_some(("", Confidence::Certain))?,
            };
            let subject = Subject::mapping(process, mapping).with("reason", reason);
            Some(if confidence == Confidence::Certain { subject } else { subject.at_most(confidence) })
        };
        view.mappings().filter_map(subject).collect()
    }
}

fn is_known(path: &[u8]) -> bool {
    path.ends_with(b" (deleted)") && KNOWN.iter().any(|known| path.starts_with(known))
}

/// System V memory is saved with its IPC namespace.
fn is_shared_memory(mapping: &Mapping) -> bool {
    let path = mapping.path.as_bytes();
    mapping.permissions.ends_with('s') && is_known(path) && !path.starts_with(b"/SYSV")
}

fn reason(view: View<'_>, mounts: &Mounts<'_>, process: &Process, mapping: &Mapping) -> Option<(&'static str, Confidence)> {
    let path = mapping.path.as_bytes();
    let deleted = path.ends_with(b" (deleted)");
    if is_known(path) || !path.starts_with(b"/") {
        return None;
    }
    if deleted {
        return Some(("which is deleted", Confidence::Certain));
    }
    if process.namespaces.mnt? == view.facts.host.namespaces.mnt? {
        return None;
    }
    Some(match mapping.unseen {
        true => ("which is no such file where criu would run", Confidence::Certain),
        // Among the overlays of the target it may find the file again.
        false if mounts.are_looked_up_by_path() => ("and criu would open another mount's file", Confidence::Possible),
        false => ("and criu would open it in another mount namespace", Confidence::Certain),
    })
}

#[cfg(test)]
mod tests {
    use crate::facts::{CallerFacts, Facts, Mapping, Process};
    use crate::finding::Confidence;
    use crate::profile::Profile;
    use crate::rules::testing::*;

    fn fired_for(tree: &Facts, caller: Option<CallerFacts>) -> Vec<bool> {
        of("caller-mapped-unseen", tree, caller)
    }

    fn of(rule: &str, tree: &Facts, caller: Option<CallerFacts>) -> Vec<bool> {
        let profile = Profile { caller, ..profile("4.2", &[]) };
        let found = findings(rule, tree, &profile);
        found.iter().map(|finding| finding.confidence != Confidence::Possible).collect()
    }

    fn mapped(path: &str, unseen: bool) -> Facts {
        facts(vec![Process { mappings: vec![Mapping { unseen, ..mapping(path) }], ..process(7) }])
    }

    fn weak() -> Option<CallerFacts> {
        Some(CallerFacts { capabilities: 0, ..CallerFacts::default() })
    }

    #[test]
    fn who_may_open_what_is_mapped_needs_no_path() {
        let tree = mapped("/lib/a.so (deleted)", false);
        assert_eq!(fired_for(&tree, weak()), [true]);
        assert!(fired_for(&tree, Some(CallerFacts { capabilities: 1 << 40, ..CallerFacts::default() })).is_empty());
        assert!(fired_for(&tree, None).is_empty());
    }

    #[test]
    fn a_file_is_found_by_its_path_in_the_own_mount_namespace_alone() {
        let mut tree = mapped("/lib/a.so", false);
        assert!(fired_for(&tree, weak()).is_empty());
        tree.host.namespaces.mnt = Some(99);
        assert_eq!(fired_for(&tree, weak()), [true]);
        tree.mount_namespaces[0].mounts[0].fs_type = "overlay".into();
        assert_eq!(fired_for(&tree, weak()), [false]);
        tree.processes[0].mappings[0].unseen = true;
        assert_eq!(fired_for(&tree, weak()), [true]);
    }

    #[test]
    fn memory_of_the_kernels_own_is_known_without_a_path() {
        for path in ["/memfd:x (deleted)", "/dev/zero (deleted)", "/SYSV00000000 (deleted)", "[heap]", "socket:[7]"] {
            assert!(fired_for(&mapped(path, true), weak()).is_empty(), "{path}");
        }
        assert_eq!(fired_for(&mapped("/[aio] (deleted)", false), weak()), [true]);
    }

    #[test]
    fn shared_memory_is_read_by_its_mapping() {
        let shared = |path: &str, permissions: &str| {
            let mapping = Mapping { permissions: permissions.into(), ..mapping(path) };
            of("caller-shared-memory", &facts(vec![Process { mappings: vec![mapping], ..process(7) }]), weak()).len()
        };
        let found = ["/dev/zero (deleted)", "/memfd:x (deleted)", "/SYSV00000000 (deleted)", "/dev/zero"].map(|path| shared(path, "rw-s"));
        assert_eq!(found, [1, 1, 0, 0]);
        assert_eq!(shared("/dev/zero (deleted)", "rw-p"), 0);
    }
}
