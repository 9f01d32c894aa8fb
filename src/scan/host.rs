//! Kernel and caller.

use std::collections::BTreeMap;
use std::path::Path;

use procfs::{Current as _, Devices};
use rustix::fs::{MemfdFlags, fstat, major, memfd_create, minor};
use rustix::system::uname;

use super::{Scanner, abilities, namespaces};
use crate::facts::{Area, Host};
use crate::procfs::caller;
use crate::procfs::number::decimal;
use crate::version::Version;

/// Reads kernel and caller; the criu that would run and its config files are found elsewhere.
pub(super) fn host(scanner: &mut Scanner) -> Host {
    let names = uname();
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel_release = names.release().to_string_lossy().into_owned();
    let mut host = Host {
        kernel: Version::prefix_of(&kernel_release),
        kernel_release,
        architecture: names.machine().to_string_lossy().into_owned(),
        max_map_count: std::fs::read("/proc/sys/vm/max_map_count").ok().and_then(|text| decimal(text.trim_ascii_end())),
        char_majors: char_majors(),
        distribution: std::fs::read_to_string("/etc/os-release").map(|text| distribution(&text)).unwrap_or_default(),
        abilities: Some(abilities::abilities()),
        shmem_device: shmem_device(),
        huge_pages: huge_pages(),
        largest_allocation: largest_allocation(),
        amx: has_flag(&cpus, "amx_tile"),
        protection_keys: has_flag(&cpus, "ospke"),
        ..Host::default()
    };
    let own = scanner.proc.process(rustix::process::getpid().as_raw_pid());
    match own {
        Ok(dir) => {
            match caller(&dir, &mut scanner.buffer) {
                Ok(Some(caller)) => host.caller = caller,
                Ok(None) => scanner.gap(Area::Criu, dir.pid(), "status", super::NOT_UNDERSTOOD),
                Err(errno) => scanner.failed(Area::Criu, dir.pid(), "status", errno),
            }
            host.namespaces = namespaces::namespaces(scanner, &dir);
        }
        Err(errno) => scanner.gap(Area::Criu, rustix::process::getpid().as_raw_pid(), "", super::reason(errno)),
    }
    host
}

/// Lines are shell assignments whose values may stand in quotes, see os-release(5).
fn distribution(text: &str) -> Vec<String> {
    let values = text.lines().filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")));
    values.flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace()).map(str::to_owned).collect()
}

/// All CPUs have the same flags: the first line of them tells.
fn has_flag(cpuinfo: &str, flag: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_ascii_whitespace().any(|word| word == flag))
}

/// Names of character device majors, the first where a major has many; empty where `/proc/devices` is hidden.
fn char_majors() -> BTreeMap<u32, String> {
    let mut majors = BTreeMap::new();
    for device in Devices::current().map(|devices| devices.char_devices).unwrap_or_default() {
        majors.entry(device.major).or_insert(device.name);
    }
    majors
}

/// The device that a memfd lies on, asked of one of our own.
fn shmem_device() -> Option<(u32, u32)> {
    let found = fstat(memfd_create(c"", MemfdFlags::CLOEXEC).ok()?).ok()?;
    Some((major(found.st_dev), minor(found.st_dev)))
}

/// What the kernel compares one large allocation with. Kernel: `mm/util.c: __vm_enough_memory`.
fn largest_allocation() -> Option<u64> {
    let mode = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").ok()?;
    allocatable(mode.trim(), &std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn allocatable(mode: &str, meminfo: &str) -> Option<u64> {
    let line = |name: &str| meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let bytes = |name: &str| Some(line(name)?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10);
    match mode {
        "0" => Some(bytes("MemTotal")? + bytes("SwapTotal")?),
        "2" => Some(bytes("CommitLimit")?.saturating_sub(bytes("Committed_AS")?)),
        _ => None,
    }
}

/// Free huge pages that nobody has reserved, and those the kernel would add. Kernel: `mm/hugetlb.c`.
fn huge_pages() -> Option<u64> {
    let sizes = Path::new("/sys/kernel/mm/hugepages").read_dir().ok()?.flatten();
    let pages = sizes.filter_map(|size| {
        let number = |name| std::fs::read_to_string(size.path().join(name)).ok()?.trim().parse::<u64>().ok();
        let free = number("free_hugepages")?.saturating_sub(number("resv_hugepages")?);
        Some(free + number("nr_overcommit_hugepages")?.saturating_sub(number("surplus_hugepages")?))
    });
    Some(pages.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cpu_can_stands_among_its_flags() {
        let has_amx = |cpuinfo| has_flag(cpuinfo, "amx_tile");
        assert!(has_amx("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile amx_int8\n"));
        assert!(!has_amx("flags\t\t: fpu avx512f\n") && !has_amx("Features\t: fp asimd\n"));
    }

    #[test]
    fn how_much_may_be_asked_for_depends_on_the_mode_of_overcommit() {
        let meminfo = "MemTotal: 1000 kB\nSwapTotal:  24 kB\nCommitLimit: 512 kB\nCommitted_AS: 500 kB\n";
        let said = ["0", "1", "2"].map(|mode| allocatable(mode, meminfo));
        assert_eq!(said, [Some(1 << 20), None, Some(12 << 10)]);
    }

    #[test]
    fn a_distribution_is_known_by_its_names() {
        let text = "NAME=\"CentOS Stream\"\nVERSION_ID=\"10\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\n";
        assert_eq!(distribution(text), ["centos", "rhel", "fedora"]);
        assert_eq!(distribution("ID=debian\n"), ["debian"]);
    }
}
