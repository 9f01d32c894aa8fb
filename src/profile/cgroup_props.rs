//! The simplified YAML of `--cgroup-props`. CRIU 4.2: `cgroup-props.c: cgp_parse_stream`.
//!
//! ```text
//! "cpu":
//!  - "strategy": "replace"
//!  - "properties": ["cpu.shares", "cpu.cfs_period_us"]
//! ```

/// Whether CRIU takes it.
pub(super) fn is_well_formed(text: &[u8]) -> bool {
    let mut rest = Rest(text);
    while !rest.0.is_empty() {
        if rest.controller().is_none() {
            return false;
        }
    }
    true
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// One controller with its strategy and properties.
    fn controller(&mut self) -> Option<()> {
        self.quoted()?;
        self.blanks();
        self.word(b":\n - ")?;
        self.blanks();
        self.word(b"\"strategy\":")?;
        self.blanks();
        self.quoted().filter(|strategy| matches!(*strategy, b"merge" | b"replace"))?;
        self.blanks();
        self.word(b"\n - ")?;
        self.blanks();
        self.word(b"\"properties\":")?;
        self.blanks();
        self.word(b"[")?;
        self.properties()?;
        self.blanks();
        if self.word(b"\n").is_some() || self.0.is_empty() { Some(()) } else { None }
    }

    fn properties(&mut self) -> Option<()> {
        let mut empty = true;
        loop {
            self.blanks();
            if self.quoted().is_none() {
                break;
            }
            empty = false;
            self.blanks();
            if self.word(b",").is_none() {
                return self.word(b"]");
            }
        }
        // After a comma CRIU needs no bracket: it then fails at what follows.
        if empty { self.word(b"]") } else { Some(()) }
    }

    fn blanks(&mut self) {
        let start = self.0.iter().take_while(|byte| **byte == b' ').count();
        self.0 = self.0.get(start..).unwrap_or_default();
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// What stands between two quotes, at least one byte.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let inside = self.0.strip_prefix(b"\"")?;
        let end = inside.iter().position(|byte| *byte == b'"').filter(|end| *end > 0)?;
        let (quoted, rest) = inside.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        Some(quoted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_criu_documents_is_taken_and_other_yaml_is_not() {
        for text in [
            "",
            "\"cpu\":\n - \"strategy\": \"replace\"\n - \"properties\": [\"cpu.shares\", \"cpu.x\"]\n",
            "\"cpu\":\n - \"strategy\": \"merge\"\n - \"properties\": []",
        ] {
            assert!(is_well_formed(text.as_bytes()), "{text}");
        }
        for text in [
            "x",
            "cpu:\n",
            "\"cpu\": \"replace\"",
            "\"cpu\":\n - \"strategy\": \"drop\"\n - \"properties\": []",
            "\"cpu\":\n - \"strategy\": \"merge\"\n - \"properties\": [cpu.shares]",
            "\"cpu\":\n - \"strategy\": \"merge\"\n - \"properties\": []x",
        ] {
            assert!(!is_well_formed(text.as_bytes()), "{text}");
        }
    }
}
