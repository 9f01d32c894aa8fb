//! Options that the user names: `--criu-option` and a pasted dump command.

use super::CriuOption;
use super::getopt::{self, Statement};
use super::option_table::{self, Argument, Found};
use crate::error::{Error, Result};

/// Options of `--criu-option OPT`: dashes may be left out, the value stands after `=` or a blank.
pub(super) fn single(texts: &[String]) -> Result<Vec<Statement>> {
    texts.iter().map(|text| checked(one(text), "--criu-option")).collect()
}

fn one(text: &str) -> Statement {
    let text = text.trim();
    let bare = text.trim_start_matches('-');
    let (name, value) = match bare.split_once(['=', ' ', '\t']) {
        Some((name, value)) => (name, Some(value.trim().to_owned())),
        None => (bare, None),
    };
    let mut letters = name.chars();
    let short = letters.next().filter(|_| letters.next().is_none());
    let found = match short {
        Some(letter) => option_table::short(letter).map(Found::On),
        None => option_table::long(name),
    };
    match found {
        None => Statement::Wrong(getopt::unknown(name)),
        Some(Found::Off(known)) => Statement::Unset(known),
        Some(Found::On(known)) => getopt::set(known, value),
    }
}

/// Options pasted from a dump command, which may begin with the command itself: `criu dump -t 42 ...`.
pub(super) fn pasted(words: &[String]) -> Result<Vec<Statement>> {
    let is_command = |word: &&String| {
        let program = word.rsplit('/').next().unwrap_or(word);
        matches!(program, "sudo" | "criu" | "dump") && !word.starts_with('-')
    };
    let command = words.iter().take_while(is_command).count();
    let statements = getopt::split(words.get(command..).unwrap_or_default());
    let not_dump = |statement: &Statement| !matches!(statement, Statement::Stray(word) if word == "dump");
    statements.into_iter().filter(not_dump).map(|statement| checked(statement, "options after --")).collect()
}

/// Whatever CRIU would refuse is an error when a person asks for it.
fn checked(statement: Statement, from: &str) -> Result<Statement> {
    let wrong =
        |why: String| Err(Error::new(format!("{from}: {why}")).hint("`criu --help` lists the options of `criu dump`"));
    match statement {
        Statement::Wrong(why) => wrong(why),
        Statement::Stray(word) => wrong(format!(
            "`{}` belongs to no option; a value that may be left out is joined by `=`: --manage-cgroups=full",
            word.escape_debug()
        )),
        Statement::Set(known, option) => match value_error(known.name, known.argument, option.value.as_deref()) {
            Some(why) => wrong(why),
            None => Ok(Statement::Set(known, option)),
        },
        Statement::Unset(known) => Ok(Statement::Unset(known)),
    }
}

/// Options that CRIU takes with an empty value.
const TAKE_EMPTY: [&str; 9] = [
    "cgroup-dump-controller",
    "cgroup-props",
    "enable-fs",
    "external",
    "ghost-limit",
    "irmap-scan-path",
    "root",
    "timeout",
    "cgroup-root",
];

fn value_error(name: &str, argument: Argument, value: Option<&str>) -> Option<String> {
    let missing = argument == Argument::Value && value?.is_empty() && !TAKE_EMPTY.contains(&name);
    missing.then(|| format!("`{name}` needs a value"))
}

/// What CRIU makes of a value that was hardly meant so.
pub(super) fn remark(option: &CriuOption) -> Option<String> {
    let value = option.value.as_deref()?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match option.name.as_str() {
        "ghost-limit" if getopt::size(value) != value => Some(format!(
            "`{option}`: CRIU reads bytes, or a number with K, M or G, and takes this for {}",
            getopt::size(value)
        )),
        "timeout" if !number(value) => {
            Some(format!("`{option}`: CRIU reads seconds, and takes what is no number for none"))
        }
        "external" if !value.contains('[') || !value.contains(']') => {
            Some(format!("`{option}`: CRIU wants TYPE[ID], as in external unix[4711], and passes over this"))
        }
        _ => None,
    }
}
