//! What criu asks of the kernel, whatever it dumps, and this kernel does not have or not allow.

use serde::Deserialize;

use super::{Match, View, is_probed_before};
use crate::facts::Area;
use crate::finding::{Confidence, Subject};

/// Scope of Yama in which nobody may trace. Kernel: `yama_lsm.c: YAMA_SCOPE_NO_ATTACH`.
const NO_ATTACH: u8 = 3;

/// Fires for each thing of that kind that is not there. An ideal criu needs them as well.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelLack {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// Modules of sock_diag. CRIU 4.2: `sockets.c: collect_sockets`, which fails for all but raw sockets; not where the
    /// tree is in criu's own network namespace.
    SocketDiag,
    /// System calls and files below `/proc`.
    Interface,
    /// Room for one more inotify instance. CRIU 4.2: `kerndat.c: kerndat_has_inotify_setnextwd`.
    Inotify,
    /// The right to trace, which Yama may take from everybody.
    Tracing,
}

impl Match for KernelLack {
    fn needs(&self) -> &'static [Area] {
        &[]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let Some(abilities) = &view.facts.host.abilities else { return Vec::new() };
        let shares_net = view.facts.root().is_some_and(|root| root.namespaces.net == view.facts.host.namespaces.net);
        let about = |names: &[String]| names.iter().map(|name| Subject::host(name)).collect();
        match self.kind {
            Kind::SocketDiag if shares_net => Vec::new(),
            Kind::SocketDiag => about(&abilities.missing_diag),
            Kind::Interface => about(&abilities.missing),
            Kind::Inotify if abilities.inotify == Some(false) => {
                let about = Subject::host("/proc/sys/fs/inotify/max_user_instances");
                vec![if is_probed_before(view) { about.at_most(Confidence::Possible) } else { about }]
            }
            Kind::Tracing if abilities.ptrace_scope == Some(NO_ATTACH) => {
                vec![Subject::host("/proc/sys/kernel/yama/ptrace_scope")]
            }
            Kind::Inotify | Kind::Tracing => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Abilities, Process};
    use crate::rules::testing::{container_namespaces, facts, fired, process};

    fn fires(rule: &str, abilities: Abilities) -> Vec<String> {
        let mut tree = facts(vec![Process { namespaces: container_namespaces(), ..process(9) }]);
        tree.host.abilities = Some(abilities);
        fired(rule, &tree, &[])
    }

    #[test]
    fn in_the_network_namespace_of_criu_no_socket_table_need_be_whole() {
        let mut tree = facts(vec![process(9)]);
        tree.host.abilities = Some(Abilities { missing_diag: vec!["unix_diag".to_owned()], ..Abilities::default() });
        assert!(fired("socket-diag-missing", &tree, &[]).is_empty());
    }

    #[test]
    fn each_thing_that_the_kernel_lacks_is_named() {
        let lacks = |name: &str| vec![name.to_owned()];
        let diag = Abilities { missing_diag: lacks("unix_diag"), ..Abilities::default() };
        assert_eq!(fires("socket-diag-missing", diag), ["unix_diag"]);
        let kcmp = Abilities { missing: lacks("kcmp"), ..Abilities::default() };
        assert_eq!(fires("kernel-interface-missing", kcmp), ["kcmp"]);
        for rule in ["socket-diag-missing", "kernel-interface-missing", "tracing-forbidden"] {
            assert!(fires(rule, Abilities { ptrace_scope: Some(2), ..Abilities::default() }).is_empty());
        }
        let full = |inotify| fires("inotify-exhausted", Abilities { inotify, ..Abilities::default() }).len();
        assert_eq!((full(Some(false)), full(Some(true)), full(None)), (1, 0, 0));
        let forbidden = Abilities { ptrace_scope: Some(3), ..Abilities::default() };
        assert_eq!(fires("tracing-forbidden", forbidden).len(), 1);
    }
}
