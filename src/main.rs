//! The command line: parse, call, render errors, exit code.

use std::process::ExitCode;

use ckpt_lint::cli::Cli;
use ckpt_lint::{output, run};

/// No trustworthy answer.
const NO_ANSWER: u8 = 2;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        output::bug(&panic.to_string());
        std::process::exit(NO_ANSWER.into());
    }));
    let code = Cli::from_process().and_then(run::run).unwrap_or_else(|error| {
        output::error(&error);
        NO_ANSWER
    });
    code.into()
}
