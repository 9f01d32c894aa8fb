//! What a rule says of a subject: a finding.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::{Bystander, Fd, FileStat, Link, Mapping, Mount, Pid, Process};
use crate::profile::CriuOption;
use crate::rules::Printed;
use crate::text::RawText;

/// How bad it is, by consequence. Worse ones order first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// CRIU refuses and no option helps.
    Blocks,
    /// CRIU refuses, and an option that the profile does not pass lifts it.
    NeedsOption,
    /// The dump passes; the restore may fail or lose something.
    RestoreRisk,
    /// Good to know.
    Info,
}

/// How sure the rule is, for the CRIU release of the profile. Surer ones order first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Seen in a recorded run of that very release.
    Certain,
    /// Read in its source.
    #[default]
    Likely,
    /// Depends on timing, kernel or a plugin.
    Possible,
}

/// What a finding is about. Always names something: there is no way to build an empty one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Process id in the scanner's pid namespace.
    pub pid: Option<Pid>,
    /// Descriptor.
    pub fd: Option<i32>,
    /// Start and end of a mapping.
    pub range: Option<(u64, u64)>,
    /// Mount id.
    pub mount_id: Option<u64>,
    /// Path, link or name, as the kernel prints it.
    pub path: Option<RawText>,
    /// Name of the process.
    pub comm: Option<RawText>,
    /// Start time of the process in clock ticks since boot.
    pub start_time: Option<u64>,
    /// Further values for the rule's texts, by placeholder: `inode`, `peer`, `local`, `watch` ...
    pub values: BTreeMap<&'static str, RawText>,
    /// Lowers the confidence of the rule for this subject.
    pub confidence: Option<Confidence>,
    /// How many other things at the same place CRIU looks at before.
    pub nth: usize,
}

impl Subject {
    const EMPTY: Self = Self {
        pid: None,
        fd: None,
        range: None,
        mount_id: None,
        path: None,
        comm: None,
        start_time: None,
        values: BTreeMap::new(),
        confidence: None,
        nth: 0,
    };

    /// About a process.
    #[must_use]
    pub fn process(process: &Process) -> Self {
        let (pid, comm, start) = (process.pid, process.comm.clone(), process.start_time);
        Self { pid: Some(pid), comm: Some(comm), start_time: Some(start), ..Self::EMPTY }
    }

    /// About a process beside the tree.
    #[must_use]
    pub fn bystander(process: &Bystander) -> Self {
        Self { pid: Some(process.pid), comm: Some(process.comm.clone()), ..Self::EMPTY }
    }

    /// About an open file of a process. `{path}` is its link.
    #[must_use]
    pub fn fd(process: &Process, fd: &Fd) -> Self {
        Self { fd: Some(fd.number), path: Some(fd.link.clone()), ..Self::process(process) }
    }

    /// About a mapping of a process.
    #[must_use]
    pub fn mapping(process: &Process, mapping: &Mapping) -> Self {
        let range = Some((mapping.start, mapping.end));
        Self { range, path: Some(mapping.path.clone()), ..Self::process(process) }
    }

    /// About a piece of the memory of a process.
    #[must_use]
    pub fn memory(process: &Process, range: (u64, u64)) -> Self {
        Self { range: Some(range), ..Self::process(process) }
    }

    /// About a mount. `{path}` is its mount point.
    #[must_use]
    pub fn mount(mount: &Mount) -> Self {
        Self { mount_id: Some(mount.id), path: Some(mount.mount_point.clone()), ..Self::EMPTY }
    }

    /// About the host or the criu that would run.
    #[must_use]
    pub fn host(name: &str) -> Self {
        Self { path: Some(name.into()), ..Self::EMPTY }
    }

    /// Adds a value for the rule's texts.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<RawText>) -> Self {
        self.values.insert(key, value.into());
        self
    }

    /// Adds `{mode}`, as far as it is known: type and permissions in octal.
    #[must_use]
    pub fn with_mode(self, stat: Option<FileStat>) -> Self {
        match stat.filter(|stat| stat.mode != 0) {
            Some(stat) => self.with("mode", format!("{:o}", stat.mode)),
            None => self,
        }
    }

    /// Says that the rule is only this sure of this subject.
    #[must_use]
    pub fn at_most(mut self, confidence: Confidence) -> Self {
        self.confidence = Some(confidence);
        self
    }

    /// Says how many other things at the same place CRIU looks at before.
    #[must_use]
    pub fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    /// The inode number of the socket that it is about, as CRIU has it: of 32 bits.
    fn socket(&self) -> Option<u32> {
        match Link::parse(self.path.as_ref()?.as_bytes()) {
            Link::Socket(inode) => u32::try_from(inode & u64::from(u32::MAX)).ok(),
            _ => None,
        }
    }

    /// The value of a placeholder in a rule's text; `None` for one that this subject does not have.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<String> {
        match key {
            "pid" => self.pid.map(|pid| pid.to_string()),
            "fd" => self.fd.map(|fd| fd.to_string()),
            "mount_id" => self.mount_id.map(|id| id.to_string()),
            "range" => self.range.map(|(start, end)| format!("{start:x}-{end:x}")),
            "start" => self.range.map(|(start, _)| format!("{start:x}")),
            "end" => self.range.map(|(_, end)| format!("{end:x}")),
            "range16" => self.range.map(|(start, end)| format!("{start:016x}-{end:016x}")),
            // What CRIU has in place of the number of a file that is not open.
            "descriptor" => Some(self.fd.unwrap_or(-3).to_string()),
            "name" if !self.values.contains_key(key) => self.path.as_ref().map(without_deleted),
            "ino" => self.socket().map(|inode| inode.to_string()),
            "ino_hex" => self.socket().map(|inode| format!("{inode:x}")),
            "path" => self.path.as_ref().map(RawText::to_string),
            "comm" => self.comm.as_ref().map(RawText::to_string),
            key => self.values.get(key).map(RawText::to_string),
        }
    }
}

/// A path as CRIU names it when it has seen that the file was deleted.
fn without_deleted(path: &RawText) -> String {
    let shown = path.to_string();
    shown.strip_suffix(" (deleted)").unwrap_or(&shown).to_owned()
}

/// A rule that fired on a subject under a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Id of the rule.
    pub rule: String,
    /// How bad it is under the profile.
    pub severity: Severity,
    /// How sure that is for the profile's CRIU release.
    pub confidence: Confidence,
    /// What it is about.
    pub subject: Subject,
    /// One line: who holds what.
    pub what: String,
    /// Why CRIU refuses it.
    pub why: String,
    /// What to do, besides the options in `lifted_by`.
    pub fix: String,
    /// What CRIU would print.
    pub printed: Printed,
    /// Whether CRIU would stop at it first, by its own order.
    pub first_hit: bool,
    /// Options that lift it under this CRIU release, in the order of preference. Empty for `blocks`.
    pub lifted_by: Vec<CriuOption>,
    /// How often it was met in a busy target, where it comes and goes.
    pub seen: Option<Seen>,
}

/// In how many looks at a busy target something was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// How many met it, or another of its kind.
    pub looks: usize,
    /// How many there were.
    pub of: usize,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seen in {} of {} looks", self.looks, self.of)
    }
}

impl Finding {
    /// Whether it says that CRIU refuses, however sure that is.
    #[must_use]
    pub fn is_in_the_way(&self) -> bool {
        self.severity <= Severity::NeedsOption
    }

    /// Whether it alone keeps the verdict from being `ready`. What is only possible never does.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.is_in_the_way() && self.confidence != Confidence::Possible
    }
}
