//! What a scan costs: a load of 100 processes with 100 descriptors each is scanned, and the same system calls are made
//! by `floor.c`, turn by turn. Prints one line.
//!
//! The load is this program itself: it starts a `tree`, which starts the rest as `leaf`; all end when standard input
//! does.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ckpt_lint::facts::{Facts, Target};
use ckpt_lint::scan::scan;
use rustix::fd::OwnedFd;
use rustix::{event, fs, pipe, process, time};

const PROCESSES: usize = 100;
const ROUNDS: usize = 15;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("tree") => {
            hold((1..PROCESSES).map(|number| load("leaf", number, Stdio::inherit(), Stdio::inherit())).collect())
        }
        Some("leaf") => hold(Ok(Vec::new())),
        _ => measure(),
    }
}

/// Starts this program again as part of the load.
fn load(role: &str, number: usize, input: Stdio, output: Stdio) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(command.args([role, &number.to_string()]).stdin(input).stdout(output).spawn()?)
}

/// Holds 100 descriptors of mixed kinds, the three standard ones included, until standard input ends.
fn hold(children: Result<Vec<Child>>) -> Result<()> {
    let (children, number) = (children?, std::env::args().nth(2).unwrap_or_default().parse::<usize>()?);
    let exe = std::env::current_exe()?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for _ in 0..37 {
        fds.push(std::fs::File::open(&exe)?.into());
    }
    for _ in 0..7 {
        fds.extend(<[OwnedFd; 2]>::from(pipe::pipe_with(pipe::PipeFlags::CLOEXEC)?));
    }
    for _ in 0..10 {
        let (one, other) = UnixStream::pair()?;
        fds.extend([OwnedFd::from(one), other.into()]);
    }
    for at in 0..26 {
        fds.push(match at {
            0..5 => TcpListener::bind("127.0.0.1:0")?.into(),
            5..8 => event::epoll::create(event::epoll::CreateFlags::CLOEXEC)?,
            8..11 => time::timerfd_create(time::TimerfdClockId::Monotonic, time::TimerfdFlags::CLOEXEC)?,
            11..15 => fs::memfd_create("load", fs::MemfdFlags::CLOEXEC)?,
            15..18 => process::pidfd_open(process::getpid(), process::PidfdFlags::empty())?,
            // A user may have but 128 of them.
            18..20 if number < 32 => watch()?,
            _ => event::eventfd(0, event::EventfdFlags::CLOEXEC)?,
        });
    }
    let mut output = std::io::stdout();
    output.write_all(b".").and_then(|()| output.flush())?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    children.into_iter().try_for_each(|mut child| child.wait().map(drop))?;
    Ok(())
}

fn watch() -> Result<OwnedFd> {
    let inotify = fs::inotify::init(fs::inotify::CreateFlags::CLOEXEC)?;
    fs::inotify::add_watch(&inotify, "/", fs::inotify::WatchFlags::CREATE)?;
    Ok(inotify)
}

fn measure() -> Result<()> {
    let floor = build_floor()?;
    let mut tree = load("tree", 0, Stdio::piped(), Stdio::piped())?;
    tree.stdout.as_mut().ok_or("no pipe")?.read_exact(&mut [0; PROCESSES])?;
    let root = tree.id().cast_signed();
    let facts = scan(Target { root, ..Target::default() })?;
    let pids: Vec<String> = facts.processes.iter().map(|process| process.pid.to_string()).collect();
    let (mut cpu, mut same, mut links) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = cpu_time();
        scan(Target { root, ..Target::default() })?;
        let ours = cpu_time() - before;
        cpu.push(ours);
        same.push(ours / run_floor(&floor, "facts", &pids)?);
        links.push(ours / run_floor(&floor, "links", &pids)?);
    }
    drop(tree.stdin.take());
    tree.wait()?;
    report(&facts, median(cpu), median(same), median(links))
}

fn report(facts: &Facts, cpu: f64, same: f64, links: f64) -> Result<()> {
    let (processes, fds) =
        (facts.processes.len() as f64, facts.processes.iter().map(|p| p.fds.len()).sum::<usize>() as f64);
    writeln!(
        std::io::stdout(),
        "scan of {processes} processes, {fds} fds: {:.1} us CPU per fd, {:.2} ms per process; \
         {same:.2}x the same reads in C, {links:.2}x link + fdinfo of every fd in C",
        cpu / fds * 1e6,
        cpu / processes * 1e3
    )?;
    Ok(())
}

/// CPU time of this process so far, user and system, in seconds.
fn cpu_time() -> f64 {
    let now = time::clock_gettime(time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn build_floor() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/floor.c");
    let program = std::env::current_exe()?.with_file_name("scan-floor");
    let built = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(source).status()?;
    built.success().then_some(program).ok_or_else(|| "cc could not build benches/floor.c".into())
}

/// Runs the floor; the CPU time of its reads in seconds.
fn run_floor(program: &Path, what: &str, pids: &[String]) -> Result<f64> {
    let output = Command::new(program).arg(what).args(pids).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse::<f64>()? / 1e9)
}
