//! Who runs ckpt-lint and criu: the same for both, as a fixture says.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use ckpt_lint::facts::Pid;
use tempfile::TempDir;

use crate::program::{Program, built};

type Result<T> = std::result::Result<T, String>;

/// A caller other than the tests themselves: a script that runs what it is given as that caller.
pub(crate) struct Caller {
    directory: TempDir,
}

impl Caller {
    /// The caller of a fixture; `None` when it is the tests themselves.
    pub(crate) fn of(program: &Program, root: Pid) -> Result<Option<Self>> {
        if program.caller.is_empty() && program.tools.is_empty() {
            return Ok(None);
        }
        let directory = tempfile::Builder::new().prefix("ckpt-lint-caller-").tempdir().map_err(text)?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).map_err(text)?;
        let caller = Self { directory };
        let root = root.to_string();
        let mut words: Vec<String> = program.caller.iter().map(|word| quoted(&word.replace("{root}", &root))).collect();
        if let Some(first) = program.caller.first().map(|word| built().join(word)).filter(|path| path.exists()) {
            words[0] = quoted(&first.display().to_string());
        }
        let path = caller.path_with(program)?;
        let script =
            format!("unset CKPT_LINT_LIMITS_PRELOAD\nexport PATH={}\nexec {} \"$@\"", quoted(&path), words.join(" "));
        caller.script("caller", &script)?;
        Ok(Some(caller))
    }

    /// A program that this caller runs, as a command.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.directory.path().join("caller"));
        command.arg(program);
        command
    }

    /// The criu at that path as this caller runs it.
    pub(crate) fn criu(&self, path: &Path) -> Result<PathBuf> {
        let caller = self.directory.path().join("caller");
        self.script("criu", &format!("exec {} {} \"$@\"", caller.display(), path.display()))
    }

    fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).map_err(self::text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(self::text)?;
        Ok(path)
    }

    /// A PATH with all that is on that of the tests, but for the tools that the fixture takes away or replaces.
    fn path_with(&self, program: &Program) -> Result<String> {
        let path = std::env::var("PATH").map_err(text)?;
        if program.tools.is_empty() {
            return Ok(path);
        }
        let folder = self.directory.path().join("path");
        fs::create_dir(&folder).map_err(text)?;
        let files = std::env::split_paths(&path).filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
        for file in files.filter(|file| !program.tools.contains_key(&*file.file_name().to_string_lossy())) {
            // The first of a name is the one that counts.
            let _ = symlink(file.path(), folder.join(file.file_name()));
        }
        for (name, other) in program.tools.iter().filter(|(_, other)| !other.is_empty()) {
            let found = std::env::split_paths(&path).map(|folder| folder.join(other)).find(|path| path.exists());
            symlink(found.ok_or_else(|| format!("no {other}"))?, folder.join(name)).map_err(text)?;
        }
        Ok(folder.display().to_string())
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
