//! Where images and log go for a moment: a directory that nobody else may look into, gone in the end.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::facts::Facts;

/// A private directory for the images; removed when dropped.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
    /// What to know of it, for people.
    pub remark: Option<String>,
}

impl Place {
    /// Makes it where the user says, else where temporary files are, and there only with room for the memory of the
    /// target.
    ///
    /// # Errors
    /// No directory can be made there, or there is no room.
    pub fn make(parent: Option<&Path>, facts: &Facts) -> Result<Self> {
        let usual = std::env::temp_dir();
        let at = parent.unwrap_or(&usual);
        let failed = |error: &std::io::Error| {
            let hint = "say --work-dir DIR for another place";
            Error::new(format!("can't make a directory in {}", at.display())).because(error).hint(hint)
        };
        let private = Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("ckpt-lint-verify-").permissions(private).tempdir_in(at);
        let directory = made.map_err(|error| failed(&error))?;
        let room = rustix::fs::statvfs(directory.path()).map_err(|errno| failed(&errno.into()))?;
        let lacking = lacking(facts, room.f_frsize.saturating_mul(room.f_bavail));
        match (lacking.map(|why| format!("{}: {why}", at.display())), parent) {
            (Some(lacking), None) => Err(Error::new("no room for the images")
                .because(lacking)
                .hint("say --work-dir DIR for a roomier place; nothing was frozen")),
            (remark, _) => Ok(Self { directory, remark }),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes it with all that is in it.
    ///
    /// # Errors
    /// It can't be removed.
    pub fn remove(self) -> Result<()> {
        let path = self.path().to_owned();
        let failed = |error| {
            let hint = "it holds memory of the target: remove it";
            Error::new(format!("can't remove {}", path.display())).because(error).hint(hint)
        };
        self.directory.close().map_err(failed)
    }
}

/// What there is too little of, if there is: criu writes to images what memory no file holds.
fn lacking(facts: &Facts, free: u64) -> Option<String> {
    let needed: u64 = facts.processes.iter().map(|process| process.anonymous_bytes).sum();
    let mebibytes = |bytes: u64| bytes >> 20;
    (free < needed)
        .then(|| format!("{} MiB are free, and the memory of the target takes {}", mebibytes(free), mebibytes(needed)))
}

/// Signals that are to end the run: from now on they only leave word, so that criu can let go of the target and the
/// directory is removed.
#[derive(Debug)]
pub struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    /// Holds them back.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn hold() -> Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            let held = signal_hook::flag::register(signal, Arc::clone(&came));
            held.map_err(|error| Error::new("can't hold signals back").because(error))?;
        }
        Ok(Self(came))
    }

    /// Whether one came.
    #[must_use]
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Process;

    fn tree(bytes: u64) -> Facts {
        Facts { processes: vec![Process { anonymous_bytes: bytes, ..Process::default() }], ..Facts::default() }
    }

    #[test]
    fn nobody_else_looks_into_it_and_nothing_of_it_stays() {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::make(Some(parent.path()), &tree(1)).unwrap();
        assert_eq!(place.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(place.path().starts_with(parent.path()) && place.remark.is_none());
        std::fs::write(place.path().join("pages-1.img"), "secret").unwrap();
        place.remove().unwrap();
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn without_room_it_is_made_only_where_the_user_says() {
        let parent = tempfile::tempdir().unwrap();
        assert!(Place::make(None, &tree(u64::MAX)).unwrap_err().to_string().starts_with("no room for the images"));
        let place = Place::make(Some(parent.path()), &tree(u64::MAX)).unwrap();
        assert!(place.remark.unwrap().contains("MiB are free"));
        assert!(Place::make(Some(&parent.path().join("none")), &tree(1)).is_err());
    }
}
