//! Programs that criu starts by name and that are not on its PATH. CRIU 4.2: `util.c: cr_system_userns`.

use bstr::ByteSlice as _;
use serde::Deserialize;

use super::{Match, View};
use crate::facts::{Area, NamespaceKind, Socket, Tool, family};
use crate::finding::{Confidence, Subject};
use crate::rules::connections::repaired_in_own_network;
use crate::rules::mounts::Mounts;
use crate::version::Version;

/// Programs that stand for many others and do not know the options that criu passes.
const SUBSTITUTES: [&[u8]; 3] = [b"busybox", b"toybox", b"bsdtar"];

/// Fires for each tool that the target needs and that is missing or no more than a substitute. `{state}` says which.
/// Where only the host is looked at it is possible. Nothing here fires for an ideal caller.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// Names as criu calls them.
    names: Vec<String>,
    /// Those of which a substitute does not do.
    #[serde(default)]
    no_substitute: Vec<String>,
    /// Those that are needed only where IPv6 is spoken.
    #[serde(default)]
    ipv6: Vec<String>,
    needed_for: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Work {
    /// Saving a tmpfs. CRIU 4.2: `filesystems.c: tmpfs_dump`.
    Tmpfs,
    /// Locking the network of a namespace. CRIU 4.2: `net.c: network_lock`.
    NetworkLock,
    /// Locking the TCP connections of the host one by one. CRIU 4.2: `netfilter.c: iptables_connection_switch_raw`.
    ConnectionLock,
    /// Saving the configuration of a network namespace. CRIU 4.2: `net.c: dump_net_ns`.
    Network,
}

impl Match for Tools {
    fn needs(&self) -> &'static [Area] {
        match self.needed_for {
            Work::Tmpfs => &[Area::Criu, Area::Processes, Area::Namespaces, Area::Mounts],
            Work::ConnectionLock => &[Area::Criu, Area::Processes, Area::Fds, Area::Sockets],
            Work::NetworkLock | Work::Network => &[Area::Criu, Area::Processes, Area::Namespaces],
        }
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let (Some(tools), Some(_)) = (&view.facts.host.tools, &view.profile.caller) else { return Vec::new() };
        let host_only = view.facts.is_of_host_only();
        if !host_only && !self.needed_for.is_to_be_done(view) {
            return Vec::new();
        }
        let (ipv4, ipv6) = self.needed_for.versions(view);
        let locks = matches!(self.needed_for, Work::NetworkLock | Work::ConnectionLock);
        let unsure = host_only || (locks && may_lock_by_nftables(view));
        let wanted = self.names.iter().filter(|_| ipv4).chain(self.ipv6.iter().filter(|_| ipv6));
        let subject = |name: &String| {
            let state = self.fault(name, tools.iter().find(|tool| tool.name == *name)?)?;
            let subject = Subject::host(name).with("state", state).with("from", view.profile.criu.from.as_str());
            Some(if unsure { subject.at_most(Confidence::Possible) } else { subject })
        };
        wanted.filter_map(subject).collect()
    }
}

impl Tools {
    fn fault(&self, name: &str, tool: &Tool) -> Option<String> {
        let Some(program) = &tool.program else { return Some("is not on the PATH".to_owned()) };
        let file = program.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let substitute = SUBSTITUTES.contains(&file) && self.no_substitute.iter().any(|known| known == name);
        substitute.then(|| format!("is only {program}"))
    }
}

impl Work {
    /// Whether there is work in IPv4, and in IPv6.
    fn versions(self, view: View<'_>) -> (bool, bool) {
        match self {
            Self::ConnectionLock if !view.facts.is_of_host_only() => {
                let is_ipv6 = |socket: &Socket| {
                    socket.family == family::INET6 && !socket.remote.as_bytes().contains_str(b"::ffff:")
                };
                let mut both = (false, false);
                for (.., socket) in repaired_in_own_network(view) {
                    if is_ipv6(socket) { both.1 = true } else { both.0 = true }
                }
                both
            }
            _ => (true, view.facts.host.abilities.as_ref().is_none_or(|abilities| abilities.ipv6)),
        }
    }

    fn is_to_be_done(self, view: View<'_>) -> bool {
        let own_network = view.facts.root().is_some_and(|root| root.namespaces.net.is_some())
            && !view.facts.shares_with_host(NamespaceKind::Net);
        let by_iptables = || view.profile.values("network-lock").all(|method| method == "iptables");
        match self {
            Self::Tmpfs => saves_tmpfs(view),
            Self::NetworkLock => own_network && by_iptables(),
            Self::ConnectionLock => by_iptables() && repaired_in_own_network(view).next().is_some(),
            Self::Network => own_network && !view.profile.has("empty-ns", Some("net")) && !is_network_external(view),
        }
    }
}

/// First release that distributions build with nftables as its way when none is named; the program does not show it.
/// CRIU 4.1: `Makefile: NETWORK_LOCK_DEFAULT`, before that by a patch.
const NFTABLES_BY_DEFAULT: Version = Version::new(4, 0, 0);

/// Distributions that do so, and those that are like them.
const WITH_NFTABLES_BY_DEFAULT: [&str; 3] = ["centos", "fedora", "rhel"];

fn may_lock_by_nftables(view: View<'_>) -> bool {
    let (profile, names) = (view.profile, &view.facts.host.distribution);
    !profile.has("network-lock", None)
        && profile.criu.features.iter().any(|feature| feature == "nftables")
        && profile.criu_version() >= NFTABLES_BY_DEFAULT
        && names.iter().any(|name| WITH_NFTABLES_BY_DEFAULT.contains(&name.as_str()))
}

/// CRIU 4.2: `mount.c: dump_one_fs`.
fn saves_tmpfs(view: View<'_>) -> bool {
    let mounts = Mounts::collect(view);
    mounts.are_saved()
        && mounts.all.iter().any(|mount| {
            let tmpfs = mount.mount.fs_type.as_bytes() == b"tmpfs" && mounts.shows_whole_fs(mount);
            tmpfs && !mounts.is_external_bind(mount) && !mounts.is_root_bind(mount)
        })
}

fn is_network_external(view: View<'_>) -> bool {
    let own = view.facts.root().and_then(|root| root.namespaces.net);
    own.is_some_and(|id| view.profile.values("external").any(|value| value.starts_with(&format!("net[{id}]"))))
}

#[cfg(test)]
mod tests {
    use crate::facts::{CallerFacts, Facts, Process, Tool};
    use crate::finding::Confidence;
    use crate::profile::Profile;
    use crate::rules::testing::{container_namespaces, facts, findings, mount, process, profile};

    fn tools(without: &str, substitute: &str) -> Option<Vec<Tool>> {
        let names = ["gzip", "ip", "ip6tables-restore", "iptables-restore", "sh", "tar"].into_iter();
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            program: match name {
                name if name == without => None,
                name if name == substitute => Some("/bin/busybox".into()),
                name => Some(format!("/usr/bin/{name}").into()),
            },
        };
        Some(names.map(tool).collect())
    }

    fn container(tools: Option<Vec<Tool>>) -> Facts {
        let mut tree = facts(vec![Process { namespaces: container_namespaces(), ..process(9) }]);
        tree.mount_namespaces[0].mounts.push(mount(2, 1, "/dev/shm", "tmpfs"));
        tree.host.tools = tools;
        tree
    }

    fn fired(rule: &str, tree: &Facts, options: &[&str]) -> Vec<String> {
        let profile = Profile { caller: Some(CallerFacts::default()), ..profile("4.2", options) };
        findings(rule, tree, &profile).iter().map(|finding| finding.subject.value("path").unwrap()).collect()
    }

    #[test]
    fn a_tmpfs_of_its_own_needs_gnu_tar_and_gzip() {
        let rule = "tool-tar-missing";
        assert_eq!(fired(rule, &container(tools("tar", "")), &[]), ["tar"]);
        assert_eq!(fired(rule, &container(tools("gzip", "")), &[]), ["gzip"]);
        assert_eq!(fired(rule, &container(tools("", "tar")), &[]), ["tar"]);
        assert!(fired(rule, &container(tools("", "gzip")), &[]).is_empty());
        assert!(fired(rule, &container(None), &[]).is_empty(), "not looked for");
        let given = ["external mnt[/dev/shm]:shm"];
        assert!(fired(rule, &container(tools("tar", "")), &given).is_empty());
        let mut on_host = facts(vec![process(9)]);
        on_host.mount_namespaces[0].mounts.push(mount(2, 1, "/tmp", "tmpfs"));
        on_host.host.tools = tools("tar", "");
        assert!(fired(rule, &on_host, &[]).is_empty());
    }

    #[test]
    fn a_network_namespace_of_its_own_needs_the_tools_for_what_is_done_to_it() {
        let lock = "tool-iptables-missing";
        for name in ["iptables-restore", "ip6tables-restore"] {
            assert_eq!(fired(lock, &container(tools(name, "")), &[]), [name]);
            assert_eq!(fired(lock, &container(tools(name, "")), &["network-lock iptables"]), [name]);
            assert!(fired(lock, &container(tools(name, "")), &["network-lock nftables"]).is_empty());
        }
        let mut like_fedora = container(tools("iptables-restore", ""));
        like_fedora.host.distribution = vec!["almalinux".into(), "rhel".into()];
        let sure = |release, options: &[&str]| {
            let mut profile = Profile { caller: Some(CallerFacts::default()), ..profile(release, options) };
            profile.criu.features = vec!["nftables".into()];
            findings(lock, &like_fedora, &profile)[0].confidence != Confidence::Possible
        };
        assert!(!sure("4.1", &[]) && sure("3.19", &[]) && sure("4.1", &["network-lock iptables"]));
        let save = "tool-ip-missing";
        assert_eq!(fired(save, &container(tools("ip", "")), &[]), ["ip"]);
        assert_eq!(fired(save, &container(tools("", "ip")), &[]), ["ip"]);
        assert!(fired(save, &container(tools("ip", "")), &["empty-ns net"]).is_empty());
        let mut on_host = facts(vec![process(9)]);
        on_host.host.tools = tools("ip", "");
        assert!(fired(save, &on_host, &[]).is_empty());
    }
}
