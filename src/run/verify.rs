//! `ckpt-lint verify`: lint, say what comes, dump for real, compare.

use std::path::Path;
use std::time::Duration;

use super::{ask_for, built_in_rules, check_features, is_coloured, live, profile_ask, width};
use crate::assess::assess;
use crate::cli::{Format, VerifyArgs, VerifyHow};
use crate::criu::run::{Dump, Outcome};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::output;
use crate::profile::{self, Profile, ProfileAsk};
use crate::recording;
use crate::report::{Report, human, json};
use crate::verify::{self, Afterwards, Intended, Interrupts, Place, Verification};
use crate::version::Version;

/// What becomes of a target when criu can't let go of it.
const KILLED: &str =
    "its code may still be in the target, and the target's cgroup frozen; end the target or start it anew";

pub(super) fn run(args: VerifyArgs) -> Result<u8> {
    let VerifyArgs { target, dump, how } = args;
    let (ask, release) = profile_ask(dump).of_a_real_criu()?;
    let facts = live(ask_for(target.container, target.pid, &ask)?, target.deep, &ask)?;
    let mut profile = profile::build(&ask, &facts)?;
    profile.leave_places_out();
    let rules = built_in_rules()?;
    check_features(&profile.criu.features, &rules)?;
    check_release(release, profile.criu.version)?;
    let assessment = assess(&facts, &profile, &rules);
    verify::check(&profile, &assessment, &rules, how.even_if_it_hangs)?;

    let Tried { dump, remarks, outcome } = dump_for_real(&ask, &facts, &profile, &how)?;
    let verification = Verification {
        report: Report { facts: &facts, profile: &profile, assessment: &assessment, rules: &rules },
        dump: &dump,
        outcome: &outcome,
        comparison: verify::compare(assessment.verdict, &assessment.findings, &outcome),
        afterwards: Afterwards::of(facts.root()),
        remarks: &remarks,
    };
    output::to_stdout(&match how.format {
        Format::Human => human::verify(&verification, &look()),
        Format::Json => json::verify(&verification)?,
    })?;
    match (&how.report, verification.exit_code()) {
        (Some(path), _) => write(path, &verification)?,
        (None, 1) => output::note("that is our bug: please verify again with --report FILE, and send us the file"),
        (None, _) => {}
    }
    Ok(verification.exit_code())
}

/// A dump that was tried.
struct Tried {
    dump: Dump,
    remarks: Vec<String>,
    outcome: Outcome,
}

/// Says what it runs, runs it, and leaves no image behind, whoever interrupts it.
fn dump_for_real(ask: &ProfileAsk, facts: &Facts, profile: &Profile, how: &VerifyHow) -> Result<Tried> {
    let interrupts = Interrupts::hold()?;
    let place = Place::make(how.work_dir.as_deref(), facts)?;
    let Intended { dump, mut remarks } = verify::intended(ask, facts, profile, place.path())?;
    remarks.extend(place.remark.clone());
    if interrupts.came() {
        return Err(Error::new("interrupted; nothing was frozen"));
    }
    output::note(&announcement(facts, &dump));
    let limit = how.time_limit.unwrap_or_else(|| time_limit(facts));
    let outcome = dump.run(limit)?;
    place.remove()?;
    if outcome.hung {
        remarks.push(format!("criu was killed after {} s: {KILLED}", limit.as_secs()));
    }
    match interrupts.came() {
        true => Err(Error::new("interrupted; criu was waited for, and its images are removed")),
        false => Ok(Tried { dump, remarks, outcome }),
    }
}

/// Two minutes, and a second for each 32 MiB that criu has to write.
fn time_limit(facts: &Facts) -> Duration {
    let bytes: u64 = facts.processes.iter().map(|process| process.anonymous_bytes).sum();
    Duration::from_secs(120 + (bytes >> 25))
}

/// A release that was named is the one of the program that is there.
fn check_release(named: Option<Version>, found: Option<Version>) -> Result<()> {
    match (named, found) {
        (Some(named), Some(found)) if named != found => {
            Err(Error::new(format!("the criu that would run is CRIU {found}, not {named}"))
                .hint("verify runs a real program: name that of the release by --criu PATH"))
        }
        _ => Ok(()),
    }
}

/// What is said before anything is frozen.
fn announcement(facts: &Facts, dump: &Dump) -> String {
    let root = facts.root().map(|root| format!(" ({})", root.comm)).unwrap_or_default();
    let descendants = match facts.processes.len().saturating_sub(1) {
        0 => String::new(),
        1 => " and its descendant".to_owned(),
        more => format!(" and its {more} descendants"),
    };
    format!("now freezes process {}{root}{descendants} for a moment, by: {dump}", facts.target.root)
}

/// The recording, the comparison and the log, scrubbed and for its owner alone.
fn write(path: &Path, verification: &Verification<'_>) -> Result<()> {
    let value = json::verify_with_log(verification)?;
    let bytes = recording::with_verify(verification.report.facts, Some(value))?;
    output::to_private_file(path, &bytes)?;
    output::note(&format!(
        "{} holds what the lint read, the comparison and criu's log. Taken out: {}, name of the host. Other paths, \
         names of processes and addresses are in it: look at it with zstdcat before you pass it on",
        path.display(),
        recording::SCRUBBED.join(", ")
    ));
    Ok(())
}

fn look() -> human::Look {
    human::Look { width: width(), colour: is_coloured(), quiet: false, verbose: false }
}
