//! Deleted files that are larger than CRIU saves. CRIU 4.2: `files-reg.c: dump_ghost_remap`; before 3.18 the size of the
//! file counts, since then what is allocated to it. A deleted file of a lower layer of an overlay has links and becomes a
//! ghost all the same, once CRIU may try to link it.

use serde::Deserialize;

use super::by_path::{ByPath, files};
use super::link_remap::{Lower, lower};
use super::{Match, View};
use crate::facts::{Area, FileStat};
use crate::finding::{Confidence, Subject};
use crate::profile::Profile;
use crate::version::Version;

const DEFAULT_LIMIT: u64 = 1 << 20;
const MIB: u64 = 1 << 20;
const COUNTS_BLOCKS: Version = Version::new(3, 18, 0);

/// Fires on open and mapped files without any link that are larger than `ghost-limit`. `{size}` is in MiB; `{limit}`
/// lets the largest of all through.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GhostFile {}

impl Match for GhostFile {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let ghost = |file: ByPath<'_>| {
            let stat = file.stat?;
            let subject = match lower(view, &file) {
                _ if stat.links == 0 => file.subject(),
                // Only when it could not link such a file does CRIU save its contents.
                Lower::Yes => file.subject().nth(1),
                Lower::Perhaps => file.subject().nth(1).at_most(Confidence::Possible),
                Lower::No => return None,
            };
            Some((subject, ghost_size(view.profile, stat)))
        };
        let ghosts = files(view).filter_map(ghost);
        let limit = limit(view.profile);
        let large: Vec<(Subject, u64)> = ghosts.filter(|(_, size)| *size > limit).collect();
        let needed = large.iter().map(|(_, size)| size.div_ceil(MIB).next_power_of_two()).max().unwrap_or_default();
        let described = |(subject, size): (Subject, u64)| {
            let subject = subject.with("limit", format!("{needed}M")).with("bytes", size.to_string());
            subject.with("size", size.div_ceil(MIB).to_string())
        };
        large.into_iter().map(described).collect()
    }
}

/// What counts of a file that becomes a ghost.
fn ghost_size(profile: &Profile, stat: FileStat) -> u64 {
    if profile.criu_version() < COUNTS_BLOCKS { stat.size } else { stat.blocks * 512 }
}

/// The limit in force. CRIU 4.2: `config.c: parse_size`.
fn limit(profile: &Profile) -> u64 {
    profile.values("ghost-limit").last().map_or(DEFAULT_LIMIT, |text| {
        let digits = text.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let unit = if text.contains('K') {
            1 << 10
        } else if text.contains('M') {
            1 << 20
        } else if text.contains('G') {
            1 << 30
        } else {
            1
        };
        digits.parse::<u64>().unwrap_or_default().saturating_mul(unit)
    })
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, FileStat, FileType, Mapping, Process};
    use crate::finding::Confidence;
    use crate::profile::Profile;
    use crate::rules::testing::*;
    use crate::version::Version;

    const MIB: u64 = 1 << 20;

    fn ghost(size: u64, allocated: u64) -> FileStat {
        FileStat { links: 0, size, blocks: allocated / 512, ..stat(FileType::Regular) }
    }

    fn open(files: &[FileStat]) -> Facts {
        let deleted = |(stat, number): (&FileStat, i32)| Fd { stat: Some(*stat), ..fd(number, "/tmp/x (deleted)") };
        facts(vec![holder(7, files.iter().zip(3..).map(deleted).collect())])
    }

    #[test]
    fn what_is_allocated_counts_since_3_18() {
        let facts = open(&[ghost(64 * MIB, 4096), ghost(3 * MIB, 3 * MIB), ghost(MIB, MIB)]);
        assert_eq!(fired("ghost-file-too-big", &facts, &[]), ["7 fd 4"]);
        let older = findings("ghost-file-too-big", &facts, &profile("3.17", &[]));
        assert_eq!(older.iter().map(|finding| finding.subject.fd).collect::<Vec<_>>(), [Some(3), Some(4)]);
    }

    #[test]
    fn the_limit_that_is_offered_lets_the_largest_through() {
        let facts = open(&[ghost(3 * MIB, 3 * MIB), ghost(40 * MIB, 40 * MIB)]);
        let found = findings("ghost-file-too-big", &facts, &profile("4.2", &[]));
        assert!(found.iter().all(|finding| finding.lifted_by[0].to_string() == "ghost-limit 64M"));
        assert!(fired("ghost-file-too-big", &facts, &["ghost-limit 64M"]).is_empty());
        assert_eq!(fired("ghost-file-too-big", &facts, &["ghost-limit 4096K"]), ["7 fd 4"]);
    }

    #[test]
    fn a_file_with_a_link_and_memory_files_are_no_ghosts() {
        let memory = Fd { stat: Some(ghost(9 * MIB, 9 * MIB)), ..fd(3, "/memfd:x (deleted)") };
        let linked = FileStat { links: 1, ..ghost(9 * MIB, 9 * MIB) };
        let linked = Fd { stat: Some(linked), ..fd(4, "/tmp/y") };
        assert!(fired("ghost-file-too-big", &facts(vec![holder(7, vec![memory, linked])]), &[]).is_empty());
    }

    #[test]
    fn a_deleted_file_of_a_lower_layer_is_a_ghost_with_links() {
        let linked = FileStat { links: 1, ..ghost(9 * MIB, 9 * MIB) };
        let lower = |number| Fd { stat: Some(linked), ..fd(number, "/bin/x (deleted)") };
        let upper = Fd { stat: Some(FileStat { in_upper: true, ..linked }), ..lower(4) };
        let mut facts = facts(vec![holder(7, vec![lower(3), upper])]);
        assert!(fired("ghost-file-too-big", &facts, &[]).is_empty());
        facts.mount_namespaces[0].mounts[0].fs_type = "overlay".into();
        assert_eq!(fired("ghost-file-too-big", &facts, &["link-remap"]), ["7 fd 3"]);
        assert!(fired("link-remap", &facts, &["link-remap"]).is_empty());
        assert_eq!(findings("link-remap", &facts, &profile("3.16", &["link-remap"])).len(), 1);
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/bin", "overlay"));
        facts.processes[0].fds.iter_mut().for_each(|fd| fd.mount_id = Some(2));
        assert_eq!(fired("link-remap", &facts, &["link-remap"]), ["7 fd 3"]);
    }

    #[test]
    fn before_linux_6_6_an_overlay_does_not_tell_its_layers() {
        let linked = FileStat { links: 1, ..ghost(9 * MIB, 9 * MIB) };
        let mut facts = facts(vec![holder(7, vec![Fd { stat: Some(linked), ..fd(3, "/bin/x (deleted)") }])]);
        facts.mount_namespaces[0].mounts[0].fs_type = "overlay".into();
        let found = |rule: &str, criu: &str, options: &[&str]| {
            let profile = Profile { kernel: Some(Version::new(6, 5, 0)), ..profile(criu, options) };
            let found = findings(rule, &facts, &profile);
            found.iter().map(|finding| (finding.confidence == Confidence::Possible, finding.lifted_by.len())).collect::<Vec<_>>()
        };
        assert_eq!(found("ghost-file-too-big", "4.2", &[]), [(true, 2)]);
        assert_eq!(found("link-remap", "4.2", &[]), [(false, 2)]);
        assert_eq!(found("link-remap", "4.2", &["link-remap"]), []);
        assert_eq!(found("link-remap", "3.16", &["link-remap"]), [(true, 1)], "such a CRIU links no file of a lower layer");
    }

    #[test]
    fn a_mapped_ghost_counts_once_and_shared_memory_never() {
        let mapped = |start, path| Mapping { start, stat: Some(ghost(9 * MIB, 9 * MIB)), ..mapping(path) };
        let mappings = vec![
            mapped(0x1000, "/usr/lib/old.so (deleted)"),
            mapped(0x2000, "/usr/lib/old.so (deleted)"),
            mapped(0x3000, "/dev/zero (deleted)"),
            mapped(0x4000, "/memfd:x (deleted)"),
        ];
        let facts = facts(vec![Process { mappings, ..process(7) }]);
        assert_eq!(fired("ghost-file-too-big", &facts, &[]), ["7 1000-8000"]);
    }
}
