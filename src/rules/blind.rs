//! Blind spots: what CRIU refuses and nothing that may be read shows. One file each under `rules/blind/ID.toml`.
//!
//! They are never judged, only listed, so that nobody takes `ready` for more than it says.

use serde::Deserialize;

use super::{CriuBehaviour, Lift};

/// One file of a blind spot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blind {
    /// Kebab-case, names the pattern and not the fix. The file's name; no rule has the same.
    pub id: String,
    /// A few words: what is in the way.
    pub title: String,
    /// What CRIU does, and in which releases.
    pub criu: CriuBehaviour,
    /// Options that lift it, best first.
    #[serde(default)]
    pub lift: Vec<Lift>,
    /// How to say it.
    pub text: BlindText,
}

/// How a blind spot speaks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlindText {
    /// Why CRIU refuses it.
    pub why: String,
    /// Why it can't be seen from outside.
    pub hidden: String,
    /// What to do about it. Says "try" where the effect was not seen.
    pub fix: String,
}
