//! What processes share, by kcmp. CRIU: `cr-dump.c: dump_task_kobj_ids`, `kcmp-ids.c`.

use std::collections::{BTreeMap, HashMap, HashSet};

use rustix::io::Errno;

use super::Scanner;
use super::process::Layout;
use crate::facts::{Area, Pid, Process};
use crate::procfs::is_gone;
use crate::procfs::kcmp::{Resource, compare};

/// Processes that share one resource, in the order of the walk.
type Group = Vec<Pid>;

/// Finds who shares what. A process is noted as sharing with its parent if it does, else with the first that does.
pub(super) fn shares(scanner: &mut Scanner, processes: &mut [Process], layouts: &[Layout]) {
    let alive = comparable(scanner, processes, layouts);
    let everyone: Group = alive.iter().map(|&(pid, _)| pid).collect();
    // Shared memory means the same layout, and after exec hardly two are the same: that saves most comparisons.
    let mut by_layout = BTreeMap::<&Layout, Group>::new();
    for (pid, layout) in alive {
        by_layout.entry(layout).or_default().push(pid);
    }
    let memory: Vec<Group> = by_layout.values().flat_map(|pids| groups(scanner, pids, Resource::Vm)).collect();
    // Handlers are not shared without the memory they point into.
    let handlers = memory.iter().flat_map(|pids| groups(scanner, pids, Resource::Sighand)).collect();
    let (fs, files) = (groups(scanner, &everyone, Resource::Fs), groups(scanner, &everyone, Resource::Files));
    let place = processes.iter().enumerate().map(|(place, process)| (process.pid, place)).collect();
    for (name, found) in [("vm", memory), ("fs", fs), ("sighand", handlers), ("files", files)] {
        found.iter().for_each(|group| note(processes, &place, name, group));
    }
}

/// The processes that hold anything and may be compared. One alone shares with no other of the tree.
fn comparable<'a>(scanner: &mut Scanner, processes: &[Process], layouts: &'a [Layout]) -> Vec<(Pid, &'a Layout)> {
    let with_layout = processes.iter().zip(layouts).filter(|(process, _)| !process.is_zombie());
    let mut alive: Vec<_> = with_layout.map(|(process, layout)| (process.pid, layout)).collect();
    if alive.len() < 2 {
        return Vec::new();
    }
    // Compared with itself, a process tells whether it may be compared at all.
    alive.retain(|&(pid, _)| match compare(pid, pid, Resource::Files) {
        Ok(_) => true,
        Err(errno) => {
            if !is_gone(errno) {
                scanner.gap(Area::Processes, pid, "", format!("what it shares: kcmp: {}", super::reason(errno)));
            }
            false
        }
    });
    alive
}

fn note(processes: &mut [Process], place: &HashMap<Pid, usize>, name: &str, group: &[Pid]) {
    let members: HashSet<Pid> = group.iter().copied().collect();
    let Some((&first, others)) = group.split_first() else { return };
    for pid in others {
        if let Some(process) = place.get(pid).and_then(|&place| processes.get_mut(place)) {
            let with = if members.contains(&process.ppid) { process.ppid } else { first };
            process.shares.push((name.to_owned(), with));
        }
    }
}

/// Sorts processes by the kernel's order of the resource; gives those groups that have two or more members.
fn groups(scanner: &mut Scanner, pids: &[Pid], resource: Resource) -> Vec<Group> {
    let mut sorted = Vec::<Group>::new();
    if pids.len() < 2 {
        return sorted;
    }
    for &pid in pids {
        loop {
            match find(&sorted, pid, resource) {
                Ok(Ok(at)) => sorted.get_mut(at).into_iter().for_each(|group| group.push(pid)),
                Ok(Err(at)) => sorted.insert(at, vec![pid]),
                // The other one has left: go on without it.
                Err((other, Errno::SRCH)) if compare(pid, pid, resource).is_ok() => {
                    sorted.iter_mut().for_each(|group| group.retain(|&member| member != other));
                    sorted.retain(|group| !group.is_empty());
                    continue;
                }
                Err((_, errno)) => scanner.failed(Area::Processes, pid, format_args!("kcmp({resource:?})"), errno),
            }
            break;
        }
    }
    sorted.retain(|group| group.len() > 1);
    sorted.sort();
    sorted
}

/// Where a process belongs among the groups: at a group, or at the place for a new one. An error names with whom.
fn find(sorted: &[Group], pid: Pid, resource: Resource) -> Result<Result<usize, usize>, (Pid, Errno)> {
    let mut failed = None;
    let found = sorted.binary_search_by(|group| {
        let first = group.first().copied().unwrap_or(pid);
        compare(first, pid, resource).unwrap_or_else(|errno| {
            failed = Some((first, errno));
            std::cmp::Ordering::Equal
        })
    });
    failed.map_or(Ok(found), Err)
}
