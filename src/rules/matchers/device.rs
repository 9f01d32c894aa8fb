//! Open device nodes by their numbers. CRIU 4.2: `files.c: dump_chrdev` and `tty.c: get_tty_driver`, an allow-list of
//! character devices; block devices are in no list (`files.c: dump_one_file`).

use serde::Deserialize;

use super::device_numbers::{Devices, driver};
use super::{Match, View};
use crate::facts::{Area, FileStat, FileType, NamespaceKind};
use crate::finding::Subject;
use crate::rules::terminals;

/// Fires on open device nodes, whatever their path. `{terminal}` is how `--external` names a terminal that CRIU does not
/// know for one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Character or block devices.
    kind: Kind,
    /// Fires on these only. Empty: on all.
    #[serde(default)]
    only: Devices,
    /// Never fires on these.
    #[serde(default)]
    except: Devices,
    /// Fires only where the root process is in this namespace of the host.
    host_namespace: Option<NamespaceKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Char,
    Block,
}

impl Match for Device {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        if self.host_namespace.is_some_and(|kind| !view.facts.shares_with_host(kind)) {
            return Vec::new();
        }
        view.fds()
            .filter_map(|(process, fd)| {
                let stat = fd.stat.filter(|stat| self.fires(view, stat))?;
                let (major, minor) = stat.rdev;
                let subject = Subject::fd(process, fd).with("device", format!("{major}:{minor}"));
                let subject = subject.with("driver", driver(view, stat)).with_mode(Some(stat));
                Some(if is_line(view, stat) { subject.with("terminal", terminals::external(&stat)) } else { subject })
            })
            .collect()
    }
}

impl Device {
    fn fires(&self, view: View<'_>, stat: &FileStat) -> bool {
        let kind = match stat.file_type {
            FileType::CharDevice => Kind::Char,
            FileType::BlockDevice => Kind::Block,
            _ => return false,
        };
        kind == self.kind
            && (self.only.is_empty() || self.only.contain(view, stat.rdev))
            && !self.except.contain(view, stat.rdev)
    }
}

/// Whether it is a serial line or console. Those of 4:64 on share their major number with virtual terminals.
fn is_line(view: View<'_>, stat: FileStat) -> bool {
    let name = driver(view, stat);
    let is_named = || name.starts_with("tty") || name == "hvc" || name == "rfcomm";
    stat.file_type == FileType::CharDevice && (matches!(stat.rdev, (4, 64..)) || stat.rdev.0 > 5 && is_named())
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, FileStat, FileType, Process};
    use crate::finding::Confidence;
    use crate::rules::testing::*;

    fn open(number: i32, file_type: FileType, rdev: (u32, u32)) -> Fd {
        Fd { stat: Some(FileStat { rdev, ..stat(file_type) }), ..fd(number, "/dev/x") }
    }

    fn chars(devices: &[(u32, u32)]) -> Facts {
        let fds = devices.iter().zip(3..).map(|(rdev, number)| open(number, FileType::CharDevice, *rdev)).collect();
        facts(vec![holder(7, fds)])
    }

    #[test]
    fn memory_devices_terminals_and_autofs_are_fine() {
        let fine = [(1, 3), (1, 9), (1, 11), (5, 0), (5, 1), (5, 2), (4, 1), (4, 63), (136, 0), (188, 1), (10, 235)];
        assert!(fired("device-unsupported", &chars(&fine), &[]).is_empty());
    }

    #[test]
    fn other_character_devices_are_refused_known_or_not() {
        let refused = [(10, 229), (10, 232), (4, 64), (5, 3), (144, 0), (254, 7)];
        assert_eq!(fired("device-unsupported", &chars(&refused), &[]).len(), refused.len());
    }

    #[test]
    fn a_serial_line_may_be_declared_a_terminal() {
        let mut facts = chars(&[(4, 64), (166, 0), (10, 229)]);
        facts.host.char_majors = [(4, "tty".to_owned()), (166, "ttyACM".to_owned())].into();
        let line = findings("device-unsupported", &facts, &profile("4.2", &[]));
        let lifts: Vec<String> = line.iter().flat_map(|found| &found.lifted_by).map(ToString::to_string).collect();
        assert_eq!(lifts, ["external tty[440:801]", "external tty[a600:801]"]);
        assert_eq!(fired("device-unsupported", &facts, &["external tty[440:801]"]), ["7 fd 5", "7 fd 4"]);
    }

    #[test]
    fn block_devices_are_always_refused() {
        let facts = facts(vec![holder(7, vec![open(3, FileType::BlockDevice, (1, 3))])]);
        assert_eq!(fired("block-device", &facts, &[]), ["7 fd 3"]);
        assert!(fired("device-unsupported", &facts, &[]).is_empty());
    }

    #[test]
    fn a_gpu_is_left_to_its_plugin() {
        let mut facts = chars(&[(195, 255), (235, 0), (10, 229)]);
        facts.host.char_majors = [(235, "nvidia-uvm".to_owned())].into();
        assert_eq!(fired("nvidia-device", &facts, &[]), ["7 fd 3", "7 fd 4"]);
        let mut with_plugin = profile("4.2", &[]);
        with_plugin.criu.features = vec!["cuda-plugin".into()];
        let perhaps = findings("nvidia-device", &facts, &with_plugin);
        assert!(perhaps.iter().all(|finding| finding.confidence == Confidence::Possible) && perhaps.len() == 2);
        assert_eq!(fired("device-unsupported", &facts, &[]), ["7 fd 5"]);
    }

    #[test]
    fn a_tun_device_needs_a_network_namespace_of_its_own() {
        let tun = || vec![open(3, FileType::CharDevice, (10, 200))];
        assert_eq!(fired("tun-host-netns", &facts(vec![holder(7, tun())]), &[]), ["7 fd 3"]);
        let inside = Process { namespaces: container_namespaces(), ..holder(7, tun()) };
        assert!(fired("tun-host-netns", &facts(vec![inside]), &[]).is_empty());
    }
}
