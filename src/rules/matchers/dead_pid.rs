//! Files of ended processes. CRIU 4.2: `files-reg.c: check_path_remap`, `collect_remap_dead_process`: the restore makes a
//! process of that number. The dump is to end where a thread has it (`dead_pid_conflict`), but nothing marks threads so.

use std::collections::HashMap;

use serde::Deserialize;

use super::by_path::{ByPath, files};
use super::{Match, View};
use crate::facts::{Area, Pid, Process};
use crate::finding::Subject;

/// Fires on the directory of a process in `/proc`, and on that of a thread, which is gone while a thread of the tree that
/// leads no process has the number of the process, `{thread}`. Of what lies below such a directory the kernel does not say
/// that it is gone, and CRIU then takes the thread for the process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadPid {}

impl Match for DeadPid {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let threads = threads(view);
        let taken = |file: ByPath<'_>| {
            let number = dead_pid(view, &file)?;
            let owner = threads.get(&number)?;
            let thread = format!("thread {number} of {} ({})", owner.comm, owner.pid);
            Some(file.unnamed_subject().with("thread", thread))
        };
        files(view).filter_map(taken).collect()
    }
}

/// Threads that lead no process, by their number in their own pid namespace.
fn threads<'a>(view: View<'a>) -> HashMap<Pid, &'a Process> {
    let of = |process: &'a Process| {
        let others = process.threads.iter().filter(|thread| thread.tid != process.pid);
        others.filter_map(move |thread| Some((thread.inner_tid(process)?, process)))
    };
    view.facts.processes.iter().flat_map(of).collect()
}

/// The number of the process, as the path of its file names it.
fn dead_pid(view: View<'_>, file: &ByPath<'_>) -> Option<Pid> {
    let mount = view.index.mounts.get(&file.mount_id?)?;
    if !file.deleted || mount.fs_type.as_bytes() != b"proc" {
        return None;
    }
    // CRIU looks behind the second slash, wherever the file system is mounted.
    let number = file.path.split(|byte| *byte == b'/').nth(2)?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, HeldAs, HeldFile, Process, Thread};
    use crate::rules::testing::*;

    fn tree(links: &[&str], threads: Vec<Thread>) -> Facts {
        let numbered = (3..).zip(links);
        let fds = numbered.map(|(number, link)| Fd { mount_id: Some(2), ..fd(number, link) }).collect();
        let mut facts = facts(vec![Process { threads, ..holder(7, fds) }, child(8, 7)]);
        facts.mount_namespaces[0].mounts.push(mount(2, 1, "/proc", "proc"));
        facts
    }

    #[test]
    fn a_thread_stands_in_the_way_where_the_directory_of_its_number_is_gone() {
        let links = ["/proc/99 (deleted)", "/proc/99/task/98 (deleted)", "/proc/99/status", "/proc/98 (deleted)", "/proc/8 (deleted)"];
        let facts = tree(&links, vec![thread(7), thread(99)]);
        assert_eq!(fired("proc-number-taken", &facts, &[]), ["7 fd 3", "7 fd 4"]);
        assert!(fired("proc-number-taken", &tree(&links, vec![thread(7)]), &[]).is_empty());
    }

    #[test]
    fn numbers_are_those_of_the_pid_namespace() {
        let inner = |inner| Thread { inner_tid: inner, ..thread(99) };
        let in_namespace = |inner_tid| {
            let mut facts = tree(&["/proc/5 (deleted)", "/proc/99 (deleted)"], vec![thread(7), inner(inner_tid)]);
            facts.processes[0].ns_pids = vec![7, 1];
            fired("proc-number-taken", &facts, &[])
        };
        assert_eq!(in_namespace(Some(5)), ["7 fd 3"]);
        assert!(in_namespace(None).is_empty(), "an older recording does not tell");
    }

    #[test]
    fn what_is_no_proc_is_something_else_and_a_working_directory_counts() {
        let held = vec![HeldFile { role: HeldAs::WorkingDirectory, link: "/proc/99 (deleted)".into(), mount_id: Some(2), ..HeldFile::default() }];
        let mut facts = tree(&[], vec![thread(7), thread(99)]);
        facts.processes[0].held = held;
        assert_eq!(fired("proc-number-taken", &facts, &[]), ["7"]);
        facts.mount_namespaces[0].mounts[1].fs_type = "tmpfs".into();
        assert!(fired("proc-number-taken", &facts, &[]).is_empty());
    }
}
