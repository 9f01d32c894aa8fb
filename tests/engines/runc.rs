//! A container of the real runc, below its usual root.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::parts::{path, rootfs, run, told, wait_ready};

const ROOT: &str = "/run/runc";

/// A running container; deleted when dropped.
pub(crate) struct Runc {
    id: String,
    dir: TempDir,
}

impl Runc {
    /// Starts a fixture program as pid 1. With an option, an annotation names a CRIU config file that holds it.
    pub(crate) fn start(id: &str, program: &str, option: Option<&str>) -> Self {
        let container = Self { id: id.to_owned(), dir: TempDir::new().unwrap() };
        let bundle = container.dir.path();
        rootfs(&bundle.join("rootfs"));
        let bundle_arg = bundle.to_str().unwrap();
        told("runc", &["spec", "--bundle", bundle_arg]);
        let file = bundle.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!([format!("/bin/{program}"), "/scratch"]);
        spec["process"].as_object_mut().unwrap().remove("rlimits");
        spec["root"]["readonly"] = json!(false);
        if let Some(option) = option {
            fs::write(bundle.join("criu.conf"), format!("{option}\n")).unwrap();
            spec["annotations"] = json!({"org.criu.config": bundle.join("criu.conf")});
        }
        fs::write(&file, spec.to_string()).unwrap();
        // A host file as standard output would be in the way of a dump itself.
        let mut command = std::process::Command::new("runc");
        command.args(["run", "--detach", "--bundle", bundle_arg, id]).env("PATH", path());
        let null = std::process::Stdio::null;
        let started = command.stdin(null()).stdout(null()).stderr(null()).status().unwrap();
        assert!(started.success(), "runc does not start {id}");
        wait_ready(container.pid());
        container
    }

    pub(crate) fn pid(&self) -> i64 {
        let state: Value = serde_json::from_str(&told("runc", &["state", &self.id])).unwrap();
        state["pid"].as_i64().unwrap()
    }

    /// A beginning of the id that no other container has.
    pub(crate) fn prefix(&self) -> String {
        self.id.chars().take(self.id.len() - 1).collect()
    }

    /// `runc checkpoint --leave-running`; what it printed when it fails.
    pub(crate) fn checkpoint(&self, flags: &[&str]) -> Result<(), String> {
        let images = TempDir::new().unwrap();
        let dir = images.path().to_str().unwrap();
        let fixed = ["checkpoint", "--leave-running", "--image-path", dir, "--work-path", dir];
        let output = run("runc", &[&fixed, flags, &[self.id.as_str()]].concat());
        output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The container's state, to be put back once it is gone.
    pub(crate) fn copy_of_state(&self) -> StaleState {
        let dir = Path::new(ROOT).join(&self.id);
        StaleState { state: fs::read(dir.join("state.json")).unwrap(), dir }
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        run("runc", &["delete", "--force", &self.id]);
    }
}

/// What a crash leaves behind: a state file without its container.
pub(crate) struct StaleState {
    dir: PathBuf,
    state: Vec<u8>,
}

impl StaleState {
    pub(crate) fn put_back(&self) {
        fs::create_dir_all(&self.dir).unwrap();
        fs::write(self.dir.join("state.json"), &self.state).unwrap();
    }
}

impl Drop for StaleState {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}
