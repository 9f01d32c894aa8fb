//! Lists whose entries CRIU learnt one after the other: `"cgroup2 since 3.14"`.

use serde::Deserialize;

use crate::version::Version;

/// Entries, each with the first release that knows it; absent for those that all known releases know.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Dated(Vec<(String, Option<Version>)>);

impl Dated {
    /// Whether the list is empty whatever the release.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries that this release knows.
    pub fn known(&self, release: Version) -> impl Iterator<Item = &str> {
        let known = move |since: &Option<Version>| since.is_none_or(|since| release >= since);
        self.0.iter().filter(move |(_, since)| known(since)).map(|(entry, _)| entry.as_str())
    }

    /// Whether this release knows the entry.
    #[must_use]
    pub fn has(&self, entry: &[u8], release: Version) -> bool {
        self.known(release).any(|known| known.as_bytes() == entry)
    }

    /// Entries that came later, each with its first release.
    pub fn later(&self) -> impl Iterator<Item = (Version, &str)> {
        self.0.iter().filter_map(|(entry, since)| Some(((*since)?, entry.as_str())))
    }
}

impl TryFrom<Vec<String>> for Dated {
    type Error = String;

    fn try_from(entries: Vec<String>) -> Result<Self, String> {
        let dated = |text: String| match text.rsplit_once(" since ") {
            None => Ok((text, None)),
            Some((entry, since)) => {
                Ok((entry.to_owned(), Some(since.parse().map_err(|error| format!("`{text}`: {error}"))?)))
            }
        };
        entries.into_iter().map(dated).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_from_its_release_on() {
        let list = Dated::try_from(vec!["cgroup".to_owned(), "cgroup2 since 3.14".to_owned()]).unwrap();
        let known = |release: &str| list.known(release.parse().unwrap()).collect::<Vec<_>>();
        assert_eq!((known("3.13"), known("3.14")), (vec!["cgroup"], vec!["cgroup", "cgroup2"]));
        assert!(Dated::try_from(vec!["cgroup2 since ever".to_owned()]).is_err());
    }
}
