//! How the target is after a dump that was to leave it running.

use std::fmt;
use std::fs;

use serde::Serialize;

use crate::facts::Process;
use crate::procfs::stat;

/// How the root process is after the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Afterwards {
    /// It goes on as before.
    Runs,
    /// It is stopped, and was not before.
    Stopped,
    /// It has ended.
    Gone,
    /// `/proc` did not tell.
    Unknown,
}

impl Afterwards {
    /// How the process that was looked at before is now.
    #[must_use]
    pub fn of(before: Option<&Process>) -> Self {
        let Some(before) = before else { return Self::Unknown };
        match fs::read(format!("/proc/{}/stat", before.pid)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::Gone,
            Err(_) => Self::Unknown,
            Ok(line) => match stat::parse(&line) {
                None => Self::Unknown,
                Some(now) if now.start_time != before.start_time || matches!(now.state, 'Z' | 'X') => Self::Gone,
                Some(now) if matches!(now.state, 'T' | 't') && now.state != before.state => Self::Stopped,
                Some(_) => Self::Runs,
            },
        }
    }
}

/// As the end of a sentence about the target.
impl fmt::Display for Afterwards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Runs => "it goes on as before",
            Self::Stopped => "IT IS STOPPED NOW (kill -CONT lets it run on)",
            Self::Gone => "IT HAS ENDED",
            Self::Unknown => "how it is now could not be read",
        })
    }
}
