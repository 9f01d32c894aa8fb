//! Cgroups that do not fit the cgroup namespace of the root process. CRIU 4.2: `proc_parse.c: parse_thread_cgroup`,
//! `cgroup.c: dump_thread_cgroup`, `pie/parasite.c: parasite_dump_cgroup`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Process};
use crate::finding::Subject;
use crate::profile::Profile;
use crate::text::RawText;
use crate::version::Version;

/// First release whose `--unprivileged` leaves cgroups alone.
const SKIPS_CGROUPS: Version = Version::new(3, 18, 0);

/// Fires on processes. `{cgroup}` is the line that is in the way, `{tid}` the thread.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CgroupPath {
    which: Which,
    /// Bytes that the list of cgroups of the root process may not reach.
    #[serde(default)]
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// A thread of the root process is beside or above the top of its cgroup namespace.
    Left,
    /// Another process is above the top of the cgroup namespace.
    Above,
    /// The root process is beside the cgroup namespace that CRIU runs in.
    Outside,
    /// The list of cgroups is too long.
    Long,
}

impl Match for CgroupPath {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some((root, others)) = view.facts.processes.split_first() else { return Vec::new() };
        if is_skipped(view.profile) {
            return Vec::new();
        }
        match self.which {
            Which::Left => left(view, root).into_iter().collect(),
            Which::Above => {
                let alive = others.iter().filter(|process| !process.is_zombie());
                alive.filter_map(|process| above(view, process)).collect()
            }
            Which::Outside => {
                let line = root.cgroups.iter().find(|line| parts(line).is_some_and(|(_, path)| is_beside(path)));
                line.map(|line| about(root, line)).into_iter().collect()
            }
            Which::Long => self.long(view, root).into_iter().collect(),
        }
    }
}

/// Whether CRIU does not save cgroups for want of privileges. CRIU 4.2: `cgroup.c: dump_thread_cgroup`.
pub(super) fn is_skipped(profile: &Profile) -> bool {
    profile.has("unprivileged", None) && profile.criu_version() >= SKIPS_CGROUPS
}

impl CgroupPath {
    fn long(&self, view: View<'_>, root: &Process) -> Option<Subject> {
        let lines = view.facts.cgroup_views.first().map_or(&root.cgroups, |view| &view.inside);
        let length: usize = lines.iter().map(|line| line.as_bytes().len() + 1).sum();
        (length >= self.bytes).then(|| Subject::process(root).with("bytes", length.to_string()))
    }
}

/// Name and path of a line `ID:NAME:PATH`.
fn parts(line: &RawText) -> Option<(&[u8], &[u8])> {
    let mut parts = line.as_bytes().splitn(3, |byte| *byte == b':');
    parts.next()?;
    Some((parts.next()?, parts.next()?))
}

/// Length of the part of the path outside that lies above the namespace; `None` when the path inside is no end of it.
fn prefix(outside: &[u8], inside: &[u8]) -> Option<usize> {
    if outside == inside {
        return Some(0);
    }
    let above = outside.strip_suffix(inside.strip_prefix(b"/")?)?;
    Some(above.strip_suffix(b"/").unwrap_or(above).len())
}

/// Whether a path leads up from the top and down again. One that only leads up CRIU takes for the top.
fn is_beside(path: &[u8]) -> bool {
    let up = path.strip_prefix(b"/..").filter(|rest| rest.is_empty() || rest.starts_with(b"/"));
    up.is_some_and(|rest| rest.len() > 1 && (!rest.starts_with(b"/..") || is_beside(rest)))
}

fn left(view: View<'_>, root: &Process) -> Option<Subject> {
    view.facts.cgroup_views.iter().find_map(|seen| {
        let pairs = seen.outside.iter().zip(&seen.inside);
        let fits = |outside, inside| Some(prefix(parts(outside)?.1, parts(inside)?.1).is_some());
        let (line, inside) = pairs.into_iter().find(|(outside, inside)| fits(outside, inside) == Some(false))?;
        Some(about(root, line).with("tid", seen.tid.to_string()).with("inside", parts(inside)?.1))
    })
}

fn above<'a>(view: View<'_>, process: &'a Process) -> Option<Subject> {
    let seen = view.facts.cgroup_views.first()?;
    let short = |line: &RawText| {
        let (name, path) = parts(line)?;
        let pairs = seen.outside.iter().zip(&seen.inside);
        let (outside, inside) = pairs.into_iter().find(|(outside, _)| parts(outside).is_some_and(|o| o.0 == name))?;
        let prefix = prefix(parts(outside)?.1, parts(inside)?.1)?;
        (path.len() < prefix).then_some(prefix)
    };
    let of_threads = process.threads.iter().filter_map(|thread| Some((thread.tid, thread.cgroups.as_ref()?)));
    let mut all = std::iter::once((process.pid, &process.cgroups)).chain(of_threads);
    let above = |lines: &'a Vec<RawText>| lines.iter().find_map(|line| Some((line, short(line)?)));
    let (tid, (line, prefix)) = all.find_map(|(tid, lines)| Some((tid, above(lines)?)))?;
    Some(about(process, line).with("tid", tid.to_string()).with("prefix", prefix.to_string()))
}

/// `{in_group}` is the path of the line.
fn about(process: &Process, line: &RawText) -> Subject {
    let path = parts(line).map_or_else(RawText::default, |(_, path)| path.into());
    Subject::process(process).with("cgroup", line.clone()).with("in_group", path)
}

#[cfg(test)]
mod tests {
    use crate::facts::{CgroupView, Facts, Process, Thread};
    use crate::rules::testing::*;

    fn tree(outside: &str, inside: &str, of_child: &str) -> Facts {
        let in_cgroup = |process, line: &str| Process { cgroups: vec![line.into()], ..process };
        let tree = vec![in_cgroup(process(7), outside), in_cgroup(child(8, 7), of_child)];
        let view = CgroupView { tid: 7, outside: vec![outside.into()], inside: vec![inside.into()] };
        Facts { cgroup_views: vec![view], ..facts(tree) }
    }

    #[test]
    fn the_root_process_must_be_below_the_top_of_its_cgroup_namespace() {
        let rule = "cgroup-namespace-left";
        assert_eq!(fired(rule, &tree("8:pids:/box", "8:pids:/..", "8:pids:/box"), &[]), ["7"]);
        assert_eq!(fired(rule, &tree("8:pids:/box/y", "8:pids:/../y", "8:pids:/box"), &[]), ["7"]);
        for inside in ["8:pids:/", "8:pids:/y", "8:pids:/box/y"] {
            assert!(fired(rule, &tree("8:pids:/box/y", inside, "8:pids:/box/y"), &[]).is_empty(), "{inside}");
        }
    }

    #[test]
    fn other_processes_must_not_be_above_it() {
        let rule = "cgroup-above-namespace";
        assert_eq!(fired(rule, &tree("0::/box/x", "0::/", "0::/box"), &[]), ["8"]);
        for beside in ["0::/box/y", "0::/box/x/z", "1:name=other:/"] {
            assert!(fired(rule, &tree("0::/box/x", "0::/", beside), &[]).is_empty(), "{beside}");
        }
    }

    #[test]
    fn the_root_process_must_be_below_the_cgroup_namespace_of_criu() {
        let rule = "cgroup-outside-caller";
        let outside = tree("0::/../box", "0::/", "0::/");
        assert_eq!(fired(rule, &outside, &[]), ["7"]);
        for option in ["manage-cgroups ignore", "unprivileged"] {
            assert!(fired(rule, &outside, &[option]).is_empty(), "{option}");
        }
        assert_eq!(fired(rule, &tree("0::/../../box", "0::/", "0::/"), &[]), ["7"]);
        for beneath in ["0::/..box", "0::/..", "0::/../..", "0::/box"] {
            assert!(fired(rule, &tree(beneath, "0::/", "0::/"), &[]).is_empty(), "{beneath}");
        }
    }

    #[test]
    fn threads_must_not_be_above_it_either() {
        let mut tree = tree("8:pids:/box/x", "8:pids:/", "8:pids:/box/x");
        tree.processes[1].threads.push(Thread { cgroups: Some(vec!["8:pids:/".into()]), ..thread(9) });
        let found = findings("cgroup-above-namespace", &tree, &profile("4.2", &[]));
        assert_eq!(found[0].subject.value("tid").as_deref(), Some("9"));
    }

    #[test]
    fn who_is_not_privileged_saves_no_cgroups() {
        let options = &["unprivileged"];
        assert!(fired("cgroup-above-namespace", &tree("0::/box/x", "0::/", "0::/box"), options).is_empty());
        assert!(fired("cgroup-namespace-left", &tree("0::/box", "0::/..", "0::/box"), options).is_empty());
    }

    #[test]
    fn the_list_of_cgroups_must_fit_into_a_page() {
        let rule = "cgroup-paths-too-long";
        let long = format!("0::/{}", "x".repeat(4070));
        assert_eq!(fired(rule, &tree(&long, &long, "0::/"), &[]), ["7"]);
        assert!(fired(rule, &tree(&long, "0::/", "0::/"), &[]).is_empty());
    }
}
