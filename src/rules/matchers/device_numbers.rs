//! Sets of device numbers in rule files: `1`, `5:0-2`, `128-143`, or a driver's name from `/proc/devices`.

use serde::Deserialize;

use super::View;
use crate::facts::FileStat;

/// A set of device numbers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Devices(Vec<Entry>);

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
enum Entry {
    Numbers { major: (u32, u32), minor: (u32, u32) },
    Driver(String),
}

impl Devices {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the device is in the set.
    pub(super) fn contain(&self, view: View<'_>, (major, minor): (u32, u32)) -> bool {
        let within = |range: &(u32, u32), number: u32| (range.0..=range.1).contains(&number);
        self.0.iter().any(|entry| match entry {
            Entry::Numbers { major: majors, minor: minors } => within(majors, major) && within(minors, minor),
            Entry::Driver(name) => view.facts.host.char_majors.get(&major) == Some(name),
        })
    }
}

impl TryFrom<String> for Entry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Self::Driver(text));
        }
        let (majors, minors) = text.split_once(':').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        let numbers = || Some((range(majors)?, minors.map_or(Some((0, u32::MAX)), range)?));
        let (major, minor) =
            numbers().ok_or_else(|| format!("`{text}` is no device: expected `10:200` or `4:1-63`"))?;
        Ok(Self::Numbers { major, minor })
    }
}

/// The driver's name as `/proc/devices` has it, or `unknown`.
pub(super) fn driver(view: View<'_>, stat: FileStat) -> &str {
    view.facts.host.char_majors.get(&stat.rdev.0).map_or("unknown", String::as_str)
}
