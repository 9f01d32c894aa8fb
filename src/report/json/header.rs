//! Who says it, of what, and for which dump.

use super::{Engine, Facts, Named, OptionInEffect, Pid, Profile, Serialize, Version};
use crate::facts::CriuState;

#[derive(Serialize)]
pub(super) struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Tool {
    pub(super) const THIS: Self = Self { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };
}

#[derive(Serialize)]
pub(super) struct TargetV1<'a> {
    asked: &'a str,
    root_pid: Pid,
    container: Option<ContainerV1<'a>>,
    processes: usize,
    fds: usize,
}

#[derive(Serialize)]
struct ContainerV1<'a> {
    engine: Engine,
    id: &'a str,
    name: Option<&'a str>,
    #[serde(flatten)]
    bundle: Named<'a>,
}

impl<'a> TargetV1<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        let container = facts.target.container.as_ref().map(|container| ContainerV1 {
            engine: container.engine,
            id: &container.id,
            name: container.name.as_deref(),
            bundle: Named("bundle", &container.bundle),
        });
        Self {
            asked: &facts.target.asked,
            root_pid: facts.target.root,
            container,
            processes: facts.processes.len(),
            fds: facts.processes.iter().map(|process| process.fds.len()).sum(),
        }
    }
}

/// What criu would find on the host; `null` for what was not looked at or not recorded.
#[derive(Serialize)]
pub(super) struct HostV1<'a> {
    tools: Option<Vec<ToolV1<'a>>>,
    kernel_lacks: Option<Vec<&'a str>>,
    ptrace_scope: Option<u8>,
}

#[derive(Serialize)]
struct ToolV1<'a> {
    name: &'a str,
    #[serde(flatten)]
    program: Option<Named<'a>>,
}

impl<'a> HostV1<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        let tools = facts.host.tools.as_ref();
        let tool = |tool: &'a crate::facts::Tool| ToolV1 {
            name: &tool.name,
            program: tool.program.as_ref().map(|program| Named("program", program)),
        };
        let abilities = facts.host.abilities.as_ref();
        Self {
            tools: tools.map(|tools| tools.iter().map(tool).collect()),
            kernel_lacks: abilities
                .map(|has| has.missing_diag.iter().chain(&has.missing).map(String::as_str).collect()),
            ptrace_scope: abilities.and_then(|has| has.ptrace_scope),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ProfileV1<'a> {
    engine: Engine,
    runtime_version: Option<Version>,
    criu: CriuV1<'a>,
    kernel: &'a str,
    architecture: &'a str,
    caller: Option<CallerV1>,
    options: Vec<OptionV1<'a>>,
    config_files: &'a [String],
    config_errors: &'a [String],
    notes: &'a [String],
}

#[derive(Serialize)]
struct CriuV1<'a> {
    version: Option<Version>,
    judged_as: Version,
    path: Option<&'a str>,
    found_by: &'a str,
    git_id: Option<&'a str>,
    problem: Option<String>,
    features: &'a [String],
}

#[derive(Serialize)]
struct CallerV1 {
    uid: u32,
    capabilities: String,
    seccomp: u8,
}

#[derive(Serialize)]
struct OptionV1<'a> {
    option: &'a str,
    value: Option<&'a str>,
    from: &'a str,
}

impl<'a> ProfileV1<'a> {
    pub(super) fn new(profile: &'a Profile, facts: &'a Facts) -> Self {
        let caller = profile.caller.as_ref().map(|caller| CallerV1 {
            uid: caller.uid,
            capabilities: format!("{:016x}", caller.capabilities),
            seccomp: caller.seccomp,
        });
        Self {
            engine: profile.engine,
            runtime_version: profile.runtime_version,
            criu: CriuV1::new(profile),
            kernel: &facts.host.kernel_release,
            architecture: &profile.architecture,
            caller,
            options: profile.options.iter().map(OptionV1::new).collect(),
            config_files: &profile.config_files,
            config_errors: &profile.config_errors,
            notes: &profile.notes,
        }
    }
}

impl<'a> CriuV1<'a> {
    fn new(profile: &'a Profile) -> Self {
        let criu = &profile.criu;
        let (git_id, problem) = match &criu.state {
            Some(CriuState::Runs { git_id, .. }) => (git_id.as_deref(), None),
            Some(CriuState::Missing) => (None, Some("missing".to_owned())),
            Some(CriuState::Unusable(reason)) => (None, Some(format!("does not run: {reason}"))),
            Some(CriuState::NotRun(reason)) => (None, Some(format!("was not run: {reason}"))),
            None => (None, None),
        };
        Self {
            version: criu.version,
            judged_as: profile.criu_version(),
            path: criu.path.as_deref(),
            found_by: &criu.from,
            git_id,
            problem,
            features: &criu.features,
        }
    }
}

impl<'a> OptionV1<'a> {
    fn new(effect: &'a OptionInEffect) -> Self {
        Self { option: &effect.option.name, value: effect.option.value.as_deref(), from: &effect.from }
    }
}
