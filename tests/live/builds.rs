//! What was measured on: which builds of criu, on which kernel. `fixtures/builds.json`, beside the results; nothing is
//! compared with it, so that another kernel may well agree.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use ckpt_lint::profile::needed_libraries;
use serde::Serialize;

use crate::releases::Releases;

/// One build of criu and where it ran.
#[derive(Serialize)]
struct Build {
    /// What it says of itself, `Version:` and `GitID:`.
    says: Vec<String>,
    /// Package it was unpacked from, if it was.
    package: Option<String>,
    /// Libraries that it is linked with.
    libraries: Vec<String>,
    /// `uname -r` and `uname -m`.
    kernel: String,
    architecture: String,
}

/// The builds by release, as text to be written.
pub(crate) fn json(releases: &Releases) -> String {
    let builds: BTreeMap<String, Build> =
        releases.all().map(|(version, path)| (version.to_string(), build(path))).collect();
    serde_json::to_string_pretty(&builds).expect("plain data") + "\n"
}

fn build(path: &Path) -> Build {
    let output = Command::new(path).arg("--version").output().expect("a criu that runs");
    let uname = rustix::system::uname();
    Build {
        says: String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect(),
        package: package(path),
        libraries: libraries(path),
        kernel: uname.release().to_string_lossy().into_owned(),
        architecture: uname.machine().to_string_lossy().into_owned(),
    }
}

/// The comment of the script that starts an unpacked criu.
fn package(path: &Path) -> Option<String> {
    let script = std::fs::read(path).ok()?;
    let script = String::from_utf8_lossy(&script).lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    script.iter().find_map(|line| Some(line.strip_prefix("# criu ")?.split(',').next()?.to_owned()))
}

/// Of the program that the script starts, or of the program itself.
fn libraries(path: &Path) -> Vec<String> {
    let unpacked = path.parent().and_then(Path::parent).map(|home| home.join("root/usr/sbin/criu"));
    unpacked.and_then(|program| needed_libraries(&program)).or_else(|| needed_libraries(path)).unwrap_or_default()
}
