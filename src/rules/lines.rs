//! What CRIU prints when it refuses, as it stands in a dump log behind `Error (FILE:NUMBER): `.
//!
//! A rule file says it as literal text with `{placeholders}` of the subject and `...` for what nobody knows beforehand.
//! Both the line that is shown and the pattern that knows it again in a log come from that text.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::{Phase, template};
use crate::finding::Subject;
use crate::version::Version;

/// Stands for what nobody knows beforehand.
pub const UNKNOWN: &str = "...";

/// How parts of CRIU begin their lines, and how they did before that release. CRIU: `LOG_PREFIX`.
const PREFIXES: [(&str, Version, &str); 9] = [
    ("inet: ", Version::new(3, 12, 0), ""),
    ("net: ", Version::new(3, 18, 0), ""),
    ("netlink: ", Version::new(3, 12, 0), ""),
    ("packet: ", Version::new(3, 12, 0), ""),
    ("skqueue: ", Version::new(3, 12, 0), ""),
    ("sockets: ", Version::new(3, 12, 0), ""),
    ("tcp: ", Version::new(3, 12, 0), ""),
    ("tun: ", Version::new(3, 12, 0), ""),
    ("unix: ", Version::new(3, 10, 0), "sk unix: "),
];

/// The lines of a rule, in the order in which they are tried: a text or a list of them.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<Line>);

/// One of the lines, and where it holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The text.
    text: String,
    /// First release that prints it; absent: all of them.
    since: Option<Version>,
    /// First release that prints something else instead; absent: none.
    before: Option<Version>,
    /// Values that the subject must have.
    #[serde(default)]
    when: BTreeMap<String, String>,
    /// Chance decides whether it is this one instead of the predicted one.
    #[serde(default)]
    perhaps: bool,
    /// Where it is printed, if that is elsewhere than the other lines of the rule.
    phase: Option<Phase>,
}

/// What CRIU is predicted to print of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// The line, with [`UNKNOWN`] for what is not known; empty where CRIU prints nothing that is known.
    pub line: String,
    /// A regular expression for it and for what chance may put in its place; empty as `line`.
    pub pattern: String,
    /// When it is printed; absent where the rule does not say.
    pub phase: Option<Phase>,
}

impl Lines {
    /// What a release prints of a subject: the first line that holds for both and whose placeholders all have values,
    /// else the last one that holds, with what lacks as [`UNKNOWN`].
    #[must_use]
    pub fn of(&self, subject: &Subject, criu: Version) -> Printed {
        let holding = || self.0.iter().filter(|line| line.holds(subject, criu));
        let sure = || holding().filter(|line| !line.perhaps);
        let Some(first) = sure().find(|line| line.is_told(subject)).or_else(|| sure().next_back()) else {
            return Printed::default();
        };
        let line = first.filled(subject, criu);
        let others = holding().filter(|line| line.perhaps).map(|line| line.filled(subject, criu));
        Printed { pattern: pattern(std::iter::once(line.clone()).chain(others)), line, phase: first.phase }
    }

    /// The texts as they stand in the rule file.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|line| line.text.as_str())
    }

    /// A regular expression for all of them, whatever the subject.
    #[must_use]
    pub fn pattern(&self) -> String {
        pattern(self.texts().map(|text| template::fill(text, |_| Some(UNKNOWN.to_owned()))))
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts().all(str::is_empty)
    }
}

impl Line {
    fn holds(&self, subject: &Subject, criu: Version) -> bool {
        let has = |(key, wanted): (&String, &String)| subject.value(key).as_ref() == Some(wanted);
        self.since.is_none_or(|since| criu >= since)
            && self.before.is_none_or(|before| criu < before)
            && self.when.iter().all(has)
    }

    fn is_told(&self, subject: &Subject) -> bool {
        template::placeholders(&self.text).all(|key| subject.value(key).is_some())
    }

    fn filled(&self, subject: &Subject, criu: Version) -> String {
        let line = template::fill(&self.text, |key| Some(subject.value(key).unwrap_or_else(|| UNKNOWN.to_owned())));
        let older = PREFIXES.iter().filter(|(_, since, _)| criu < *since);
        let renamed = |(now, _, then): &(&str, Version, &str)| Some(format!("{then}{}", line.strip_prefix(now)?));
        older.into_iter().find_map(renamed).unwrap_or(line)
    }
}

/// A regular expression for any of the lines.
fn pattern(lines: impl Iterator<Item = String>) -> String {
    let literal = |part: &str| part.chars().flat_map(escaped).collect::<String>();
    let mut patterns: Vec<String> =
        lines.map(|line| line.split(UNKNOWN).map(literal).collect::<Vec<_>>().join(".*")).collect();
    patterns.dedup();
    patterns.join("|")
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let special = r"\.+*?()|[]{}^$#&-~".contains(c);
    special.then_some('\\').into_iter().chain([c])
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Entry {
            Text(String),
            Line(Line),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            One(String),
            Several(Vec<Entry>),
        }
        let line = |entry| match entry {
            Entry::Text(text) => Line { text, ..Line::default() },
            Entry::Line(line) => line,
        };
        Ok(match Given::deserialize(deserializer)? {
            Given::One(text) => Self(vec![Line { text, ..Line::default() }]),
            Given::Several(entries) => Self(entries.into_iter().map(line).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::process;

    fn printed(lines: &str, values: &[(&'static str, &str)], criu: &str) -> Printed {
        #[derive(Deserialize)]
        struct File {
            error: Lines,
        }
        let file: File = toml::from_str(&format!("error = {lines}")).unwrap();
        let subject =
            values.iter().fold(Subject::process(&process(9)), |subject, (key, value)| subject.with(key, *value));
        file.error.of(&subject, criu.parse().unwrap())
    }

    #[test]
    fn a_text_gives_the_line_and_the_pattern_that_knows_it_again() {
        let said = printed("\"Can't open {name} of {pid} [...] ({lacking})\"", &[("name", "/a.b")], "4.2");
        assert_eq!(said.line, "Can't open /a.b of 9 [...] (...)");
        assert_eq!(said.pattern, r"Can't open /a\.b of 9 \[.*\] \(.*\)");
    }

    #[test]
    fn the_first_line_that_holds_and_has_all_values_counts() {
        let lines = "[{ text = 'old {pid}', before = '4.0' }, { text = 'a pipe', when = { kind = 'pipe' } }, \
                     'peer {peer}', 'no peer']";
        assert_eq!(printed(lines, &[("kind", "pipe")], "3.19").line, "old 9");
        assert_eq!(printed(lines, &[("kind", "pipe")], "4.2").line, "a pipe");
        assert_eq!(printed(lines, &[("peer", "7")], "4.2").line, "peer 7");
        assert_eq!(printed(lines, &[], "4.2").line, "no peer");
    }

    #[test]
    fn older_releases_do_not_say_which_part_of_them_speaks() {
        let line = |release| printed("'net: {pid}'", &[], release).line;
        assert_eq!((line("3.17"), line("3.18")), ("9".to_owned(), "net: 9".to_owned()));
    }

    #[test]
    fn what_chance_may_print_is_known_again_but_not_predicted() {
        let said = printed("['mostly', { text = 'now and then', perhaps = true }]", &[], "4.2");
        assert_eq!((said.line.as_str(), said.pattern.as_str()), ("mostly", "mostly|now and then"));
    }
}
