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

/// Feature of a criu that tries out nftables.
const NFTABLES: &str = "nftables";

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
    /// Network namespaces. CRIU 4.2: `kerndat.c: kerndat_has_nftables_concat`, of one that is built with libnftables.
    NetNamespace,
    /// Tables of nf_tables. CRIU 3.19: `kerndat.c: __has_nftables_concat`, of one that is built with libnftables.
    NfTables,
    /// User namespaces. CRIU 4.3: `kerndat.c: kerndat_has_binfmt_misc_sandboxing`.
    UserNamespace,
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
        // What an earlier run left may say that criu need not try.
        let tried = |subject: Subject| {
            vec![if is_probed_before(view) { subject.at_most(Confidence::Possible) } else { subject }]
        };
        let barred = |kind: &str| abilities.barred_namespaces.iter().any(|barred| barred == kind);
        let setting = |kind: &str| tried(Subject::host(&format!("/proc/sys/user/max_{kind}_namespaces")));
        let with_nftables = view.profile.criu.features.iter().any(|feature| feature == NFTABLES);
        match self.kind {
            Kind::SocketDiag if shares_net => Vec::new(),
            Kind::SocketDiag => about(&abilities.missing_diag),
            Kind::Interface => about(&abilities.missing),
            Kind::Inotify if abilities.inotify == Some(false) => {
                tried(Subject::host("/proc/sys/fs/inotify/max_user_instances"))
            }
            Kind::NetNamespace if barred("net") && with_nftables => setting("net"),
            Kind::NfTables if abilities.nf_tables == Some(false) && with_nftables => tried(Subject::host("nf_tables")),
            Kind::UserNamespace if barred("user") => setting("user"),
            Kind::Tracing if abilities.ptrace_scope == Some(NO_ATTACH) => {
                vec![Subject::host("/proc/sys/kernel/yama/ptrace_scope")]
            }
            Kind::Inotify | Kind::NetNamespace | Kind::NfTables | Kind::UserNamespace | Kind::Tracing => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Abilities, Process};
    use crate::finding::Confidence;
    use crate::rules::testing::{container_namespaces, facts, findings, fired, process, profile};

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
    fn namespaces_that_criu_makes_to_try_out_the_kernel_must_be_allowed() {
        let barred = |kinds: &[&str], cached| {
            let mut tree = facts(vec![process(9)]);
            let barred_namespaces = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            let abilities = Abilities { barred_namespaces, kernel_data_cached: cached, ..Abilities::default() };
            tree.host.abilities = Some(abilities);
            tree
        };
        let fires = |rule, release, tree: &_| {
            let mut profile = profile(release, &[]);
            profile.criu.features = vec!["nftables".to_owned()];
            let sure = findings(rule, tree, &profile).into_iter().filter(|f| f.confidence != Confidence::Possible);
            sure.count()
        };
        let both = barred(&["net", "user"], false);
        let (net, user) = ("net-namespaces-barred", "user-namespaces-barred");
        assert_eq!((fires(net, "3.16", &both), fires(net, "3.15", &both)), (1, 0));
        assert_eq!((fires(user, "4.3", &both), fires(user, "4.2", &both)), (1, 0));
        assert_eq!(fires(net, "4.3", &barred(&["net"], true)), 0, "an earlier run left what it found");
        assert_eq!(fires(net, "4.3", &barred(&["user"], false)), 0);
        assert!(findings(net, &both, &profile("4.2", &[])).is_empty(), "built without libnftables");
    }

    #[test]
    fn releases_before_4_0_that_know_nf_tables_want_a_kernel_with_them() {
        let fires = |release, nf_tables| {
            let mut tree = facts(vec![process(9)]);
            tree.host.abilities = Some(Abilities { nf_tables, ..Abilities::default() });
            let mut profile = profile(release, &[]);
            profile.criu.features = vec!["nftables".to_owned()];
            findings("nf-tables-missing", &tree, &profile).len()
        };
        assert_eq!(["3.15", "3.16", "3.19", "4.0"].map(|release| fires(release, Some(false))), [0, 1, 1, 0]);
        assert_eq!((fires("3.16", Some(true)), fires("3.16", None)), (0, 0));
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
