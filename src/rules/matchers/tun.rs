//! Tun and tap devices and the descriptors attached to them. CRIU 4.2: `tun.c: dump_tunfile`, `dump_tun_link`,
//! `get_tun_link_fd`.

use serde::Deserialize;

use super::interface::{describe, is_saved};
use super::{Match, View};
use crate::facts::{self, Area, FdInfo, Interface};
use crate::finding::Subject;
use crate::text::RawText;

/// Fires on tun and tap devices, or descriptors of them, in this condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tun {
    which: Which,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    /// A device in a saved network namespace that CRIU finds no descriptor of in the tree and can attach none to.
    HeldOutside,
    /// A descriptor whose device is in no network namespace of the tree.
    Foreign,
}

impl Match for Tun {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo, Area::Namespaces, Area::Interfaces]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        match self.which {
            Which::HeldOutside => held_outside(view),
            Which::Foreign => foreign(view),
        }
    }
}

/// Names of the devices that descriptors of the tree are attached to.
fn attached(view: View<'_>) -> impl Iterator<Item = &RawText> {
    view.fds().filter_map(|(_, fd)| match &fd.info {
        FdInfo::Tun { interface } => Some(interface),
        _ => None,
    })
}

fn held_outside(view: View<'_>) -> Vec<Subject> {
    let is_out_of_reach = |interface: &Interface| {
        let closed = |tun: &facts::Tun| !tun.persistent || (tun.queues > 0 && !tun.multi_queue);
        interface.tun.as_ref().is_some_and(closed) && !attached(view).any(|name| *name == interface.name)
    };
    let saved = view.facts.net_namespaces.iter().filter(|namespace| is_saved(view, namespace.id));
    saved
        .filter_map(|namespace| Some((namespace, *view.index.processes.get(&namespace.pid)?)))
        .flat_map(|(namespace, process)| {
            let lost = namespace.interfaces.iter().filter(|interface| is_out_of_reach(interface));
            lost.map(move |interface| describe(Subject::process(process), namespace, interface))
        })
        .collect()
}

fn foreign(view: View<'_>) -> Vec<Subject> {
    // Interfaces of the host's network namespace are not read.
    let on_host = view.facts.host.namespaces.net.is_none_or(|host| view.index.net_namespaces.contains(&host));
    let is_known = |name: &RawText| {
        view.facts.net_namespaces.iter().flat_map(|namespace| &namespace.interfaces).any(|own| own.name == *name)
    };
    view.fds()
        .filter_map(|(process, fd)| match &fd.info {
            FdInfo::Tun { interface } if !on_host && !interface.is_empty() && !is_known(interface) => {
                Some(Subject::fd(process, fd).with("interface", interface.clone()))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, FdInfo, Interface, NetNamespace, Process, Tun};
    use crate::rules::testing::*;

    fn device(name: &str, persistent: bool, queues: u32) -> Interface {
        let tun = Some(Tun { persistent, queues, multi_queue: false });
        Interface { index: 2, name: name.into(), hardware: 65534, kind: Some("tun".into()), tun }
    }

    fn tree(attached: &str, interfaces: Vec<Interface>) -> Facts {
        let fds = vec![Fd { info: FdInfo::Tun { interface: attached.into() }, ..fd(3, "/dev/net/tun") }];
        let mut facts = facts(vec![Process { namespaces: container_namespaces(), ..holder(7, fds) }]);
        let id = container_namespaces().net.unwrap();
        facts.net_namespaces = vec![NetNamespace { id, pid: 7, interfaces, ..NetNamespace::default() }];
        facts
    }

    #[test]
    fn a_device_needs_its_descriptor_in_the_tree_unless_it_stays_without_one() {
        let devices = |persistent, queues| vec![device("tun0", persistent, queues)];
        let lost = |attached, devices| fired("tun-held-outside", &tree(attached, devices), &[]);
        assert!(lost("tun0", devices(false, 1)).is_empty());
        assert!(lost("", devices(true, 0)).is_empty());
        assert_eq!(lost("", devices(false, 1)), ["7"]);
        assert_eq!(lost("", devices(true, 1)), ["7"]);
        assert!(fired("tun-held-outside", &tree("", devices(false, 1)), &["empty-ns net"]).is_empty());
    }

    #[test]
    fn a_descriptor_needs_its_device_in_the_tree() {
        assert_eq!(fired("tun-foreign-netns", &tree("tun9", vec![device("tun0", true, 0)]), &[]), ["7 fd 3"]);
        assert!(fired("tun-foreign-netns", &tree("tun0", vec![device("tun0", false, 1)]), &[]).is_empty());
        assert!(fired("tun-foreign-netns", &tree("", Vec::new()), &[]).is_empty());
    }
}
