//! Paths that options of a bare criu name and that it can't use. CRIU 4.2: `crtools.c: main`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamedPath as Named, PathFault};
use crate::finding::Subject;

/// Fires for each path that was looked at, is in effect and does not do; `{reason}` says why. What the caller may not
/// do an ideal one may.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedPath {}

impl Match for NamedPath {
    fn needs(&self) -> &'static [Area] {
        &[]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let profile = view.profile;
        let in_effect = |named: &&Named| match named.option.as_str() {
            Named::PLUGINS => !profile.has("libdir", None),
            option => profile.has(option, Some(&named.value)),
        };
        let subject = |named: &Named| {
            let fault = named.fault.filter(|fault| *fault != PathFault::Denied || profile.caller.is_some())?;
            let about = Subject::host(&named.path.to_string()).with("reason", fault.to_string());
            Some(about.with("option", named.option.as_str()).with("value", named.value.as_str()))
        };
        view.facts.host.named_paths.iter().filter(in_effect).filter_map(subject).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{CallerFacts, NamedPath, PathFault};
    use crate::profile::Profile;
    use crate::rules::testing::{facts, findings, process, profile};

    #[test]
    fn a_path_of_an_option_in_effect_has_to_do() {
        let fired = |fault, option: &str, caller| {
            let mut tree = facts(vec![process(9)]);
            let (option_name, path) = ("images-dir".to_owned(), "/none".into());
            tree.host.named_paths = vec![NamedPath { option: option_name, value: "none".into(), path, fault }];
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
}
