//! Network interfaces that CRIU does not know. CRIU 4.2: `net.c: dump_one_link` and what it calls; `cr-dump.c:
//! cr_dump_tasks` saves network namespaces if the root process is in any namespace of its own.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::{self, Area, NamespaceKind, NetNamespace, NsId};
use crate::finding::Subject;
use crate::rules::Dated;
use crate::version::Version;

/// Fires on interfaces of network namespaces that CRIU saves. `{namespace}` is the namespace, `{index}` and
/// `{interface}` are number and name, `{hardware}` and `{kind}` what it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Interfaces that CRIU dumps or passes over: `HARDWARE KIND NAME`, the last two left out for any.
    known: Dated,
}

impl Match for Interface {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Namespaces, Area::Interfaces]
    }

    fn lists(&self) -> Vec<&Dated> {
        vec![&self.known]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let namespaces = view.facts.net_namespaces.iter().filter(|namespace| is_saved(view, namespace.id));
        namespaces
            .filter_map(|namespace| Some((namespace, *view.index.processes.get(&namespace.pid)?)))
            .flat_map(|(namespace, process)| {
                let unknown = namespace.interfaces.iter().filter(|interface| !self.knows(interface, view.profile.criu_version()));
                unknown.map(move |interface| describe(Subject::process(process), namespace, interface))
            })
            .collect()
    }
}

impl Interface {
    fn knows(&self, interface: &facts::Interface, release: Version) -> bool {
        let hardware = interface.hardware.to_string();
        let kind = interface.kind.as_ref().map(ToString::to_string).unwrap_or_default();
        let own = [hardware, kind, interface.name.to_string()];
        self.known.known(release).any(|known| known.split_ascii_whitespace().zip(&own).all(|(known, own)| known == own))
    }
}

/// Whether CRIU saves this network namespace.
pub(super) fn is_saved(view: View<'_>, id: NsId) -> bool {
    let kinds = [
        NamespaceKind::Cgroup,
        NamespaceKind::Ipc,
        NamespaceKind::Mnt,
        NamespaceKind::Net,
        NamespaceKind::Pid,
        NamespaceKind::Time,
        NamespaceKind::User,
        NamespaceKind::Uts,
    ];
    let declared = format!("net[{id}]:");
    Some(id) != view.facts.host.namespaces.net
        && !kinds.into_iter().all(|kind| view.facts.shares_with_host(kind))
        && !view.profile.values("external").any(|value| value.starts_with(&declared))
}

pub(super) fn describe(subject: Subject, namespace: &NetNamespace, interface: &facts::Interface) -> Subject {
    let kind = interface.kind.clone().unwrap_or_else(|| "(null)".into());
    let subject = subject.with("namespace", namespace.id.to_string()).with("index", interface.index.to_string());
    subject.with("interface", interface.name.clone()).with("hardware", interface.hardware.to_string()).with("kind", kind)
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Interface, Namespaces, NetNamespace, Process};
    use crate::rules::testing::*;

    fn interface(index: i32, name: &str, hardware: u16, kind: &str) -> Interface {
        let kind = (!kind.is_empty()).then(|| kind.into());
        Interface { index, name: name.into(), hardware, kind, tun: None }
    }

    fn with_interfaces(namespaces: Namespaces, interfaces: Vec<Interface>) -> Facts {
        let facts = facts(vec![Process { namespaces, ..process(7) }]);
        let id = namespaces.net.unwrap();
        Facts { net_namespaces: vec![NetNamespace { id, pid: 7, interfaces, ..NetNamespace::default() }], ..facts }
    }

    fn ifb() -> Vec<Interface> {
        vec![interface(2, "ifb0", 1, "ifb")]
    }

    #[test]
    fn an_unknown_kind_is_refused_unless_the_network_is_left_out() {
        let facts = with_interfaces(container_namespaces(), ifb());
        let found = findings("net-link-unsupported", &facts, &profile("4.2", &[]));
        assert_eq!(found[0].printed.line, "net: Unsupported link 2 (type 1 kind ifb)");
        let id = container_namespaces().net.unwrap();
        assert!(fired("net-link-unsupported", &facts, &["empty-ns net"]).is_empty());
        assert!(fired("net-link-unsupported", &facts, &[&format!("external net[{id}]:any")]).is_empty());
    }

    #[test]
    fn interfaces_of_containers_are_known() {
        let known = [
            ("lo", 772, ""),
            ("eth0", 1, "veth"),
            ("br0", 1, "bridge"),
            ("tap0", 1, "tun"),
            ("tun0", 65534, "tun"),
            ("mv0", 1, "macvlan"),
            ("venet0", 65535, "venet"),
            ("gre0", 778, "gre"),
            ("gretap0", 1, "gretap"),
            ("sit0", 776, "sit"),
            ("sit7", 776, "sit"),
        ];
        let interfaces = known.into_iter().zip(1..).map(|((name, hardware, kind), n)| interface(n, name, hardware, kind));
        let facts = with_interfaces(container_namespaces(), interfaces.collect());
        assert!(fired("net-link-unsupported", &facts, &[]).is_empty());
    }

    #[test]
    fn tunnels_other_hardware_and_hardware_itself_are_not() {
        let interfaces = vec![
            interface(2, "tunl0", 768, "ipip"),
            interface(3, "gre1", 778, "gre"),
            interface(4, "wg0", 65534, "wireguard"),
            interface(5, "eth1", 1, ""),
        ];
        let facts = with_interfaces(container_namespaces(), interfaces);
        assert_eq!(fired("net-link-unsupported", &facts, &[]).len(), 4);
    }

    #[test]
    fn only_what_criu_saves_counts() {
        let joined = Namespaces { net: host_namespaces().net, ..container_namespaces() };
        assert!(fired("net-link-unsupported", &with_interfaces(joined, ifb()), &[]).is_empty());
        let mut nested = with_interfaces(container_namespaces(), ifb());
        nested.processes[0].namespaces = host_namespaces();
        assert!(fired("net-link-unsupported", &nested, &[]).is_empty());
        nested.processes[0].namespaces = joined;
        assert_eq!(fired("net-link-unsupported", &nested, &[]), ["7"]);
    }
}
