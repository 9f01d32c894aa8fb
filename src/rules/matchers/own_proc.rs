//! A root process whose `/proc` is not that of its pid namespace. CRIU 4.2: `pie/parasite.c: get_proc_fd` then mounts one
//! in the working directory, from inside the process and with its rights, but only if `/proc/self` just isn't there.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind, Process};
use crate::finding::Subject;

const CAP_SYS_ADMIN: u64 = 1 << 21;
/// File systems in which nobody can make a directory.
const FIXED: [&[u8]; 4] = [b"proc", b"sysfs", b"devpts", b"mqueue"];

/// Fires on the root process when it could not mount one. `{reason}` says why not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnProc {}

impl Match for OwnProc {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces, Area::Mounts]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(root) = view.facts.root() else { return Vec::new() };
        let reason = match view.facts.sees_own_proc {
            _ if view.facts.proc_unreachable => Some("its root directory is none in which /proc can be looked for"),
            Some(false) => in_the_way(view, root),
            _ => None,
        };
        let subject = |reason| {
            let subject = Subject::process(root).with("reason", reason);
            if view.facts.shares_with_host(NamespaceKind::Pid) { subject } else { subject.with("own_pids", "yes") }
        };
        reason.map(subject).into_iter().collect()
    }
}

fn in_the_way(view: View<'_>, root: &Process) -> Option<&'static str> {
    let shares = |kind| view.facts.shares_with_host(kind);
    if root.capabilities? & CAP_SYS_ADMIN == 0 || (shares(NamespaceKind::Mnt) && !shares(NamespaceKind::User)) {
        return Some("it may not mount one");
    }
    let cwd = root.cwd.as_ref()?.as_bytes();
    if cwd.ends_with(b" (deleted)") {
        return Some("its working directory is deleted");
    }
    if view.facts.proc_name_taken {
        return Some("its working directory has a proc.crtools already, which an earlier dump may have left");
    }
    let mounts = &view.facts.mount_namespaces.iter().find(|ns| Some(ns.id) == root.namespaces.mnt)?.mounts;
    let holds = |point: &[u8]| cwd.strip_prefix(point).is_some_and(|rest| point == b"/" || matches!(rest.first(), None | Some(b'/')));
    let below = mounts.iter().filter(|mount| holds(mount.mount_point.as_bytes()));
    let mount = below.max_by_key(|mount| mount.mount_point.as_bytes().len())?;
    let read_only = [&mount.options, &mount.super_options].iter().any(|text| text.as_bytes().split(|byte| *byte == b',').any(|word| word == b"ro"));
    (read_only || FIXED.contains(&mount.fs_type.as_bytes())).then_some("no directory can be made in its working directory")
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Process};
    use crate::rules::testing::*;

    fn tree(sees_own_proc: bool, capabilities: u64, cwd: &str) -> Facts {
        let process = Process { capabilities: Some(capabilities), cwd: Some(cwd.into()), ..process(7) };
        let mut facts = Facts { sees_own_proc: Some(sees_own_proc), ..facts(vec![process]) };
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/proc", "proc"));
        facts
    }

    #[test]
    fn without_its_own_proc_a_root_must_be_able_to_mount_one_where_it_is() {
        let found = |tree: Facts| fired("proc-not-its-own", &tree, &[]);
        assert_eq!(found(tree(false, 0, "/")), ["7"]);
        for cwd in ["/gone (deleted)", "/proc/sys"] {
            assert_eq!(found(tree(false, u64::MAX, cwd)), ["7"]);
        }
        assert!(found(tree(false, u64::MAX, "/process")).is_empty());
        assert!(found(tree(true, 0, "/")).is_empty());
        assert_eq!(found(Facts { proc_name_taken: true, ..tree(false, u64::MAX, "/") }), ["7"]);
        assert_eq!(found(Facts { proc_unreachable: true, sees_own_proc: None, ..tree(true, u64::MAX, "/") }), ["7"]);
    }
}
