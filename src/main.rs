//! The command line: parse, call, render errors, exit code.

fn main() {}
