//! What the tests stand on: the real criu, the fixture programs, the lint itself, and the host's runc.conf.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ckpt_lint::version::Version;
use serde_json::Value;

/// These tests share the host's runc.conf: one at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    assert!(rustix::process::geteuid().is_root(), "the live tests need root");
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// PATH with the newest real criu of the cache first.
pub(crate) fn path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let releases = fs::read_dir(cache().join("criu")).expect("no real criu: run tests/setup.sh");
        let version = |dir: &PathBuf| dir.file_name().unwrap().to_str().unwrap().parse::<Version>().ok();
        let newest = releases.map(|entry| entry.unwrap().path()).max_by_key(version).expect("run tests/setup.sh");
        assert!(version(&newest) >= Some(Version::new(4, 2, 0)), "no criu of 4.2 or later: run tests/setup.sh");
        format!("{}:{}", newest.join("bin").display(), std::env::var("PATH").unwrap())
    })
}

fn cache() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || folder("HOME").expect("HOME is set").join(".cache");
    folder("CKPT_LINT_CACHE").unwrap_or_else(|| folder("XDG_CACHE_HOME").unwrap_or_else(home).join("ckpt-lint"))
}

/// A folder with a root file system: the fixture programs and nothing else.
pub(crate) fn rootfs(at: &Path) {
    for dir in ["bin", "dev", "proc", "sys", "tmp", "etc", "scratch"] {
        fs::create_dir_all(at.join(dir)).unwrap();
    }
    for program in [super::CLEAN, super::LOCK.0, super::TCP.0] {
        fs::copy(programs().join(program), at.join("bin").join(program)).unwrap();
    }
}

fn programs() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/programs");
        let built = Command::new("make").arg("-s").arg("-C").arg(source).arg(format!("OUT={}", out.display())).status();
        assert!(built.is_ok_and(|status| status.success()), "the fixture programs do not build: run tests/setup.sh");
        out
    })
}

/// A command with the real criu on its PATH; fails the test when the program is not there.
pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    let output = command.args(args).env("PATH", path()).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{program} does not run ({error}): run tests/setup.sh"))
}

/// Standard output, trimmed, of a command that must succeed.
pub(crate) fn told(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until the condition holds, at most so many seconds.
pub(crate) fn wait_until(seconds: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < end, "{what} did not happen in {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the program of a container has set up what it holds.
pub(crate) fn wait_ready(pid: i64) {
    let ready = format!("/proc/{pid}/root/scratch/ready");
    wait_until(20, &ready, || Path::new(&ready).exists());
}

/// What the lint said of a container.
pub(crate) struct Lint {
    pub(crate) json: Value,
    pub(crate) code: i32,
}

impl Lint {
    pub(crate) fn container(text: &str) -> Self {
        Self::with(&["--container", text])
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        let output = run(env!("CARGO_BIN_EXE_ckpt-lint"), &[args, &["--format", "json"]].concat());
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{args:?}: {}", String::from_utf8_lossy(&output.stderr)));
        Self { json, code: output.status.code().unwrap() }
    }

    /// What a person reads.
    pub(crate) fn human(text: &str) -> String {
        String::from_utf8(run(env!("CARGO_BIN_EXE_ckpt-lint"), &["--container", text]).stdout).unwrap()
    }

    /// What is said of a container that is no target: exit code 2, and nothing on standard output.
    pub(crate) fn refusal(text: &str) -> String {
        let output = run(env!("CARGO_BIN_EXE_ckpt-lint"), &["--container", text]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{text}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn verdict(&self) -> &str {
        self.json["verdict"].as_str().unwrap()
    }

    pub(crate) fn root_pid(&self) -> i64 {
        self.json["target"]["root_pid"].as_i64().unwrap()
    }

    /// Rules that decide the verdict, each once.
    pub(crate) fn rules(&self) -> Vec<String> {
        let decides = |finding: &&Value| matches!(finding["severity"].as_str(), Some("blocks" | "needs-option"));
        let findings = self.json["findings"].as_array().unwrap();
        let mut rules: Vec<String> =
            findings.iter().filter(decides).map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect();
        rules.dedup();
        rules
    }
}

/// Short enough for the message of a failed test.
impl fmt::Debug for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}, {}: {:?}, gaps {}", self.code, self.verdict(), self.rules(), self.json["gaps"])
    }
}

/// What verify said of a container, which runs on.
pub(crate) struct Verify {
    pub(crate) json: Value,
    pub(crate) code: i32,
    said: String,
}

impl Verify {
    pub(crate) fn with(args: &[&str]) -> Self {
        let output = run(env!("CARGO_BIN_EXE_ckpt-lint"), &[&["verify", "--format", "json"], args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args:?}: {said}"));
        assert_eq!(json["target_after"], "runs", "{json:#}");
        Self { json, code: output.status.code().unwrap(), said }
    }

    /// What is said where nothing was dumped.
    pub(crate) fn refusal(args: &[&str]) -> String {
        let output = run(env!("CARGO_BIN_EXE_ckpt-lint"), &[&["verify"], args].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn agreement(&self) -> &str {
        self.json["agreement"].as_str().unwrap()
    }

    pub(crate) fn command(&self) -> &str {
        self.json["reality"]["command"].as_str().unwrap()
    }
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}\n{}", self.json, self.said)
    }
}

/// Other contents of the host's `/etc/criu/runc.conf`; dropped, it is as it was, also after a panic.
pub(crate) struct RuncConf {
    before: Option<Vec<u8>>,
    made_folder: bool,
}

impl RuncConf {
    const PATH: &str = "/etc/criu/runc.conf";
    /// First line of a file of ours: left behind by a killed test it is nothing to put back.
    const OURS: &str = "# written by a test of ckpt-lint\n";

    pub(crate) fn write(text: &str) -> Self {
        let folder = Path::new(Self::PATH).parent().unwrap();
        let made_folder = !folder.exists();
        fs::create_dir_all(folder).unwrap();
        let before = fs::read(Self::PATH).ok().filter(|bytes| !bytes.starts_with(Self::OURS.as_bytes()));
        let guard = Self { before, made_folder };
        fs::write(Self::PATH, format!("{}{text}", Self::OURS)).unwrap();
        guard
    }
}

impl Drop for RuncConf {
    fn drop(&mut self) {
        let _ = match &self.before {
            Some(bytes) => fs::write(Self::PATH, bytes),
            None => fs::remove_file(Self::PATH),
        };
        if self.made_folder {
            let _ = fs::remove_dir(Path::new(Self::PATH).parent().unwrap());
        }
    }
}
