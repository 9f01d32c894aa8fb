//! File locks. CRIU 4.2: `file-lock.c: dump_file_locks`; kinds by `proc_parse.c: parse_file_lock_buf`.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;
use crate::rules::Dated;

/// Fires on each lock that is held through an fd and whose kind is in `kinds`, or outside of `except`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileLock {
    /// Fires on these only. Empty: on all.
    #[serde(default)]
    kinds: Dated,
    /// Never fires on these.
    #[serde(default)]
    except: Dated,
}

impl Match for FileLock {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Fds, Area::Fdinfo]
    }

    fn lists(&self) -> Vec<&Dated> {
        vec![&self.except]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let criu = view.profile.criu_version();
        let fires = |kind: &[u8]| {
            !kind.is_empty() && (self.kinds.is_empty() || self.kinds.has(kind, criu)) && !self.except.has(kind, criu)
        };
        let locks = view.fds().flat_map(|(process, fd)| fd.locks.iter().map(move |lock| (process, fd, lock)));
        locks
            .filter(|(_, _, lock)| fires(lock.kind.as_bytes()))
            .map(|(process, fd, lock)| {
                Subject::fd(process, fd).with("kind", lock.kind.clone()).with("access", lock.access.clone())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Fd, Lock};
    use crate::rules::testing::*;

    fn locked(kind: &str) -> Facts {
        let lock = Lock { kind: kind.into(), access: "WRITE".into(), line: kind.into() };
        facts(vec![holder(7, vec![Fd { locks: vec![lock], ..fd(3, "/var/lib/db") }, fd(4, "/var/lib/other")])])
    }

    #[test]
    fn each_known_kind_is_lifted_by_file_locks() {
        for kind in ["POSIX", "FLOCK", "OFDLCK", "LEASE"] {
            assert_eq!(fired("file-lock", &locked(kind), &[]), ["7 fd 3"], "{kind}");
            assert!(fired("file-lock", &locked(kind), &["file-locks"]).is_empty());
            assert!(fired("file-lock-unknown", &locked(kind), &[]).is_empty());
        }
    }

    #[test]
    fn another_kind_blocks_and_an_empty_line_is_no_lock() {
        assert_eq!(fired("file-lock-unknown", &locked("DELEG"), &["file-locks"]), ["7 fd 3"]);
        assert!(fired("file-lock", &locked("DELEG"), &[]).is_empty());
        assert!(fired("file-lock-unknown", &locked(""), &[]).is_empty());
    }
}
