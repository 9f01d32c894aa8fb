//! Where bytes leave the program: standard output, and files that are written whole or not at all.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::text::RawText;

/// Writes to standard output. That nobody reads it any more is no error.
///
/// # Errors
/// When it can't be written, such as to a full disk.
pub fn to_stdout(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new("could not write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// Writes a file by renaming a finished one over it; what is no regular file (`/dev/stderr`, a fifo) is written to.
///
/// # Errors
/// When it can't be written; an older file is then still there, whole.
pub fn to_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o666)
}

/// The same, of a file that nobody else may read.
///
/// # Errors
/// As of [`to_file`].
pub fn to_private_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o600)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let written = match fs::metadata(path) {
        Ok(found) if !found.is_file() => OpenOptions::new().write(true).open(path).and_then(|mut f| f.write_all(bytes)),
        Ok(_) => fs::canonicalize(path).and_then(|path| replace(&path, bytes, mode)),
        Err(_) => replace(path, bytes, mode),
    };
    written.map_err(|error| Error::new(format!("could not write {}", path.display())).because(error))
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    fs::metadata(&folder)?;
    let rights = Permissions::from_mode(mode);
    let mut file = tempfile::Builder::new().prefix(".ckpt-lint-").permissions(rights).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Writes a remark to standard error. Nothing can be done if that fails.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "ckpt-lint: {}", RawText::from(text));
}

/// Writes what went wrong to standard error, in colour where that is wanted. Nothing can be done if that fails.
pub fn error(error: &Error) {
    let clean = |text: &str| RawText::from(text).to_string();
    let red = owo_colors::Style::new().red().bold();
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{} {}", red.style("error:"), clean(&error.to_string()));
    if let Some(hint) = &error.hint {
        let _ = writeln!(stderr, "  {}", clean(hint));
    }
}

/// Exit code of a run that has no trustworthy answer.
pub const NO_ANSWER: u8 = 2;

/// From here on a panic in any thread is said as an error is and ends the process with [`NO_ANSWER`].
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        bug(&panic.to_string());
        std::process::exit(NO_ANSWER.into());
    }));
}

/// Says on standard error that the program itself is wrong.
fn bug(panic: &str) {
    let version = env!("CARGO_PKG_VERSION");
    error(
        &Error::new(format!("ckpt-lint {version} has a bug and gives no answer"))
            .because(panic)
            .hint("this is our bug, not yours: please report it with this text and, if you can, a recording"),
    );
}
