//! Words of a command line or config file into options, as CRIU's getopt_long splits them.

use super::option_table::{self, Argument, Effect, Found, Known};
use super::{CriuOption, cgroup_props};

/// What a word asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// An option to be in effect.
    Set(&'static Known, CriuOption),
    /// A switch to be off.
    Unset(&'static Known),
    /// A word that belongs to no option.
    Stray(String),
    /// A word that makes CRIU refuse to start, and why.
    Wrong(String),
}

/// Splits words as getopt_long does. The words after `--` are strays.
pub(super) fn split(words: &[String]) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            statements.extend(words.by_ref().map(|word| Statement::Stray(word.clone())));
        } else if let Some(long) = word.strip_prefix("--") {
            statements.push(split_long(long, &mut words));
        } else if let Some(bundle) = word.strip_prefix('-').filter(|bundle| !bundle.is_empty()) {
            split_bundle(bundle, &mut words, &mut statements);
        } else {
            statements.push(Statement::Stray(word.clone()));
        }
    }
    statements
}

fn split_long<'a>(word: &str, rest: &mut impl Iterator<Item = &'a String>) -> Statement {
    let (name, joined) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value.to_owned())));
    match option_table::long(name) {
        None => Statement::Wrong(unknown(name)),
        Some(Found::Off(known)) => match joined {
            None => Statement::Unset(known),
            Some(_) => Statement::Wrong(format!("`{name}` takes no value")),
        },
        Some(Found::On(known)) => {
            let value = match known.argument {
                Argument::Value => joined.or_else(|| rest.next().cloned()),
                _ => joined,
            };
            set(known, value)
        }
    }
}

/// `-jl`, `-v4`, `-t 42`: a value is what is left of the word, else the next word.
fn split_bundle<'a>(bundle: &str, rest: &mut impl Iterator<Item = &'a String>, statements: &mut Vec<Statement>) {
    let mut left = bundle;
    while let Some(letter) = left.chars().next() {
        left = left.get(letter.len_utf8()..).unwrap_or_default();
        let Some(known) = option_table::short(letter) else {
            return statements.push(Statement::Wrong(format!("`-{letter}` is no option of `criu dump`")));
        };
        let joined = Some(left.to_owned()).filter(|left| !left.is_empty());
        match known.argument {
            Argument::Switch | Argument::Flag => statements.push(set(known, None)),
            Argument::Maybe => return statements.push(set(known, joined)),
            Argument::Value => return statements.push(set(known, joined.or_else(|| rest.next().cloned()))),
        }
    }
}

/// One option with the value that was found for it.
pub(super) fn set(known: &'static Known, value: Option<String>) -> Statement {
    let name = known.name;
    match (known.argument, &value) {
        (Argument::Value, None) => Statement::Wrong(format!("`{name}` needs a value")),
        (Argument::Switch | Argument::Flag, Some(_)) => Statement::Wrong(format!("`{name}` takes no value")),
        _ if known.effect == Effect::NotForDump => Statement::Wrong(format!("`criu dump` refuses `{name}`")),
        _ => match canonical(name, value) {
            Ok(option) => Statement::Set(known, option),
            Err(why) => Statement::Wrong(why),
        },
    }
}

/// What to say of a name that CRIU does not know.
pub(super) fn unknown(name: &str) -> String {
    let shown = name.escape_debug();
    match option_table::nearest(name) {
        Some(nearest) => format!("`{shown}` is no option of `criu dump`; did you mean `{nearest}`?"),
        None => format!("`{shown}` is no option of `criu dump`"),
    }
}

/// One spelling for one meaning: `--ext-mount-map A:B` is `external mnt[A]:B`, and a mode left out is the default.
/// Values that CRIU refuses are an error. CRIU: `config.c: parse_options`.
fn canonical(name: &'static str, value: Option<String>) -> Result<CriuOption, String> {
    let text = value.as_deref().unwrap_or_default();
    let one_of = |allowed: &[&str]| {
        let wrong = || format!("`{name}` takes {}, not `{}`", allowed.join(", "), text.escape_debug());
        if allowed.contains(&text) { Ok(()) } else { Err(wrong()) }
    };
    match name {
        "ext-mount-map" => {
            return match (text, text.split_once(':')) {
                ("auto", _) => Ok(CriuOption::with("external", "mnt[]")),
                (_, Some((key, value))) => Ok(CriuOption::with("external", format!("mnt[{key}]:{value}"))),
                _ => Err(format!("`{name}` takes KEY:VALUE or auto, not `{}`", text.escape_debug())),
            };
        }
        "manage-cgroups" => match value {
            None => return Ok(CriuOption::with(name, "soft")),
            Some(_) => one_of(&["none", "props", "soft", "full", "strict", "ignore"])?,
        },
        "network-lock" => one_of(&["iptables", "nftables", "skip", "none"])?,
        "file-validation" => one_of(&["filesize", "buildid"])?,
        "cpu-cap" if !is_cpu_cap(text) => {
            return Err(format!("`{name}` takes fpu, all, none, cpu, ins, not `{}`", text.escape_debug()));
        }
        "empty-ns" => one_of(&["net"])?,
        "image-io-mode" => one_of(&["writeback", "direct"])?,
        "pre-dump-mode" => one_of(&["splice", "read"])?,
        _ => shape(name, text)?,
    }
    Ok(CriuOption { name: name.to_owned(), value })
}

/// Values of which CRIU wants a form. CRIU 4.2: `config.c: parse_options`, `lsm.c: lsm_check_opts`.
fn shape(name: &str, text: &str) -> Result<(), String> {
    let number = || text.trim_start().trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit());
    let positive = || leading_number(text).is_some_and(|number| number > 0);
    let inode = |part: &str| part.is_empty() || part.parse::<u32>().is_ok_and(|inode| inode > 0);
    let after = |prefix: &str| text.strip_prefix(prefix);
    let (fits, form) = match name {
        "ext-unix-sk" => (text.split(',').all(inode), "inodes with commas between"),
        "external" if text.starts_with("macvlan") => (external_value(text).is_some(), "macvlan[INSIDE]:OUTSIDE"),
        "external" => {
            (after("mnt[]:").is_none_or(|flags| flags.chars().all(|c| "ms".contains(c))), "m, s or ms after mnt[]:")
        }
        "join-ns" => (is_join_ns(text), "TYPE:FILE or TYPE:PID, with net, uts, time, ipc, user or mnt for TYPE"),
        "cgroup-props" => (cgroup_props::is_well_formed(text.as_bytes()), "controllers in its simplified YAML"),
        "lsm-profile" => {
            let kind = text.split_once(':').map(|(kind, _)| kind);
            (matches!(kind, Some("apparmor" | "selinux" | "none")), "apparmor:NAME, selinux:NAME or none:")
        }
        "plugin-option" => {
            (text.split('=').next().is_some_and(|key| key.contains('.')), "PLUGIN.NAME or PLUGIN.NAME=VALUE")
        }
        "feature" => (FEATURES.contains(&text), "the name of a feature that `criu check` knows"),
        "decompress-threads" => (leading_number(text).is_some_and(|n| n <= 1024), "0 to 1024"),
        "port" | "tree" => (positive(), "a number above 0"),
        "compress-acceleration" => (leading_number(text).is_some_and(|n| (1..=65537).contains(&n)), "1 to 65537"),
        "status-fd" => (number(), "a number"),
        "veth-pair" => (text.contains('='), "INSIDE=OUTSIDE"),
        _ => return Ok(()),
    };
    if fits { Ok(()) } else { Err(format!("`{name}` takes {form}, not `{}`", text.escape_debug())) }
}

/// What `criu check --feature` asks for. CRIU 4.2: `cr-check.c: feature_list`.
const FEATURES: [&str; 45] = [
    "mnt_id",
    "mem_dirty_track",
    "aio_remap",
    "timerfd",
    "tun",
    "tun_ns",
    "userns",
    "fdinfo_lock",
    "seccomp_suspend",
    "seccomp_filters",
    "loginuid",
    "cgroupns",
    "autofs",
    "tcp_half_closed",
    "compat_cr",
    "uffd",
    "uffd-noncoop",
    "can_map_vdso",
    "sk_ns",
    "sk_unix_file",
    "net_diag_raw",
    "nsid",
    "link_nsid",
    "kcmp_epoll",
    "timens",
    "external_net_ns",
    "clone3_set_tid",
    "newifindex",
    "nftables",
    "has_ipt_legacy",
    "pidfd_store",
    "ns_pid",
    "apparmor_stacking",
    "network_lock_nftables",
    "sockopt_buf_lock",
    "memfd_hugetlb",
    "move_mount_set_group",
    "openat2",
    "get_rseq_conf",
    "ipv6_freebind",
    "pagemap_scan",
    "timer_cr_ids",
    "overlayfs_maps",
    "breakpoints",
    "pagemap_scan_guard_pages",
];

/// What stands behind `TYPE[ID]:`. CRIU: `external.h: external_val`.
pub(super) fn external_value(text: &str) -> Option<&str> {
    text.split_once('[')?.1.split_once(']')?.1.strip_prefix(':')
}

/// CRIU 4.2: `namespaces.c: join_ns_add`.
fn is_join_ns(text: &str) -> bool {
    let Some((kind, rest)) = text.split_once(':') else { return false };
    let id = |id: &str| id.is_empty() || id.parse::<u16>().is_ok();
    match kind {
        "user" => rest.split_once(',').is_none_or(|(_, ids)| ids.splitn(2, ',').all(id)),
        _ => matches!(kind, "net" | "uts" | "time" | "ipc" | "mnt"),
    }
}

/// The number that a text begins with.
fn leading_number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// Names one after the other, `^` before a name turns it off. CRIU: `config.c: parse_cpu_cap`.
fn is_cpu_cap(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let known = ["^", ",", "fpu", "all", "none", "cpu", "ins"].iter().find_map(|name| rest.strip_prefix(name));
        match known {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// A size as CRIU reads it: leading digits, one below 0 taken for a very large one, and a factor for a `K`, `M` or `G` anywhere; `64m` is 64 bytes.
/// CRIU: `config.c: parse_size`.
pub(super) fn size(text: &str) -> String {
    let text = text.trim_start();
    let (negative, text) = (text.starts_with('-'), text.strip_prefix(['-', '+']).unwrap_or(text));
    if negative && leading_number(text).is_some_and(|number| number > 0) {
        return u64::MAX.to_string();
    }
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let factor = ['K', 'M', 'G'].into_iter().find(|&unit| text.contains(unit)).map_or(String::new(), String::from);
    format!("{}{factor}", if digits.is_empty() { "0" } else { &digits })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let show = |statement| match statement {
            Statement::Set(_, option) => option.to_string(),
            Statement::Unset(known) => format!("no {}", known.name),
            Statement::Stray(word) => format!("stray {word}"),
            Statement::Wrong(why) => why,
        };
        split(&words).into_iter().map(show).collect()
    }

    #[test]
    fn a_dump_command_splits_as_criu_splits_it() {
        assert_eq!(
            shown("dump -Rjl -v4 -t 42 --ext-unix-sk=7 --external unix[9] --manage-cgroups full"),
            [
                "stray dump",
                "leave-running",
                "shell-job",
                "file-locks",
                "verbosity 4",
                "tree 42",
                "ext-unix-sk 7",
                "external unix[9]",
                "manage-cgroups soft",
                "stray full"
            ]
        );
        assert_eq!(
            shown("-x --no-tcp-established --tcp-est"),
            ["ext-unix-sk", "no tcp-established", "tcp-established"]
        );
        assert_eq!(shown("-M /a:b -M auto"), ["external mnt[/a]:b", "external mnt[]"]);
    }

    #[test]
    fn what_criu_refuses_is_said_with_the_name() {
        assert!(shown("--tcp-establised")[0].contains("did you mean `tcp-established`?"));
        assert!(shown("--ghost-limit")[0].contains("needs a value"));
        assert!(shown("--tcp-established=yes")[0].contains("takes no value"));
        assert!(shown("--inherit-fd fd[1]:x")[0].contains("refuses"));
        assert!(shown("-q")[0].contains("`-q`"));
        assert!(
            shown("--cpu-cap=foo")[0].contains("takes fpu") && shown("--cpu-cap=^ins,cpu")[0].contains("cpu-cap ^")
        );
        assert!(shown("--empty-ns pid")[0].contains("takes net"));
        for (line, form) in [
            ("--ext-unix-sk=abc", "takes inodes"),
            ("-x0", "takes inodes"),
            ("--external mnt[]:z", "m, s or ms"),
            ("--join-ns net", "TYPE:FILE"),
            ("--join-ns pid:1", "TYPE:FILE"),
            ("--join-ns user:1,a,0", "TYPE:FILE"),
            ("--external macvlan[eth0]", "macvlan[INSIDE]:OUTSIDE"),
            ("--cgroup-props x", "simplified YAML"),
            ("--lsm-profile foo", "apparmor:NAME"),
            ("--lsm-profile smack:foo", "apparmor:NAME"),
            ("--port 0", "above 0"),
            ("--status-fd x", "a number"),
            ("--feature foo", "criu check"),
            ("--decompress-threads x", "0 to 1024"),
            ("--pre-dump-mode slow", "splice, read"),
            ("--veth-pair a", "INSIDE=OUTSIDE"),
            ("--image-io-mode fast", "writeback, direct"),
            ("--plugin-option a=b.c", "PLUGIN.NAME"),
            ("--compress-acceleration 0", "1 to 65537"),
        ] {
            assert!(shown(line)[0].contains(form), "{line}: {:?}", shown(line));
        }
        for line in [
            "-x7,8",
            "-x",
            "--external mnt[]:ms",
            "--external mnt[]",
            "--lsm-profile none:",
            "--port 80",
            "--join-ns user:1,0,0",
            "--external macvlan[a]:b",
        ] {
            assert!(!shown(line)[0].contains("takes"), "{line}: {:?}", shown(line));
        }
    }

    #[test]
    fn sizes_are_read_as_criu_reads_them() {
        assert_eq!(
            ["64M", "64m", "1GiB", "x", "4096", "+5", "-1"].map(size),
            ["64M", "64", "1G", "0", "4096", "5", "18446744073709551615"]
        );
    }
}
