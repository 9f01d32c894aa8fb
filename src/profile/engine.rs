//! What engines send to CRIU with their request, read off the wire of runc 1.1.5 and 1.3.6; docker adds nothing.

use super::CriuOption;
use crate::facts::{ContainerFacts, Facts, Mount};
use crate::version::Version;

/// CRIU's config file for runc. runc: `criu_linux.go: handleCriuConfigurationFile`.
pub(super) const RUNC_CONFIG: &str = "/etc/criu/runc.conf";

/// First runc that sends link-remap and skip-in-flight, as false unless its flags say otherwise.
const SENDS_MORE: Version = Version::new(1, 3, 0);

/// Switches that runc always sends, as false unless a flag of `runc checkpoint` turns them on: so the same option in
/// `default.conf` has no effect.
const SENT_AS_FALSE: [&str; 6] =
    ["tcp-established", "ext-unix-sk", "shell-job", "file-locks", "auto-dedup", "lazy-pages"];
const SENT_AS_FALSE_SINCE_1_3: [&str; 2] = ["link-remap", "skip-in-flight"];

/// Options that a request of runc turns off.
pub(super) fn runc_off(runc: Option<Version>) -> impl Iterator<Item = &'static str> {
    let newer = runc.is_some_and(|version| version >= SENDS_MORE);
    SENT_AS_FALSE.into_iter().chain(SENT_AS_FALSE_SINCE_1_3.into_iter().filter(move |_| newer))
}

/// Options that a request of runc holds. runc: `criu_linux.go: Checkpoint`.
pub(super) fn runc_on(container: &ContainerFacts, facts: &Facts) -> Vec<CriuOption> {
    let mut options = vec![
        CriuOption::flag("orphan-pts-master"),
        CriuOption::with("manage-cgroups", "soft"),
        CriuOption::with("empty-ns", "net"),
    ];
    let freezer = container.freezer_cgroup.as_ref().map(ToString::to_string);
    options.extend(freezer.map(|path| CriuOption::with("freeze-cgroup", path)));
    options.extend(external_mounts(container, facts).into_iter().map(|value| CriuOption::with("external", value)));
    options.extend(external_namespaces(container, facts).map(|value| CriuOption::with("external", value)));
    options
}

/// Bind mounts, single cgroup hierarchies, masked files and device nodes, each by its mount point.
fn external_mounts(container: &ContainerFacts, facts: &Facts) -> Vec<String> {
    let same = |path: &str| format!("mnt[{path}]:{path}");
    let mounts: &[Mount] = facts.mount_namespaces.first().map_or(&[], |namespace| &namespace.mounts);
    let mut all = Vec::new();
    for mount in &container.mounts {
        let destination = mount.destination.to_string();
        match mount.fs_type.as_bytes() {
            b"bind" => all.push(same(&destination)),
            b"cgroup" if has_host_cgroups(facts) => {
                let below = |mount: &&Mount| {
                    let inside = mount.mount_point.to_string();
                    mount.fs_type.as_bytes() == b"cgroup" && inside.starts_with(&format!("{destination}/"))
                };
                all.extend(mounts.iter().filter(below).map(|mount| same(&mount.mount_point.to_string())));
            }
            _ => {}
        }
    }
    let is_folder = |path: &[u8]| {
        let last = mounts.iter().rev().find(|mount| mount.mount_point.as_bytes() == path);
        last.is_none_or(|mount| mount.fs_type.as_bytes() == b"tmpfs" && mount.root.as_bytes() != b"/null")
    };
    let masked = container.masked_paths.iter().filter(|path| !is_folder(path.as_bytes()));
    all.extend(masked.map(|path| format!("mnt[{path}]:/dev/null")));
    all.extend(container.devices.iter().map(|path| same(&path.to_string())));
    all
}

/// Whether the container sees the host's cgroup namespace: only then are its cgroup v1 mounts bind mounts.
fn has_host_cgroups(facts: &Facts) -> bool {
    facts.root().is_some_and(|root| root.namespaces.cgroup == facts.host.namespaces.cgroup)
}

/// Network and pid namespaces that the bundle names by path. runc: `handleCheckpointingExternalNamespaces`.
fn external_namespaces(container: &ContainerFacts, facts: &Facts) -> impl Iterator<Item = String> {
    let namespaces = facts.root().map(|root| &root.namespaces);
    let net = namespaces.and_then(|all| Some(format!("net[{}]:extRootNetNS", all.net?)));
    let pid = namespaces.and_then(|all| Some(format!("pid[{}]:extRootPidNS", all.pid?)));
    let joined = |name: &str| container.joined_namespaces.contains_key(name);
    [net.filter(|_| joined("net")), pid.filter(|_| joined("pid"))].into_iter().flatten()
}
