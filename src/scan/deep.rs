//! What only `smaps` shows. The kernel walks all pages of a process for it and keeps its memory map locked meanwhile, so
//! that what maps and unmaps there waits for some milliseconds: it is read only when it is asked for.

use std::collections::{BTreeSet, HashMap};

use rustix::io::Errno;

use super::{Scanner, open_proc};
use crate::error::Result;
use crate::facts::{Area, Facts, Mapping, Pid};
use crate::procfs::maps::Line;
use crate::procfs::{ProcessDir, read_lines_at, stat};

/// Tells each process which of its mappings are sealed.
pub(super) fn deep(facts: &mut Facts) -> Result<()> {
    let mut scanner = Scanner::new(open_proc()?);
    let mut sealed = HashMap::<Life, Vec<Mapping>>::new();
    let all = facts.looks.iter().chain([&*facts]).flat_map(|look| &look.processes);
    let lives: BTreeSet<Life> = all.map(|process| (process.pid, process.start_time)).collect();
    for life in lives {
        match scanner.proc.process(life.0).and_then(|dir| sealed_mappings(&mut scanner, &dir, life.1)) {
            Ok(mappings) => drop(sealed.insert(life, mappings)),
            Err(errno) => scanner.failed(Area::MappingFlags, life.0, "smaps", errno),
        }
    }
    facts.gaps.append(&mut scanner.gaps);
    tell(facts, &sealed);
    facts.looks.iter_mut().for_each(|look| tell(look, &sealed));
    Ok(())
}

/// A process by its id and start time.
type Life = (Pid, u64);

fn tell(facts: &mut Facts, sealed: &HashMap<Life, Vec<Mapping>>) {
    for process in &mut facts.processes {
        process.sealed = sealed.get(&(process.pid, process.start_time)).cloned();
    }
}

/// A header as of `maps`, then lines that begin with a word, `VmFlags` as the last one. Kernel: `fs/proc/task_mmu.c:
/// show_smap`.
fn sealed_mappings(scanner: &mut Scanner, dir: &ProcessDir, start: u64) -> std::result::Result<Vec<Mapping>, Errno> {
    let is_same = stat::parse(dir.read(c"stat", &mut scanner.buffer)?).is_some_and(|stat| stat.start_time == start);
    if !is_same {
        return Err(Errno::SRCH);
    }
    let (mut header, mut found) = (Vec::new(), Vec::new());
    read_lines_at(dir.dir(), c"smaps", &mut scanner.buffer, |line| match line.strip_prefix(b"VmFlags:") {
        Some(flags) if flags.split(|&byte| byte == b' ').any(|flag| flag == b"sl") => {
            found.extend(Line::split(&header).and_then(|line| line.mapping()));
        }
        Some(_) => {}
        None if line.first().is_some_and(|first| !first.is_ascii_uppercase()) => line.clone_into(&mut header),
        None => {}
    })?;
    Ok(found)
}
