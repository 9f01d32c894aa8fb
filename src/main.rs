//! The command line: parse, call, render errors, exit code.

use std::process::ExitCode;

use ckpt_lint::cli::Cli;
use ckpt_lint::{output, run};

fn main() -> ExitCode {
    output::end_on_panic();
    let code = Cli::from_process().and_then(run::run).unwrap_or_else(|error| {
        output::error(&error);
        output::NO_ANSWER
    });
    code.into()
}
