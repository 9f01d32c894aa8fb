//! Errors for people: what was asked, what went wrong, what to do. Each ends the run with exit code 2.

use std::fmt;

/// An error that ends the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What was asked and did not work, one line.
    pub message: String,
    /// Why, when that is not plain from the message.
    pub cause: Option<String>,
    /// What to do now.
    pub hint: Option<String>,
}

/// Result of what can end the run.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that says what was asked and did not work.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), cause: None, hint: None }
    }

    /// Adds why.
    #[must_use]
    pub fn because(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds what to do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.cause.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Error {}
