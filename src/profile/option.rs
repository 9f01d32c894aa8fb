//! Dump options as CRIU spells them.

use std::fmt;

use serde::{Serialize, Serializer};

/// One dump option: its long name without dashes, and its value if it has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CriuOption {
    /// Long name without dashes.
    pub name: String,
    /// Value.
    pub value: Option<String>,
}

/// Options by which criu hands pages on to another process: without that it fails or waits for ever.
const WITH_PARTNER: [&str; 4] = ["lazy-pages", "page-server", "ps-socket", "stream"];

/// An option in effect, and why it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OptionInEffect {
    /// The option.
    pub option: CriuOption,
    /// Where it comes from: [`OptionInEffect::ASKED`], `runc (always sent)`, `/etc/criu/runc.conf`.
    pub from: String,
}

impl CriuOption {
    /// An option without a value.
    #[must_use]
    pub fn flag(name: &str) -> Self {
        Self { name: name.to_owned(), value: None }
    }

    /// An option with a value.
    #[must_use]
    pub fn with(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: Some(value.into()) }
    }

    /// Whether criu needs another program at its other end.
    #[must_use]
    pub fn needs_partner(&self) -> bool {
        WITH_PARTNER.contains(&self.name.as_str())
    }

    /// Whether a dump with it changes what a later dump of the same target saves: it starts to track memory anew.
    #[must_use]
    pub fn tracks_memory(&self) -> bool {
        self.name == "track-mem"
    }

    /// As one word of a command line: a value that may be left out is one only behind a `=`.
    #[must_use]
    pub fn word(&self) -> String {
        let value = self.value.iter().map(|value| format!("={value}"));
        format!("--{}{}", self.name, value.collect::<String>())
    }
}

impl OptionInEffect {
    /// Where options come from that the user named one by one.
    pub const ASKED: &str = "--criu-option";
    /// Where options come from that the user pasted.
    pub const PASTED: &str = "options after --";

    /// How an engine's own options end: `runc (always sent)`.
    pub(super) const ALWAYS_SENT: &str = " (always sent)";

    /// Whether the engine's request holds it whatever the user says.
    #[must_use]
    pub fn is_always_sent(&self) -> bool {
        self.from.ends_with(Self::ALWAYS_SENT)
    }

    /// Whether the user gave it for this run, so that a command of ours has to repeat it.
    #[must_use]
    pub fn is_from_command_line(&self) -> bool {
        matches!(self.from.as_str(), Self::ASKED | Self::PASTED)
    }
}

/// As in a CRIU config file: `external unix[42]`.
impl fmt::Display for CriuOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.value.iter().try_for_each(|value| write!(f, " {value}"))
    }
}

impl Serialize for CriuOption {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
