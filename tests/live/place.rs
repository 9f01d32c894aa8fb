//! Where a fixture program runs: on the host, or as pid 1 of a real runc container.

use std::fmt;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ckpt_lint::facts::Pid;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Program;

type Result<T> = std::result::Result<T, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// On the host, as leader of a session of its own.
    Host,
    /// In a container whose root is a plain directory.
    Plain,
    /// In a container whose root is an overlayfs.
    Overlay,
}

impl Place {
    pub(crate) fn all() -> Vec<Self> {
        vec![Self::Host, Self::Plain, Self::Overlay]
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Plain => "plain",
            Self::Overlay => "overlay",
        })
    }
}

/// A running fixture program; ends when dropped.
pub(crate) struct Running {
    pub(crate) root: Pid,
    /// The program's scratch directory, seen from the host.
    pub(crate) scratch: PathBuf,
    partner: Option<Child>,
    ending: Ending,
    _directory: TempDir,
}

enum Ending {
    Kill(Child),
    Delete { id: String, overlay: Option<PathBuf> },
}

impl Running {
    pub(crate) fn start(program: &Program, place: Place) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("ckpt-lint-live-").tempdir().map_err(text)?;
        let mut started = match place {
            Place::Host => on_host(program, directory)?,
            Place::Plain => in_container(program, directory, false)?,
            Place::Overlay => in_container(program, directory, true)?,
        };
        wait_for(&started.scratch.join("ready"))?;
        // A program that can't be the root itself says which of its descendants is.
        if let Ok(root) = fs::read_to_string(started.scratch.join("root"))
            && !program.under_init
        {
            started.root = root.parse().map_err(text)?;
        }
        Ok(started)
    }

    /// Waits for what a dump has ended.
    pub(crate) fn is_gone(&mut self) {
        if let Ending::Kill(child) = &mut self.ending
            && Pid::try_from(child.id()) == Ok(self.root)
        {
            let _ = child.wait();
        }
    }
}

impl Running {
    /// The id of the container that it is.
    pub(crate) fn container(&self) -> Option<&str> {
        match &self.ending {
            Ending::Kill(_) => None,
            Ending::Delete { id, .. } => Some(id),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A partner that traces the program would keep it from being reaped.
        self.partner.iter_mut().for_each(end);
        match &mut self.ending {
            Ending::Kill(child) => {
                if let Some(root) = rustix::process::Pid::from_raw(self.root) {
                    let _ = rustix::process::kill_process(root, rustix::process::Signal::KILL);
                }
                end(child);
            }
            Ending::Delete { id, overlay } => {
                let _ = runc(&["delete", "-f", id]).status();
                if let Some(merged) = overlay {
                    let _ = Command::new("umount").arg("-l").arg(merged).status();
                }
            }
        }
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

pub(crate) fn wait_for(file: &Path) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    while !file.exists() {
        if Instant::now() > end {
            return Err(format!("the program did not get ready: no {}", file.display()));
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    Ok(())
}

/// Leads a session of its own and writes to nobody: what a fixture holds is its own doing.
fn quiet(command: &mut Command) -> Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(text)
}

/// Tells a program which variant to make, and starts its partner.
fn partner(program: &Program, scratch: &Path) -> Result<Option<Child>> {
    if let Some(words) = program.variant() {
        fs::write(scratch.join("variant"), words).map_err(text)?;
    }
    if !program.outside {
        return Ok(None);
    }
    let mut command = Command::new("setsid");
    let child = quiet(command.arg(program.executable()).arg("--outside").arg(scratch))?;
    wait_for(&scratch.join("outside-ready"))?;
    Ok(Some(child))
}

/// Keeps the session that the program is not the leader of: that of the tests themselves may be out of sight, in
/// another pid namespace.
const UNDER_A_SHELL: &str = r#""$0" "$1" & wait"#;

/// The program that this shell runs, once it is there.
fn only_child(shell: &Child) -> Result<Pid> {
    let children = format!("/proc/{0}/task/{0}/children", shell.id());
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let pids = fs::read_to_string(&children).map_err(text)?;
        if let Some(pid) = pids.split_whitespace().next() {
            return pid.parse().map_err(text);
        }
        if Instant::now() > end {
            return Err("the shell did not start the program".to_owned());
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn on_host(program: &Program, directory: TempDir) -> Result<Running> {
    let scratch = directory.path().join("scratch");
    fs::create_dir(&scratch).map_err(text)?;
    let partner = partner(program, &scratch)?;
    let mut command = Command::new("setsid");
    if !program.setsid {
        command.args(["sh", "-c", UNDER_A_SHELL]);
    }
    let child = quiet(command.args(program.command()).arg(&scratch).current_dir("/"))?;
    let root = if program.setsid { Pid::try_from(child.id()).map_err(text) } else { only_child(&child) };
    Ok(Running { root: root?, scratch, partner, ending: Ending::Kill(child), _directory: directory })
}

fn runc(arguments: &[&str]) -> Command {
    let mut command = Command::new("runc");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn in_container(program: &Program, directory: TempDir, overlay: bool) -> Result<Running> {
    let base = directory.path();
    let rootfs = base.join("rootfs");
    for folder in ["bin", "dev", "proc", "sys", "tmp", "etc", "scratch"] {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(rootfs.join(folder)).map_err(text)?;
    }
    let mut arguments = Vec::new();
    for (number, file) in program.command().iter().enumerate() {
        let inside = if number + 1 == program.command().len() { "bin/program" } else { "bin/init" };
        fs::copy(file, rootfs.join(inside)).map_err(text)?;
        arguments.push(format!("/{inside}"));
    }
    arguments.push("/scratch".to_owned());
    let root = if overlay { mount_overlay(base, &rootfs)? } else { rootfs };
    let scratch = root.join("scratch");
    let id = base.file_name().ok_or("a name")?.to_string_lossy().into_owned();
    let ending = Ending::Delete { id: id.clone(), overlay: overlay.then(|| root.clone()) };
    let mut running = Running { root: 0, scratch, partner: None, ending, _directory: directory };
    running.partner = partner(program, &running.scratch)?;
    let bundle = running._directory.path().to_path_buf();
    fs::write(bundle.join("config.json"), spec(&id, &root, &arguments, &program.caps).to_string()).map_err(text)?;
    let status = runc(&["run", "-d", "--pid-file"]).arg(bundle.join("pid")).arg("-b").arg(&bundle).arg(&id).status();
    if !status.map_err(text)?.success() {
        return Err(format!("runc did not start the container of {}", program.name));
    }
    running.root = fs::read_to_string(bundle.join("pid")).map_err(text)?.trim().parse().map_err(text)?;
    Ok(running)
}

fn mount_overlay(base: &Path, lower: &Path) -> Result<PathBuf> {
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| base.join(name));
    for folder in [&upper, &work, &merged] {
        fs::create_dir(folder).map_err(text)?;
    }
    let layers = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let mut mount = Command::new("mount");
    let status = mount.args(["-t", "overlay", "overlay", "-o", &layers]).arg(&merged).status().map_err(text)?;
    if status.success() { Ok(merged) } else { Err("overlayfs does not mount".to_owned()) }
}

/// A runtime spec without rlimits (a test machine may be unable to raise them) and without a terminal.
fn spec(id: &str, root: &Path, arguments: &[String], caps: &[String]) -> Value {
    let usual = [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
        "SYS_PTRACE",
    ];
    let mut capabilities: Vec<String> = usual.iter().map(|name| format!("CAP_{name}")).collect();
    capabilities.extend(caps.iter().filter(|cap| !usual.iter().any(|name| cap.ends_with(name))).cloned());
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let namespaces: Vec<Value> =
        ["pid", "ipc", "uts", "mount", "network"].iter().map(|kind| json!({"type": kind})).collect();
    json!({
        "ociVersion": "1.0.2", "hostname": "live", "root": {"path": root, "readonly": false},
        "process": {"terminal": false, "cwd": "/", "user": {"uid": 0, "gid": 0}, "args": arguments, "env": ["PATH=/bin"],
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities}},
        "mounts": [
            mount("/proc", "proc", &[]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        "linux": {"cgroupsPath": format!("/ckpt-lint-live/{id}"), "namespaces": namespaces, "resources": {"devices": [{"allow": true, "access": "rwm"}]}},
    })
}
