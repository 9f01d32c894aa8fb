//! Folding of repeats: what differs is listed once, what is the same is said once.

use std::fmt::Display;

/// The first few, and how many more: `12, 14, 16 and 41 more`. `most` 0: all of them.
pub(super) fn list<T: Display>(items: &[T], most: usize) -> String {
    let shown = if most == 0 || items.len() <= most + 1 { items.len() } else { most };
    let mut text = items.iter().take(shown).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if shown < items.len() {
        text += &format!(" and {} more", items.len() - shown);
    }
    text
}

/// Several phrases as one, when they begin with the same words: `a pidfd of sh (7), sleep (9)`.
///
/// `None` when they share no beginning, or one of them has nothing of its own or half a pair of brackets.
pub(super) fn phrase(phrases: &[String], most: usize) -> Option<String> {
    let words: Vec<Vec<&str>> = phrases.iter().map(|phrase| phrase.split(' ').collect()).collect();
    let (first, others) = words.split_first()?;
    let shared = |other: &Vec<&str>| first.iter().zip(other).take_while(|(a, b)| a == b).count();
    let start = others.iter().map(shared).min()?;
    let shared = |other: &Vec<&str>| first.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let end = others.iter().map(shared).min()?;
    let own = |words: &Vec<&str>| {
        let own = words.get(start..words.len().checked_sub(end)?)?;
        let own = own.join(" ");
        (!own.is_empty() && own.matches('(').count() == own.matches(')').count()).then_some(own)
    };
    let own: Vec<String> = words.iter().map(own).collect::<Option<_>>()?;
    if start == 0 {
        return None;
    }
    let comma = if own.iter().all(|own| own.ends_with(',')) { "," } else { "" };
    let own: Vec<&str> = own.iter().map(|own| own.trim_end_matches(',')).collect();
    let middle = list(&own, most) + comma;
    let parts = [first.get(..start)?.join(" "), middle, first.get(first.len() - end..)?.join(" ")];
    Some(parts.join(" ").trim_end().to_owned())
}

/// `1 process`, `2 processes`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_list_says_how_many_more() {
        assert_eq!(list(&[1, 2, 3], 2), "1, 2, 3");
        assert_eq!(list(&[1, 2, 3, 4], 2), "1, 2 and 2 more");
        assert_eq!(list(&[1, 2, 3, 4], 0), "1, 2, 3, 4");
    }

    #[test]
    fn phrases_fold_only_around_what_differs() {
        let pidfds = phrases(&["a pidfd of sh (7)", "a pidfd of a b (9)"]);
        assert_eq!(phrase(&pidfds, 4).as_deref(), Some("a pidfd of sh (7), a b (9)"));
        let inside = phrases(&["a pidfd of sh (7), inside", "a pidfd of sh (9), inside"]);
        assert_eq!(phrase(&inside, 4).as_deref(), Some("a pidfd of sh (7), (9), inside"));
        let tcp = phrases(&["from ::1:5 to ::1:6 established", "from ::1:5 to ::1:7 established"]);
        assert_eq!(phrase(&tcp, 4).as_deref(), Some("from ::1:5 to ::1:6, ::1:7 established"));
        assert_eq!(phrase(&phrases(&["a lock", "a lock on /x"]), 4), None);
        assert_eq!(phrase(&phrases(&["a lock (FLOCK READ)", "a lock (FLOCK WRITE)"]), 4), None);
        assert_eq!(phrase(&phrases(&["/x is deleted", "/y is deleted"]), 4), None);
    }
}
