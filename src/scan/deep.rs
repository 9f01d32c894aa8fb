//! What only `smaps` shows. The kernel walks all pages of a process for it and keeps its memory map locked meanwhile, so
//! that what maps and unmaps there waits for some milliseconds: it is read only when it is asked for.

use std::collections::HashMap;

use rustix::io::Errno;

use super::{Scanner, open_proc};
use crate::error::Result;
use crate::facts::{Area, Facts, Mapping, Pid};
use crate::procfs::maps::Line;
use crate::procfs::{ProcessDir, read_lines_at};

/// Tells each process which of its mappings are sealed.
pub(super) fn deep(facts: &mut Facts) -> Result<()> {
    let mut scanner = Scanner::new(open_proc()?);
    let mut sealed = HashMap::<Pid, Vec<Mapping>>::new();
    for process in &facts.processes {
        match scanner.proc.process(process.pid).and_then(|dir| sealed_mappings(&mut scanner, &dir)) {
            Ok(mappings) => drop(sealed.insert(process.pid, mappings)),
            Err(errno) => scanner.failed(Area::MappingFlags, process.pid, "smaps", errno),
        }
    }
    facts.gaps.append(&mut scanner.gaps);
    tell(facts, &sealed);
    facts.looks.iter_mut().for_each(|look| tell(look, &sealed));
    Ok(())
}

fn tell(facts: &mut Facts, sealed: &HashMap<Pid, Vec<Mapping>>) {
    for process in &mut facts.processes {
        process.sealed = sealed.get(&process.pid).cloned();
    }
}

/// A header as of `maps`, then lines that begin with a word, `VmFlags` as the last one. Kernel: `fs/proc/task_mmu.c:
/// show_smap`.
fn sealed_mappings(scanner: &mut Scanner, dir: &ProcessDir) -> std::result::Result<Vec<Mapping>, Errno> {
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
