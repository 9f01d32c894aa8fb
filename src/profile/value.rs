//! Values of options as CRIU reads them: which it refuses, and which mean the same.

use super::{CriuOption, cgroup_props};

/// One spelling for one meaning: `--ext-mount-map A:B` is `external mnt[A]:B`, and a mode left out is the default.
/// Values that CRIU refuses are an error. CRIU: `config.c: parse_options`.
pub(super) fn canonical(name: &'static str, value: Option<String>) -> Result<CriuOption, String> {
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

    #[test]
    fn sizes_are_read_as_criu_reads_them() {
        assert_eq!(
            ["64M", "64m", "1GiB", "x", "4096", "+5", "-1"].map(size),
            ["64M", "64", "1G", "0", "4096", "5", "18446744073709551615"]
        );
    }
}
