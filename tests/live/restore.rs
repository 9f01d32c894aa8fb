//! What dumps is restored too: each failing restore, and each that comes back with less than there was, must have been
//! predicted, or the fixture says why it is not.
//!
//! Dumped with the options after which it is known to dump, and restored by the same criu with those of them that a
//! restore knows. What is seen is compared with `fixtures/restores.json`, which is recorded as the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ckpt_lint::criu::run::Outcome;
use ckpt_lint::facts::{Facts, FdInfo, Pid};
use ckpt_lint::profile::CriuOption;
use ckpt_lint::scan::scan;
use ckpt_lint::target::{Ask, resolve};
use libtest_mimic::Trial;
use rustix::process::{Pid as RawPid, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

use crate::Suite;
use crate::compare::Target;
use crate::lint::{Finding, Lint, names};
use crate::place::{Place, Running};
use crate::program::{Program, options};
use crate::results::{Record, recorded};

type Result<T> = std::result::Result<T, String>;

/// Options of a dump that the restore needs as well.
const OF_RESTORE: [&str; 15] = [
    "allow-uprobes",
    "empty-ns",
    "enable-external-masters",
    "enable-external-sharing",
    "enable-fs",
    "evasive-devices",
    "ext-unix-sk",
    "external",
    "file-locks",
    "link-remap",
    "manage-cgroups",
    "shell-job",
    "skip-mnt",
    "tcp-close",
    "tcp-established",
];

/// One restore.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Restored {
    target: String,
    place: String,
    criu: String,
    options: Vec<String>,
    /// Rules that said something of the restore beforehand, but for what is only possible.
    predicted: Vec<String>,
    /// Whether the real criu restored it.
    pub(crate) restored: bool,
    /// Whether something was missing afterwards.
    less: bool,
    /// The rule that says why it was not restored, or not whole.
    pub(crate) cause: Option<String>,
}

impl Restored {
    /// The release of the real criu.
    pub(crate) fn criu(&self) -> &str {
        &self.criu
    }

    fn key(&self) -> (String, String, String) {
        (self.target.clone(), self.place.clone(), self.criu.clone())
    }
}

/// One trial for each program that dumps: in a container if it can be there.
pub(crate) fn trials(suite: &Arc<Suite>, programs: &[Program]) -> Vec<Trial> {
    // What outlives its parent is reaped here: its number must be free for the restore.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("a subreaper");
    let main = suite.releases.main();
    let tried = programs.iter().filter(|program| program.is_restored());
    let trial = |program: &Program| {
        let place = [Place::Plain, Place::Host].into_iter().find(|place| program.places.contains(place))?;
        let record = dumped(program, place, &main)?;
        let (suite, program) = (Arc::clone(suite), program.clone());
        let name = format!("restore::{}::{place}::criu-{main}", program.name);
        Some(Trial::test(name, move || suite.settle(|| restore(&suite, &program, place, record)).map_err(Into::into)))
    };
    tried.filter_map(trial).collect()
}

/// The recorded dump with the fewest options. On the host none of a connection: what locks its packets would stay there.
fn dumped(program: &Program, place: Place, criu: &str) -> Option<&'static Record> {
    let here = |record: &&Record| record.target == program.name && record.place == place.to_string();
    let dumps = recorded().iter().filter(here).filter(|record| record.criu == criu && record.dumped);
    let locks = |record: &&Record| record.options.iter().any(|option| option.starts_with("--tcp-"));
    dumps.filter(|record| place != Place::Host || !locks(record)).min_by_key(|record| record.options.len())
}

fn restore(suite: &Suite, program: &Program, place: Place, record: &Record) -> Result<()> {
    let mut running = Running::start(program, place)?;
    let criu = suite.releases.path(&record.criu);
    let given = options(&record.options, &running.scratch);
    let lint = Lint::run(Target { root: running.root, hangs: false, deep: false, caller: None }, criu, &given)?;
    let images = tempfile::Builder::new().prefix("ckpt-lint-images-").tempdir().map_err(text)?;
    let images = images.path();
    let before = steady(running.root)?;
    let tree: Vec<Pid> = look(running.root)?.processes.iter().map(|process| process.pid).collect();
    let dump = criu_run(criu, "dump", images, &given, &["--tree", &running.root.to_string()])?;
    if !dump.dumped {
        return Err(format!("no dump that ends the target, though one was recorded: {:?}", dump.cause));
    }
    running.is_gone();
    tree.iter().for_each(|pid| reap(*pid));
    reap_group(running.root);
    let known: Vec<CriuOption> =
        given.iter().filter(|option| OF_RESTORE.contains(&option.name.as_str())).cloned().collect();
    let root = Root::of(&running, place)?;
    let pid_file = images.join("pid");
    let mut words = vec!["--restore-detached".to_owned(), format!("--pidfile={}", pid_file.display())];
    words.extend(root.as_ref().map(|root| format!("--root={}", root.0.display())));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = criu_run(criu, "restore", images, &known, &words)?;
    let came_back = Back::of(&pid_file);
    let after = if outcome.dumped { Some(kept(&look(came_back.root.ok_or("no pid")?)?)) } else { None };
    let less: Vec<String> = match (&before, &after) {
        (Some(before), Some(after)) => missing(before, after),
        _ => Vec::new(),
    };
    let seen = Restored::new(program, place, record, &lint, &outcome, &less);
    seen.check(program, &lint, &outcome, &less)?;
    suite.restores.lock().expect("no trial panics while it adds").insert(seen);
    Ok(())
}

impl Restored {
    fn new(program: &Program, place: Place, record: &Record, lint: &Lint, outcome: &Outcome, less: &[String]) -> Self {
        let sure = risks(lint).filter(|finding| finding.confidence != "possible");
        let predicted: BTreeSet<String> = sure.map(|finding| finding.rule.clone()).collect();
        // What is only possible fires for what the tests themselves leave open too: it explains a loss where it is expected.
        let counts = |finding: &Finding| finding.confidence != "possible" || program.risks.contains(&finding.rule);
        let is_cause = |finding: &&Finding| match outcome.dumped {
            true => finding.error_line.is_empty() && !less.is_empty() && counts(finding),
            false => !finding.error_line.is_empty() && errors(outcome).any(|line| names(finding, line)),
        };
        Self {
            target: program.name.clone(),
            place: place.to_string(),
            criu: record.criu.clone(),
            options: record.options.clone(),
            predicted: predicted.into_iter().collect(),
            restored: outcome.dumped,
            less: !less.is_empty(),
            cause: risks(lint).find(is_cause).map(|finding| finding.rule.clone()),
        }
    }

    fn check(&self, program: &Program, lint: &Lint, outcome: &Outcome, less: &[String]) -> Result<()> {
        let said = || format!("{self:?}\nless: {less:?}\n{}", errors(outcome).collect::<Vec<_>>().join("\n"));
        let all: BTreeSet<String> = risks(lint).map(|finding| finding.rule.clone()).collect();
        let expected: BTreeSet<String> = program.risks.iter().cloned().collect();
        // What is only possible may fire for what the tests themselves leave open.
        let is_as_expected = expected.is_subset(&all) && self.predicted.iter().all(|rule| expected.contains(rule));
        if program.variant().is_none() && !is_as_expected {
            return Err(format!("expected {expected:?} of the restore, not {all:?}\n{}", said()));
        }
        let fails = risks(lint).any(|finding| finding.confidence != "possible" && !finding.error_line.is_empty());
        // What an option in force loses has no line of its own.
        let loses = |finding: &Finding| finding.confidence != "possible" && finding.error_line.is_empty();
        let is_explained = self.cause.is_some() || (!self.restored && risks(lint).any(loses));
        let is_whole = self.restored && !self.less;
        if program.is_known_unrestored() {
            return if is_whole { Err(format!("restored whole, though known not to be\n{}", said())) } else { Ok(()) };
        }
        if fails && self.restored {
            return Err(format!("predicted to fail, and was restored\n{}", said()));
        }
        if !is_whole && !is_explained {
            return Err(format!("not restored, or not whole, and no finding says so\n{}", said()));
        }
        compared(self)
    }
}

fn risks(lint: &Lint) -> impl Iterator<Item = &Finding> {
    lint.findings.iter().filter(|finding| finding.severity == "restore-risk")
}

/// Compares with what is recorded.
fn compared(seen: &Restored) -> Result<()> {
    let all = all_recorded();
    if crate::results::Results::are_recorded() || !all.iter().any(|record| record.criu == seen.criu) {
        return Ok(());
    }
    match all.iter().find(|record| record.key() == seen.key()) {
        Some(record) if record == seen => Ok(()),
        record => {
            Err(format!("fixtures/restores.json differs (CKPT_LINT_RECORD=1 records anew)\n{record:?}\n{seen:?}"))
        }
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/restores.json")
}

/// What is recorded of all restores.
pub(crate) fn all_recorded() -> BTreeSet<Restored> {
    let text = fs::read_to_string(file()).unwrap_or_else(|_| "[]".to_owned());
    serde_json::from_str(&text).expect("records of restores")
}

/// Records what was seen; what is recorded of other targets stays when not all of them were looked at.
pub(crate) fn record(seen: &BTreeSet<Restored>, complete: bool) -> BTreeSet<Restored> {
    let mut all = seen.clone();
    if !complete {
        let anew: BTreeSet<_> = seen.iter().map(Restored::key).collect();
        all.extend(all_recorded().into_iter().filter(|record| !anew.contains(&record.key())));
    }
    let json = serde_json::to_string_pretty(&all).expect("plain data") + "\n";
    fs::write(file(), json).expect("fixtures can be written");
    all
}

fn errors(outcome: &Outcome) -> impl Iterator<Item = &str> {
    let lines = outcome.log.lines().filter(|line| line.contains("Error (") && !line.contains("RLIMIT_NOFILE"));
    lines.filter_map(|line| line.split_once("): ").map(|(_, message)| message))
}

fn criu_run(criu: &Path, action: &str, images: &Path, given: &[CriuOption], words: &[&str]) -> Result<Outcome> {
    let log = format!("{action}.log");
    let mut command = Command::new(criu);
    command.args([action, "--no-default-config", "-v4", "-o", &log, "-D"]).arg(images).args(words);
    for option in given {
        let value = option.value.iter().map(|value| format!("={value}"));
        command.arg(format!("--{}{}", option.name, value.collect::<String>()));
    }
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map_err(text)?;
    let log = fs::read(images.join(log)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).into_owned();
    Ok(Outcome { dumped: status.success(), cause: ckpt_lint::criu::log::decisive(&log), log, ..Outcome::default() })
}

fn look(root: Pid) -> Result<Facts> {
    let ask = Ask::Pid { pid: root, engine: None };
    resolve(&ask).and_then(scan).map_err(|e| e.to_string())
}

/// What there is, if it does not change by itself.
fn steady(root: Pid) -> Result<Option<Vec<String>>> {
    let first = kept(&look(root)?);
    std::thread::sleep(Duration::from_millis(20));
    Ok((first == kept(&look(root)?)).then_some(first))
}

/// What a restore is to bring back: processes with their descriptors and watches, sockets and what waits in them,
/// interfaces.
fn kept(facts: &Facts) -> Vec<String> {
    let mut all = Vec::new();
    for process in &facts.processes {
        let nth = process.inner_pid();
        all.push(format!("process {nth} {} of {} threads", process.comm, process.threads.len()));
        all.extend(process.fds.iter().map(|fd| {
            let watches = match &fd.info {
                FdInfo::Inotify { watches } | FdInfo::Fanotify { watches, .. } => watches.len(),
                _ => 0,
            };
            let protocol = fd.socket_protocol.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("process {nth} fd {} {} {protocol} with {watches} watches", fd.number, plain(&fd.link.to_string()))
        }));
    }
    for net in &facts.net_namespaces {
        all.extend(net.interfaces.iter().map(|interface| format!("interface {}", interface.name)));
        all.extend(net.sockets.iter().filter(|socket| socket.state != 6).map(|socket| {
            let unread = socket.receive_queue > 0 && socket.state != 10;
            format!("socket {} {} {} {} unread {unread}", socket.family, socket.kind, socket.protocol, socket.state)
        }));
    }
    all.sort();
    all
}

/// A link without the numbers that a restore gives anew.
fn plain(link: &str) -> String {
    let link = link.replace("/memfd:/dev/zero", "/dev/zero").replace("/dev/pts/ptmx", "/dev/ptmx");
    let digits = regex::Regex::new("[0-9]+").expect("a pattern");
    digits.replace_all(&link, "N").into_owned()
}

/// What was there before and is not afterwards, each as often.
fn missing(before: &[String], after: &[String]) -> Vec<String> {
    let mut counts = BTreeMap::<&String, usize>::new();
    after.iter().for_each(|entry| *counts.entry(entry).or_default() += 1);
    let is_missing = |entry: &&String| match counts.get_mut(*entry) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    before.iter().filter(is_missing).cloned().collect()
}

/// The root directory of a container, as the mount that a restore wants; unmounted when dropped.
struct Root(PathBuf);

impl Root {
    fn of(running: &Running, place: Place) -> Result<Option<Self>> {
        if place == Place::Host {
            return Ok(None);
        }
        let source = running.scratch.parent().ok_or("a root directory")?;
        let root = source.parent().ok_or("a directory")?.join("restored");
        fs::create_dir(&root).map_err(text)?;
        let bind = |words: &[&str]| Command::new("mount").args(words).arg(&root).status().is_ok_and(|s| s.success());
        if bind(&["--bind", &source.display().to_string()]) && bind(&["--make-private"]) {
            return Ok(Some(Self(root)));
        }
        Err("the root directory can't be bound".to_owned())
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What was restored; ended when dropped.
struct Back {
    root: Option<Pid>,
    tree: Vec<Pid>,
}

impl Back {
    fn of(pid_file: &Path) -> Self {
        let root = fs::read_to_string(pid_file).ok().and_then(|pid| pid.trim().parse().ok());
        let tree = root.and_then(|root| look(root).ok());
        Self { root, tree: tree.map(|facts| facts.processes.iter().map(|p| p.pid).collect()).unwrap_or_default() }
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        let all = self.root.into_iter().chain(self.tree.iter().copied()).filter_map(RawPid::from_raw);
        for pid in all {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            reap(pid.as_raw_nonzero().get());
        }
    }
}

/// Waits a little for one that has ended, if it is a child of the tests.
fn reap(pid: Pid) {
    let end = Instant::now() + Duration::from_millis(500);
    while let Some(raw) = RawPid::from_raw(pid) {
        match rustix::process::waitpid(Some(raw), WaitOptions::NOHANG) {
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            _ => return,
        }
    }
}

/// Waits a little for those of its process group that were not there yet when the tree was looked at.
fn reap_group(leader: Pid) {
    let end = Instant::now() + Duration::from_millis(500);
    while let Some(raw) = RawPid::from_raw(leader) {
        match rustix::process::waitpgid(raw, WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            _ => return,
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
