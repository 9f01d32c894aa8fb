//! Names of people in running text, where a path may end at any sign and need not begin with a slash.

use std::collections::{BTreeMap, BTreeSet};

use super::NAMED_AFTER_PEOPLE;

/// Calls on every name: one that is known, as far as it reaches, else up to what no name in running text has.
pub(super) fn each_name(mut text: &str, known: &BTreeSet<String>, mut on_name: impl FnMut(&str)) {
    while let Some((_, name, rest)) = next_name(text, known) {
        if !name.is_empty() {
            on_name(name);
        }
        text = rest;
    }
}

pub(super) fn replace_names(mut text: &str, known: &BTreeSet<String>, aliases: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    while let Some((before, name, rest)) = next_name(text, known) {
        out.push_str(before);
        out.push_str(aliases.get(name).map_or(name, String::as_str));
        text = rest;
    }
    out + text
}

/// A line of CRIU's log that does not say on which host it ran. CRIU: `log.c: print_versions`.
pub(super) fn without_host(line: &str) -> String {
    const MARK: &str = ") Running on ";
    match line.split_once(MARK).and_then(|(before, rest)| Some((before, rest.split_once(' ')?.1))) {
        Some((before, kernel)) if before.starts_with('(') => format!("{before}{MARK}HOST {kernel}"),
        _ => line.to_owned(),
    }
}

/// The text up to and with the next directory that is named after people, the name in it, and the rest.
fn next_name<'a>(text: &'a str, known: &BTreeSet<String>) -> Option<(&'a str, &'a str, &'a str)> {
    let ends = NAMED_AFTER_PEOPLE.iter().filter_map(|directory| end_of(text, directory.trim_start_matches('/')));
    let (before, after) = text.split_at_checked(ends.min()?)?;
    let starts = |name: &&String| {
        after.strip_prefix(name.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    let known = known.iter().filter(starts).map(String::len).max();
    let end = known.or_else(|| after.find(|c: char| c.is_whitespace() || "/:,;]>)}|'\"`".contains(c)));
    let (name, rest) = after.split_at_checked(end.unwrap_or(after.len()))?;
    Some((before, name, rest))
}

/// Behind the directory, as the whole name of one.
fn end_of(text: &str, directory: &str) -> Option<usize> {
    let is_whole = |at: &usize| !text.get(..*at).is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric()));
    text.match_indices(directory).map(|(at, _)| at).find(is_whole).map(|at| at + directory.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_not_named() {
        assert_eq!(without_host("(00.000047) Running on vm7 Linux 6.18"), "(00.000047) Running on HOST Linux 6.18");
        assert_eq!(without_host("(00.000047) Seized task 7"), "(00.000047) Seized task 7");
    }

    #[test]
    fn a_name_is_found_in_running_text_and_a_known_one_as_a_whole() {
        let known = BTreeSet::from(["alice".to_owned(), "alice b".to_owned()]);
        let mut found = known.clone();
        let text = "Can't dump ./home/alice b/x (home/bob) or /media/alice, /srv/xhome/y: /home/al";
        each_name(text, &known, |name| {
            found.insert(name.to_owned());
        });
        assert_eq!(found.iter().collect::<Vec<_>>(), ["al", "alice", "alice b", "bob"]);
        let aliases = found.iter().map(|name| (name.clone(), format!("<{}>", name.len()))).collect();
        assert_eq!(
            replace_names(text, &found, &aliases),
            "Can't dump ./home/<7>/x (home/<3>) or /media/<5>, /srv/xhome/y: /home/<2>"
        );
    }
}
