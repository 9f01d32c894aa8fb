//! Words of a command line or config file into options, as CRIU's getopt_long splits them.

use super::CriuOption;
use super::option_table::{self, Argument, Effect, Found, Known};
use super::value::canonical;

/// What a word asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// An option to be in effect.
    Set(&'static Known, CriuOption),
    /// A switch to be off.
    Unset(&'static Known),
    /// A word that belongs to no option.
    Stray(String),
    /// A word that makes CRIU refuse to start, and why.
    Wrong(String),
}

/// Splits words as getopt_long does. The words after `--` are strays.
pub(super) fn split(words: &[String]) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            statements.extend(words.by_ref().map(|word| Statement::Stray(word.clone())));
        } else if let Some(long) = word.strip_prefix("--") {
            statements.push(split_long(long, &mut words));
        } else if let Some(bundle) = word.strip_prefix('-').filter(|bundle| !bundle.is_empty()) {
            split_bundle(bundle, &mut words, &mut statements);
        } else {
            statements.push(Statement::Stray(word.clone()));
        }
    }
    statements
}

fn split_long<'a>(word: &str, rest: &mut impl Iterator<Item = &'a String>) -> Statement {
    let (name, joined) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value.to_owned())));
    match option_table::long(name) {
        None => Statement::Wrong(unknown(name)),
        Some(Found::Off(known)) => match joined {
            None => Statement::Unset(known),
            Some(_) => Statement::Wrong(format!("`{name}` takes no value")),
        },
        Some(Found::On(known)) => {
            let value = match known.argument {
                Argument::Value => joined.or_else(|| rest.next().cloned()),
                _ => joined,
            };
            set(known, value)
        }
    }
}

/// `-jl`, `-v4`, `-t 42`: a value is what is left of the word, else the next word.
fn split_bundle<'a>(bundle: &str, rest: &mut impl Iterator<Item = &'a String>, statements: &mut Vec<Statement>) {
    let mut left = bundle;
    while let Some(letter) = left.chars().next() {
        left = left.get(letter.len_utf8()..).unwrap_or_default();
        let Some(known) = option_table::short(letter) else {
            return statements.push(Statement::Wrong(format!("`-{letter}` is no option of `criu dump`")));
        };
        let joined = Some(left.to_owned()).filter(|left| !left.is_empty());
        match known.argument {
            Argument::Switch | Argument::Flag => statements.push(set(known, None)),
            Argument::Maybe => return statements.push(set(known, joined)),
            Argument::Value => return statements.push(set(known, joined.or_else(|| rest.next().cloned()))),
        }
    }
}

/// One option with the value that was found for it.
pub(super) fn set(known: &'static Known, value: Option<String>) -> Statement {
    let name = known.name;
    match (known.argument, &value) {
        (Argument::Value, None) => Statement::Wrong(format!("`{name}` needs a value")),
        (Argument::Switch | Argument::Flag, Some(_)) => Statement::Wrong(format!("`{name}` takes no value")),
        _ if known.effect == Effect::NotForDump => Statement::Wrong(format!("`criu dump` refuses `{name}`")),
        _ => match canonical(name, value) {
            Ok(option) => Statement::Set(known, option),
            Err(why) => Statement::Wrong(why),
        },
    }
}

/// What to say of a name that CRIU does not know.
pub(super) fn unknown(name: &str) -> String {
    let shown = name.escape_debug();
    match option_table::nearest(name) {
        Some(nearest) => format!("`{shown}` is no option of `criu dump`; did you mean `{nearest}`?"),
        None => format!("`{shown}` is no option of `criu dump`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let show = |statement| match statement {
            Statement::Set(_, option) => option.to_string(),
            Statement::Unset(known) => format!("no {}", known.name),
            Statement::Stray(word) => format!("stray {word}"),
            Statement::Wrong(why) => why,
        };
        split(&words).into_iter().map(show).collect()
    }

    #[test]
    fn a_dump_command_splits_as_criu_splits_it() {
        assert_eq!(
            shown("dump -Rjl -v4 -t 42 --ext-unix-sk=7 --external unix[9] --manage-cgroups full"),
            [
                "stray dump",
                "leave-running",
                "shell-job",
                "file-locks",
                "verbosity 4",
                "tree 42",
                "ext-unix-sk 7",
                "external unix[9]",
                "manage-cgroups soft",
                "stray full"
            ]
        );
        assert_eq!(
            shown("-x --no-tcp-established --tcp-est"),
            ["ext-unix-sk", "no tcp-established", "tcp-established"]
        );
        assert_eq!(shown("-M /a:b -M auto"), ["external mnt[/a]:b", "external mnt[]"]);
    }

    #[test]
    fn what_criu_refuses_is_said_with_the_name() {
        assert!(shown("--tcp-establised")[0].contains("did you mean `tcp-established`?"));
        assert!(shown("--ghost-limit")[0].contains("needs a value"));
        assert!(shown("--tcp-established=yes")[0].contains("takes no value"));
        assert!(shown("--inherit-fd fd[1]:x")[0].contains("refuses"));
        assert!(shown("-q")[0].contains("`-q`"));
        assert!(
            shown("--cpu-cap=foo")[0].contains("takes fpu") && shown("--cpu-cap=^ins,cpu")[0].contains("cpu-cap ^")
        );
        assert!(shown("--empty-ns pid")[0].contains("takes net"));
        for (line, form) in [
            ("--ext-unix-sk=abc", "takes inodes"),
            ("-x0", "takes inodes"),
            ("--external mnt[]:z", "m, s or ms"),
            ("--join-ns net", "TYPE:FILE"),
            ("--join-ns pid:1", "TYPE:FILE"),
            ("--join-ns user:1,a,0", "TYPE:FILE"),
            ("--external macvlan[eth0]", "macvlan[INSIDE]:OUTSIDE"),
            ("--cgroup-props x", "simplified YAML"),
            ("--lsm-profile foo", "apparmor:NAME"),
            ("--lsm-profile smack:foo", "apparmor:NAME"),
            ("--port 0", "above 0"),
            ("--status-fd x", "a number"),
            ("--feature foo", "criu check"),
            ("--decompress-threads x", "0 to 1024"),
            ("--pre-dump-mode slow", "splice, read"),
            ("--veth-pair a", "INSIDE=OUTSIDE"),
            ("--image-io-mode fast", "writeback, direct"),
            ("--plugin-option a=b.c", "PLUGIN.NAME"),
            ("--compress-acceleration 0", "1 to 65537"),
        ] {
            assert!(shown(line)[0].contains(form), "{line}: {:?}", shown(line));
        }
        for line in [
            "-x7,8",
            "-x",
            "--external mnt[]:ms",
            "--external mnt[]",
            "--lsm-profile none:",
            "--port 80",
            "--join-ns user:1,0,0",
            "--external macvlan[a]:b",
        ] {
            assert!(!shown(line)[0].contains("takes"), "{line}: {:?}", shown(line));
        }
    }
}
