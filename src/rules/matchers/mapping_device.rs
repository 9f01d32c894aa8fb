//! Mapped device nodes. CRIU 4.2: `proc_parse.c: handle_vma` maps regular files and `/dev/zero` only; the rest is left to
//! plugins.

use serde::Deserialize;

use super::device_numbers::{Devices, driver};
use super::{Match, View};
use crate::facts::{Area, FileStat, FileType};
use crate::finding::Subject;

/// Fires on each mapping of something that is neither a regular file nor a character device in `except`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingDevice {
    /// Fires on these only. Empty: on all.
    #[serde(default)]
    only: Devices,
    /// Never fires on these.
    #[serde(default)]
    except: Devices,
}

impl Match for MappingDevice {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        view.mappings()
            .filter_map(|(process, mapping)| {
                let stat = mapping.stat.filter(|stat| self.fires(view, stat))?;
                let (major, minor) = stat.rdev;
                let subject = Subject::mapping(process, mapping).with("device", format!("{major}:{minor}"));
                Some(subject.with("driver", driver(view, stat)))
            })
            .collect()
    }
}

impl MappingDevice {
    fn fires(&self, view: View<'_>, stat: &FileStat) -> bool {
        let device = matches!(stat.file_type, FileType::CharDevice | FileType::BlockDevice);
        device
            && (self.only.is_empty() || self.only.contain(view, stat.rdev))
            && !self.except.contain(view, stat.rdev)
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{FileStat, FileType, Mapping, Process};
    use crate::rules::testing::*;

    #[test]
    fn a_mapped_device_fires_and_dev_zero_does_not() {
        let map = |start, rdev| Mapping {
            start,
            stat: Some(FileStat { rdev, ..stat(FileType::CharDevice) }),
            ..mapping("/dev/x")
        };
        let regular = Mapping { stat: Some(stat(FileType::Regular)), ..mapping("/dev/shm/x") };
        let mappings = vec![map(0x1000, (1, 1)), map(0x2000, (1, 5)), map(0x3000, (226, 128)), regular];
        let facts = facts(vec![Process { mappings, ..process(7) }]);
        assert_eq!(fired("device-mapping", &facts, &[]), ["7 1000-8000"]);
        assert_eq!(fired("gpu-mapping", &facts, &[]), ["7 3000-8000"]);
    }
}
