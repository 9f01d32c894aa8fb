//! Ranges of kernel releases.

use serde::{Deserialize, Serialize};

use crate::version::Version;

/// Kernels from one release on (`>=6.16`), or before one (`<4.10`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KernelRange {
    /// This release and later ones.
    Since(Version),
    /// Releases before this one.
    Before(Version),
}

impl KernelRange {
    /// Whether a kernel lies in the range.
    #[must_use]
    pub fn contains(self, kernel: Version) -> bool {
        match self {
            Self::Since(first) => kernel >= first,
            Self::Before(end) => kernel < end,
        }
    }
}

impl TryFrom<String> for KernelRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = |version: &str| version.trim().parse().map_err(|error| format!("{error}"));
        if let Some(version) = text.strip_prefix(">=") {
            parse(version).map(Self::Since)
        } else if let Some(version) = text.strip_prefix('<') {
            parse(version).map(Self::Before)
        } else {
            Err(format!("`{text}` is no kernel range: expected `>=6.16` or `<4.10`"))
        }
    }
}

impl From<KernelRange> for String {
    fn from(range: KernelRange) -> Self {
        match range {
            KernelRange::Since(version) => format!(">={version}"),
            KernelRange::Before(version) => format!("<{version}"),
        }
    }
}
