//! A hand-made target and what is said of it. The rules are its own, so that a better text in a rule file changes
//! nothing here.

use ckpt_lint::assess::{Assessment, GapReport};
use ckpt_lint::facts::{Area, ContainerFacts, Engine, Facts, Fd, Gap, Host, Process, Target, Thread};
use ckpt_lint::finding::{Confidence, Finding, Severity, Subject};
use ckpt_lint::plan::{Action, ConfigLines, Holder, Loss, NotFree, Plan, Subtree, Way};
use ckpt_lint::profile::{Criu, CriuOption, OptionInEffect, Profile};
use ckpt_lint::report::Report;
use ckpt_lint::rules::{Rule, RuleSet};
use ckpt_lint::text::RawText;
use ckpt_lint::verdict::{Counts, Verdict};
use ckpt_lint::version::Version;

pub(crate) struct Case {
    pub(crate) facts: Facts,
    pub(crate) profile: Profile,
    pub(crate) assessment: Assessment,
    pub(crate) rules: RuleSet,
}

const HOSTILE: &[u8] = b"ev\x1b[2Jil\xff";

impl Case {
    pub(crate) fn report(&self) -> Report<'_> {
        let Self { facts, profile, assessment, rules } = self;
        Report { facts, profile, assessment, rules }
    }

    /// One of every severity, folded and not, gaps and a plan.
    pub(crate) fn mixed() -> Self {
        Self::shifted(0)
    }

    /// The same with other pids and inode numbers.
    pub(crate) fn shifted(by: i32) -> Self {
        let pid = |pid: i32| pid + by;
        let socket = format!("socket:[{}]", 4711 + by);
        let mut tree = vec![
            process(pid(100), b"tail", &[]),
            process(pid(120), b"xfce4-session", &[(12, PIDFD), (14, PIDFD), (16, PIDFD)]),
            process(pid(110), b"ibus-daemon", &[(9, PIDFD)]),
            process(pid(130), HOSTILE, &[(3, &socket), (4, "anon_inode:[new\u{202e}kind]"), (5, "/tmp/a\n (deleted)")]),
        ];
        tree[3].ppid = pid(120);
        let targets = ["xfwm4 (121)", "Thunar (122)", "xfdesktop (123)"];
        let mut findings: Vec<Finding> = targets.iter().enumerate().map(|(n, t)| pidfd(&tree[1], n, t)).collect();
        findings.push(pidfd(&tree[2], 0, "ibus-dconf (111)"));
        findings.push(anon_inode(&tree[3]));
        findings.push(mount());
        findings.push(tcp(&tree[3]));
        findings.push(possible(&tree[0]));
        findings.push(risk(&tree[3]));
        findings.push(info(&tree[2]));
        let gaps =
            vec![gap(Some(pid(120)), "maps", &["mapped-device"]), gap(Some(pid(130)), "maps", &["mapped-device"])];
        Self::new(tree, findings, gaps, plan(by))
    }

    /// 300 findings: one process with many different ones, many processes with the same, and some of each.
    pub(crate) fn many() -> Self {
        let mut tree = vec![process(1, b"dbus-daemon", &[])];
        let fds: Vec<(i32, &str)> = (10..50).map(|n| (n, PIDFD)).collect();
        tree[0] = process(1, b"dbus-daemon", &fds);
        tree.extend((2..=41).map(|pid| process(pid, format!("program-{pid}").as_bytes(), &fds[..5])));
        tree.extend((1000..1060).map(|pid| process(pid, b"worker", &fds[..1])));
        let mut findings = Vec::new();
        for process in &tree {
            for n in 0..process.fds.len() {
                findings.push(pidfd(process, n, &format!("peer-{n} ({})", 5000 + n)));
            }
        }
        Self::new(tree, findings, Vec::new(), Plan::default())
    }

    /// Nothing found.
    pub(crate) fn empty(verdict: Verdict) -> Self {
        let gaps = match verdict {
            Verdict::Unknown => vec![gap(Some(1), "fd", &["mapped-device"])],
            _ => Vec::new(),
        };
        let tree = vec![process(1, b"sleep", &[(0, "/dev/null")])];
        let mut case = Self::new(tree, Vec::new(), gaps, Plan { suffices: true, ..Plan::default() });
        case.assessment.verdict = verdict;
        case
    }

    fn new(processes: Vec<Process>, findings: Vec<Finding>, gaps: Vec<GapReport>, plan: Plan) -> Self {
        let counts = Counts { gaps: gaps.len(), hiding_gaps: gaps.len(), ..Counts::of(&findings) };
        let verdict = Verdict::of(&findings, !gaps.is_empty());
        let first_ready = Some(Version::new(4, 2, 0));
        let assessment = Assessment {
            findings,
            gaps,
            verdict,
            counts,
            first_ready: None,
            first_ready_with_options: first_ready,
            plan,
        };
        Self { facts: facts(processes), profile: profile(), assessment, rules: rules() }
    }
}

const PIDFD: &str = "anon_inode:[pidfd]";

fn process(pid: i32, comm: &[u8], fds: &[(i32, &str)]) -> Process {
    let fd = |(number, link): &(i32, &str)| Fd { number: *number, link: RawText::from(*link), ..Fd::default() };
    let threads = vec![Thread { tid: pid, state: 'S', ..Thread::default() }];
    let fds = fds.iter().map(fd).collect();
    let (comm, start_time) = (RawText::from(comm), 1000 + pid.unsigned_abs() as u64 % 100);
    Process { pid, ppid: 1, start_time: start_time % 7, comm, state: 'S', threads, fds, ..Process::default() }
}

fn facts(processes: Vec<Process>) -> Facts {
    let container = ContainerFacts {
        engine: Engine::Docker,
        id: "0123456789abcdef0123".into(),
        name: Some("we\u{1b}[31mb".into()),
        bundle: RawText::from(&b"/run/bundle\xfe"[..]),
        ..ContainerFacts::default()
    };
    let root = processes.first().map_or(0, |process| process.pid);
    let target = Target { asked: "web".into(), root, container: Some(container), dumped_by: Engine::Docker };
    let host = Host { kernel_release: "6.18.44-test".into(), architecture: "x86_64".into(), ..Host::default() };
    Facts { target, host, processes, ..Facts::default() }
}

fn profile() -> Profile {
    let option = |option: CriuOption, from: &str| OptionInEffect { option, from: from.into() };
    let external = |n: u32| option(CriuOption::with("external", format!("mnt[/data/{n}]:/data/{n}")), "runc");
    let mut options = vec![option(CriuOption::with("ghost-limit", "64M"), "/etc/criu/default.conf")];
    options.extend((1..8).map(external));
    let version = Some(Version::new(4, 0, 0));
    let from = "--criu".to_owned();
    Profile {
        engine: Engine::Docker,
        criu: Criu { version, state: None, path: None, from, features: Vec::new() },
        options,
        kernel: Some(Version::new(6, 18, 44)),
        architecture: "x86_64".into(),
        caller: None,
        runtime_version: Some(Version::new(1, 1, 5)),
        config_files: vec!["/etc/criu/default.conf".into()],
        config_line_file: Some("/etc/criu/runc.conf".into()),
        config_errors: Vec::new(),
        notes: vec!["-D was left out of account".into()],
    }
}

fn finding(rule: &str, severity: Severity, subject: Subject, what: String) -> Finding {
    let rule_file = rules().rules.into_iter().find(|known| known.id == rule).unwrap();
    Finding {
        rule: rule.into(),
        severity,
        confidence: Confidence::Likely,
        what,
        why: rule_file.text.why,
        fix: rule_file.text.fix,
        error: rule_file.criu.error,
        lifted_by: Vec::new(),
        seen: None,
        subject,
    }
}

fn pidfd(process: &Process, nth: usize, target: &str) -> Finding {
    let fd = &process.fds[nth];
    let what = format!("{} ({}) fd {} is a pidfd of {target}, inside the tree", process.comm, process.pid, fd.number);
    let subject = Subject::fd(process, fd).with("target", target);
    Finding { confidence: Confidence::Certain, ..finding("pidfd-unknown", Severity::Blocks, subject, what) }
}

fn anon_inode(process: &Process) -> Finding {
    let fd = &process.fds[1];
    let what = format!("{} ({}) fd {} is an {}", process.comm, process.pid, fd.number, fd.link);
    finding("anon-inode", Severity::Blocks, Subject::fd(process, fd), what)
}

fn mount() -> Finding {
    let mount = ckpt_lint::facts::Mount { id: 57, mount_point: "/mnt".into(), ..Default::default() };
    finding("mount-unknown", Severity::Blocks, Subject::mount(&mount), "/mnt is a mount of type newfs".into())
}

fn tcp(process: &Process) -> Finding {
    let fd = &process.fds[0];
    let (comm, pid) = (&process.comm, process.pid);
    let what = format!("{comm} ({pid}) fd {}: 10.0.0.1:5901 -> 10.0.0.2:40000 is established", fd.number);
    let lifted_by = vec![CriuOption::flag("tcp-established"), CriuOption::flag("tcp-close")];
    Finding { lifted_by, ..finding("tcp-established", Severity::NeedsOption, Subject::fd(process, fd), what) }
}

fn possible(process: &Process) -> Finding {
    let what = format!("{} ({}) is in uninterruptible sleep", process.comm, process.pid);
    let found = finding("state-d", Severity::Blocks, Subject::process(process), what);
    Finding { confidence: Confidence::Possible, ..found }
}

fn risk(process: &Process) -> Finding {
    let fd = &process.fds[2];
    let what = format!("{} ({}) fd {}: {} is deleted", process.comm, process.pid, fd.number, fd.link);
    finding("deleted", Severity::RestoreRisk, Subject::fd(process, fd), what)
}

fn info(process: &Process) -> Finding {
    let what = format!("{} ({}) holds 1; 5 in 2 other processes remain", process.comm, process.pid);
    let subject = Subject::process(process).with("count", "1").with("rest", "5 remain");
    finding("ibus", Severity::Info, subject, what)
}

fn gap(pid: Option<i32>, file: &str, hides: &[&str]) -> GapReport {
    let path = format!("/proc/{}/{file}", pid.unwrap_or_default()).into();
    let reason = "Permission denied".to_owned();
    let gap = Gap { area: Area::Mappings, pid, path, reason };
    GapReport { gap, hides: hides.iter().map(ToString::to_string).collect(), decides: true }
}

fn plan(by: i32) -> Plan {
    let holder = |pid: i32, comm: &[u8], blockers| Holder {
        pid: pid + by,
        inner_pid: pid % 100,
        comm: RawText::from(comm),
        blockers,
        processes: 1,
    };
    let way = Way {
        options: vec![CriuOption::flag("tcp-established")],
        command: Some("docker checkpoint create web CHECKPOINT".into()),
        config: Some(ConfigLines { file: "/etc/criu/runc.conf".into(), lines: vec!["tcp-established".into()] }),
        loses: vec![Loss { option: CriuOption::flag("tcp-close"), loses: "the connection".into() }],
    };
    let alone = Way {
        options: vec![CriuOption::flag("tcp-close")],
        command: Some(format!("criu dump --tree {} --images-dir DIR --tcp-close", 100 + by)),
        config: None,
        loses: way.loses.clone(),
    };
    Plan {
        suffices: false,
        upgrade: None,
        stop: vec![holder(120, b"xfce4-session", 3), holder(110, b"ibus-daemon", 1), holder(130, HOSTILE, 1)],
        stop_suffices: false,
        stop_unsure: Some(format!("with xfce4-session sh ({}) loses its terminal, and may end", 140 + by)),
        stopped: Some(way.clone()),
        way,
        free: vec![Subtree { root: holder(100, b"tail", 0), way: alone }],
        not_free: Some(NotFree { rules: vec![("pidfd-unknown".into(), 2)], unknown: 0, cut_short: false }),
        actions: vec![Action { rule: "ibus".into(), is_program: true, blockers: 1, how: "without ibus".into() }],
        actions_suffice: true,
        remaining: vec!["mount-unknown: mount of a type that CRIU does not know, 1 times".into()],
    }
}

fn rules() -> RuleSet {
    let mut rules: Vec<Rule> =
        include_str!("rules.toml").split("#---\n").map(|text| toml::from_str(text).unwrap()).collect();
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    RuleSet { rules, ..RuleSet::default() }
}
