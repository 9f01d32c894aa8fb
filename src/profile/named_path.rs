//! Files and directories that a bare criu has to find where its options say.
//!
//! Looked at with the rights of the lint, which are those of whoever starts criu. CRIU opens the images directory, goes
//! to its work directory, opens its log, and takes all other paths from there. CRIU 4.2: `crtools.c: main`,
//! `image.c: open_image_dir`, `log.c: log_init`, `plugin.c: cr_plugin_init`.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};
use rustix::io::Errno;

use super::observe::PATH_WITHOUT_ONE;
use super::{Profile, Surroundings, cgroup_props, value};
use crate::facts::{Engine, Facts, NamedPath, PathFault, Process};
use crate::text::RawText;

/// Even the images of a single sleeping process take more.
const LEAST_ROOM: u64 = 64 * 1024;

/// What criu does with a path.
#[derive(Clone, Copy)]
enum Use {
    /// Makes files in it.
    Fill,
    /// Makes a directory in it.
    Scratch,
    /// Goes to it.
    Enter,
    /// Lists it.
    List,
    /// Reads the images of an earlier dump in it.
    Follow,
    /// Loads all plugins in it.
    Load,
    /// Reads properties of cgroups from it.
    Parse,
    /// Asks whether it is there.
    See,
    Write,
    Execute,
    /// Freezes the cgroup.
    Freeze,
}

/// Looks at all paths that are in effect, in the order in which CRIU comes to them.
pub(super) fn look<'a>(
    here: &Surroundings,
    profile: &Profile,
    facts: &Facts,
    variable: impl Fn(&str) -> Option<&'a OsString>,
) -> Vec<NamedPath> {
    let scratch = NamedPath::SCRATCH;
    let scratch = named(here, (scratch, Some(scratch), Path::new(""), Use::Scratch));
    if profile.engine != Engine::Criu {
        return scratch.into_iter().collect();
    }
    let value = |option| profile.values(option).last();
    let images = Path::new(value("images-dir").unwrap_or("."));
    let work = value("work-dir").map_or(images, Path::new);
    let start = Path::new("");
    let plugins = variable("CRIU_LIBS_DIR").filter(|_| value("libdir").is_none()).and_then(|plugins| plugins.to_str());
    let streamed = profile.has(NamedPath::STREAM, None).then_some("streamer-capture.sock");
    let wanted = [
        ("images-dir", value("images-dir"), start, Use::Fill),
        ("prev-images-dir", value("prev-images-dir"), images, Use::Follow),
        (NamedPath::STREAM, streamed, images, Use::See),
        ("work-dir", value("work-dir"), start, Use::Enter),
        ("log-file", value("log-file").filter(|file| *file != "-"), work, Use::Write),
        ("freeze-cgroup", value("freeze-cgroup"), work, Use::Freeze),
        ("libdir", value("libdir"), work, Use::Load),
        (NamedPath::PLUGINS, plugins, work, Use::Load),
        ("cgroup-props-file", value("cgroup-props-file"), work, Use::Parse),
    ];
    let scripts = profile.values("action-script").filter_map(|script| {
        let found = named(here, ("action-script", Some(&program(here, script, variable("PATH"))), work, Use::Execute))?;
        Some(NamedPath { value: script.to_owned(), ..found })
    });
    let looked = wanted.into_iter().filter_map(|wanted| named(here, wanted)).chain(scripts);
    scratch
        .into_iter()
        .chain(looked)
        .chain(inside_values(here, profile))
        .chain(yard(here, profile, facts, work))
        .collect()
}

/// The first cgroup of a task that a yard does not show. Those that the caller is in itself CRIU does not look for. CRIU
/// 4.2: `cgroup.c: collect_cgroups`.
fn yard(here: &Surroundings, profile: &Profile, facts: &Facts, work: &Path) -> Option<NamedPath> {
    let value = profile.values(NamedPath::YARD).last()?;
    let alive = facts.processes.iter().filter(|process| !process.is_zombie());
    let others = alive.flat_map(Process::cgroup_lists).filter(|lines| **lines != facts.host.caller.cgroups);
    let shown = |line: &RawText| {
        let mut parts = line.as_bytes().splitn(3, |byte| *byte == b':').skip(1);
        let (name, path) = (parts.next()?, parts.next()?);
        let name = if name.is_empty() { b"unified" } else { name.strip_prefix(b"name=").unwrap_or(name) };
        let below = [value.as_bytes(), b"/", name, path].concat();
        let found = named(here, (NamedPath::YARD, Some(std::str::from_utf8(&below).ok()?), work, Use::List))?;
        found.fault.is_some().then(|| NamedPath { value: value.to_owned(), ..found })
    };
    others.flatten().find_map(shown)
}

/// A bare name is looked for on the PATH. glibc: `execvpe`.
fn program(here: &Surroundings, script: &str, path: Option<&OsString>) -> String {
    let path = path.cloned().unwrap_or_else(|| PATH_WITHOUT_ONE.into());
    let found = std::env::split_paths(&path).map(|dir| dir.join(script)).find(|file| here.inside(file).exists());
    match found {
        Some(found) if !script.contains('/') => found.to_string_lossy().into_owned(),
        _ => script.to_owned(),
    }
}

/// What values name that are no plain paths. CRIU 4.2: `namespaces.c: check_ns_file`, `net.c: macvlan_ext_add`,
/// `lsm.c: lsm_check_opts`.
fn inside_values(here: &Surroundings, profile: &Profile) -> Vec<NamedPath> {
    let namespace = |value: &str| {
        let file = value.split_once(':')?.1.split(',').next()?;
        // Smaller numbers are processes, others names of files.
        let is_pid = !file.is_empty() && file.parse::<u16>().is_ok();
        Some(if is_pid { format!("/proc/{file}") } else { file.to_owned() })
    };
    let interface = |value: &str| {
        let name = value.strip_prefix("macvlan").and_then(value::external_value)?;
        Some(format!("/sys/class/net/{name}"))
    };
    let module = |value: &str| match value.split_once(':')?.0 {
        "apparmor" => Some("/sys/kernel/security/apparmor".to_owned()),
        "selinux" => Some("/sys/fs/selinux/enforce".to_owned()),
        _ => None,
    };
    let look = |option: &str, path: &dyn Fn(&str) -> Option<String>| -> Vec<NamedPath> {
        let seen = |value: &str| {
            let found = named(here, (option, Some(&path(value)?), Path::new(""), Use::See))?;
            Some(NamedPath { value: value.to_owned(), ..found })
        };
        profile.values(option).filter_map(seen).collect()
    };
    [look("join-ns", &namespace), look("external", &interface), look("lsm-profile", &module)].concat()
}

/// An option with its value, the directory from which that is taken, and what criu does there.
type Wanted<'a> = (&'a str, Option<&'a str>, &'a Path, Use);

fn named(here: &Surroundings, (option, value, from, used): Wanted<'_>) -> Option<NamedPath> {
    let value = value?;
    let path = std::path::absolute(from.join(value)).ok()?;
    let found = here.inside(&path);
    let free_bytes = matches!(used, Use::Fill).then(|| free(&found)).flatten();
    let fault = used.fault(&found);
    let path = path.into_os_string().into_vec().into();
    Some(NamedPath { option: option.to_owned(), value: value.to_owned(), path, fault, free_bytes })
}

impl Use {
    /// What keeps this caller from it.
    fn fault(self, path: &Path) -> Option<PathFault> {
        match self {
            Self::Fill => directory(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).or_else(|| room(path)),
            Self::Scratch => directory(path, Access::WRITE_OK | Access::EXEC_OK),
            Self::Enter => directory(path, Access::EXEC_OK),
            Self::List => directory(path, Access::READ_OK | Access::EXEC_OK),
            Self::Follow => {
                Self::List.fault(path).or_else(|| missing(&path.join("inventory.img"), PathFault::NoInventory))
            }
            Self::Write if path.is_dir() => Some(PathFault::Directory),
            Self::Write if path.exists() => may(path, Access::WRITE_OK),
            Self::Write => {
                directory(path.parent()?, Access::WRITE_OK | Access::EXEC_OK).or_else(|| room(path.parent()?))
            }
            Self::Load => directory(path, Access::READ_OK | Access::EXEC_OK).or_else(|| plugins(path)),
            Self::Parse => may(path, Access::READ_OK).or_else(|| properties(path)),
            Self::See => may(path, Access::EXISTS),
            Self::Execute if path.is_dir() => Some(PathFault::Directory),
            Self::Execute => may(path, Access::EXEC_OK).or_else(|| interpreter(path)),
            Self::Freeze => directory(path, Access::EXEC_OK).or_else(|| freezer(path)),
        }
    }
}

fn directory(path: &Path, access: Access) -> Option<PathFault> {
    let other = path.metadata().is_ok_and(|found| !found.is_dir());
    if other { Some(PathFault::NoDirectory) } else { may(path, access) }
}

/// By the rights that are in effect, as of a program that the caller starts.
fn may(path: &Path, access: Access) -> Option<PathFault> {
    match accessat(CWD, path, access, AtFlags::EACCESS) {
        Err(Errno::NOENT) => Some(PathFault::Missing),
        Err(Errno::NOTDIR) => Some(PathFault::NoDirectory),
        Err(Errno::ACCESS | Errno::PERM) => Some(PathFault::Denied),
        Err(Errno::ROFS) => Some(PathFault::ReadOnly),
        _ => None,
    }
}

fn room(path: &Path) -> Option<PathFault> {
    free(path).filter(|free| *free < LEAST_ROOM).map(|_| PathFault::Full)
}

/// Bytes that root could still write there. File systems without a fixed size say 0 of 0.
fn free(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    (found.f_blocks != 0).then(|| found.f_bfree.saturating_mul(found.f_frsize))
}

fn missing(path: &Path, fault: PathFault) -> Option<PathFault> {
    (!path.exists()).then_some(fault)
}

/// A file that the kernel can't run and that names no program is taken for a script of the shell. glibc: `execvpe`.
fn interpreter(path: &Path) -> Option<PathFault> {
    if !path.is_file() {
        return None;
    }
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = String::from_utf8_lossy(&head).lines().next()?.strip_prefix("#!")?.trim_start().to_owned();
    missing(Path::new(line.split([' ', '\t']).next()?), PathFault::NoInterpreter)
}

/// CRIU 4.2: `plugin.c: cr_lib_load`. Whether the libraries that a plugin needs are there is not looked at.
fn plugins(path: &Path) -> Option<PathFault> {
    let mut names = path.read_dir().ok()?.flatten().map(|entry| entry.path());
    let named = |file: &Path| file.as_os_str().as_encoded_bytes().ends_with(b".so");
    names.any(|file| named(&file) && !is_shared_library(&file)).then_some(PathFault::NoPlugin)
}

/// Whether the file begins as a 64-bit ELF shared object does.
fn is_shared_library(file: &Path) -> bool {
    let mut head = [0; 18];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut head));
    let object_type = u16::from_ne_bytes([head[16], head[17]]);
    read.is_ok() && head.starts_with(b"\x7fELF\x02") && object_type == goblin::elf::header::ET_DYN
}

/// CRIU 4.2: `cgroup-props.c: cgp_parse_file` maps the file, which it can't do with an empty one or a device.
fn properties(path: &Path) -> Option<PathFault> {
    if path.is_dir() {
        return Some(PathFault::Directory);
    }
    if !path.is_file() {
        return Some(PathFault::Malformed);
    }
    let text = std::fs::read(path).ok()?;
    (text.is_empty() || !cgroup_props::is_well_formed(&text)).then_some(PathFault::Malformed)
}

/// CRIU 4.2: `seize.c: freeze_processes`.
fn freezer(path: &Path) -> Option<PathFault> {
    let has = |name: &str| path.join(name).exists();
    (!has("freezer.state") && !has("cgroup.freeze")).then_some(PathFault::NoFreezer)
}

#[cfg(test)]
mod tests;
