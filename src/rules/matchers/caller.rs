//! What the caller of criu may not do. Nothing here fires for an ideal caller.

use serde::Deserialize;

use super::{Match, View, is_probed_before};
use crate::facts::{Area, CallerFacts, Capability, NamespaceKind};
use crate::finding::{Confidence, Subject};

mod tasks;
#[cfg(test)]
mod tests;

use tasks::Tasks;

/// Fires for a caller that lacks all of `lacks` and is as the other keys say, on the tasks that need it. Where only
/// the host is looked at, what some tasks need is possible.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// Capabilities of which the caller has none. Empty: whatever it has.
    #[serde(default)]
    lacks: Vec<Capability>,
    /// A capability that the caller does not have over the host.
    lacks_over_host: Option<Capability>,
    /// Only a caller that is not root.
    #[serde(default)]
    not_root: bool,
    /// Only a caller under a seccomp filter.
    #[serde(default)]
    filtered: bool,
    /// Only a caller on which an AppArmor profile is enforced, `{profile}`: what it allows is not known.
    #[serde(default)]
    confined: bool,
    /// Only a caller that passes CRIU's own check and still may not mount. CRIU: `kerndat.c: root_only_init`.
    #[serde(default)]
    cannot_mount: bool,
    /// Only a caller that may not mount hierarchies of cgroups. Kernel: `fsopen.c`, `cgroup.c: cgroup_init_fs_context`.
    #[serde(default)]
    cannot_mount_cgroups: bool,
    /// Only a root process that is in a namespace of its own of such a kind, `{kinds}`. Empty: whatever it is in.
    #[serde(default)]
    own_namespaces: Vec<NamespaceKind>,
    /// Which tasks need it; absent: criu itself, whatever the tasks.
    tasks: Option<Tasks>,
}

impl Match for Caller {
    fn needs(&self) -> &'static [Area] {
        match self.tasks {
            Some(Tasks::Connected) => &[Area::Criu, Area::Processes, Area::Fds, Area::Sockets],
            None if self.own_namespaces.is_empty() => &[Area::Criu],
            _ => &[Area::Criu, Area::Processes, Area::Namespaces],
        }
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(caller) = view.profile.caller.as_ref().filter(|caller| self.is_meant(caller)) else {
            return Vec::new();
        };
        let about = Subject::host("criu").with("uid", caller.uid.to_string());
        if view.facts.is_of_host_only() {
            return match self.tasks {
                Some(tasks) => tasks.in_general(view, caller, about),
                None if !self.own_namespaces.is_empty() => vec![about.at_most(Confidence::Possible)],
                None => self.of_criu(view, caller, about),
            };
        }
        let kinds: Vec<&str> =
            self.own_namespaces.iter().filter(|kind| has_own(view, **kind)).map(|kind| kind.name()).collect();
        match self.tasks {
            _ if kinds.is_empty() && !self.own_namespaces.is_empty() => Vec::new(),
            Some(tasks) => {
                let alive = view.facts.processes.iter().filter(|process| !process.is_zombie());
                alive.filter_map(|process| tasks.subject(view, process, caller)).collect()
            }
            None => self.of_criu(view, caller, about.with("kinds", kinds.join(", "))),
        }
    }
}

impl Caller {
    /// What holds for criu itself.
    fn of_criu(&self, view: View<'_>, caller: &CallerFacts, about: Subject) -> Vec<Subject> {
        if self.confined {
            let profile = caller.apparmor.as_deref().unwrap_or_default();
            return vec![about.with("profile", profile).at_most(Confidence::Possible)];
        }
        let perhaps = self.cannot_mount && is_probed_before(view);
        vec![if perhaps { about.at_most(Confidence::Possible) } else { about }]
    }

    fn is_meant(&self, caller: &CallerFacts) -> bool {
        !self.lacks.iter().any(|capability| caller.has(*capability))
            && !self.lacks_over_host.is_some_and(|capability| caller.has_over_host(capability))
            && (!self.not_root || caller.uid != 0)
            && (!self.filtered || caller.seccomp != 0)
            && (!self.confined || caller.apparmor.is_some())
            && (!self.cannot_mount || cannot_mount(caller))
            && (!self.cannot_mount_cgroups || cannot_mount_cgroups(caller))
    }
}

/// Whether it passes CRIU's check for one of two capabilities and still may not mount in its mount namespace.
fn cannot_mount(caller: &CallerFacts) -> bool {
    let admin = caller.has(Capability::SysAdmin);
    let foreign = caller.owns_mounts == Some(false);
    (admin && foreign) || (!admin && caller.has(Capability::CheckpointRestore))
}

fn cannot_mount_cgroups(caller: &CallerFacts) -> bool {
    let foreign = [caller.owns_mounts, caller.owns_cgroups].contains(&Some(false));
    !caller.has(Capability::SysAdmin) || foreign
}

/// Whether the root process is in such a namespace other than criu's.
fn has_own(view: View<'_>, kind: NamespaceKind) -> bool {
    let known = view.facts.root().is_some_and(|root| root.namespaces.get(kind).is_some());
    known && !view.facts.shares_with_host(kind)
}
