//! Options that criu refuses where the kernel or the build lacks what they need. CRIU 4.2: `config.c: check_options`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::{Confidence, Subject};

/// Fires for each of these options that is in effect, as `{option}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionGiven {
    options: Vec<String>,
    needs: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Need {
    /// A kernel that tracks which pages are written to.
    SoftDirty,
    /// A build with the rule's feature; of an ideal criu it is not known.
    Build,
}

impl Match for OptionGiven {
    fn needs(&self) -> &'static [Area] {
        &[]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let abilities = view.facts.host.abilities.as_ref();
        if self.needs == Need::SoftDirty && abilities.and_then(|known| known.soft_dirty) != Some(false) {
            return Vec::new();
        }
        let unsure = self.needs == Need::Build && view.profile.criu.state.is_none();
        let given = self.options.iter().filter(|option| view.profile.has(option, None));
        let subject = given.map(|option| Subject::host("criu").with("option", option.as_str()));
        subject.map(|about| if unsure { about.at_most(Confidence::Possible) } else { about }).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Abilities, CriuState};
    use crate::finding::Confidence;
    use crate::rules::testing::{facts, findings, fired, process, profile};

    #[test]
    fn memory_is_tracked_where_the_kernel_can() {
        let on = |soft_dirty, options: &[&str]| {
            let mut tree = facts(vec![process(9)]);
            tree.host.abilities = Some(Abilities { soft_dirty, ..Abilities::default() });
            fired("track-mem-unsupported", &tree, options).len()
        };
        assert_eq!((on(Some(false), &["track-mem"]), on(Some(true), &["track-mem"])), (1, 0));
        assert_eq!((on(Some(false), &[]), on(None, &["track-mem"])), (0, 0));
    }

    #[test]
    fn pages_are_compressed_by_a_build_that_can() {
        let tree = facts(vec![process(9)]);
        let mut without = profile("4.3", &["compress"]);
        without.criu.state = Some(CriuState::Runs { version: "4.3".parse().unwrap(), git_id: None });
        let mut with = without.clone();
        with.criu.features = vec!["lz4".into()];
        let rule = "compression-unsupported";
        assert_eq!(findings(rule, &tree, &without).len(), 1);
        assert!(findings(rule, &tree, &with).is_empty() && findings(rule, &tree, &profile("4.3", &[])).is_empty());
        let ideal = findings(rule, &tree, &profile("4.3", &["compress"]));
        assert_eq!(ideal[0].confidence, Confidence::Possible);
    }
}
