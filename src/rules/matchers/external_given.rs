//! What a dump is told to leave to the outside. CRIU 4.2: `external.c`: the restore looks each of them up again by its
//! key, and gives up where it was given none.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires for each `--external` of the user that names one thing, as `{external}`. An engine cares for its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalGiven {}

impl Match for ExternalGiven {
    fn needs(&self) -> &'static [Area] {
        &[]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let own = view.profile.options.iter().filter(|given| given.option.name == "external" && !given.is_always_sent());
        let values = own.filter_map(|given| given.option.value.as_deref());
        let named = values.filter(|value| !value.starts_with("mnt[]"));
        named.map(|value| Subject::host("criu").with("external", value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::*;

    #[test]
    fn what_is_left_to_the_outside_must_be_there_again() {
        let given = |option| fired("external-at-restore", &facts(vec![process(7)]), &[option]).len();
        assert_eq!((given("external mnt[/x]:x"), given("external mnt[]:ms"), given("shell-job")), (1, 0, 0));
    }
}
