//! BPF maps of kinds that CRIU does not know. CRIU 4.2: `bpfmap.c: dump_one_bpfmap`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, FdInfo};
use crate::finding::Subject;

/// Fires on each map of a kind outside of `known` under a CRIU that saves maps at all. `{kind}` is its number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BpfMap {
    known: Vec<u32>,
}

impl Match for BpfMap {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if !view.profile.criu.features.iter().any(|feature| feature == "bpfmap") {
            return Vec::new();
        }
        let unknown = |(process, fd)| match of(fd) {
            Some(kind) if !self.known.contains(&kind) => Some(Subject::fd(process, fd).with("kind", kind.to_string())),
            _ => None,
        };
        view.fds().filter_map(unknown).collect()
    }
}

fn of(fd: &crate::facts::Fd) -> Option<u32> {
    if let FdInfo::BpfMap { kind } = fd.info { Some(kind) } else { None }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FdInfo};
    use crate::profile::{Criu, Profile};
    use crate::rules::testing::*;

    #[test]
    fn a_criu_that_knows_maps_knows_arrays_and_hashes_only() {
        let map = |number, kind| Fd { info: FdInfo::BpfMap { kind }, ..fd(number, "anon_inode:bpf-map") };
        let facts = facts(vec![holder(7, vec![map(3, 1), map(4, 2), map(5, 27)])]);
        assert!(fired("bpf-map-kind", &facts, &[]).is_empty());
        let plain = profile("4.2", &[]);
        let profile = Profile { criu: Criu { features: vec!["bpfmap".into()], ..plain.criu.clone() }, ..plain };
        let found = findings("bpf-map-kind", &facts, &profile);
        assert_eq!((found.len(), found[0].subject.value("fd")), (1, Some("5".into())));
    }
}
