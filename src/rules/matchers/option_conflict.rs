//! Options that criu refuses together, or one without the other. CRIU 4.2: `config.c: check_options`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Fires for each pair of which the first option is in effect, as `{option}`, and the other, `{other}`, is or is not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionConflict {
    pairs: Vec<Pair>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    /// The option that is refused.
    option: String,
    /// How its value begins.
    #[serde(default)]
    begins: String,
    /// The option by whose presence or absence it is.
    other: String,
    /// Whether it is refused with the other one, not without.
    refused_with: bool,
    /// An option beside which it is not refused.
    unless: Option<String>,
}

impl Match for OptionConflict {
    fn needs(&self) -> &'static [Area] {
        &[]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let options = &view.profile.options;
        let begins = |value: Option<&str>, pair: &Pair| value.unwrap_or_default().starts_with(&pair.begins);
        let given = |pair: &&Pair| {
            options.iter().any(|o| o.option.name == pair.option && begins(o.option.value.as_deref(), pair))
        };
        let has = |name: &str| view.profile.has(name, None);
        let refused = |pair: &&Pair| has(&pair.other) == pair.refused_with && !pair.unless.as_deref().is_some_and(has);
        let firing = self.pairs.iter().filter(given).filter(refused);
        let word = |pair: &Pair| if pair.refused_with { "with" } else { "without" };
        let subject = |pair: &Pair| Subject::host("criu").with("option", pair.option.as_str()).with("with", word(pair));
        firing.map(|pair| subject(pair).with("other", pair.other.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{facts, fired, process};

    #[test]
    fn options_that_exclude_or_need_each_other() {
        let count = |options: &[&str]| fired("option-conflict", &facts(vec![process(9)]), options).len();
        assert_eq!((count(&["restore-sibling"]), count(&["restore-sibling", "restore-detached"])), (1, 0));
        assert_eq!((count(&["join-ns net:1", "empty-ns net"]), count(&["join-ns uts:1", "empty-ns net"])), (1, 0));
        let served = [count(&["page-server"]), count(&["page-server", "address ::1"]), count(&["page-server", "ps-socket 9"])];
        assert_eq!(served, [1, 0, 0]);
        assert_eq!((count(&["join-ns net:1"]), count(&["empty-ns net"])), (0, 0));
    }
}
