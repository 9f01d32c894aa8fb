//! Taking out of facts what is nobody else's business, so that rules still give the same verdict.
//!
//! Arguments are cut to the name of the program. Whoever a home or media directory is named after becomes `user1`,
//! `user2` ...; the same name becomes the same one everywhere, so that paths which were equal, or one under the other,
//! still are. The environment is never read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::facts::Facts;
use crate::text::RawText;

mod loose;

/// What is taken out, as the recording says it.
pub const SCRUBBED: [&str; 3] = ["arguments", "environment", "names of home directories"];

/// Directories whose entries are named after people, wherever they are mounted.
const NAMED_AFTER_PEOPLE: [&str; 2] = ["/home/", "/media/"];

/// What the kernel prints behind the path of a deleted file.
const DELETED: &str = " (deleted)";

/// The same facts without arguments and names of people.
///
/// # Errors
/// Facts that do not survive being written and read again.
pub fn scrub(facts: &Facts) -> serde_json::Result<Facts> {
    scrub_with(facts, &mut Value::Null)
}

/// The same, and names of people taken out of what CRIU said of the target, too: there as in the facts. Beyond that the
/// name of the host, which only CRIU says.
pub(super) fn scrub_with(facts: &Facts, said: &mut Value) -> serde_json::Result<Facts> {
    let mut facts = facts.clone();
    let looks = facts.looks.iter_mut().flat_map(|look| &mut look.processes);
    for process in facts.processes.iter_mut().chain(looks) {
        process.args.truncate(1);
        process.args.iter_mut().for_each(|arg| *arg = program_name(arg));
    }
    let mut value = serde_json::to_value(&facts)?;
    let mut names = BTreeSet::new();
    visit(&mut value, &mut |text| {
        each_name(text, |name| {
            names.insert(name.to_owned());
        })
    });
    let mut further = BTreeSet::new();
    visit(said, &mut |text| loose::each_name(text, &names, |name| further.extend([name.to_owned()])));
    names.append(&mut further);
    let aliases: BTreeMap<String, String> =
        names.iter().enumerate().map(|(n, name)| (name.clone(), format!("user{}", n + 1))).collect();
    visit(&mut value, &mut |text| *text = replace_names(text, &aliases));
    visit(said, &mut |text| *text = loose::without_host(&loose::replace_names(text, &names, &aliases)));
    serde_json::from_value(value)
}

/// The last part of the first word: programs that rewrite their title put arguments behind a blank.
fn program_name(arg: &RawText) -> RawText {
    let word = arg.as_bytes().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    word.rsplit(|&byte| byte == b'/').next().unwrap_or_default().into()
}

/// Calls on every text of the value, object keys left out: these are names of fields, numbers and devices.
fn visit(value: &mut Value, on_text: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => on_text(text),
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, on_text)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, on_text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text up to and with the next directory that is named after people, the name in it, and the rest.
fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let ends = NAMED_AFTER_PEOPLE.iter().filter_map(|directory| Some(text.find(directory)? + directory.len()));
    let (before, after) = text.split_at_checked(ends.min()?)?;
    let end = after.find(['/', ':', ',', ']', '\'', '"']).unwrap_or(after.len());
    let (name, rest) = after.split_at_checked(end)?;
    match name.strip_suffix(DELETED) {
        Some(name) => Some((before, name, after.get(name.len()..)?)),
        None => Some((before, name, rest)),
    }
}

fn each_name(mut text: &str, mut on_name: impl FnMut(&str)) {
    while let Some((_, name, rest)) = next_name(text) {
        if !name.is_empty() {
            on_name(name);
        }
        text = rest;
    }
}

fn replace_names(mut text: &str, aliases: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    while let Some((before, name, rest)) = next_name(text) {
        out.push_str(before);
        out.push_str(aliases.get(name).map_or(name, String::as_str));
        text = rest;
    }
    out + text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fd, Process};

    fn facts(links: &[&[u8]], args: &[&str]) -> Facts {
        let fds = links.iter().map(|link| Fd { link: RawText::from(*link), ..Fd::default() }).collect();
        let args = args.iter().map(|arg| RawText::from(*arg)).collect();
        Facts { processes: vec![Process { fds, args, state: 'S', ..Process::default() }], ..Facts::default() }
    }

    fn links(facts: &Facts) -> Vec<String> {
        facts.processes[0].fds.iter().map(|fd| fd.link.to_string()).collect()
    }

    #[test]
    fn a_name_becomes_the_same_alias_everywhere() {
        let before: [&[u8]; 6] = [
            b"/home/bob/a",
            b"/var/home/alice (deleted)",
            b"/home/alice",
            b"lowerdir=/home/bob:/home/alice/x",
            b"/home/j\xff\\hn/x",
            b"/srv/home",
        ];
        let after = scrub(&facts(&before, &[])).unwrap();
        let expected = [
            "/home/user2/a",
            "/var/home/user1 (deleted)",
            "/home/user1",
            "lowerdir=/home/user2:/home/user1/x",
            "/home/user3/x",
            "/srv/home",
        ];
        assert_eq!(links(&after), expected);
    }

    #[test]
    fn of_the_arguments_only_the_name_of_the_program_stays() {
        let kept = |args: &[&str]| scrub(&facts(&[], args)).unwrap().processes[0].args.clone();
        assert_eq!(kept(&["/usr/bin/psql", "--password=x"]), [RawText::from("psql")]);
        assert_eq!(kept(&["postgres: alice db 10.0.0.1(5)/idle"]), [RawText::from("postgres:")]);
        assert_eq!(kept(&[]), []);
        let twice = Facts { looks: vec![facts(&[], &["/bin/psql", "secret"])], ..facts(&[], &[]) };
        assert_eq!(scrub(&twice).unwrap().looks[0].processes[0].args, [RawText::from("psql")]);
    }

    #[test]
    fn what_is_scrubbed_already_stays_as_it_is() {
        let once = scrub(&facts(&[b"/home/zoe/x", b"/home/adam"], &["a", "b"])).unwrap();
        assert_eq!(scrub(&once).unwrap(), once);
    }
}
