//! What is not tried, and why: each reason is said before anything is frozen.

use crate::assess::Assessment;
use crate::error::{Error, Result};
use crate::facts::CriuState;
use crate::profile::Profile;
use crate::rules::RuleSet;

/// Whether the dump may be tried.
///
/// # Errors
/// There is no criu to run or none that may be run, it would wait for somebody or spoil a later dump, or it is predicted to hang.
pub fn check(profile: &Profile, assessment: &Assessment, rules: &RuleSet, even_if_it_hangs: bool) -> Result<()> {
    let criu = &profile.criu;
    let name = criu.path.as_deref().unwrap_or("criu");
    match &criu.state {
        Some(CriuState::Runs { .. } | CriuState::Unusable(_)) => {}
        Some(CriuState::NotRun(why)) => {
            return Err(Error::new(format!("{name} is not run")).because(why).hint("name another by --criu PATH"));
        }
        Some(CriuState::Missing) | None => {
            return Err(Error::new(format!("there is no criu to run ({})", criu.from)).hint("name one by --criu PATH"));
        }
    }
    if let Some(given) = profile.options.iter().find(|given| given.option.needs_partner()) {
        return Err(Error::new(format!("with `{}` criu waits for another program", given.option))
            .hint(format!("verify without it; it comes from: {}", given.from)));
    }
    if let Some(given) = profile.options.iter().find(|given| given.option.tracks_memory()) {
        return Err(Error::new("with `track-mem` your next incremental dump would miss what changed before this one")
            .hint(format!("verify without it; it comes from: {}", given.from)));
    }
    match assessment.findings.iter().find(|finding| finding.decides() && rules.is_hanging(&finding.rule)) {
        Some(finding) if !even_if_it_hangs => Err(Error::new("criu may hang, and killing it harms the target")
            .because(format!("{} [{}]", finding.what, finding.rule))
            .hint(format!("{}; or say --even-if-it-hangs. Nothing was frozen", finding.fix))),
        _ => Ok(()),
    }
}
