//! Names and paths as the kernel gives them: bytes.
//!
//! Linux file names, comms and socket names may hold any byte but NUL, so they stay bytes until the last moment.
//! Serialised they are an escaped string that reads back to the same bytes; shown to a person, control
//! characters and characters that reorder text are escaped as well.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use bstr::ByteSlice;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a name or path, most often UTF-8, never assumed to be.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawText(Box<[u8]>);

impl RawText {
    /// The bytes as the kernel gave them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text when it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text with bytes that are not UTF-8 as `\xNN` and `\` as `\\`; reads back with [`RawText::unescape`].
    #[must_use]
    pub fn escaped(&self) -> Cow<'_, str> {
        match self.as_str() {
            Some(text) if !text.contains('\\') => Cow::Borrowed(text),
            _ => Cow::Owned(self.escape_with(|c, out| match c {
                '\\' => out.push_str("\\\\"),
                c => out.push(c),
            })),
        }
    }

    fn escape_with(&self, push: impl Fn(char, &mut String)) -> String {
        let mut out = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().for_each(|c| push(c, &mut out));
            for byte in chunk.invalid() {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
        out
    }

    /// The reverse of [`RawText::escaped`]; `None` for an escape it never writes.
    #[must_use]
    pub fn unescape(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((plain, escape)) = rest.split_once('\\') {
            bytes.extend_from_slice(plain.as_bytes());
            rest = if let Some(after) = escape.strip_prefix('\\') {
                bytes.push(b'\\');
                after
            } else {
                let digits = escape.strip_prefix('x')?;
                bytes.push(u8::from_str_radix(digits.get(..2)?, 16).ok()?);
                digits.get(2..)?
            };
        }
        bytes.extend_from_slice(rest.as_bytes());
        Some(Self(bytes.into()))
    }
}

/// Whether a character could disturb a terminal or reorder the text around it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Safe to print: control and reordering characters are `\u{..}`, bytes that are not UTF-8 `\xNN`.
impl fmt::Display for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.escape_with(|c, out| {
            if is_unsafe(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }))
    }
}

impl fmt::Debug for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_bstr())
    }
}

impl From<&[u8]> for RawText {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for RawText {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for RawText {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for RawText {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl Serialize for RawText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.escaped())
    }
}

impl<'de> Deserialize<'de> for RawText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::unescape(&text).ok_or_else(|| serde::de::Error::custom("a backslash that starts no escape"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_json() {
        for bytes in [&b"plain"[..], b"back\\slash", b"\xff\xfe bad", "\u{202e}bidi\n\x1b[31m".as_bytes(), b""] {
            let json = serde_json::to_string(&RawText::from(bytes)).unwrap();
            assert_eq!(serde_json::from_str::<RawText>(&json).unwrap().as_bytes(), bytes, "{json}");
        }
    }

    #[test]
    fn nothing_printed_can_move_the_cursor_or_reorder() {
        let shown = RawText::from("a\x1b[2J\u{202e}b\nc").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\u{202e}b\\nc");
    }
}
