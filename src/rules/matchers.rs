//! Matchers: small pure functions from facts, profile and parameters to subjects. One file each.
//!
//! A rule file names its matcher by `match.matcher`; the remaining keys of `[match]` are the matcher's parameters.

use serde::Deserialize;

use super::View;
use crate::facts::Area;
use crate::finding::Subject;

mod anon_inode;

/// A matcher with its parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "matcher", rename_all = "kebab-case")]
pub enum Matcher {
    /// Anon inodes by their link text.
    AnonInode(anon_inode::AnonInode),
}

/// What every matcher gives.
trait Match {
    /// Areas of facts it looks at: a gap there may hide a subject.
    fn needs(&self) -> &'static [Area];

    /// What it finds, in CRIU's walk order.
    fn subjects(&self, view: View<'_>) -> Vec<Subject>;
}

impl Matcher {
    fn inner(&self) -> &dyn Match {
        match self {
            Self::AnonInode(matcher) => matcher,
        }
    }

    /// Areas of facts it looks at: a gap there may hide a subject.
    #[must_use]
    pub fn needs(&self) -> &'static [Area] {
        self.inner().needs()
    }

    /// What it finds, in CRIU's walk order.
    #[must_use]
    pub fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        self.inner().subjects(view)
    }
}
