//! Files that the caller of criu may not come to or read. CRIU 4.2: `files-reg.c: check_path_remap`, `dump_ghost_file`,
//! `store_validation_data_build_id`.

use serde::Deserialize;

use super::by_path::{ByPath, files};
use super::file_mount::{BUILD_IDS, SHORTEST_CHECKED, is_log};
use super::{Match, View};
use crate::facts::{Access, Area, CallerFacts, FileType, MountNamespace, is_below};
use crate::finding::Subject;

/// Fires on files that CRIU saves by their path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedFile {
    closed: What,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    /// Those below a directory that the caller may not search, `{directory}`. Of a deleted one CRIU looks nothing up.
    Directory,
    /// Those whose contents CRIU looks into and the caller may not read. `{checked}` is set where it looks for a build id
    /// only.
    Contents,
}

impl Match for ClosedFile {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::FileStat, Area::Mappings, Area::Mounts]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(caller) = view.profile.caller.as_ref() else { return Vec::new() };
        let subject = |file: ByPath<'_>| match self.closed {
            What::Directory => below_closed(view, caller, &file),
            What::Contents => unreadable(view, caller, &file),
        };
        files(view).filter_map(subject).collect()
    }
}

fn below_closed(view: View<'_>, caller: &CallerFacts, file: &ByPath<'_>) -> Option<Subject> {
    let is_looked_up = file.stat.is_none_or(|stat| stat.links != 0) && !is_named_by_kernel(view, file);
    let namespace = file.searched_in(view).filter(|_| is_looked_up)?;
    let directory = first_closed(namespace, caller, file.path)?;
    Some(file.subject().with("directory", directory))
}

/// The first directory on the way to a path that lets the caller not in. CRIU looks no further than that.
fn first_closed(namespace: &MountNamespace, caller: &CallerFacts, path: &[u8]) -> Option<crate::text::RawText> {
    let is_above = |directory: &[u8]| directory != path && is_below(path, directory);
    let mut above = namespace.closed.iter().filter(|closed| is_above(closed.path.as_bytes()));
    // Where the scanner was not let in, only one with a capability is.
    let shuts = |permissions: Option<_>| !caller.may(Access::Search, permissions.unwrap_or_default());
    above.find(|closed| shuts(closed.permissions)).map(|closed| closed.path.clone())
}

/// Whether it lies on a file system whose names CRIU does not look up.
fn is_named_by_kernel(view: View<'_>, file: &ByPath<'_>) -> bool {
    let mount = file.mount_id.and_then(|id| view.index.mounts.get(&id));
    mount.is_some_and(|mount| matches!(mount.fs_type.as_bytes(), b"proc" | b"devpts"))
}

fn unreadable(view: View<'_>, caller: &CallerFacts, file: &ByPath<'_>) -> Option<Subject> {
    let stat = file.stat.filter(|stat| stat.file_type == FileType::Regular)?;
    if caller.may(Access::Read, stat.permissions?) {
        return None;
    }
    if stat.links == 0 {
        return Some(file.unnamed_subject());
    }
    let is_checked = view.profile.criu_version() >= BUILD_IDS && stat.size > SHORTEST_CHECKED && !is_log(file);
    is_checked.then(|| file.unnamed_subject().with("checked", "yes"))
}

#[cfg(test)]
mod tests {
    use crate::facts::{CallerFacts, ClosedDirectory, Facts, Fd, FileStat, FileType, Permissions};
    use crate::profile::Profile;
    use crate::rules::testing::*;

    /// Neither CAP_DAC_OVERRIDE nor CAP_DAC_READ_SEARCH.
    fn plain() -> CallerFacts {
        CallerFacts { capabilities: !0b110, ..CallerFacts::default() }
    }

    fn fired_for(rule: &str, facts: &Facts, caller: CallerFacts, options: &[&str]) -> Vec<String> {
        let profile = Profile { caller: Some(caller), ..profile("4.2", options) };
        let found = findings(rule, facts, &profile);
        let refused = found.iter().filter(|finding| finding.is_in_the_way());
        let mut fds: Vec<String> = refused.filter_map(|finding| finding.subject.value("fd")).collect();
        fds.sort();
        fds
    }

    fn tree(fds: Vec<Fd>) -> Facts {
        let mut facts = facts(vec![holder(7, fds)]);
        let of_other = |mode| Some(Permissions { uid: 1000, gid: 1000, mode });
        let closed = |path: &str, permissions| ClosedDirectory { path: path.into(), permissions };
        facts.mount_namespaces[0].closed = vec![closed("/home/zoe", of_other(0o750)), closed("/shut", None)];
        facts
    }

    fn linked(number: i32, path: &str, links: u32) -> Fd {
        Fd { stat: Some(FileStat { links, ..stat(FileType::Regular) }), ..fd(number, path) }
    }

    #[test]
    fn what_lies_below_a_closed_directory_is_out_of_reach_without_a_capability() {
        let rule = "caller-cannot-reach-file";
        let facts = tree(vec![
            linked(3, "/home/zoe/notes", 1),
            linked(4, "/home/zoe", 1),
            linked(5, "/home/zoe/gone (deleted)", 0),
            linked(6, "/shut/deep/file", 1),
            linked(8, "/home/zoey", 1),
        ]);
        assert_eq!(fired_for(rule, &facts, plain(), &[]), ["3", "6"]);
        assert!(fired(rule, &facts, &[]).is_empty(), "an ideal caller may go anywhere");
        for capability in [1 << 1, 1 << 2] {
            let caller = CallerFacts { capabilities: capability, ..plain() };
            assert!(fired_for(rule, &facts, caller, &[]).is_empty());
        }
        for member in [CallerFacts { uid: 1000, ..plain() }, CallerFacts { groups: vec![1000], ..plain() }] {
            assert_eq!(fired_for(rule, &facts, member, &[]), ["6"]);
        }
    }

    #[test]
    fn contents_are_read_for_build_ids_and_of_deleted_files() {
        let rule = "caller-cannot-read-file";
        let of_other = |mut fd: Fd, size| {
            let stat = fd.stat.as_mut().unwrap();
            (stat.size, stat.permissions) = (size, Some(Permissions { uid: 1000, gid: 1000, mode: 0o640 }));
            fd
        };
        let facts = tree(vec![
            of_other(linked(3, "/a", 1), 5),
            of_other(linked(4, "/b", 1), 4),
            Fd { flags: Some(0o2001), ..of_other(linked(5, "/log", 1), 5) },
            of_other(linked(6, "/gone (deleted)", 0), 4),
            linked(8, "/open", 1),
        ]);
        assert_eq!(fired_for(rule, &facts, plain(), &[]), ["3", "6"]);
        assert_eq!(fired_for(rule, &facts, plain(), &["file-validation filesize"]), ["6"]);
        assert!(fired_for(rule, &facts, CallerFacts { gid: 1000, ..plain() }, &[]).is_empty());
        assert!(fired(rule, &facts, &[]).is_empty());
    }
}
