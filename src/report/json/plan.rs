//! The plan: what to do so that the dump passes.

use super::{CriuOption, Named, Pid, Serialize, Version};
use crate::plan::{Holder, Plan};

#[derive(Serialize)]
pub(super) struct PlanV1<'a> {
    suffices: bool,
    upgrade: Option<Version>,
    options: &'a [CriuOption],
    command: Option<&'a str>,
    config: Option<ConfigV1<'a>>,
    loses: Vec<LossV1<'a>>,
    stop: Vec<HolderV1<'a>>,
    stop_suffices: bool,
    free: Vec<HolderV1<'a>>,
    remaining: &'a [String],
}

#[derive(Serialize)]
struct ConfigV1<'a> {
    file: &'a str,
    lines: &'a [String],
}

#[derive(Serialize)]
struct LossV1<'a> {
    option: &'a CriuOption,
    loses: &'a str,
}

#[derive(Serialize)]
struct HolderV1<'a> {
    pid: Pid,
    inner_pid: Pid,
    #[serde(flatten)]
    comm: Named<'a>,
    blockers: usize,
    processes: usize,
}

impl<'a> PlanV1<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self {
            suffices: plan.suffices,
            upgrade: plan.upgrade,
            options: &plan.options,
            command: plan.command.as_deref(),
            config: plan.config.as_ref().map(|config| ConfigV1 { file: &config.file, lines: &config.lines }),
            loses: plan.loses.iter().map(|loss| LossV1 { option: &loss.option, loses: &loss.loses }).collect(),
            stop: plan.stop.iter().map(HolderV1::new).collect(),
            stop_suffices: plan.stop_suffices,
            free: plan.free.iter().map(HolderV1::new).collect(),
            remaining: &plan.remaining,
        }
    }
}

impl<'a> HolderV1<'a> {
    fn new(holder: &'a Holder) -> Self {
        let Holder { pid, inner_pid, comm, blockers, processes } = holder;
        let (pid, inner_pid, blockers, processes) = (*pid, *inner_pid, *blockers, *processes);
        Self { pid, inner_pid, comm: Named("comm", comm), blockers, processes }
    }
}
