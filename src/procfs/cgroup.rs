//! `/proc/PID/cgroup`, a line `ID:CONTROLLERS:PATH` for each hierarchy. Kernel: `cgroup.c: proc_cgroup_show`.
//!
//! Paths are as the reader's cgroup namespace shows them; `0::PATH` is the hierarchy of version 2.

use bstr::ByteSlice as _;
use serde::{Deserialize, Serialize};

use crate::text::RawText;

/// Which hierarchy a process can be frozen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freezer {
    /// The `freezer` controller of version 1.
    V1,
    /// Version 2, where every cgroup but the root can be frozen.
    V2,
}

/// Its lines, without their ends.
#[must_use]
pub fn lines(text: &[u8]) -> Vec<RawText> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(RawText::from).collect()
}

/// What a line says about freezing: hierarchy and path; `None` for one that cannot freeze.
#[must_use]
pub fn freezer(line: &[u8]) -> Option<(Freezer, &[u8])> {
    let (id, rest) = line.split_once_str(b":")?;
    let (controllers, path) = rest.split_once_str(b":")?;
    match controllers {
        b"" if id == b"0" => Some((Freezer::V2, path)),
        _ if controllers.split_str(b",").any(|name| name == b"freezer") => Some((Freezer::V1, path)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_freezer_and_version_2_freeze() {
        assert_eq!(freezer(b"0::/a:b"), Some((Freezer::V2, &b"/a:b"[..])));
        assert_eq!(freezer(b"7:cpu,freezer:/x"), Some((Freezer::V1, &b"/x"[..])));
        for other in [&b"7:cpu,cpuacct:/x"[..], b"1:name=systemd:/", b"0:", b""] {
            assert_eq!(freezer(other), None);
        }
    }
}
