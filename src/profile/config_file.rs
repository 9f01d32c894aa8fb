//! CRIU's config files: one option a line, its value after a blank, `#` starts a comment, quotes keep blanks.

use super::getopt::{self, Statement};
use super::option_table;

/// The lines worth keeping of a config file. Of a line that begins with no known option at most the first word stays,
/// and that only if it could be one: a container's annotation may point CRIU at any file.
pub(super) fn lines(text: &str) -> Vec<String> {
    let statements = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    statements
        .map(|line| {
            let name = line.split([' ', '\t', '=']).next().unwrap_or(line);
            let shaped = name.len() < 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            match option_table::long(name) {
                Some(_) => line.to_owned(),
                None if shaped => name.to_owned(),
                None => "?".to_owned(),
            }
        })
        .collect()
}

/// What the lines ask for. CRIU hands all words of a file to getopt at once, so an option without its value takes
/// the next line's name for it. CRIU: `config.c: parse_config`.
pub(super) fn statements(lines: &[String]) -> Vec<Statement> {
    let mut words = Vec::new();
    let mut wrong = Vec::new();
    for line in lines {
        match split(line) {
            Ok(parts) => words.extend(parts),
            Err(name) => wrong.push(Statement::Wrong(format!("`{name}` is followed by more than one value"))),
        }
    }
    wrong.extend(getopt::split(&words));
    wrong
}

/// A line into `--name` and value; the name alone when CRIU finds the line malformed. CRIU: `config.c: parse_statement`.
fn split(line: &str) -> Result<Vec<String>, String> {
    let Some((name, rest)) = line.split_once(' ').or_else(|| line.split_once('\t')) else {
        return Ok(vec![format!("--{line}")]);
    };
    let rest = rest.trim_start();
    let word = format!("--{name}");
    if rest.is_empty() || rest.starts_with('#') {
        return Ok(vec![word]);
    }
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted_value(quoted),
        None => plain_value(rest),
    };
    value.map(|value| vec![word, value]).ok_or_else(|| name.to_owned())
}

/// Up to the next quote that has no backslash. CRIU looks at what follows only when there is a blank in it, and then
/// takes a comment or one last character.
fn quoted_value(text: &str) -> Option<String> {
    let plain = |at: usize| !text.get(..at).is_some_and(|before| before.ends_with('\\'));
    let closing = text.char_indices().find(|&(at, c)| c == '"' && plain(at))?.0;
    let (value, after) = (text.get(..closing)?, text.get(closing + 1..)?);
    let value = value.replace("\\\"", "\"");
    let cut = value.find('#').and_then(|at| value.get(..at)).unwrap_or(&value);
    (!after.contains(' ') || is_overlooked(after)).then(|| cut.to_owned())
}

/// Up to a comment or blank.
fn plain_value(text: &str) -> Option<String> {
    let text = text.split('#').next().unwrap_or_default();
    let (value, after) = text.split_once(' ').unwrap_or((text, ""));
    is_overlooked(after).then(|| value.replace("\\\"", "\""))
}

/// Whether only blanks, a comment or one last character follow a value.
fn is_overlooked(after: &str) -> bool {
    let after = after.split('#').next().unwrap_or_default();
    let mut characters = after.chars();
    characters.next_back();
    characters.all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        let show = |statement| match statement {
            Statement::Set(_, option) => option.to_string(),
            Statement::Unset(known) => format!("no {}", known.name),
            Statement::Stray(word) => format!("stray {word}"),
            Statement::Wrong(why) => format!("wrong: {why}"),
        };
        statements(&lines(text)).into_iter().map(show).collect()
    }

    #[test]
    fn a_config_file_reads_as_criu_reads_it() {
        let text = "# all\n\ttcp-established\nghost-limit 64M # big\nlsm-profile \"selinux:a b\"\n link-remap #yes\n\
                    manage-cgroups full\nmanage-cgroups=full\nno-file-locks\n";
        assert_eq!(
            parsed(text),
            [
                "tcp-established",
                "ghost-limit 64M",
                "lsm-profile selinux:a b",
                "link-remap",
                "manage-cgroups soft",
                "stray full",
                "manage-cgroups full",
                "no file-locks"
            ]
        );
    }

    #[test]
    fn what_follows_a_value_is_judged_as_criu_judges_it() {
        for taken in ["external \"a[b c]\" d", "external \"a[b c]\"d", "external \"a[b c]\"  # d e", "external a[b] d"]
        {
            assert!(parsed(taken)[0].starts_with("external a[b"), "{taken}");
        }
        for refused in ["external \"a[b c]\" de", "external a[b] de", "external \"a[b", "external \""] {
            assert!(parsed(refused)[0].starts_with("wrong"), "{refused}");
        }
    }

    #[test]
    fn what_stops_criu_is_told_without_quoting_a_foreign_file() {
        let secret = "root:$6$salt$hash:1::\npassword hunter2\n--tcp-established\nexternal a b c\n";
        let told = parsed(secret).join("\n");
        assert!(told.contains("`?` is no option") && told.contains("`password` is no option"), "{told}");
        assert!(told.contains("`external` is followed by more than one value"), "{told}");
        assert!(!told.contains("hunter2") && !told.contains("salt"), "{told}");
    }

    #[test]
    fn an_option_without_its_value_swallows_the_next_line() {
        assert_eq!(parsed("ghost-limit\ntcp-established\n"), ["ghost-limit --tcp-established"]);
    }
}
