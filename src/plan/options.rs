//! Which options to add: as few as lift all that can be lifted, those that lose nothing first.

use std::collections::{BTreeMap, BTreeSet};

use super::Loss;
use crate::assess::Case;
use crate::finding::Finding;
use crate::profile::{CriuOption, OptionInEffect, Profile, Reach};
use crate::rules::{Lift, RuleSet};

/// How often an added option may bring up something that needs a further one.
const ROUNDS: usize = 4;
/// How many options are tried to be left out.
const MOST_DROPPED: usize = 32;

/// The profile with the options that it needs and that its engine can pass, and these options, sorted.
pub(crate) fn with_needed_options(case: Case<'_>, profile: &Profile) -> (Profile, Vec<CriuOption>) {
    let mut chosen = BTreeSet::new();
    let mut tried = profile.clone();
    for _ in 0..ROUNDS {
        let before = chosen.len();
        choose(&mut chosen, &case.deciding(&tried).collect::<Vec<_>>(), profile, case.rules);
        if chosen.len() == before {
            break;
        }
        tried = with_options(profile, &summed_up(&chosen));
    }
    let options = summed_up(&chosen);
    (tried, options)
}

/// What is needed, and what it costs.
pub(super) struct Needed {
    /// The profile with the options.
    pub(super) profile: Profile,
    /// The options, sorted.
    pub(super) options: Vec<CriuOption>,
    /// What is lost by them.
    pub(super) loses: Vec<Loss>,
}

/// The options that are needed, none of which can be left out: each is dropped in turn, those that lose something first,
/// and what then comes up is judged again. What comes up also says what the option is to lift, and so what it loses.
pub(super) fn smallest(case: Case<'_>, profile: &Profile) -> Needed {
    let (mut planned, mut options) = with_needed_options(case, profile);
    let remain = case.deciding(&planned).count();
    let mut loses = BTreeSet::new();
    let mut tried: Vec<CriuOption> = options.iter().take(MOST_DROPPED).cloned().collect();
    let loss = |findings: &[Finding], option: &CriuOption| -> Vec<Loss> {
        let lifts = findings.iter().filter(|finding| finding.lifted_by.contains(option) || is_summed_up(option));
        let loses = lifts.filter_map(|finding| lift(finding, option, case.rules)?.loses.clone());
        loses.map(|loses| Loss { option: option.clone(), loses }).collect()
    };
    let all: Vec<Finding> = case.deciding(profile).collect();
    tried.sort_by_key(|option| loss(&all, option).is_empty());
    for option in tried {
        let fewer: Vec<CriuOption> = options.iter().filter(|other| **other != option).cloned().collect();
        let without = with_options(profile, &fewer);
        let left: Vec<Finding> = case.deciding(&without).collect();
        if left.len() <= remain {
            (planned, options) = (without, fewer);
        } else {
            loses.extend(loss(&left, &option));
        }
    }
    loses.extend(options.iter().skip(MOST_DROPPED).flat_map(|option| loss(&all, option)));
    Needed { profile: planned, options, loses: loses.into_iter().collect() }
}

fn is_summed_up(option: &CriuOption) -> bool {
    option.name == GHOST_LIMIT || option.name == IRMAP_SCAN_PATH
}

/// For each finding that an option lifts one such option, unless one that was chosen already does.
///
/// Findings with the least choice come first, so that what they need serves the others as well.
fn choose(chosen: &mut BTreeSet<CriuOption>, findings: &[Finding], profile: &Profile, rules: &RuleSet) {
    let reachable = |finding: &Finding| -> Vec<CriuOption> {
        let mut options = finding.lifted_by.clone();
        options.retain(|option| profile.reach(option) != Reach::Nowhere);
        options.sort_by_key(|option| lift(finding, option, rules).is_some_and(|lift| lift.loses.is_some()));
        options
    };
    let mut choices: Vec<Vec<CriuOption>> = findings.iter().map(reachable).collect();
    choices.sort_by_key(Vec::len);
    for choice in choices {
        if !choice.iter().any(|option| chosen.contains(option)) {
            chosen.extend(choice.into_iter().next());
        }
    }
}

/// The lift of the finding's rule that gives this option.
pub(crate) fn lift<'a>(finding: &Finding, option: &CriuOption, rules: &'a RuleSet) -> Option<&'a Lift> {
    let rule = rules.rules.iter().find(|rule| rule.id == finding.rule)?;
    rule.lift.iter().find(|lift| lift.option == option.name)
}

fn with_options(profile: &Profile, options: &[CriuOption]) -> Profile {
    let mut profile = profile.clone();
    let replaced =
        |old: &OptionInEffect| old.option.name == GHOST_LIMIT && options.iter().any(|o| o.name == GHOST_LIMIT);
    profile.options.retain(|old| !replaced(old));
    let added = options.iter().map(|option| OptionInEffect { option: option.clone(), from: "plan".to_owned() });
    profile.options.extend(added);
    profile.options.sort();
    profile.options.dedup();
    profile
}

const GHOST_LIMIT: &str = "ghost-limit";
const IRMAP_SCAN_PATH: &str = "irmap-scan-path";

/// One ghost limit, the highest; of the directories to scan only common ones; everything else as it is.
fn summed_up(chosen: &BTreeSet<CriuOption>) -> Vec<CriuOption> {
    let values = |name: &str| chosen.iter().filter(|o| o.name == name).filter_map(|o| o.value.as_deref()).collect();
    let limits: Vec<&str> = values(GHOST_LIMIT);
    let limit = limits.into_iter().max_by_key(|value| bytes(value));
    let mut options: Vec<CriuOption> = chosen.iter().filter(|option| !is_summed_up(option)).cloned().collect();
    options.extend(limit.map(|limit| CriuOption::with(GHOST_LIMIT, limit)));
    let scan = common_directories(values(IRMAP_SCAN_PATH));
    options.extend(scan.into_iter().map(|path| CriuOption::with(IRMAP_SCAN_PATH, path)));
    options.sort();
    options
}

/// A size as CRIU reads it: a number with K, M or G behind it. CRIU: `config.c: parse_size`.
fn bytes(size: &str) -> u64 {
    let digits = size.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match size.bytes().last() {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        _ => 0,
    };
    digits.parse::<u64>().unwrap_or(0).saturating_mul(1 << shift)
}

/// For each top-level directory the deepest one that holds all the given ones below it.
fn common_directories(directories: Vec<&str>) -> Vec<String> {
    let mut common = BTreeMap::<&str, Vec<&str>>::new();
    for directory in directories {
        let parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
        let Some(&top) = parts.first() else { continue };
        common
            .entry(top)
            .and_modify(|shared| {
                let same = shared.iter().zip(&parts).take_while(|(a, b)| a == b).count();
                shared.truncate(same);
            })
            .or_insert(parts);
    }
    common.into_values().map(|parts| format!("/{}", parts.join("/"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_to_scan_are_reduced_to_common_ones_but_never_to_the_root() {
        let given = vec!["/usr/share/applications", "/usr/share/mime/x", "/root/.config", "/run/mount", "/run/mount/"];
        assert_eq!(common_directories(given), ["/root/.config", "/run/mount", "/usr/share"]);
    }

    #[test]
    fn the_highest_ghost_limit_counts() {
        let chosen = ["900000", "64M", "3G", "70000K"].map(|limit| CriuOption::with(GHOST_LIMIT, limit)).into();
        assert_eq!(summed_up(&chosen), [CriuOption::with(GHOST_LIMIT, "3G")]);
    }
}
