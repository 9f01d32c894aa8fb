//! A criu that is missing, does not run, or refuses its config file. Nothing that it mirrors: it never comes to a dump.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{self, Area};
use crate::finding::Subject;

/// Fires once (`Refuses`: for each line) when the criu of the profile is in this state. `{reason}` says what it showed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriuState {
    state: State,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// There is no such program.
    Missing,
    /// It does not run here.
    Unusable,
    /// What a config file in force says makes it end at once. CRIU: `config.c: parse_statement`, `parse_options`.
    Refuses,
}

impl Match for CriuState {
    fn needs(&self) -> &'static [Area] {
        match self.state {
            State::Missing | State::Unusable => &[Area::Criu],
            State::Refuses => &[Area::Config],
        }
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let criu = &view.profile.criu;
        let about = || Subject::host(criu.path.as_deref().unwrap_or("criu")).with("from", criu.from.as_str());
        match (self.state, &criu.state) {
            (State::Missing, Some(facts::CriuState::Missing)) => vec![about()],
            (State::Unusable, Some(facts::CriuState::Unusable(reason))) => vec![about().with("reason", reason.as_str())],
            (State::Refuses, _) => {
                view.profile.config_errors.iter().map(|line| about().with("reason", line.as_str())).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::facts;
    use crate::profile::Profile;
    use crate::rules::testing::{self, findings, process, profile};

    fn fires(rule: &str, profile: &Profile) -> Vec<String> {
        findings(rule, &testing::facts(vec![process(9)]), profile).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_criu_that_is_missing_or_does_not_run_is_named_with_where_it_was_looked_for() {
        let mut none = profile("4.2", &[]);
        none.criu.version = None;
        none.criu.from = "PATH of dockerd (pid 42)".into();
        none.criu.state = Some(facts::CriuState::Missing);
        assert_eq!(fires("criu-missing", &none), ["there is no criu (PATH of dockerd (pid 42))"]);
        none.criu.state = Some(facts::CriuState::Unusable("no version".into()));
        assert_eq!(fires("criu-missing", &none), [""; 0]);
        assert_eq!(fires("criu-unusable", &none), ["criu (PATH of dockerd (pid 42)) does not run: no version"]);
        assert_eq!(fires("criu-unusable", &profile("4.2", &[])), [""; 0]);
    }

    #[test]
    fn each_line_that_criu_refuses_to_start_with_is_told() {
        let mut profile = profile("4.2", &[]);
        profile.config_errors = vec!["/etc/criu/default.conf: unknown option foo".into()];
        assert_eq!(fires("criu-config-refused", &profile).len(), 1);
    }
}
