//! The command line of `ckpt-lint verify`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Color, DumpArgs, Format, LiveTarget};

pub(super) const USAGE: &str = "ckpt-lint verify TARGET [OPTIONS] [-- OPTIONS OF YOUR DUMP COMMAND]";

pub(super) const AFTER_HELP: &str = "\
Lints first, says what it is about to run, then freezes the target for a moment: the real criu dumps it and \
leaves it running. The images go to a private directory that is removed, and criu is always waited for.
Exit code: 0 as predicted, 1 not as predicted, 2 no answer (nothing was predicted, or nothing was run).";

/// A live target, the dump to make of it, and where things go.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What to dump.
    #[command(flatten)]
    pub target: LiveTarget,
    /// The dump that is intended.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// How to do it, and how to say it.
    #[command(flatten)]
    pub how: VerifyHow,
}

/// How to dump, and where things go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Verify")]
pub struct VerifyHow {
    /// human or json
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "human",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub format: Format,
    /// File to write for who mends ckpt-lint: recording, comparison and log
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Where to make the directory for the images [default: TMPDIR, /tmp]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// How long to wait before criu is killed [default: 2m, and a second for each 32 MiB]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub time_limit: Option<Duration>,
    /// Dump even what makes criu hang: killed, it leaves its code in the target
    #[arg(long)]
    pub even_if_it_hangs: bool,
    /// auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true, hide_possible_values = true)]
    pub color: Color,
}

/// `90`, `90s` or `2m`.
fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        _ => (text, 1),
    };
    let seconds = number.parse::<u32>().ok().filter(|number| *number > 0);
    let seconds = seconds.ok_or_else(|| "say it in seconds or minutes: 90s, 2m".to_owned())?;
    Ok(Duration::from_secs(u64::from(seconds) * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_seconds_or_minutes() {
        let seconds = |text| time(text).map(|time| time.as_secs());
        assert_eq!([seconds("90"), seconds("90s"), seconds("2m")], [Ok(90), Ok(90), Ok(120)]);
        assert!(["0", "-1", "1h", "", "s"].into_iter().all(|text| seconds(text).is_err()));
    }
}
