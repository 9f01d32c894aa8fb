//! Which tasks need what the caller may not do.

use serde::Deserialize;

use super::View;
use crate::facts::{CallerFacts, Capability, INITIAL_USER_NAMESPACE, NamedPath, NsId, Process};
use crate::finding::{Confidence, Subject};
use crate::rules::connections::{repaired_in_own_network, reset_in_own_network};

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tasks {
    /// Those of another user or group in the caller's user namespace, and those in one that another user made. Kernel:
    /// `sys.c: check_prlimit_permission`, `commoncap.c: cap_capable`.
    OfOtherUsers,
    /// Those that the caller may not trace; `{reason}` says why.
    Untraceable,
    /// Those under seccomp. Kernel: `ptrace.c: check_ptrace_options`.
    UnderSeccomp,
    /// Those with TCP connections that are saved. Kernel: `net/ipv4/tcp.c: tcp_can_repair_sock`.
    Connected,
    /// Those in other cgroups than the caller, unless `--cgroup-yard` shows them. CRIU: `cgroup.c: get_cg_set`.
    InOtherCgroups,
    /// The caller itself. CRIU: `compel_wait_task`.
    Itself,
}

impl Tasks {
    /// What is said where no tasks are at hand.
    pub(super) fn in_general(self, view: View<'_>, caller: &CallerFacts, about: Subject) -> Vec<Subject> {
        let fires = match self {
            Self::OfOtherUsers | Self::UnderSeccomp | Self::Connected | Self::InOtherCgroups => true,
            Self::Untraceable => {
                !caller.has(Capability::SysPtrace) || own_namespace(view, caller) != Some(INITIAL_USER_NAMESPACE)
            }
            Self::Itself => false,
        };
        if fires { vec![about.at_most(Confidence::Possible)] } else { Vec::new() }
    }

    pub(super) fn subject(self, view: View<'_>, process: &Process, caller: &CallerFacts) -> Option<Subject> {
        let same_namespace = process.namespaces.user == own_namespace(view, caller);
        let id = |ids: [u32; 4]| ids.first().map(u32::to_string).unwrap_or_default();
        let subject = Subject::process(process).with("uid", id(process.uids)).with("gid", id(process.gids));
        match self {
            Self::OfOtherUsers => {
                let foreign = if same_namespace { is_of_another(process, caller) } else { is_made_by_another(view, process, caller) };
                foreign.then_some(subject)
            }
            Self::UnderSeccomp => {
                let filtered = process.seccomp != 0 || process.threads.iter().any(|thread| thread.seccomp != 0);
                filtered.then_some(subject)
            }
            Self::Connected => {
                let connected = repaired_in_own_network(view).any(|(holder, ..)| holder.pid == process.pid);
                let perhaps = || reset_in_own_network(view).any(|(holder, _)| holder.pid == process.pid);
                let lock = view.profile.values("network-lock").last().map(str::to_owned);
                let subject = lock.map_or(subject.clone(), |lock| subject.with("lock", lock));
                if connected { Some(subject) } else { perhaps().then(|| subject.at_most(Confidence::Possible)) }
            }
            Self::Untraceable => {
                let (reason, confidence) = untraceable(view, process, caller)?;
                let subject = subject.with("reason", reason);
                Some(if confidence == Confidence::Certain { subject } else { subject.at_most(confidence) })
            }
            Self::InOtherCgroups => {
                let shown = view.profile.has(NamedPath::YARD, None) || caller.cgroups.is_empty();
                let other = process.cgroup_lists().find(|lines| !shown && **lines != caller.cgroups)?;
                let line = other.iter().find(|line| !caller.cgroups.contains(line))?;
                Some(subject.with("cgroup", line.clone()))
            }
            Self::Itself => (caller.pid == Some(process.pid)).then_some(subject),
        }
    }
}

/// Why the caller may not trace a task, and how sure that is. Kernel: `ptrace.c: __ptrace_may_access`, `commoncap.c:
/// cap_ptrace_access_check`, `yama_lsm.c: yama_ptrace_access_check`.
fn untraceable(view: View<'_>, process: &Process, caller: &CallerFacts) -> Option<(&'static str, Confidence)> {
    let own = own_namespace(view, caller);
    let inside = own.is_some_and(|own| own != INITIAL_USER_NAMESPACE);
    let elsewhere = match process.namespaces.user {
        // The kernel does not even tell it to the scanner.
        None => inside && caller.has(Capability::SysPtrace),
        theirs => theirs != own,
    };
    if elsewhere {
        let above = inside && matches!(process.namespaces.user, None | Some(INITIAL_USER_NAMESPACE));
        return above.then_some(("is in a user namespace above the caller's", Confidence::Certain));
    }
    if caller.has(Capability::SysPtrace) {
        return None;
    }
    let yama = view.facts.host.abilities.as_ref().and_then(|abilities| abilities.ptrace_scope);
    match process.permitted {
        _ if is_of_another(process, caller) => Some(("is of another user or group", Confidence::Certain)),
        Some(has) if has & !caller.capabilities != 0 => {
            Some(("has capabilities that the caller lacks", Confidence::Certain))
        }
        _ if yama.is_some_and(|scope| scope > 0) => Some(("is no child of the caller's", Confidence::Certain)),
        Some(_) => None,
        None => Some(("may have capabilities that the caller lacks", Confidence::Possible)),
    }
}

fn own_namespace(view: View<'_>, caller: &CallerFacts) -> Option<NsId> {
    caller.user_namespace.or(view.facts.host.namespaces.user)
}

/// Whether it is in the user namespace of the root process, and that, or the one above it which is just below the
/// caller's, was made by another user than the caller.
fn is_made_by_another(view: View<'_>, process: &Process, caller: &CallerFacts) -> bool {
    let namespace = view.facts.user_namespace.as_ref();
    let own = namespace.filter(|namespace| Some(namespace.id) == process.namespaces.user);
    own.and_then(|namespace| namespace.maker).is_some_and(|maker| maker != caller.uid)
}

/// Whether a real, effective or saved id, of user or group, is another than the caller's.
fn is_of_another(process: &Process, caller: &CallerFacts) -> bool {
    process.uids.iter().take(3).any(|uid| *uid != caller.uid)
        || process.gids.iter().take(3).any(|gid| *gid != caller.gid)
}
