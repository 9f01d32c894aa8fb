//! Versions of CRIU and of the kernel, and ranges of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A dotted version: `4.2`, `4.1.1`, `6.18.44`. A missing part counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Major number.
    pub major: u16,
    /// Minor number.
    pub minor: u16,
    /// Patch number, 0 when not said.
    pub patch: u16,
}

impl Version {
    /// A version of three numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// The version at the start of a text such as `6.18.44-fc` or `4.2-rc1`; what follows the numbers is ignored.
    #[must_use]
    pub fn prefix_of(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        text.get(..end)?.trim_end_matches('.').parse().ok()
    }
}

/// Why a text is no version.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no version: expected numbers and dots, like 4.2 or 4.1.1")]
pub struct NotAVersion(String);

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let wrong = || NotAVersion(text.to_owned());
        let parts = text.split('.').map(str::parse).collect::<Result<Vec<u16>, _>>().map_err(|_| wrong())?;
        match *parts.as_slice() {
            [major, minor] => Ok(Self::new(major, minor, 0)),
            [major, minor, patch] => Ok(Self::new(major, minor, patch)),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = NotAVersion;

    fn try_from(text: String) -> Result<Self, NotAVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch > 0 { write!(f, ".{}", self.patch) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_number_not_by_text() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("3.9") < version("3.17.1") && version("4.1") < version("4.1.1"));
        assert_eq!(version("4.2").to_string(), "4.2");
        assert_eq!(Version::prefix_of("6.18.44-fc-v669"), Some(Version::new(6, 18, 44)));
        assert!("four".parse::<Version>().is_err() && "4".parse::<Version>().is_err());
    }
}
