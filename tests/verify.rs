//! `ckpt-lint verify` by a criu that does what the test wants: what is run and said, and what is left behind.
//!
//! The real criu is tried in `tests/live` and `tests/engines`.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "what goes wrong here fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A log up to where the target is frozen.
const FROZEN: &str = "(00.001000) Detected cgroup V2 freezer\n(00.002000) Seized task PID, state 1\n";

/// A target, a criu, and a folder for all that is made.
struct Stage {
    folder: TempDir,
    target: Child,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.target.kill().unwrap();
        self.target.wait().unwrap();
    }
}

impl Stage {
    /// A criu that runs these lines of a shell in the directory that it is given, with `$0 $*` in `ran`.
    fn new(dump: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        fs::create_dir(&work).unwrap();
        let script = "#!/bin/sh\ncase \"$*\" in *--version*) echo Version: 4.2.1; exit;; esac\n\
                      echo \"$*\" >\"${0%/*}/ran\"; while [ \"$1\" != -D ]; do shift; done; cd \"$2\"\n";
        let criu = folder.path().join("criu");
        fs::write(&criu, format!("{script}{dump}\n")).unwrap();
        fs::set_permissions(&criu, fs::Permissions::from_mode(0o755)).unwrap();
        let mut target = Command::new("setsid");
        target.args(["sleep", "1000"]).env("PASSWORD", "hunter2").stdin(Stdio::null()).stdout(Stdio::null());
        let stage = Self { folder, target: target.stderr(Stdio::null()).spawn().unwrap() };
        let comm = format!("/proc/{}/comm", stage.target.id());
        wait_until("the target", || fs::read_to_string(&comm).is_ok_and(|comm| comm == "sleep\n"));
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ckpt-lint"));
        command.args(["verify", "--pid", &self.target.id().to_string()]).env_clear().env("PATH", self.folder.path());
        command.arg("--work-dir").arg(self.path("work")).args(args).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        assert_eq!(self.path("work").read_dir().unwrap().count(), 0, "something is left behind");
        output
    }

    /// What is said of a run without an answer, before which nothing was frozen.
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}: {said}");
        assert!(!self.path("ran").exists(), "{args:?}: it was dumped");
        said
    }

    fn ran(&self) -> String {
        fs::read_to_string(self.path("ran")).unwrap()
    }

    /// The text with all that differs from run to run as words.
    fn settled(&self, text: &str) -> String {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let text = text.replace(self.folder.path().to_str().unwrap(), "FOLDER").replace(kernel.trim(), "KERNEL");
        let text = text.replace(&self.target.id().to_string(), "PID").replace(std::env::consts::ARCH, "ARCH");
        let changing = [("ckpt-lint-verify-[A-Za-z0-9]+", "ckpt-lint-verify-X"), ("[0-9]+ fds, .*;", "COUNTS;")];
        changing.iter().fold(text, |text, (pattern, word)| {
            regex::Regex::new(pattern).unwrap().replace_all(&text, *word).into_owned()
        })
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn log(lines: &str) -> String {
    format!("printf '%s\\n' \"{FROZEN}{lines}\" >dump.log")
}

#[test]
fn what_is_dumped_as_predicted_agrees() {
    let stage = Stage::new(&log("(00.012500) \tUnseizing 7 into 1"));
    let output = stage.run(&["--", "-j", "--ghost-limit=1M", "-D", "/elsewhere", "--no-link-remap"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let both = format!("{}\n---\n{}", text(&output.stderr), text(&output.stdout));
    insta::assert_snapshot!("dumped", stage.settled(&both));
    let words = "dump --shell-job --ghost-limit=1M --no-link-remap --leave-running -v4 -o dump.log -D ";
    assert!(stage.ran().starts_with(words), "{}", stage.ran());
}

#[test]
fn a_refusal_that_was_not_predicted_differs() {
    let blind = log(
        "(00.012500) Error (criu/sk-inet.c:1): inet: Can't dump corked dgram socket 7f\n(00.013000) \tUnseizing 7 into 1",
    );
    let stage = Stage::new(&format!("{blind}; exit 1"));
    let output = stage.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    insta::assert_snapshot!("refused", stage.settled(&text(&output.stdout)));
    let json: Value = serde_json::from_slice(&stage.run(&["--format", "json"]).stdout).unwrap();
    assert_eq!((&json["agreement"], &json["agrees"]), (&"refused-nevertheless".into(), &false.into()));
    assert_eq!((&json["blind_spot"], &json["reality"]["frozen_ms"]), (&"udp-corked".into(), &12.0.into()));
}

#[test]
fn nothing_is_frozen_without_a_criu_that_may_be_run_and_ends_by_itself() {
    let stage = Stage::new("exit 0");
    assert!(stage.refused(&["--criu", "4.1"]).contains("is CRIU 4.2.1, not 4.1"));
    assert!(stage.refused(&["--criu", "/none/criu"]).contains("no criu to run"));
    assert!(stage.refused(&["--", "--lazy-pages"]).contains("waits for another program"));
    assert!(stage.refused(&["--", "--track-mem"]).contains("would miss what changed"));
    assert!(stage.refused(&["--", "--tcp-establishd"]).contains("tcp-established"));
    assert!(stage.refused(&["--engine", "runc"]).contains("in no container"));
    fs::set_permissions(stage.path("criu"), fs::Permissions::from_mode(0o757)).unwrap();
    assert!(stage.refused(&[]).contains("can be changed by others"));
    fs::remove_file(stage.path("criu")).unwrap();
    assert!(stage.refused(&[]).contains("no criu to run"));
    assert_eq!(Stage::new("exit 0").run(&["--criu", "4.2.1"]).status.code(), Some(0));
}

#[test]
fn a_dump_that_does_not_end_is_killed_and_says_so() {
    let stage = Stage::new(&format!("{}; exec /bin/sleep 600", log("(00.502000) Wait for freezer")));
    let output = stage.run(&["--time-limit", "1s"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("did not end in time and was killed")
            && said.contains("501.0 ms")
            && said.contains("killed after 1 s"),
        "{said}"
    );
}

#[test]
fn who_interrupts_it_gets_criu_waited_for_and_the_images_removed() {
    for signal in ["INT", "TERM", "HUP"] {
        let stage = Stage::new(&format!(": >\"{}\"; /bin/sleep 1; : >\"{}\"", "${0%/*}/began", "${0%/*}/ended"));
        let mut verify = stage.command(&[]);
        let mut verify = verify.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the dump", || stage.path("began").exists());
        let killed = Command::new("kill").args([&format!("-{signal}"), &verify.id().to_string()]).status().unwrap();
        let pipe = verify.stderr.take().unwrap();
        assert!(killed.success() && verify.wait().unwrap().code() == Some(2), "{signal}");
        assert!(stage.path("ended").exists() && stage.path("work").read_dir().unwrap().count() == 0, "{signal}");
        assert!(std::io::read_to_string(pipe).unwrap().contains("interrupted"), "{signal}");
    }
}

#[test]
fn a_report_is_for_its_owner_and_names_nobody() {
    let secret = log(
        "(00.003000) 7 fdinfo 3: ./home/zacharias/notes\n(00.004000) Error (criu/x.c:1): Can't dump /home/zacharias/notes",
    );
    let stage = Stage::new(&format!("{secret}; exit 1"));
    let report = stage.path("report.zst");
    let output = stage.run(&["--report", report.to_str().unwrap(), "--", "--action-script", "/home/zacharias/script"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(report.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let json = text(&zstd::decode_all(fs::File::open(&report).unwrap()).unwrap());
    for secret in ["zacharias", "hunter2", "1000\"]"] {
        assert!(!json.contains(secret), "{secret}");
    }
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["verify"]["reality"]["message"], "Can't dump /home/user1/notes");
    assert_eq!(json["verify"]["log"][2], "(00.003000) 7 fdinfo 3: ./home/user1/notes");
    let said = text(&output.stderr);
    assert!(said.contains("Taken out: arguments, environment, names of home directories"), "{said}");
    let mut replay = Command::new(env!("CARGO_BIN_EXE_ckpt-lint"));
    let replayed = replay.args(["--criu", "4.2", "-q", "--from"]).arg(&report).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
}
