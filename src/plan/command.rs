//! The command that dumps the target, as the user of its engine types it.

use crate::facts::{ContainerFacts, Engine, Facts};
use crate::profile::{CriuOption, Profile, Reach, shell_word};

/// The full command with those of the options that it takes as flags; `None` for an engine whose container is not
/// known. Words in capitals are the user's to choose.
pub(crate) fn command(facts: &Facts, profile: &Profile, options: &[CriuOption]) -> Option<String> {
    let flags = options.iter().filter_map(|option| flag(profile, option));
    let container = facts.target.container.as_ref();
    let words = match profile.engine {
        Engine::Criu => {
            let criu = profile.criu.path.as_deref().unwrap_or("criu");
            let mut words = vec![shell_word(criu), "dump".into(), format!("--tree {}", facts.target.root)];
            words.extend((!profile.has("images-dir", None)).then(|| "--images-dir DIR".into()));
            words
        }
        Engine::Runc => ["runc", "checkpoint", "--image-path DIR"].map(str::to_owned).into(),
        Engine::Docker => ["docker", "checkpoint", "create"].map(str::to_owned).into(),
    };
    let last = match profile.engine {
        Engine::Criu => Vec::new(),
        Engine::Runc => vec![shell_word(&container?.id)],
        Engine::Docker => vec![shell_word(name(container?)), "CHECKPOINT".into()],
    };
    Some(words.into_iter().chain(flags).chain(last).collect::<Vec<_>>().join(" "))
}

fn flag(profile: &Profile, option: &CriuOption) -> Option<String> {
    match profile.reach(option) {
        Reach::Flag(flag) => Some(flag),
        Reach::ConfigLine(_) | Reach::Nowhere => None,
    }
}

fn name(container: &ContainerFacts) -> &str {
    container.name.as_deref().unwrap_or(&container.id)
}
