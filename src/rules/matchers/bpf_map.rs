//! BPF maps that a CRIU built with libbpf does not save. CRIU 4.2: `bpfmap.c: dump_one_bpfmap`, `proc_parse.c:
//! parse_bpfmap`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Fd, FdInfo};
use crate::finding::Subject;
use crate::rules::Dated;
use crate::text::RawText;
use crate::version::Version;

/// Fires on maps under a CRIU that saves maps at all: those of a kind outside of `known`, `{kind}` is its number, or those
/// whose fdinfo has not the lines `in_order`, `{line}` is the first one that is missing there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BpfMap {
    #[serde(default)]
    known: Vec<u32>,
    #[serde(default)]
    in_order: Dated,
    /// Lines that may be missing.
    #[serde(default)]
    optional: Vec<String>,
}

impl Match for BpfMap {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo]
    }

    fn lists(&self) -> Vec<&Dated> {
        vec![&self.in_order]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let profile = view.profile;
        if !profile.criu.features.iter().any(|feature| feature == "bpfmap") {
            return Vec::new();
        }
        let subject = |(process, fd): (_, &Fd)| {
            let FdInfo::BpfMap { kind, lines } = &fd.info else { return None };
            let subject = Subject::fd(process, fd).with("kind", kind.to_string());
            if self.in_order.is_empty() {
                return (!self.known.contains(kind)).then_some(subject);
            }
            Some(subject.with("line", self.missing(lines, profile.criu_version())?))
        };
        view.fds().filter_map(subject).collect()
    }
}

impl BpfMap {
    /// The first line that CRIU wants where another one or none is.
    fn missing(&self, lines: &[RawText], criu: Version) -> Option<&str> {
        let mut lines = lines.iter().peekable();
        lines.peek()?;
        self.in_order.known(criu).find(|wanted| {
            let is_next = lines.next_if(|line| line.as_bytes() == wanted.as_bytes()).is_some();
            !is_next && !self.optional.iter().any(|optional| optional == wanted)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Fd, FdInfo};
    use crate::profile::{Criu, Profile};
    use crate::rules::testing::*;

    fn map(number: i32, kind: u32, lines: &str) -> Fd {
        let lines = lines.split_whitespace().map(Into::into).collect();
        Fd { info: FdInfo::BpfMap { kind, lines }, ..fd(number, "anon_inode:bpf-map") }
    }

    fn built_with_libbpf(release: &str) -> Profile {
        let plain = profile(release, &[]);
        Profile { criu: Criu { features: vec!["bpfmap".into()], ..plain.criu.clone() }, ..plain }
    }

    #[test]
    fn a_criu_that_knows_maps_knows_arrays_and_hashes_only() {
        let facts = facts(vec![holder(7, vec![map(3, 1, ""), map(4, 2, ""), map(5, 27, "")])]);
        assert!(fired("bpf-map-kind", &facts, &[]).is_empty());
        let found = findings("bpf-map-kind", &facts, &built_with_libbpf("4.2"));
        assert_eq!((found.len(), found[0].subject.value("fd")), (1, Some("5".into())));
    }

    #[test]
    fn lines_of_a_map_have_to_be_those_that_the_release_knows() {
        let before_5_16 = "map_type key_size value_size max_entries map_flags memlock map_id frozen";
        let since = "map_type key_size value_size max_entries map_flags map_extra memlock map_id frozen owner_prog_type";
        let missing = |release, lines| {
            let facts = facts(vec![holder(7, vec![map(3, 2, lines)])]);
            let found = findings("bpf-map-lines", &facts, &built_with_libbpf(release));
            found.first().and_then(|finding| finding.subject.value("line"))
        };
        assert_eq!((missing("3.16", before_5_16), missing("4.2", before_5_16)), (None, None));
        assert_eq!((missing("3.16", since), missing("3.17", since)), (Some("memlock".into()), None));
        let to_come = "map_type key_size value_size max_entries map_flags map_extra map_more memlock map_id frozen";
        assert_eq!(missing("4.2", to_come), Some("memlock".into()));
        assert_eq!(missing("4.2", "map_type key_size value_size max_entries map_flags memlock"), Some("map_id".into()));
        assert_eq!(missing("4.2", ""), None, "an older recording does not tell");
    }
}
