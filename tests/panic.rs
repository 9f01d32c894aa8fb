//! A panic, in whichever thread, is one clear message and exit code 2. Needs a process of its own, which it starts.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::process::Command;

use ckpt_lint::output;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("panic-here") => panic_with_hook(),
        Some("panic-in-thread") => std::thread::spawn(panic_with_hook).join().unwrap(),
        _ => ["panic-here", "panic-in-thread"].iter().for_each(|how| ends_with_a_message(how)),
    }
}

fn panic_with_hook() {
    output::end_on_panic();
    panic!("first line\nsecond line");
}

fn ends_with_a_message(how: &str) {
    let output = Command::new(std::env::current_exe().unwrap()).arg(how).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), message.lines().count()),
        (Some(2), 2),
        "what is wrong, and what to do: {message}"
    );
    assert!(message.starts_with("error: ckpt-lint ") && message.contains("second line"), "{message}");
    println!("{how} ... ok");
}
