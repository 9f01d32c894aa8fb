//! Paths that options of a bare criu name and that it can't use. CRIU 4.2: `crtools.c: main`.

use serde::Deserialize;

use super::cgroup_path::is_skipped;
use super::{Match, View, is_probed_before};
use crate::facts::{Area, NamedPath as Named, PathFault};
use crate::finding::{Confidence, Subject};
use crate::version::Version;

/// The release that reads the inventory of earlier images.
const READS_INVENTORY: Version = Version::new(4, 3, 0);

/// Fires for each path that was looked at, is in effect and does not do; `{reason}` says why. What the caller may not
/// do an ideal one may.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedPath {
    /// Where criu tries out mounts, and only that, in place of what options name.
    #[serde(default)]
    scratch: bool,
}

impl Match for NamedPath {
    fn needs(&self) -> &'static [Area] {
        &[]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let profile = view.profile;
        let in_effect = |named: &&Named| match named.option.as_str() {
            Named::SCRATCH => self.scratch,
            _ if self.scratch => false,
            Named::PLUGINS => !profile.has("libdir", None),
            Named::STREAM => profile.has(Named::STREAM, None),
            Named::YARD if is_skipped(profile) || profile.has("manage-cgroups", Some("ignore")) => false,
            option => profile.has(option, Some(&named.value)),
        };
        let subject = |named: &Named| {
            let fault = named.fault.filter(|fault| match fault {
                PathFault::Denied => profile.caller.is_some(),
                PathFault::NoInventory => profile.criu_version() >= READS_INVENTORY,
                _ => true,
            })?;
            let about = Subject::host(&named.path.to_string()).with("reason", fault.to_string());
            let about = about.with("option", named.option.as_str()).with("value", named.value.as_str());
            Some(if self.scratch && is_probed_before(view) { about.at_most(Confidence::Possible) } else { about })
        };
        view.facts.host.named_paths.iter().filter(in_effect).filter_map(subject).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Abilities, CallerFacts, NamedPath, PathFault};
    use crate::finding::Confidence;
    use crate::profile::Profile;
    use crate::rules::testing::{facts, findings, process, profile};

    #[test]
    fn criu_makes_a_directory_in_tmp_unless_it_found_out_before() {
        let fired = |fault, release, cached| {
            let mut tree = facts(vec![process(9)]);
            tree.host.abilities = Some(Abilities { kernel_data_cached: cached, ..Abilities::default() });
            let option = NamedPath::SCRATCH;
            tree.host.named_paths =
                vec![NamedPath { option: option.into(), value: option.into(), path: option.into(), fault, free_bytes: None }];
            assert!(findings("option-path-unusable", &tree, &profile(release, &[])).is_empty());
            let found = findings("tmp-unusable", &tree, &profile(release, &[]));
            found.first().map(|finding| finding.confidence)
        };
        let read_only = Some(PathFault::ReadOnly);
        assert_eq!(fired(read_only, "4.2", false), Some(Confidence::Likely));
        assert_eq!(fired(read_only, "4.2", true), Some(Confidence::Possible));
        assert_eq!((fired(read_only, "3.16", false), fired(None, "4.2", false)), (None, None));
    }

    #[test]
    fn earlier_images_need_an_inventory_since_4_3() {
        let mut tree = facts(vec![process(9)]);
        let (option, fault) = ("prev-images-dir".to_owned(), Some(PathFault::NoInventory));
        let path = "/d/old".into();
        tree.host.named_paths = vec![NamedPath { option, value: "old".into(), path, fault, free_bytes: None }];
        let fired = |release| findings("option-path-unusable", &tree, &profile(release, &["prev-images-dir old"])).len();
        assert_eq!((fired("4.2.1"), fired("4.3")), (0, 1));
    }

    #[test]
    fn a_path_of_an_option_in_effect_has_to_do() {
        let fired = |fault, option: &str, caller| {
            let mut tree = facts(vec![process(9)]);
            let (option_name, path) = ("images-dir".to_owned(), "/none".into());
            tree.host.named_paths = vec![NamedPath { option: option_name, value: "none".into(), path, fault, free_bytes: None }];
            let profile = Profile { caller, ..profile("4.2", &[option]) };
            findings("option-path-unusable", &tree, &profile).into_iter().map(|f| f.what).collect::<Vec<_>>()
        };
        let missing = Some(PathFault::Missing);
        assert_eq!(fired(missing, "images-dir none", None), ["images-dir none: /none does not exist"]);
        assert!(fired(missing, "images-dir other", None).is_empty(), "what was looked at is not in effect");
        assert!(fired(None, "images-dir none", None).is_empty());
        let denied = Some(PathFault::Denied);
        assert!(fired(denied, "images-dir none", None).is_empty(), "an ideal caller");
        assert_eq!(fired(denied, "images-dir none", Some(CallerFacts::default())).len(), 1);
    }

    #[test]
    fn nothing_is_looked_for_in_a_yard_where_cgroups_are_not_saved() {
        let mut tree = facts(vec![process(7)]);
        let (option, value) = (NamedPath::YARD.to_owned(), "/yard".to_owned());
        let path = "/yard/unified/box".into();
        tree.host.named_paths =
            vec![NamedPath { option, value, path, fault: Some(PathFault::Missing), free_bytes: None }];
        let fired = |options: &[&str]| findings("option-path-unusable", &tree, &profile("4.2", options)).len();
        assert_eq!((fired(&["cgroup-yard /yard"]), fired(&[])), (1, 0));
        for left_alone in ["manage-cgroups ignore", "unprivileged"] {
            assert_eq!(fired(&["cgroup-yard /yard", left_alone]), 0);
        }
    }
}
