//! Limits that leave no room for the code that CRIU puts into each process. CRIU 4.2: `compel/infect.c:
//! compel_infect_no_daemon`, `parasite_memfd_exchange`, `mem.c: dump_pages_args_size`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, Capability, Process};
use crate::finding::{Confidence, Subject};

/// Descriptors that are open in the process at the same time: two sockets and a pipe, in the root process two sockets,
/// `/proc` and the list of its cgroups.
const DESCRIPTORS: (usize, usize) = (4, 3);
/// How many CRIU receives at once (`parasite.h: PARASITE_MAX_FDS`), and has open itself by then.
const AT_ONCE: usize = 756;
const OF_CRIU: usize = 20;
/// Code, stack and signal frame, of a process with one thread.
const CODE: u64 = 60 << 10;
/// A stack for the other threads.
const THREAD_STACK: u64 = 16 << 10;
/// What is passed to the code for each mapping and for each page of private memory, and at least.
const PER_MAPPING: u64 = 24;
const PER_PAGE: u64 = 16;
const LEAST_ARGUMENTS: u64 = 4 << 10;
const PAGE: u64 = 4 << 10;
/// `CAP_IPC_LOCK`: locked memory without a limit.
const CAP_IPC_LOCK: u64 = 1 << 14;

/// Fires on processes without room. `{used}` is how much of it is in use, `{limit}` the limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    of: Of,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Of {
    /// Descriptor numbers below `RLIMIT_NOFILE`.
    Descriptors,
    /// Descriptor numbers of a caller that can't raise its own limit: CRIU receives those of a process, many at once.
    DescriptorsOfCriu,
    /// Address space below `RLIMIT_AS`.
    AddressSpace,
    /// A piece of the address space in which nothing is mapped.
    Gap,
    /// Mappings below `vm.max_map_count`.
    Mappings,
    /// Locked memory below `RLIMIT_MEMLOCK`, where memory to come may be locked too (`mlockall`).
    LockedMemory,
}

impl Match for Room {
    fn needs(&self) -> &'static [Area] {
        match self.of {
            Of::Descriptors | Of::DescriptorsOfCriu => &[Area::Processes, Area::Fds],
            _ => &[Area::Processes, Area::Mappings],
        }
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
        alive
            .filter_map(|process| {
                let (used, limit) = self.lack(view, process)?;
                let subject = Subject::process(process).with("used", used.to_string()).with("limit", limit.to_string());
                let subject = subject.with("free", limit.saturating_sub(used).to_string());
                Some(match self.of {
                    Of::LockedMemory => subject.at_most(Confidence::Possible),
                    _ => subject,
                })
            })
            .collect()
    }
}

impl Room {
    /// What is in use and the limit, when that is not room enough.
    fn lack(&self, view: View<'_>, process: &Process) -> Option<(u64, u64)> {
        let limits = process.limits;
        match self.of {
            Of::Descriptors => {
                let (limit, is_root) = (limits?.open_files?, view.facts.root() == Some(process));
                let used = process.fds.iter().filter(|fd| u64::try_from(fd.number).is_ok_and(|fd| fd < limit)).count();
                let needed = if is_root { DESCRIPTORS.0 } else { DESCRIPTORS.1 };
                (used.saturating_add(needed) as u64 > limit).then_some((used as u64, limit))
            }
            Of::DescriptorsOfCriu => {
                let caller = view.profile.caller.as_ref().filter(|caller| !caller.has_over_host(Capability::SysResource));
                let (limit, used) = (caller?.open_files?, process.fds.len());
                (used.min(AT_ONCE).saturating_add(OF_CRIU) as u64 > limit).then_some((used as u64, limit))
            }
            Of::AddressSpace => {
                let limit = limits?.address_space?;
                (process.virtual_bytes.saturating_add(needed_bytes(process)) > limit)
                    .then_some((process.virtual_bytes, limit))
            }
            Of::Gap => {
                let gap = process.largest_gap?;
                (needed_bytes(process) > gap).then_some((process.private_bytes, gap))
            }
            Of::Mappings => {
                let limit = view.facts.host.max_map_count?;
                let used = own_mappings(process);
                (used >= limit).then_some((used, limit))
            }
            Of::LockedMemory => {
                let limit = limits?.locked_memory?;
                let of_host = process.namespaces.user == view.facts.host.namespaces.user;
                let may = of_host && process.capabilities.is_some_and(|set| set & CAP_IPC_LOCK != 0);
                let lacks = process.locked_bytes > 0 && process.locked_bytes.saturating_add(needed_bytes(process)) > limit;
                (lacks && !may).then_some((process.locked_bytes, limit))
            }
        }
    }
}

/// All mappings but the kernel's own (`[vsyscall]`), which is not counted.
fn own_mappings(process: &Process) -> u64 {
    let kernels_own = process.mappings.iter().filter(|mapping| mapping.path.as_bytes() == b"[vsyscall]").count();
    process.mapping_count.saturating_sub(kernels_own as u64)
}

/// Size of what CRIU maps into the process.
fn needed_bytes(process: &Process) -> u64 {
    let arguments = PER_MAPPING * own_mappings(process) + PER_PAGE * (process.private_bytes / PAGE);
    let stack = if process.threads.len() > 1 { THREAD_STACK } else { 0 };
    CODE + stack + arguments.max(LEAST_ARGUMENTS)
}

#[cfg(test)]
mod tests {
    use crate::facts::{CallerFacts, Limits, Process};
    use crate::finding::Confidence;
    use crate::profile::Profile;
    use crate::rules::testing::*;

    fn limited(process: Process, limits: Limits) -> Process {
        Process { limits: Some(limits), virtual_bytes: 1 << 20, private_bytes: 1 << 20, ..process }
    }

    #[test]
    fn descriptors_must_be_left_below_the_limit_and_more_in_the_root_process() {
        let tree = |limit: u64| {
            let limits = Limits { open_files: Some(limit), ..Limits::default() };
            let open = || (0..3).chain([500]).map(|number| fd(number, "/dev/null")).collect();
            let child = Process { fds: open(), ..child(8, 7) };
            facts(vec![limited(holder(7, open()), limits), limited(child, limits)])
        };
        let rule = "no-room-for-descriptors";
        assert_eq!(fired(rule, &tree(5), &[]), ["7", "8"]);
        assert_eq!(fired(rule, &tree(6), &[]), ["7"]);
        assert!(fired(rule, &tree(7), &[]).is_empty());
    }

    #[test]
    fn criu_must_have_room_for_the_descriptors_of_each_process() {
        let found = |count, open_files, capabilities| {
            let tree = facts(vec![holder(7, (0..count).map(|number| fd(number, "/dev/null")).collect())]);
            let caller = Some(CallerFacts { open_files, capabilities, ..CallerFacts::default() });
            findings("caller-descriptors-few", &tree, &Profile { caller, ..profile("4.2", &[]) }).len()
        };
        assert_eq!((found(403, Some(422), 0), found(403, Some(423), 0)), (1, 0));
        assert_eq!((found(5000, Some(775), 0), found(5000, Some(776), 0)), (1, 0));
        assert_eq!((found(403, Some(256), 1 << 24), found(403, None, 0)), (0, 0));
    }

    #[test]
    fn address_space_must_be_left_for_the_code_and_a_list_of_pages() {
        let tree = |left: u64| {
            let limits = Limits { address_space: Some((1 << 20) + left), ..Limits::default() };
            facts(vec![limited(process(7), limits)])
        };
        assert_eq!(fired("no-room-for-memory", &tree(60 << 10), &[]), ["7"]);
        assert!(fired("no-room-for-memory", &tree(68 << 10), &[]).is_empty());
        let unlimited = facts(vec![limited(process(7), Limits::default())]);
        assert!(fired("no-room-for-memory", &unlimited, &[]).is_empty());
    }

    #[test]
    fn a_gap_must_be_as_large_as_the_code_and_a_list_of_pages() {
        let tree = |gap: u64| {
            let reserved = Process { private_bytes: 64 << 40, largest_gap: Some(gap), ..process(7) };
            facts(vec![reserved])
        };
        assert_eq!(fired("private-memory-too-large", &tree(256 << 30), &[]), ["7"]);
        assert!(fired("private-memory-too-large", &tree(257 << 30), &[]).is_empty());
        assert!(fired("private-memory-too-large", &facts(vec![process(7)]), &[]).is_empty());
    }

    #[test]
    fn mappings_are_limited_by_the_host() {
        let mut facts = facts(vec![Process { mapping_count: 65530, ..limited(process(7), Limits::default()) }]);
        facts.host.max_map_count = Some(65530);
        assert_eq!(fired("no-room-for-mappings", &facts, &[]), ["7"]);
        facts.processes[0].mappings.push(mapping("[vsyscall]"));
        assert!(fired("no-room-for-mappings", &facts, &[]).is_empty());
    }

    #[test]
    fn locked_memory_near_its_limit_is_only_a_hint() {
        let limits = Limits { locked_memory: Some(65536), ..Limits::default() };
        let locked = |capabilities, locked_bytes| {
            let process = Process { capabilities: Some(capabilities), locked_bytes, ..limited(process(7), limits) };
            findings("no-room-for-locked-memory", &facts(vec![process]), &profile("4.2", &[]))
        };
        assert_eq!(locked(0, 4096)[0].confidence, Confidence::Possible);
        assert!(locked(0, 0).is_empty() && locked(1 << 14, 4096).is_empty());
    }
}
