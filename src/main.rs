//! The command line: parse, call, render errors, exit code.

use ckpt_lint::cli::Cli;

fn main() {
    let cli = Cli::from_process();
    dbg!(cli);
}
