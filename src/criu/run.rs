//! Runs a real dump that leaves its target running.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid as ProcessId, Signal};

use super::log::{self, Decisive};
use super::timing;
use crate::error::{Error, Result};
use crate::facts::Pid;
use crate::profile::shell_word;

const LOG: &str = "dump.log";

/// What runc says when the criu that it ran failed. runc: `criu_linux.go: criuSwrk`.
const CRIU_FAILED: &str = "criu failed:";

/// A dump to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The program to run: a criu, or a runtime that runs one.
    pub program: PathBuf,
    /// What it is given.
    pub words: Vec<OsString>,
    /// Its environment, where that is not our own.
    pub environment: Option<BTreeMap<OsString, OsString>>,
    /// Directory of images and log; must exist and be private.
    pub directory: PathBuf,
    /// Whether the program is a runtime that runs criu.
    pub by_runtime: bool,
}

/// What the real criu did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Whether it dumped.
    pub dumped: bool,
    /// Whether it was ended because it took too long.
    pub hung: bool,
    /// Why it gave up, as far as its log tells.
    pub cause: Option<Decisive>,
    /// How long it kept the target frozen; `None` when it did not get that far.
    pub frozen: Option<Duration>,
    /// The whole log.
    pub log: String,
    /// What it said to the user.
    pub said: String,
}

impl Dump {
    /// `criu dump` of a tree. The options come first, so that ours win.
    #[must_use]
    pub fn by_criu(criu: &Path, root: Pid, directory: &Path, options: &[String]) -> Self {
        let mut words: Vec<OsString> =
            std::iter::once("dump").chain(options.iter().map(String::as_str)).map(Into::into).collect();
        words.extend(["--leave-running", "-v4", "-o", LOG, "-D"].map(OsString::from));
        words.extend([directory.into(), "-W".into(), directory.into(), "-t".into(), root.to_string().into()]);
        Self { program: criu.to_owned(), words, environment: None, directory: directory.to_owned(), by_runtime: false }
    }

    /// `runc checkpoint` of a container whose state lies below a root.
    #[must_use]
    pub fn by_runc(runc: &Path, state: &Path, id: &str, directory: &Path, flags: &[String]) -> Self {
        let mut words: Vec<OsString> =
            vec!["--root".into(), state.into(), "checkpoint".into(), "--leave-running".into()];
        words.extend(["--image-path".into(), directory.into(), "--work-path".into(), directory.into()]);
        words.extend(flags.iter().map(OsString::from).chain([id.into()]));
        Self { program: runc.to_owned(), words, environment: None, directory: directory.to_owned(), by_runtime: true }
    }

    /// Freezes the target, dumps it and lets it run on. What takes longer than the limit is killed.
    ///
    /// # Errors
    /// The program can't be started, or the runtime runs no criu.
    pub fn run(&self, limit: Duration) -> Result<Outcome> {
        let failed = |e: &std::io::Error| Error::new(format!("can't run {}", self.program.display())).because(e);
        let said = self.directory.join("said");
        let output = fs::File::create(&said).map_err(|e| failed(&e))?;
        let errors = output.try_clone().map_err(|e| failed(&e))?;
        let mut child = self.command().stdout(output).stderr(errors).spawn().map_err(|e| failed(&e))?;
        let status = wait(&mut child, limit).map_err(|e| failed(&e))?;
        let [log, said] = [self.directory.join(LOG), said].map(|path| text(&path));
        let dumped = status.is_some_and(|status| status.success());
        if !dumped && status.is_some() && self.by_runtime && log.is_empty() && !said.contains(CRIU_FAILED) {
            return Err(Error::new(format!("{} did not run criu", self.program.display())).because(said.trim()));
        }
        let cause = match log.is_empty() {
            _ if dumped => None,
            false => log::decisive(&log),
            true if self.by_runtime => None,
            true => before_log(&said),
        };
        Ok(Outcome { dumped, hung: status.is_none(), cause, frozen: timing::frozen(&log), log, said })
    }

    /// In a process group of its own: who interrupts us does not interrupt criu in the middle of a dump.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.words).stdin(Stdio::null()).process_group(0);
        if let Some(environment) = &self.environment {
            command.env_clear().envs(environment);
        }
        command
    }
}

/// As a shell takes it.
impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shell_word(&self.program.to_string_lossy()))?;
        self.words.iter().try_for_each(|word| write!(f, " {}", shell_word(&word.to_string_lossy())))
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// What CRIU says to the user when it ends before it opens its log. CRIU: `cr-check.c: check_caps`.
fn before_log(said: &str) -> Option<Decisive> {
    log::decisive(said).or_else(|| {
        let message = said.lines().find(|line| !line.is_empty())?.to_owned();
        Some(Decisive { message, pid: None, fd: None })
    })
}

/// Waits for the end; `None` when the limit ran out and it was killed with all it had started.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(ProcessId::from_raw) {
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
