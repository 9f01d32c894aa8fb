//! One container out of those there are: full id, then name, then unique id prefix, as docker does it; runc has no names
//! besides its ids.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::facts::Engine;

/// How many containers a hint lists.
const SHOWN: usize = 10;

/// A container that an engine keeps state of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) engine: Engine,
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) place: Place,
}

/// Where the state of a container is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The runtime's state folder.
    State(PathBuf),
    /// The bundle folder, the working directory of its shim.
    Bundle(PathBuf),
    /// Its shim runs, but may not be looked at.
    Denied(PathBuf),
    /// It has neither process nor runtime state.
    NotRunning,
}

/// All containers that were found, and the folders that may not be read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) candidates: Vec<Candidate>,
    pub(super) denied: Vec<PathBuf>,
}

/// As a user can ask for it: `docker:web (3f2a91c04d11)`, `runc:web`.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}:{name} ({})", self.engine, short(&self.id)),
            None => write!(f, "{}:{}", self.engine, short(&self.id)),
        }
    }
}

/// Long hexadecimal ids as docker shortens them.
fn short(id: &str) -> &str {
    let hex = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.get(..12).filter(|_| hex).unwrap_or(id)
}

/// The one container that the text means. An engine that was asked for decides between several.
pub(super) fn select<'a>(listing: &'a Listing, text: &str, engine: Option<Engine>) -> Result<&'a Candidate> {
    let (named, key) = split(text);
    if key.is_empty() {
        return Err(Error::new("no container named").hint("say --container ID, NAME or ENGINE:NAME"));
    }
    let of_engine: Vec<&Candidate> =
        listing.candidates.iter().filter(|c| named.is_none_or(|engine| c.engine == engine)).collect();
    for mut hits in [exact(&of_engine, key), prefixed(&of_engine, key)] {
        if hits.iter().any(|hit| Some(hit.engine) == engine) {
            hits.retain(|hit| Some(hit.engine) == engine);
        }
        match hits.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => return Err(ambiguous(text, several)),
        }
    }
    Err(not_found(listing, text, key))
}

/// Those with this very id or name. Within an engine a full id beats a name, as docker has it.
fn exact<'a>(candidates: &[&'a Candidate], key: &str) -> Vec<&'a Candidate> {
    let is_id = |candidate: &&Candidate| candidate.id == key;
    let beaten =
        |candidate: &Candidate| candidates.iter().any(|other| other.engine == candidate.engine && is_id(other));
    let named = |candidate: &&Candidate| candidate.name.as_deref() == Some(key) && !beaten(candidate);
    candidates.iter().copied().filter(|candidate| is_id(candidate) || named(candidate)).collect()
}

fn prefixed<'a>(candidates: &[&'a Candidate], key: &str) -> Vec<&'a Candidate> {
    candidates.iter().copied().filter(|candidate| candidate.id.starts_with(key)).collect()
}

/// `docker:web` into engine and rest.
fn split(text: &str) -> (Option<Engine>, &str) {
    match text.split_once(':') {
        Some(("runc", key)) => (Some(Engine::Runc), key),
        Some(("docker", key)) => (Some(Engine::Docker), key),
        _ => (None, text),
    }
}

fn ambiguous(text: &str, hits: &[&Candidate]) -> Error {
    let same = |a: &Candidate, b: &Candidate| a.engine == b.engine && a.id == b.id;
    let list = hits.iter().map(|hit| match &hit.place {
        Place::State(dir) if hits.iter().filter(|other| same(hit, other)).count() > 1 => {
            format!("{hit} in {}", dir.display())
        }
        _ => hit.to_string(),
    });
    Error::new(format!("`{}` means {} containers", text.escape_debug(), hits.len()))
        .because(some_of(list))
        .hint("say which with ENGINE:NAME or more of the id, or give its process with --pid")
}

fn not_found(listing: &Listing, text: &str, key: &str) -> Error {
    let error = Error::new(format!("no container `{}`", text.escape_debug()));
    if !listing.denied.is_empty() {
        let error = error
            .because(format!("may not read {}", some_of(listing.denied.iter().map(|dir| dir.display().to_string()))));
        return error.hint("run as root to see every container");
    }
    if listing.candidates.is_empty() {
        return error.because("no runc or docker container is here").hint(pid_hint(key));
    }
    let there = some_of(listing.candidates.iter().map(Candidate::to_string));
    error.hint(format!("there are: {there}; {}", pid_hint(key)))
}

fn pid_hint(key: &str) -> String {
    let number = if key.bytes().all(|byte| byte.is_ascii_digit()) { key } else { "PID" };
    format!("for a process of any other kind say --pid {number}")
}

fn some_of(mut items: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = items.by_ref().take(SHOWN).collect();
    match items.count() {
        0 => {}
        more => shown.push(format!("{more} more")),
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(entries: &[(Engine, &str, Option<&str>)]) -> Listing {
        let candidate = |&(engine, id, name): &(Engine, &str, Option<&str>)| Candidate {
            engine,
            id: id.into(),
            name: name.map(str::to_owned),
            place: Place::NotRunning,
        };
        Listing { candidates: entries.iter().map(candidate).collect(), denied: Vec::new() }
    }

    fn id(listing: &Listing, text: &str, engine: Option<Engine>) -> std::result::Result<String, String> {
        select(listing, text, engine).map(|hit| hit.id.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_full_id_beats_a_name_and_a_name_beats_a_prefix() {
        let there = listing(&[
            (Engine::Docker, "aa11", Some("bb")),
            (Engine::Docker, "bb22", Some("aa11")),
            (Engine::Docker, "bb33", None),
        ]);
        assert_eq!(id(&there, "aa11", None).unwrap(), "aa11");
        assert_eq!(id(&there, "bb", None).unwrap(), "aa11");
        assert_eq!(id(&there, "bb2", None).unwrap(), "bb22");
    }

    #[test]
    fn the_same_name_in_two_engines_is_never_guessed() {
        let there = listing(&[(Engine::Runc, "web", None), (Engine::Docker, &"ab".repeat(32), Some("db"))]);
        assert_eq!(id(&there, "runc:web", None).unwrap(), "web");
        assert!(id(&there, "docker:web", None).is_err());
        let both = listing(&[(Engine::Runc, "db", None), (Engine::Docker, "db", Some("x"))]);
        let error = id(&both, "db", None).unwrap_err();
        assert!(error.contains("runc:db") && error.contains("docker:x (db)"), "{error}");
        assert_eq!(select(&both, "db", Some(Engine::Docker)).unwrap().engine, Engine::Docker);
    }
}
