//! Lines of mountinfo that CRIU can't read. CRIU 4.2: `proc_parse.c: parse_mountinfo` reads them into `BUF_SIZE` bytes.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Mount};
use crate::finding::Subject;
use crate::rules::mounts::{is_unescaped_space, lines};
use crate::text::RawText;

/// Fires on each mount whose line of mountinfo has at least `length` bytes, the line end not counted, or whose paths
/// are `torn`: CRIU takes the line apart at all white space, and the kernel escapes only blanks, tabs and line ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountLine {
    length: Option<usize>,
    #[serde(default)]
    torn: bool,
}

impl Match for MountLine {
    fn needs(&self) -> &'static [Area] {
        &[Area::Mounts]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let is_long = |length: usize| self.length.is_some_and(|limit| length >= limit);
        let is_torn = |mount: &Mount| self.torn && [&mount.root, &mount.mount_point].into_iter().any(tears);
        let measured = lines(view).map(|mount| (mount, line_length(mount)));
        let fired = measured.filter(|(mount, length)| is_long(*length) || is_torn(mount));
        fired.map(|(mount, length)| Subject::mount(mount).with("length", length.to_string())).collect()
    }
}

/// What is white space to CRIU and no escaped byte to the kernel, but for the end of a path: there it is lost only.
fn tears(path: &RawText) -> bool {
    let path = path.as_bytes();
    let end = path.iter().rposition(|byte| !is_unescaped_space(*byte));
    end.and_then(|end| path.get(..end)).is_some_and(|inner| inner.iter().any(|byte| is_unescaped_space(*byte)))
}

/// How long the line is that the kernel printed. Kernel: `fs/proc_namespace.c: show_mountinfo`.
fn line_length(mount: &Mount) -> usize {
    let number = |value: u64| value.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    let field = |value: Option<u64>, name: &str| value.map_or(0, |value| name.len() + number(value) + 1);
    let texts = [&mount.root, &mount.mount_point, &mount.options, &mount.fs_type, &mount.source, &mount.super_options];
    // Blanks, tabs, line ends and backslashes are printed as four bytes.
    let escaped = |text: &[u8]| text.iter().map(|byte| if b" \t\n\\".contains(byte) { 4 } else { 1 }).sum::<usize>();
    let numbers = [mount.id, mount.parent, mount.device.0.into(), mount.device.1.into()];
    let written = numbers.into_iter().map(number).sum::<usize>() + texts.map(|text| escaped(text.as_bytes())).iter().sum::<usize>();
    let between = numbers.len() + texts.len();
    written + between + field(mount.shared, "shared:") + field(mount.master, "master:") + "-".len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::*;

    #[test]
    fn the_length_is_that_of_the_printed_line() {
        let line = "31 24 0:26 / /run/a\\040b rw,nosuid shared:13 master:2 - tmpfs tmpfs rw,size=1024k";
        let mount = Mount {
            device: (0, 26),
            options: "rw,nosuid".into(),
            super_options: "rw,size=1024k".into(),
            shared: Some(13),
            master: Some(2),
            ..mount(31, 24, "/run/a b", "tmpfs")
        };
        assert_eq!(line_length(&mount), line.len());
    }

    #[test]
    fn white_space_that_is_not_escaped_tears_a_line() {
        let fires = |root: &str, point: &str| {
            let mut facts = facts(vec![process(7)]);
            facts.mount_namespaces[0].mounts.push(Mount { root: root.into(), ..mount(2, 1, point, "tmpfs") });
            fired("mount-name-torn", &facts, &[]).len()
        };
        assert_eq!([fires("/", "/a\rb"), fires("/x\u{b}y", "/a"), fires("/", "/a\u{c}\u{c}b")], [1, 1, 1]);
        assert_eq!([fires("/", "/a b\tc\nd"), fires("/", "/ab\r"), fires("/x\u{b}", "/a")], [0, 0, 0]);
    }

    #[test]
    fn an_overlay_of_very_many_layers_is_refused() {
        let layers = |count| Mount { super_options: "l/ABCDEF:".repeat(count).into(), ..mount(2, 1, "/m", "overlay") };
        let mut facts = facts(vec![process(7)]);
        facts.mount_namespaces[0].mounts.extend([layers(100), Mount { id: 3, ..layers(500) }]);
        assert_eq!(fired("mount-line-too-long", &facts, &[]).len(), 1);
    }
}
