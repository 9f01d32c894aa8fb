//! Asks a criu for its version: the only child process of a lint.
//!
//! It is run only when nobody but root could have put it there, with an empty environment, and is given two seconds.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::facts::CriuState;
use crate::version::Version;

const TIME_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// Most bytes of its output that are looked at.
const MAX_OUTPUT: u64 = 4096;

/// What `criu --version` shows.
pub(super) fn state(path: &Path) -> CriuState {
    match refusal(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => CriuState::Missing,
        Err(error) => CriuState::NotRun(error.to_string()),
        Ok(Some(why)) => CriuState::NotRun(why),
        Ok(None) => match run(path) {
            Ok(output) => version(&output),
            Err(error) => CriuState::Unusable(error.to_string()),
        },
    }
}

/// Why this program is not to be run. Folders may be open to a group: Debian gives `/usr/local` to `staff`.
fn refusal(path: &Path) -> io::Result<Option<String>> {
    let real = fs::canonicalize(path)?;
    if path.starts_with("/proc") || real.starts_with("/proc") {
        return Ok(Some("it is reached through /proc: it may be of another file system view".into()));
    }
    if !fs::metadata(&real)?.is_file() {
        return Ok(Some("it is no regular file".into()));
    }
    for part in real.ancestors() {
        let found = fs::metadata(part)?;
        let sticky_folder = found.is_dir() && found.mode() & 0o1000 != 0;
        let by_group = found.is_file() && found.gid() != 0 && found.mode() & 0o020 != 0;
        if found.uid() != 0 || by_group || (found.mode() & 0o002 != 0 && !sticky_folder) {
            return Ok(Some(format!("{} can be changed by others than root", part.display())));
        }
    }
    Ok(None)
}

fn run(path: &Path) -> io::Result<Vec<u8>> {
    let mut command = Command::new(path);
    command.arg("--version").env_clear().current_dir("/").process_group(0);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let ended = wait(&mut child)?;
    let mut output = Vec::new();
    if let (true, Some(stdout)) = (ended, child.stdout.take()) {
        rustix::fs::fcntl_setfl(&stdout, rustix::fs::OFlags::NONBLOCK)?;
        match stdout.take(MAX_OUTPUT).read_to_end(&mut output) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        return Ok(output);
    }
    Err(io::Error::other(format!("`{} --version` did not end within two seconds", path.display())))
}

/// Waits for the end; what is still there after the limit is killed with all it started.
fn wait(child: &mut Child) -> io::Result<bool> {
    let started = Instant::now();
    while started.elapsed() < TIME_LIMIT {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(POLL);
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    child.wait().map(|_| false)
}

/// `Version: 4.2` and, of a build between releases, `GitID: v4.2-12-gabcdef`. CRIU: `config.c: parse_options`.
fn version(output: &[u8]) -> CriuState {
    let text = String::from_utf8_lossy(output);
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match value("Version:").and_then(Version::prefix_of) {
        Some(version) => CriuState::Runs { version, git_id: value("GitID:").map(str::to_owned) },
        None => CriuState::Unusable("`criu --version` tells no version".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn script(dir: &tempfile::TempDir, text: &str, mode: u32) -> std::path::PathBuf {
        let path = dir.path().join("criu");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn releases_and_builds_between_them_are_told_apart() {
        let plain = version(b"Version: 4.1.1\n");
        assert_eq!(plain, CriuState::Runs { version: Version::new(4, 1, 1), git_id: None });
        let built = version(b"Version: 4.0\nGitID: v4.0-12-gabc\n");
        assert_eq!(built, CriuState::Runs { version: Version::new(4, 0, 0), git_id: Some("v4.0-12-gabc".into()) });
        assert!(matches!(version(b"usage: criu"), CriuState::Unusable(_)));
    }

    #[test]
    fn what_others_could_have_changed_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let proof = dir.path().join("ran");
        let path = script(&dir, &format!("echo Version: 4.2; : > {}", proof.display()), 0o777);
        assert!(matches!(state(&path), CriuState::NotRun(_)));
        assert!(!proof.exists());
        assert_eq!(state(&dir.path().join("none")), CriuState::Missing);
        assert!(matches!(state(Path::new("/proc/self/root/bin/true")), CriuState::NotRun(_)));
    }
}
