//! Runs a real `criu dump` that leaves its target running and throws the images away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::log::{self, Decisive};
use crate::error::{Error, Result};
use crate::facts::Pid;
use crate::profile::CriuOption;

/// A dump to try.
#[derive(Debug)]
pub struct Dump<'a> {
    /// The criu to run.
    pub criu: &'a Path,
    /// Process to start from.
    pub root: Pid,
    /// Dump options.
    pub options: &'a [CriuOption],
    /// Directory for images and log; must exist and be private.
    pub directory: &'a Path,
    /// Longest time the target may stand still.
    pub limit: Duration,
}

/// What the real criu did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether it dumped.
    pub dumped: bool,
    /// Whether it was ended because it took too long.
    pub hung: bool,
    /// Why it gave up, as far as its log tells.
    pub cause: Option<Decisive>,
    /// The whole log.
    pub log: String,
}

impl Dump<'_> {
    /// Freezes the target, dumps it and lets it run on.
    ///
    /// # Errors
    /// criu can't be started.
    pub fn run(&self) -> Result<Outcome> {
        let failed = |e: &std::io::Error| Error::new(format!("can't run {}", self.criu.display())).because(e);
        let said = self.directory.join("said");
        let output = fs::File::create(&said).map_err(|e| failed(&e))?;
        let errors = output.try_clone().map_err(|e| failed(&e))?;
        let mut child = self.command().stdout(output).stderr(errors).spawn().map_err(|e| failed(&e))?;
        let status = wait(&mut child, self.limit).map_err(|e| failed(&e))?;
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let dumped = status.is_some_and(|status| status.success());
        let cause = if dumped { None } else { log::decisive(&log).or_else(|| before_log(&log, &said)) };
        Ok(Outcome { dumped, hung: status.is_none(), cause, log })
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("dump.log")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.criu);
        command.args(["dump", "--no-default-config", "--leave-running", "-v4", "-o", "dump.log", "-t"]);
        command.arg(self.root.to_string()).arg("-D").arg(self.directory);
        for option in self.options {
            // A value that is optional, as that of manage-cgroups, is one only behind a `=`.
            let value = option.value.iter().map(|value| format!("={value}"));
            command.arg(format!("--{}{}", option.name, value.collect::<String>()));
        }
        command.stdin(Stdio::null());
        command
    }
}

/// What CRIU says to the user when it ends before it opens its log. CRIU: `cr-check.c: check_caps`.
fn before_log(log: &str, said: &Path) -> Option<Decisive> {
    let said = fs::read(said).ok().filter(|_| log.is_empty())?;
    let said = String::from_utf8_lossy(&said);
    if let Some(cause) = log::decisive(&said) {
        return Some(cause);
    }
    let message = said.lines().find(|line| !line.is_empty())?.to_owned();
    Some(Decisive { message, pid: None, fd: None })
}

/// Waits for the end; `None` when the limit ran out and the child was killed.
fn wait(child: &mut std::process::Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
