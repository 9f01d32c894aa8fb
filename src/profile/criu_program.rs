//! Asks a criu for its version: the only program that a lint runs.
//!
//! It is run only when nobody but root could have put it there, and is given two seconds. Of the environment of whoever
//! starts it, it gets where libraries and programs are, as far as those folders are root's alone, too.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::facts::CriuState;
use crate::version::Version;

const TIME_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// Most bytes of its output that are looked at.
const MAX_OUTPUT: u64 = 4096;

/// Most characters of its own words that are passed on.
const MAX_WORDS: usize = 300;

/// Where libraries and programs are looked for: a criu that was built by hand, or is a script, may need them.
const FOLDERS: [&str; 2] = ["LD_LIBRARY_PATH", "PATH"];

/// Variables, as they are given to it.
type Environment = BTreeMap<OsString, OsString>;

/// What a run of it showed.
struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    errors: Vec<u8>,
}

/// What `criu --version` shows in the environment of whoever starts it.
pub(super) fn state(path: &Path, environment: &Environment) -> CriuState {
    match refusal(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => CriuState::Missing,
        Err(error) => CriuState::NotRun(error.to_string()),
        Ok(Some(why)) => CriuState::NotRun(why),
        Ok(None) => {
            let (safe, left_out) = folders(environment);
            match (ask(path, &safe), left_out) {
                (CriuState::Unusable(why), Some(folder)) => {
                    let folder = folder.display();
                    CriuState::NotRun(format!("{why}; {folder} of its caller can be changed by others than root"))
                }
                (state, _) => state,
            }
        }
    }
}

/// The folders of these variables that only root can change, and the first that others can.
fn folders(environment: &Environment) -> (Environment, Option<PathBuf>) {
    let mut left_out = None;
    let mut safe = Environment::new();
    for name in FOLDERS.map(OsString::from) {
        let Some(value) = environment.get(&name) else { continue };
        let parts = std::env::split_paths(value).filter(|part| part.exists());
        let (own, others): (Vec<_>, Vec<_>) = parts.partition(|part| {
            part.is_absolute() && fs::canonicalize(part).and_then(|real| changeable(&real)).is_ok_and(|by| by.is_none())
        });
        left_out = left_out.or(others.into_iter().next());
        if let Some(own) = std::env::join_paths(own).ok().filter(|own| !own.is_empty()) {
            safe.insert(name, own);
        }
    }
    (safe, left_out)
}

/// Asks at most twice: a default config file that it refuses keeps it from telling its version.
fn ask(path: &Path, environment: &Environment) -> CriuState {
    let first = match run(path, &["--version"], environment) {
        Ok(ended) => ended,
        // On a busy host a criu that runs may be as slow.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => return CriuState::NotRun(error.to_string()),
        Err(error) => return CriuState::Unusable(not_started(&error)),
    };
    let state = version(&first);
    match (&state, first.status.code()) {
        (CriuState::Unusable(_), Some(1)) => match run(path, &["--no-default-config", "--version"], environment) {
            Ok(ended) if ended.status.success() => version(&ended),
            _ => state,
        },
        _ => state,
    }
}

/// What the kernel says of a program that it does not start, for people.
fn not_started(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "the loader or interpreter that it names is not on this host".to_owned(),
        Some(libc::ENOEXEC) => "it is built for another architecture, or is no program".to_owned(),
        _ => error.to_string(),
    }
}

/// Why this program is not to be run.
fn refusal(path: &Path) -> io::Result<Option<String>> {
    let real = fs::canonicalize(path)?;
    if path.starts_with("/proc") || real.starts_with("/proc") {
        return Ok(Some("it is reached through /proc: it may be of another file system view".into()));
    }
    if !fs::metadata(&real)?.is_file() {
        return Ok(Some("it is no regular file".into()));
    }
    Ok(changeable(&real)?.map(|part| format!("{} can be changed by others than root", part.display())))
}

/// What others than root can change of a file or folder and those above it. Folders may be open to a group: Debian gives
/// `/usr/local` to `staff`. In a sticky one nobody replaces what is root's, but anybody adds to it.
fn changeable(real: &Path) -> io::Result<Option<PathBuf>> {
    for part in real.ancestors() {
        let found = fs::metadata(part)?;
        let sticky_folder = found.is_dir() && found.mode() & 0o1000 != 0 && part != real;
        let by_group = found.is_file() && found.gid() != 0 && found.mode() & 0o020 != 0;
        if found.uid() != 0 || by_group || (found.mode() & 0o002 != 0 && !sticky_folder) {
            return Ok(Some(part.to_owned()));
        }
    }
    Ok(None)
}

fn run(path: &Path, args: &[&str], environment: &Environment) -> io::Result<Ended> {
    let mut command = Command::new(path);
    command.args(args).env_clear().envs(environment).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = started(&mut command)?;
    let Some(status) = wait(&mut child)? else {
        let late = format!("`{} --version` did not end within two seconds", path.display());
        return Err(io::Error::new(io::ErrorKind::TimedOut, late));
    };
    let output = child.stdout.take().map_or_else(|| Ok(Vec::new()), beginning)?;
    let errors = child.stderr.take().map_or_else(|| Ok(Vec::new()), beginning)?;
    Ok(Ended { status, output, errors })
}

/// Starts it, a little later where it is just being written: a fork elsewhere keeps the file open until its exec.
fn started(command: &mut Command) -> io::Result<Child> {
    let since = Instant::now();
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && since.elapsed() < TIME_LIMIT => {
                std::thread::sleep(POLL);
            }
            started => return started,
        }
    }
}

/// What is in the pipe; what it started may hold the other end open.
fn beginning(pipe: impl Read + AsFd) -> io::Result<Vec<u8>> {
    rustix::fs::fcntl_setfl(&pipe, rustix::fs::OFlags::NONBLOCK)?;
    let mut bytes = Vec::new();
    match pipe.take(MAX_OUTPUT).read_to_end(&mut bytes) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(bytes),
    }
}

/// Waits for the end; what is still there after the limit is killed with all it started.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < TIME_LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(POLL);
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    child.wait().map(|_| None)
}

/// `Version: 4.2` and, of a build between releases, `GitID: v4.2-12-gabcdef`. CRIU: `config.c: parse_options`.
fn version(ended: &Ended) -> CriuState {
    let text = String::from_utf8_lossy(&ended.output);
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match value("Version:").and_then(Version::prefix_of) {
        Some(version) => CriuState::Runs { version, git_id: value("GitID:").map(str::to_owned) },
        None => CriuState::Unusable(fault(ended)),
    }
}

/// How it ended and the first line that it, or the program loader, said of that.
fn fault(ended: &Ended) -> String {
    let texts = [&ended.errors, &ended.output].map(|bytes| String::from_utf8_lossy(bytes));
    let mut lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
    let how = match ended.status.success() {
        true => "tells no version".to_owned(),
        false => format!("ended with {}", ended.status),
    };
    let said = lines.find(|line| !line.is_empty()).map(|line| line.chars().take(MAX_WORDS).collect::<String>());
    let said = said.map(|line| format!(": {}", line.escape_debug())).unwrap_or_default();
    format!("`criu --version` {how}{said}")
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

    fn asked(text: &str) -> CriuState {
        let dir = tempfile::tempdir().unwrap();
        ask(&script(&dir, text, 0o755), &Environment::new())
    }

    #[test]
    fn releases_and_builds_between_them_are_told_apart() {
        let plain = CriuState::Runs { version: Version::new(4, 1, 1), git_id: None };
        assert_eq!(asked("echo Version: 4.1.1"), plain);
        let built = CriuState::Runs { version: Version::new(4, 0, 0), git_id: Some("v4.0-12-gabc".into()) };
        assert_eq!(asked("echo Version: 4.0; echo GitID: v4.0-12-gabc"), built);
        let refuses_its_config = "case $1 in --version) echo \"criu: unrecognized option '--x'\" >&2; exit 1;; esac";
        assert_eq!(asked(&format!("{refuses_its_config}; echo Version: 4.1.1")), plain);
    }

    #[test]
    fn a_program_that_does_not_run_is_told_in_its_own_words() {
        let told = |text: &str| match asked(text) {
            CriuState::Unusable(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(told("echo usage"), "`criu --version` tells no version: usage");
        assert_eq!(told("kill -SEGV $$"), "`criu --version` ended with signal: 11 (SIGSEGV)");
        let loader = "criu: error while loading shared libraries: libnet.so.9: cannot open shared object file";
        assert_eq!(
            told(&format!("echo '{loader}' >&2; exit 127")),
            format!("`criu --version` ended with exit status: 127: {loader}")
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("criu");
        for (bytes, part) in [(&b"#!/none\n"[..], "loader or interpreter"), (b"\x7fELF\x02\x01\x01", "architecture")] {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            assert!(
                matches!(ask(&path, &Environment::new()), CriuState::Unusable(why) if why.contains(part)),
                "{part}"
            );
        }
    }

    #[test]
    fn it_finds_its_libraries_where_its_caller_has_them_if_they_are_roots() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(&dir, "[ \"$LD_LIBRARY_PATH\" = /usr/lib ] && echo Version: 4.2", 0o755);
        let with = |folders: &str| {
            let variables = [("LD_LIBRARY_PATH", folders), ("LD_PRELOAD", "/none.so")];
            state(&path, &variables.map(|(name, value)| (name.into(), value.into())).into())
        };
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(with(""), CriuState::Unusable(_)));
        assert!(matches!(with("/usr/lib"), CriuState::Runs { .. }));
        assert!(matches!(with(&format!("/usr/lib:{}", open.display())), CriuState::Runs { .. }));
        assert!(matches!(with(&open.display().to_string()), CriuState::NotRun(why) if why.contains("by others")));
    }

    #[test]
    fn what_others_could_have_changed_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let proof = dir.path().join("ran");
        let path = script(&dir, &format!("echo Version: 4.2; : > {}", proof.display()), 0o777);
        assert!(matches!(state(&path, &Environment::new()), CriuState::NotRun(_)));
        assert!(!proof.exists());
        assert_eq!(state(&dir.path().join("none"), &Environment::new()), CriuState::Missing);
        assert!(matches!(state(Path::new("/proc/self/root/bin/true"), &Environment::new()), CriuState::NotRun(_)));
    }
}
