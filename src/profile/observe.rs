//! Looks for the criu that would run and for the config files it would read, and writes both into the facts.
//!
//! A container's criu is looked for on the PATH of its shim: the shim starts the runtime, and the runtime starts criu,
//! each with the environment it was given. So its capabilities are those that count, too.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind::NotADirectory, ErrorKind::NotFound, ErrorKind::PermissionDenied};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::build::{ProfileAsk, Wanted, build};
use super::{config_file, criu_build, criu_program, engine, named_path};
use crate::error::{Error, Result};
use crate::facts::{
    Area, CallerFacts, ConfigFile, ConfigRole, CriuBuild, CriuFacts, CriuState, Engine, Facts, Gap, Pid, Tool,
};
use crate::procfs::{Proc, caller};
use crate::scan;
use crate::target::{Roots, monitor};

/// Most bytes of an environment or config file that are read.
const MAX_BYTES: u64 = 256 * 1024;

/// `/dev/null`, 1:3.
const NULL_DEVICE: u64 = 0x103;

/// Where to look. The default is this host and this process's environment; tests bring their own.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Processes and state of engines.
    pub roots: Roots,
    /// Prefix of the paths that CRIU and runc read config files from: `/`.
    pub etc: PathBuf,
    /// Environment of a criu that the user starts.
    pub environment: BTreeMap<OsString, OsString>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { roots: Roots::default(), etc: "/".into(), environment: std::env::vars_os().collect() }
    }
}

impl Surroundings {
    /// The path below the prefix of these surroundings.
    pub(super) fn inside(&self, path: &Path) -> PathBuf {
        self.etc.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Programs that criu starts by name in a dump. CRIU 4.2: `filesystems.c: tmpfs_dump`, `net.c: dump_net_ns`,
/// `network_lock`.
const TOOLS: [&str; 9] =
    ["gzip", "ip", "ip6tables", "ip6tables-restore", "iptables", "iptables-restore", "iptables-save", "sh", "tar"];

/// Where programs are looked for without a PATH. glibc: `execvpe`.
pub(super) const PATH_WITHOUT_ONE: &str = "/bin:/usr/bin";

/// Who starts criu: its environment, and how to call it in the report.
struct Starter {
    /// The shim; absent when the user starts it.
    pid: Option<Pid>,
    environment: BTreeMap<OsString, OsString>,
    called: String,
    /// Why its environment is not known.
    denied: Option<String>,
}

/// Finds criu and its config files on this host. To be called after the scan: it replaces the caller of the facts by
/// the engine's where that is who runs criu.
///
/// # Errors
///
/// When `--criu` or an option makes no sense.
pub fn observe(ask: &ProfileAsk, facts: &mut Facts) -> Result<()> {
    observe_in(&Surroundings::default(), ask, facts)
}

/// The same in other surroundings. Errors as [`observe`].
pub fn observe_in(here: &Surroundings, ask: &ProfileAsk, facts: &mut Facts) -> Result<()> {
    let starter = starter(here, ask, facts);
    if let Some(pid) = starter.pid {
        match caller_of(&here.roots.proc, pid) {
            Some(caller) => scan::set_caller(facts, caller),
            None => facts.gaps.push(gap(Some(pid), "status", "its capabilities are not readable")),
        }
    }
    facts.host.tools = starter.denied.is_none().then(|| tools(&starter));
    facts.host.criu = match ask.wanted()? {
        Wanted::Release(_) => None,
        Wanted::Path(path) => Some(CriuFacts {
            path: path.into(),
            found_by: "--criu".into(),
            state: match std::path::absolute(path) {
                Ok(program) => criu_program::state(&program, &starter.environment),
                Err(error) => CriuState::NotRun(error.to_string()),
            },
            build: CriuBuild::default(),
        }),
        Wanted::Installed => Some(installed(&starter)),
    };
    if let Some(criu) = facts.host.criu.as_mut().filter(|criu| criu.path.as_bytes().contains(&b'/')) {
        let named = starter.variable("CRIU_LIBS_DIR");
        let plugins = here.inside(&criu_build::plugin_directory(ask.value_of("libdir")?, named));
        criu.build = criu_build::read(Path::new(OsStr::from_bytes(criu.path.as_bytes())), &plugins);
    }
    if let Some(CriuFacts { path, state: CriuState::NotRun(why), .. }) = &facts.host.criu {
        facts.gaps.push(Gap { area: Area::Criu, pid: starter.pid, path: path.clone(), reason: why.clone() });
    }
    read_config_files(here, ask, &starter, facts)?;
    let profile = build(ask, facts)?;
    facts.host.named_paths = match starter.denied {
        None => named_path::look(here, &profile, facts, |name| starter.variable(name)),
        Some(_) => Vec::new(),
    };
    facts.gaps.sort();
    facts.gaps.dedup();
    for look in &mut facts.looks {
        look.host.clone_from(&facts.host);
    }
    Ok(())
}

/// The environment that criu, or the runtime that starts it, is given.
///
/// # Errors
/// When that of the engine is not readable.
pub(crate) fn environment_of_criu(ask: &ProfileAsk, facts: &Facts) -> Result<BTreeMap<OsString, OsString>> {
    let starter = starter(&Surroundings::default(), ask, facts);
    match starter.denied {
        None => Ok(starter.environment),
        Some(why) => Err(Error::new(format!("can't start the runtime as {} does", starter.called)).because(why)),
    }
}

impl Starter {
    fn variable(&self, name: &str) -> Option<&OsString> {
        self.environment.get(&OsString::from(name))
    }
}

fn starter(here: &Surroundings, ask: &ProfileAsk, facts: &Facts) -> Starter {
    let engine = ask.engine.unwrap_or(facts.target.dumped_by);
    let id = facts.target.container.as_ref().map(|container| container.id.as_str());
    let processes = monitor::processes(&here.roots);
    let shim = match id {
        _ if engine != Engine::Docker => None,
        Some(id) => monitor::shim_of(&processes, id),
        None => monitor::of_docker(&processes),
    };
    let Some(shim) = shim else {
        let environment = here.environment.clone();
        return Starter { pid: None, environment, called: "the user".into(), denied: None };
    };
    let called = format!("{} (pid {})", String::from_utf8_lossy(shim.program()), shim.pid);
    let dir = here.roots.proc.join(shim.pid.to_string());
    let mount_namespace = |dir: PathBuf| fs::read_link(dir.join("ns/mnt"));
    let other = match (mount_namespace(dir.clone()), mount_namespace(here.roots.proc.join("self"))) {
        (Ok(theirs), Ok(ours)) => theirs != ours,
        _ => false,
    };
    let (environment, denied) = match read(&dir.join("environ")) {
        _ if other => (BTreeMap::new(), Some(format!("{called} is in another mount namespace"))),
        Ok(bytes) => (variables(&bytes), None),
        Err(error) => (BTreeMap::new(), Some(format!("the environment of {called} is not readable: {error}"))),
    };
    Starter { pid: Some(shim.pid), environment, called, denied }
}

fn variables(bytes: &[u8]) -> BTreeMap<OsString, OsString> {
    let pairs = bytes.split(|&byte| byte == 0).filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        Some((OsString::from_vec(pair.get(..at)?.to_vec()), OsString::from_vec(pair.get(at + 1..)?.to_vec())))
    });
    // The first one counts, as for getenv.
    pairs.rev().collect()
}

/// The criu on the starter's PATH.
fn installed(starter: &Starter) -> CriuFacts {
    let found_by = format!("PATH of {}", starter.called);
    if let Some(why) = &starter.denied {
        let state = CriuState::NotRun(why.clone());
        return CriuFacts { path: "criu".into(), found_by, state, build: CriuBuild::default() };
    }
    let path = starter.variable("PATH").cloned().unwrap_or_default();
    match on_path(&path, "criu") {
        Some(program) => CriuFacts {
            path: program.as_os_str().as_bytes().into(),
            found_by,
            state: criu_program::state(&program, &starter.environment),
            build: CriuBuild::default(),
        },
        None => {
            let build = CriuBuild::default();
            CriuFacts { path: "criu".into(), found_by, state: CriuState::Missing, build }
        }
    }
}

/// Each tool on the starter's PATH, which criu inherits.
fn tools(starter: &Starter) -> Vec<Tool> {
    let path = starter.variable("PATH").cloned().unwrap_or_else(|| PATH_WITHOUT_ONE.into());
    let tool = |name: &&str| Tool {
        name: (*name).to_owned(),
        program: on_path(&path, name)
            .map(|program| fs::canonicalize(&program).unwrap_or(program).into_os_string().into_vec().into()),
    };
    TOOLS.iter().map(tool).collect()
}

/// The program of this name that a PATH leads to.
pub(crate) fn on_path(path: &OsString, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|p| runnable(p))
}

fn runnable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The process that starts criu, as its caller.
fn caller_of(proc: &Path, pid: Pid) -> Option<CallerFacts> {
    let dir = Proc::open(proc).and_then(|proc| proc.process(pid)).ok()?;
    caller(&dir, &mut Vec::new()).ok().flatten()
}

fn read_config_files(here: &Surroundings, ask: &ProfileAsk, starter: &Starter, facts: &mut Facts) -> Result<()> {
    let variable = |name: &str| starter.variable(name).map(PathBuf::from);
    let annotation = facts.target.container.as_ref().and_then(|container| container.criu_config_annotation.clone());
    let request = annotation.unwrap_or_else(|| engine::RUNC_CONFIG.to_owned());
    let wanted = [
        (ConfigRole::System, Some(PathBuf::from("/etc/criu/default.conf"))),
        (ConfigRole::Home, variable("HOME").map(|home| home.join(".criu/default.conf"))),
        (ConfigRole::Environment, variable("CRIU_CONFIG_FILE")),
        (ConfigRole::CommandLine, ask.value_of("config")?.map(|file| absolute(&file)).transpose()?),
        (ConfigRole::Request, Some(PathBuf::from(request))),
    ];
    let by_own_rights = starter.pid.is_none() && !matches!(ask.wanted()?, Wanted::Release(_));
    facts.host.config_files.clear();
    for (read_as, path) in wanted {
        let Some(path) = path.filter(|path| path.is_absolute()) else { continue };
        match read(&here.inside(&path)) {
            Ok(bytes) => facts.host.config_files.push(ConfigFile {
                path: path.as_os_str().as_bytes().into(),
                read_as,
                lines: config_file::lines(&String::from_utf8_lossy(&bytes)),
                passed_over: false,
            }),
            Err(error) if read_as == ConfigRole::CommandLine && matches!(error.kind(), NotFound | NotADirectory) => {
                facts.host.config_files.push(passed_over(&path, read_as));
            }
            Err(error) if read_as == ConfigRole::CommandLine => return Err(no_config_file(&path, &error)),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {}
            Err(error) if error.kind() == PermissionDenied && by_own_rights => {
                facts.host.config_files.push(passed_over(&path, read_as));
            }
            Err(error) => facts.gaps.push(Gap { area: Area::Config, ..gap(None, path, error) }),
        }
    }
    Ok(())
}

fn gap(pid: Option<Pid>, path: impl Into<PathBuf>, reason: impl ToString) -> Gap {
    let path = path.into().into_os_string().into_vec();
    Gap { area: Area::Criu, pid, path: path.into(), reason: reason.to_string() }
}

/// The path as a criu sees it that is started where the lint was.
fn absolute(path: &str) -> Result<PathBuf> {
    let wrong =
        |error| Error::new(format!("options after --: no config file `{}`", path.escape_debug())).because(error);
    std::path::absolute(path).map_err(wrong)
}

/// CRIU says nothing of one that it can't read: it goes on without.
fn passed_over(path: &Path, read_as: ConfigRole) -> ConfigFile {
    ConfigFile { path: path.as_os_str().as_bytes().into(), read_as, lines: Vec::new(), passed_over: true }
}

fn no_config_file(path: &Path, error: &io::Error) -> Error {
    Error::new(format!("options after --: can't read the config file {}", path.display())).because(error)
}

/// A regular file or a file of `/proc`, whole; a fifo is not waited for, and a directory reads as empty as for CRIU.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = fs::OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    let found = file.metadata()?;
    if found.is_dir() || found.rdev() == NULL_DEVICE {
        return Ok(Vec::new());
    }
    if !found.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("is larger than the {} KiB that are read", MAX_BYTES / 1024)));
    }
    Ok(bytes)
}
