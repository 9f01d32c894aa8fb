//! Who a process is to the kernel when it runs criu: ids, capabilities, and over what these hold.

use std::ffi::CStr;

use rustix::io::Result;

use super::number::decimal;
use super::{ProcessDir, cgroup, limits, ns, status, user_ns};
use crate::facts::{CallerFacts, NsId};

/// What a process would be as the caller of criu; `None` when its status is not understood.
///
/// # Errors
/// What reading its status says. What its namespaces do not tell is absent.
pub fn caller(dir: &ProcessDir, buffer: &mut Vec<u8>) -> Result<Option<CallerFacts>> {
    let Some(status) = status::parse(dir.read(c"status", buffer)?) else { return Ok(None) };
    let ([_, uid, ..], [_, gid, ..]) = (status.uids, status.gids);
    let (capabilities, seccomp) = (status.capabilities, status.seccomp);
    // The kernel knows no such file, or says EINVAL, where no LSM answers.
    let apparmor = dir.read(c"attr/current", buffer).ok().and_then(enforced);
    let user_namespace = dir.link(c"ns/user", buffer).ok().and_then(ns::parse);
    Ok(Some(CallerFacts {
        uid,
        gid,
        groups: status.groups,
        capabilities,
        seccomp,
        apparmor,
        pid: Some(dir.pid()),
        user_namespace,
        open_files: dir
            .read(c"limits", buffer)
            .ok()
            .and_then(|text| limits::fixed_open_files(text, most_open_files()?)),
        owns_mounts: owns(dir, user_namespace, c"ns/mnt"),
        owns_cgroups: owns(dir, user_namespace, c"ns/cgroup"),
        cgroups: dir.read(c"cgroup", buffer).map(cgroup::lines).unwrap_or_default(),
    }))
}

/// What criu raises its limit to. CRIU: `util.c: rlimit_unlimit_nofile`.
fn most_open_files() -> Option<u64> {
    decimal(std::fs::read("/proc/sys/fs/nr_open").ok()?.trim_ascii_end())
}

/// `docker-default (enforce)`. Kernel: `security/apparmor/procattr.c: aa_getprocattr`.
fn enforced(label: &[u8]) -> Option<String> {
    let profile = label.trim_ascii_end().strip_suffix(b" (enforce)")?;
    Some(String::from_utf8_lossy(profile).into_owned())
}

/// Whether a user namespace owns a namespace of the process, or is above the one that does; `None` when that is not told.
fn owns(dir: &ProcessDir, own: Option<NsId>, link: &CStr) -> Option<bool> {
    Some(user_ns::owners(dir.dir(), link).ok()?.contains(&own?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::procfs::Proc;

    #[test]
    fn only_a_profile_that_is_enforced_confines() {
        assert_eq!(enforced(b"docker-default (enforce)\n").as_deref(), Some("docker-default"));
        for label in [&b"unconfined\n"[..], b"mine (complain)\n", b"system_u:system_r:init_t:s0", b""] {
            assert_eq!(enforced(label), None);
        }
    }

    #[test]
    fn a_process_knows_itself() {
        let own = rustix::process::getpid().as_raw_pid();
        let dir = Proc::open(Path::new("/proc")).unwrap().process(own).unwrap();
        let caller = caller(&dir, &mut Vec::new()).unwrap().unwrap();
        assert_eq!((caller.pid, caller.uid), (Some(own), rustix::process::geteuid().as_raw()));
        assert!(caller.user_namespace.is_some() && caller.owns_mounts.is_some() && caller.owns_cgroups.is_some());
        assert!(!caller.cgroups.is_empty());
    }
}
