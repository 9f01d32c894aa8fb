//! A dockerd of the test's own, with the real criu on its PATH.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::parts::{path, rootfs, run, told, wait_ready, wait_until};

const IMAGE: &str = "ckpt-lint-engines:1";

/// A running daemon; its containers and itself end when it is dropped.
pub(crate) struct Dockerd {
    child: Child,
    dir: TempDir,
}

impl Dockerd {
    pub(crate) fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let log = fs::File::create(at("log")).unwrap();
        let mut command = Command::new("dockerd");
        command.args(["--experimental", "--iptables=false", "--ip6tables=false", "--bridge=none"]);
        command.args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")]);
        command.arg("--host").arg(format!("unix://{}", at("sock"))).env("PATH", path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("dockerd does not run ({error}): run tests/setup.sh"));
        let docker = Self { child, dir };
        wait_until(60, "dockerd", || docker.output(&["version"]).status.success());
        docker.import();
        docker
    }

    fn import(&self) {
        let (root, tar) = (self.dir.path().join("rootfs"), self.dir.path().join("rootfs.tar"));
        rootfs(&root);
        told("tar", &["-C", root.to_str().unwrap(), "-cf", tar.to_str().unwrap(), "."]);
        self.command(&["import", tar.to_str().unwrap(), IMAGE]);
    }

    fn output(&self, args: &[&str]) -> std::process::Output {
        let host = format!("unix://{}", self.dir.path().join("sock").display());
        run("docker", &[&["--host", host.as_str()], args].concat())
    }

    /// What a docker command that must succeed prints.
    pub(crate) fn command(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts a fixture program as pid 1; its full id.
    pub(crate) fn run(&self, name: &str, program: &str) -> String {
        let program = format!("/bin/{program}");
        let id = self.command(&["run", "--detach", "--name", name, "--network", "none", IMAGE, &program, "/scratch"]);
        wait_ready(self.pid(name));
        id
    }

    pub(crate) fn pid(&self, name: &str) -> i64 {
        self.command(&["inspect", "--format", "{{.State.Pid}}", name]).parse().unwrap()
    }

    /// `docker checkpoint create --leave-running`; what it printed when it fails.
    pub(crate) fn checkpoint(&self, name: &str) -> Result<(), String> {
        let taken = fs::read_dir(self.dir.path()).unwrap().count();
        let checkpoint = format!("cp{taken}");
        fs::write(self.dir.path().join(format!("taken-{checkpoint}")), "").unwrap();
        let output = self.output(&["checkpoint", "create", "--leave-running", name, &checkpoint]);
        output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let ids = String::from_utf8(self.output(&["ps", "--all", "--quiet"]).stdout).unwrap_or_default();
        for id in ids.split_whitespace() {
            self.output(&["rm", "--force", id]);
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
        unmount_below(self.dir.path());
    }
}

/// Network namespaces of containers stay mounted below the state folder.
fn unmount_below(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = |point: &&str| Path::new(point).starts_with(dir);
    for point in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)).filter(below) {
        let _ = Command::new("umount").arg("--lazy").arg(point).status();
    }
}
