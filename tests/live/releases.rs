//! The real criu releases that `tests/setup.sh` unpacked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ckpt_lint::version::Version;

/// Where set-up keeps what it fetched.
pub(crate) fn cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("CKPT_LINT_CACHE").unwrap_or_else(|| {
        let base = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        base.expect("HOME is set").join("ckpt-lint")
    })
}

/// Real criu programs by release.
#[derive(Debug)]
pub(crate) struct Releases(BTreeMap<Version, PathBuf>);

impl Releases {
    pub(crate) fn find() -> Self {
        let folders = cache().join("criu").read_dir().into_iter().flatten().flatten();
        let found: BTreeMap<Version, PathBuf> = folders
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin/criu"))))
            .collect();
        assert!(found.len() >= 3, "fewer than three real criu releases in {}: run tests/setup.sh", cache().display());
        Self(found)
    }

    /// The release of the full matrix: the oldest one that is at least 4.2.
    pub(crate) fn main(&self) -> String {
        let main = self.0.keys().find(|version| **version >= Version::new(4, 2, 0));
        main.expect("a criu of at least 4.2: run tests/setup.sh").to_string()
    }

    /// The other releases, oldest first.
    pub(crate) fn others(&self) -> Vec<String> {
        self.0.keys().map(Version::to_string).filter(|version| *version != self.main()).collect()
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Version, &Path)> {
        self.0.iter().map(|(version, path)| (*version, path.as_path()))
    }

    /// The oldest one that is at least that release.
    pub(crate) fn since(&self, release: &str) -> Option<String> {
        let wanted: Version = release.parse().expect("a version");
        self.0.keys().find(|version| **version >= wanted).map(Version::to_string)
    }

    pub(crate) fn path(&self, version: &str) -> &Path {
        &self.0[&version.parse::<Version>().expect("a version")]
    }
}
