//! The layout of the help, which has to fit a screen of 24 lines.

use clap::builder::StyledStr;
use clap::{Command, CommandFactory};

use super::Cli;

pub(super) const EXAMPLES: &str = "  sudo ckpt-lint --container web --criu 4.2 -- --tcp-established --shell-job";

/// The command with its help laid out for one screen.
#[must_use]
pub fn command() -> Command {
    let command = Cli::command();
    let help = screen_help(&command);
    command.override_help(help)
}

/// Every option in one line, no blank lines between the groups: clap's own layout needs twice the lines.
fn screen_help(command: &Command) -> StyledStr {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("{about}.\n");
    text += "Usage: ckpt-lint TARGET [OPTIONS] [-- OPTIONS OF YOUR DUMP COMMAND]\n";
    let mut heading = None;
    for arg in command
        .get_arguments()
        .filter(|arg| arg.get_help_heading().is_some() && !arg.is_positional() && !arg.is_hide_set())
    {
        if arg.get_help_heading() != heading {
            // The usage line above names the first group.
            if heading.is_some() {
                text += &format!("{}:\n", arg.get_help_heading().unwrap_or_default());
            }
            heading = arg.get_help_heading();
        }
        text += &line(&spelling(arg), arg.get_help());
    }
    text += "Commands, each with its own --help:\n";
    for command in command.get_subcommands() {
        text += &line(command.get_name(), command.get_about());
    }
    text += &format!("Examples:\n{EXAMPLES}\n");
    text.into()
}

fn line(name: &str, help: Option<&StyledStr>) -> String {
    format!("  {name:<22} {}\n", help.map(ToString::to_string).unwrap_or_default())
}

fn spelling(arg: &clap::Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values()).and_then(<[_]>::first);
    let flag = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        _ => String::new(),
    };
    value.map_or_else(|| flag.clone(), |value| format!("{flag} {value}"))
}
