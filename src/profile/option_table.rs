//! Every option that `criu dump` takes, on the command line or in a config file.
//!
//! CRIU: `config.c: parse_options` and `crtools.c: main` of 3.0 to 4.2, compared release by release; of 4.3 its help and
//! what its program takes.

use crate::version::Version;

/// What follows an option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// Nothing; `no-NAME` turns it off.
    Switch,
    /// Nothing.
    Flag,
    /// A value, joined by `=` or as the next word.
    Value,
    /// Maybe a value, then always joined by `=`.
    Maybe,
}

/// What an option means to a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// In effect once; the last one wins.
    Once,
    /// In effect as often as it is given.
    Many,
    /// Names a file or directory that a bare criu has to find: in effect once. Engines choose these themselves.
    Place,
    /// The same, in effect as often as it is given.
    Places,
    /// Says where pages go or what happens afterwards: no part of the verdict.
    Aside,
    /// Names or leaves out a config file.
    Config,
    /// `criu dump` refuses it.
    NotForDump,
}

/// One option.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Long name without dashes.
    pub(crate) name: &'static str,
    /// Short name.
    pub(crate) short: Option<char>,
    /// What follows it.
    pub(crate) argument: Argument,
    /// What it means here.
    pub(crate) effect: Effect,
    /// First release that knows it; absent when all of 3.0 and later do.
    pub(crate) since: Option<Version>,
}

const fn known(name: &'static str, argument: Argument, effect: Effect) -> Known {
    Known { name, short: None, argument, effect, since: None }
}

impl Known {
    const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    const fn since(self, major: u16, minor: u16) -> Self {
        Self { since: Some(Version::new(major, minor, 0)), ..self }
    }
}

use Argument::{Flag, Maybe, Switch, Value};
use Effect::{Aside, Config, Many, NotForDump, Once, Place, Places};

/// All options, by name.
pub(crate) const TABLE: [Known; 91] = [
    known("action-script", Value, Places),
    known("address", Value, Once),
    known("all", Flag, Aside),
    known("allow-uprobes", Switch, Once).since(4, 2),
    known("auto-dedup", Switch, Once),
    known("cgroup-dump-controller", Value, Many),
    known("cgroup-props", Value, Once),
    known("cgroup-props-file", Value, Once),
    known("cgroup-root", Value, Many),
    known("cgroup-yard", Value, Once).since(3, 14),
    known("close", Value, Aside),
    known("compress", Flag, Once).short('c').since(4, 3),
    known("compress-acceleration", Value, Once).since(4, 3),
    known("compress-block", Value, Once).since(4, 3),
    known("config", Value, Config).since(3, 11),
    known("cpu-cap", Maybe, Once),
    known("daemon", Switch, Aside),
    known("decompress-threads", Value, Aside).since(4, 3),
    known("deprecated", Switch, Once),
    known("display-stats", Switch, Aside),
    known("empty-ns", Value, Many),
    known("enable-external-masters", Flag, Once),
    known("enable-external-sharing", Flag, Once),
    known("enable-fs", Value, Many),
    known("evasive-devices", Switch, Once),
    known("exec-cmd", Flag, NotForDump),
    known("experimental", Switch, Aside),
    known("ext-mount-map", Value, Many).short('M'),
    known("ext-unix-sk", Maybe, Many).short('x'),
    known("external", Value, Many),
    known("extra", Switch, Aside),
    known("feature", Value, Aside),
    known("file-locks", Switch, Once).short('l'),
    known("file-validation", Value, Once).since(3, 15),
    known("force-irmap", Switch, Once),
    known("freeze-cgroup", Value, Once),
    known("ghost-fiemap", Switch, Once).since(3, 18),
    known("ghost-limit", Value, Once),
    known("help", Flag, NotForDump).short('h'),
    known("image-io-mode", Value, Aside).since(4, 3),
    known("images-dir", Value, Place).short('D'),
    known("inherit-fd", Value, NotForDump),
    known("irmap-scan-path", Value, Many),
    known("join-ns", Value, Many).short('J'),
    known("lazy-pages", Flag, Once).since(3, 5),
    known("leave-running", Flag, Aside).short('R'),
    known("leave-stopped", Flag, Aside).short('s'),
    known("libdir", Value, Once).short('L'),
    known("link-remap", Switch, Once),
    known("log-file", Value, Place).short('o'),
    known("log-pid", Switch, Aside),
    known("lsm-mount-context", Value, Aside).since(3, 16),
    known("lsm-profile", Value, Once),
    known("manage-cgroups", Maybe, Once),
    known("mntns-compat-mode", Switch, NotForDump).since(3, 17),
    known("ms", Flag, NotForDump),
    known("network-lock", Value, Once).since(3, 16),
    known("no-default-config", Flag, Config).since(3, 11),
    known("page-server", Switch, Once),
    known("pidfile", Value, Aside),
    known("plugin-option", Value, Aside).since(4, 3),
    known("port", Value, Aside),
    known("pre-dump-mode", Value, Aside).since(3, 14),
    known("prev-images-dir", Value, Place),
    known("ps-socket", Value, Once).since(3, 10),
    known("restore-detached", Switch, Once).short('d'),
    known("restore-sibling", Switch, Once).short('S'),
    known("root", Value, Once).short('r'),
    known("shell-job", Switch, Once).short('j'),
    known("skip-file-rwx-check", Switch, Aside).since(3, 18),
    known("skip-in-flight", Switch, Once),
    known("skip-mnt", Value, Many),
    known("status-fd", Value, Aside),
    known("stream", Switch, Once).since(3, 15),
    known("tcp-close", Switch, Once).since(3, 3),
    known("tcp-established", Switch, Once),
    known("timeout", Value, Once),
    known("tls", Switch, Aside).since(3, 13),
    known("tls-cacert", Value, Aside).since(3, 13),
    known("tls-cacrl", Value, Aside).since(3, 13),
    known("tls-cert", Value, Aside).since(3, 13),
    known("tls-key", Value, Aside).since(3, 13),
    known("tls-no-cn-verify", Flag, Aside).since(3, 13),
    known("track-mem", Switch, Once),
    known("tree", Value, Aside).short('t'),
    known("unprivileged", Switch, Once).since(3, 18),
    known("verbosity", Maybe, Aside).short('v'),
    known("version", Flag, NotForDump).short('V'),
    known("veth-pair", Value, Aside),
    known("weak-sysctls", Switch, Aside),
    known("work-dir", Value, Place).short('W'),
];

/// What a name on the command line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The option.
    On(&'static Known),
    /// The option, turned off by `no-NAME`.
    Off(&'static Known),
}

/// Looks a long name up as getopt_long does: whole, else as the beginning of a single one.
pub(crate) fn long(name: &str) -> Option<Found> {
    let exact = TABLE.iter().find(|known| known.name == name).map(Found::On);
    exact.or_else(|| off(name)).or_else(|| {
        let mut longer = TABLE.iter().filter(|known| known.name.starts_with(name) && !name.is_empty());
        longer.next().filter(|_| longer.next().is_none()).map(Found::On)
    })
}

fn off(name: &str) -> Option<Found> {
    let name = name.strip_prefix("no-")?;
    TABLE.iter().find(|known| known.name == name && known.argument == Switch).map(Found::Off)
}

/// Looks a short name up.
pub(crate) fn short(name: char) -> Option<&'static Known> {
    TABLE.iter().find(|known| known.short == Some(name))
}

/// First release that knows the option of this name; absent when all do.
pub(crate) fn since(name: &str) -> Option<Version> {
    TABLE.iter().find(|known| known.name == name)?.since
}

/// The known name that looks most like a wrong one.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let rated = TABLE.iter().map(|known| (strsim::jaro_winkler(name, known.name), known.name));
    rated.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_no_name_is_there_twice() {
        assert!(TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
        let mut shorts: Vec<char> = TABLE.iter().filter_map(|known| known.short).collect();
        shorts.sort_unstable();
        shorts.dedup();
        assert_eq!(shorts.into_iter().collect::<String>(), "DJLMRSVWcdhjlorstvx");
    }

    fn on(name: &str) -> Option<&'static str> {
        match long(name) {
            Some(Found::On(known)) => Some(known.name),
            _ => None,
        }
    }

    #[test]
    fn names_are_found_as_getopt_finds_them() {
        assert_eq!(on("tcp-est"), Some("tcp-established"));
        assert_eq!(long("tcp"), None);
        assert!(matches!(long("no-link-remap"), Some(Found::Off(known)) if known.name == "link-remap"));
        assert_eq!(long("no-external"), None);
        assert_eq!(nearest("tcp-establised"), Some("tcp-established"));
        assert_eq!(nearest("tcp-skip-in-flight"), Some("skip-in-flight"));
        assert_eq!(nearest("zzz"), None);
    }
}
