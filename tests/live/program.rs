//! The fixture programs and what is expected of them: `fixtures/programs/NAME.{c,toml}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ckpt_lint::facts::Engine;
use ckpt_lint::finding::Severity;
use ckpt_lint::profile::{Criu, CriuOption, Profile};
use ckpt_lint::rules::{Rule, RuleSet};
use serde::Deserialize;

use crate::place::Place;

/// One fixture program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    #[serde(skip)]
    pub(crate) name: String,
    /// One line: what it holds and what CRIU does with it.
    #[serde(rename = "about")]
    _about: String,
    /// Rules that fire (blocks, needs-option); none for a look-alike that CRIU dumps. Of a rule that holds for some
    /// releases or kernels only, that is meant where it holds. Absent with variants.
    fires: Option<Vec<String>>,
    /// What the program is told to make, each a target of its own.
    #[serde(default)]
    variants: Vec<Variants>,
    /// Rules that must stay silent although it looks like what they look for: `tests/rules.rs` reads it.
    #[serde(default, rename = "resembles")]
    _resembles: Vec<String>,
    /// Which fixture's program it runs; absent: its own.
    program: Option<String>,
    /// Words before ckpt-lint and criu that make the caller what it is to be; the first may be a fixture's program.
    #[serde(default)]
    pub(crate) caller: Vec<String>,
    /// Tools that the caller does not find, or what it finds in their place.
    #[serde(default)]
    pub(crate) tools: BTreeMap<String, String>,
    /// Options that every lint and dump of it gets.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    /// Options after which it dumps. `{inode:NAME}` stands for what the program left in `DIR/inode-NAME`.
    #[serde(default)]
    lift: Vec<String>,
    /// Further sets of options, each tried alone: the lint must say what the dump then does, whatever that is.
    #[serde(default)]
    pub(crate) tries: Vec<Vec<String>>,
    #[serde(default = "Place::all")]
    pub(crate) places: Vec<Place>,
    /// Whether releases differ in what they do with it.
    #[serde(default)]
    pub(crate) versions: bool,
    #[serde(default)]
    per_version: BTreeMap<String, Partial>,
    #[serde(default)]
    per_place: BTreeMap<String, Partial>,
    /// Whether a partner outside the tree is started first.
    #[serde(default)]
    pub(crate) outside: bool,
    /// Capabilities beyond the usual ones of a container.
    #[serde(default)]
    pub(crate) caps: Vec<String>,
    /// Whether it leads a session of its own on the host.
    #[serde(default = "yes")]
    pub(crate) setsid: bool,
    /// Whether the dump never ends.
    #[serde(default)]
    pub(crate) hangs: bool,
    /// Whether only reads that stall the target could tell: the lint does not see it, and the documentation says so.
    /// Only what `fires` says is seen.
    #[serde(default)]
    blind: bool,
    /// How much of the time what fires is there, if it comes and goes within milliseconds.
    pub(crate) flickers: Option<Flickers>,
    /// Whether the lint may make the target wait.
    #[serde(default)]
    pub(crate) deep: bool,
    /// Several causes: lifted or ended one by one until the dump passes.
    #[serde(default)]
    pub(crate) peel: bool,
    /// Whether it runs as the child of an init that holds nothing, beside one that holds nothing either.
    #[serde(skip)]
    pub(crate) under_init: bool,
}

/// What comes and goes: how likely one look meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flickers {
    Seldom,
    Mostly,
}

/// Every choice of one word out of each list, at some places.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variants {
    #[serde(default = "Place::all")]
    places: Vec<Place>,
    words: Vec<Vec<String>>,
}

/// What the lint and the real criu are expected to say at a place, with a release.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) fires: Option<Vec<String>>,
    pub(crate) lift: Vec<String>,
    pub(crate) blind: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partial {
    fires: Option<Vec<String>>,
    lift: Option<Vec<String>>,
    blind: Option<bool>,
    #[serde(default)]
    per_version: BTreeMap<String, Partial>,
}

fn yes() -> bool {
    true
}

pub(crate) fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/programs")
}

/// The directory with the built programs; builds them at the first call.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
        let mut make = Command::new("make");
        make.arg("-s").arg("-j2").arg("-C").arg(source()).arg(format!("OUT={}", out.display()));
        let status = make.status().expect("make runs: run tests/setup.sh");
        assert!(status.success(), "the fixture programs do not build");
        out
    })
}

impl Program {
    /// Every program, by name.
    pub(crate) fn all() -> Vec<Self> {
        let entries = source().read_dir().expect("fixtures/programs").flatten().map(|entry| entry.path());
        let mut programs: Vec<Self> = entries
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .flat_map(|path| Self::load(&path).targets())
            .collect();
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        programs
    }

    /// A target of which nothing is expected beforehand.
    pub(crate) fn drawn(name: String, places: Vec<Place>, options: Vec<String>) -> Self {
        let bare = "about = ''\ncaps = ['CAP_SYS_ADMIN']";
        Self { name, places, options, ..toml::from_str(bare).expect("a program without expectations") }
    }

    fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a readable program file");
        let program: Self = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { name: path.file_stem().expect("a name").to_string_lossy().into_owned(), ..program }
    }

    /// The program itself, or each of its variants as `NAME/WORD/WORD`.
    fn targets(self) -> Vec<Self> {
        if self.variants.is_empty() {
            return vec![self];
        }
        let named = |variants: &Variants| {
            let longer = |names: Vec<String>, words: &Vec<String>| {
                names.iter().flat_map(|name| words.iter().map(move |word| format!("{name}/{word}"))).collect()
            };
            let names = variants.words.iter().fold(vec![self.name.clone()], longer);
            names
                .into_iter()
                .map(|name| Self { name, places: variants.places.clone(), ..self.clone() })
                .collect::<Vec<_>>()
        };
        self.variants.iter().flat_map(named).collect()
    }

    /// The program that it runs.
    pub(crate) fn executable(&self) -> PathBuf {
        let own = self.name.split('/').next().expect("a name");
        built().join(self.program.as_deref().unwrap_or(own))
    }

    /// What is started, before the scratch directory: the program, or an init that runs it.
    pub(crate) fn command(&self) -> Vec<PathBuf> {
        let init = self.under_init.then(|| built().join("clean-init"));
        init.into_iter().chain([self.executable()]).collect()
    }

    /// The same, started by an init.
    pub(crate) fn under_init(&self) -> Self {
        Self { under_init: true, ..self.clone() }
    }

    /// Whether something fires that no option lifts, wherever it is started.
    pub(crate) fn blocks(&self) -> bool {
        let mut fires = self.fires.iter().flatten();
        fires.any(|id| rule(id).severity <= Severity::NeedsOption && rule(id).lift.is_empty())
    }

    /// Whether it is dumped as it is by whoever runs the tests, the same each time.
    pub(crate) fn is_plain(&self) -> bool {
        let special = !self.caller.is_empty() || !self.tools.is_empty() || !self.setsid || self.deep || self.peel;
        !special && !self.hangs && !self.blind && self.flickers.is_none()
    }

    /// The words of a variant, as the program reads them.
    pub(crate) fn variant(&self) -> Option<String> {
        self.name.split_once('/').map(|(_, words)| words.replace('/', " "))
    }

    /// What is expected at a place with a release: the more special word wins. Rules that do not hold for the release
    /// are left out, and a lift is expected to lift nothing where a rule fires that no option lifts.
    pub(crate) fn expected(&self, place: Place, criu: &str) -> Expected {
        let mut expected = Expected { fires: self.fires.clone(), lift: self.lift.clone(), blind: self.blind };
        let here = self.per_place.get(&place.to_string());
        let both = here.and_then(|here| here.per_version.get(criu));
        for partial in [self.per_version.get(criu), here, both].into_iter().flatten() {
            expected.fires = partial.fires.clone().or(expected.fires);
            expected.blind = partial.blind.unwrap_or(expected.blind);
            expected.lift = partial.lift.clone().unwrap_or(expected.lift);
        }
        let profile = ideal(criu);
        let holds = |id: &String| rule(id).applies(&profile);
        if let Some(fires) = &mut expected.fires {
            fires.retain(holds);
            if fires.is_empty() || fires.iter().any(|id| rule(id).lift.is_empty()) {
                expected.lift.clear();
            }
        }
        expected
    }
}

fn rule(id: &str) -> &'static Rule {
    static RULES: OnceLock<RuleSet> = OnceLock::new();
    let set = RULES.get_or_init(|| RuleSet::built_in().expect("rules that load"));
    set.rules.iter().find(|rule| rule.id == id).unwrap_or_else(|| panic!("no rule {id}"))
}

/// A dump by that release, without options, on the kernel that runs.
fn ideal(release: &str) -> Profile {
    let version = Some(release.parse().expect("a release"));
    let from = "the tests".to_owned();
    Profile {
        engine: Engine::Criu,
        criu: Criu { version, state: None, path: None, from, features: Vec::new() },
        options: Vec::new(),
        kernel: rustix::system::uname().release().to_str().ok().and_then(|release| release.parse().ok()),
        architecture: std::env::consts::ARCH.to_owned(),
        caller: None,
        runtime_version: None,
        config_files: Vec::new(),
        config_line_file: None,
        config_errors: Vec::new(),
        notes: Vec::new(),
    }
}

/// The options of a lift, as on a command line, with the inode numbers that the program published.
pub(crate) fn options(lift: &[String], scratch: &Path) -> Vec<CriuOption> {
    let mut options: Vec<CriuOption> = Vec::new();
    for word in lift {
        match (word.strip_prefix("--"), options.last_mut()) {
            (Some(name), _) => options.push(CriuOption::flag(name)),
            (None, Some(option)) => option.value = Some(fill(word, scratch)),
            (None, None) => panic!("a lift starts with an option: {lift:?}"),
        }
    }
    options
}

fn fill(text: &str, scratch: &Path) -> String {
    let Some((before, rest)) = text.split_once("{inode:") else { return text.to_owned() };
    let (name, after) = rest.split_once('}').expect("{inode:NAME}");
    let inode = std::fs::read_to_string(scratch.join(format!("inode-{name}"))).expect("a published inode");
    format!("{before}{inode}{}", fill(after, scratch))
}
