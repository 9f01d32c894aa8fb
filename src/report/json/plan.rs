//! The plan: what to do so that the dump passes.

use super::{CriuOption, Named, Pid, Serialize, Version};
use crate::plan::{Action, Holder, NotFree, Plan, Subtree, Way};

#[derive(Serialize)]
pub(super) struct PlanV1<'a> {
    suffices: bool,
    upgrade: Option<Version>,
    #[serde(flatten)]
    way: WayV1<'a>,
    stop: Vec<HolderV1<'a>>,
    stop_suffices: bool,
    stop_unsure: Option<&'a str>,
    stopped: Option<WayV1<'a>>,
    free: Vec<SubtreeV1<'a>>,
    not_free: Option<NotFreeV1<'a>>,
    actions: Vec<ActionV1<'a>>,
    actions_suffice: bool,
    remaining: &'a [String],
}

/// What to change before the target is started again.
#[derive(Serialize)]
struct ActionV1<'a> {
    rule: &'a str,
    is_program: bool,
    blockers: usize,
    how: &'a str,
}

#[derive(Serialize)]
struct WayV1<'a> {
    options: &'a [CriuOption],
    command: Option<&'a str>,
    config: Option<ConfigV1<'a>>,
    loses: Vec<LossV1<'a>>,
}

#[derive(Serialize)]
struct SubtreeV1<'a> {
    #[serde(flatten)]
    root: HolderV1<'a>,
    #[serde(flatten)]
    way: WayV1<'a>,
}

#[derive(Serialize)]
struct NotFreeV1<'a> {
    rules: Vec<InTheWayV1<'a>>,
    unknown: usize,
    cut_short: bool,
}

#[derive(Serialize)]
struct InTheWayV1<'a> {
    rule: &'a str,
    subtrees: usize,
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
            way: WayV1::new(&plan.way),
            stop: plan.stop.iter().map(HolderV1::new).collect(),
            stop_suffices: plan.stop_suffices,
            stop_unsure: plan.stop_unsure.as_deref(),
            stopped: plan.stopped.as_ref().map(WayV1::new),
            free: plan.free.iter().map(SubtreeV1::new).collect(),
            not_free: plan.not_free.as_ref().map(NotFreeV1::new),
            actions: plan.actions.iter().map(ActionV1::new).collect(),
            actions_suffice: plan.actions_suffice,
            remaining: &plan.remaining,
        }
    }
}

impl<'a> ActionV1<'a> {
    fn new(action: &'a Action) -> Self {
        let Action { rule, is_program, blockers, how } = action;
        Self { rule, is_program: *is_program, blockers: *blockers, how }
    }
}

impl<'a> WayV1<'a> {
    fn new(way: &'a Way) -> Self {
        Self {
            options: &way.options,
            command: way.command.as_deref(),
            config: way.config.as_ref().map(|config| ConfigV1 { file: &config.file, lines: &config.lines }),
            loses: way.loses.iter().map(|loss| LossV1 { option: &loss.option, loses: &loss.loses }).collect(),
        }
    }
}

impl<'a> SubtreeV1<'a> {
    fn new(subtree: &'a Subtree) -> Self {
        Self { root: HolderV1::new(&subtree.root), way: WayV1::new(&subtree.way) }
    }
}

impl<'a> NotFreeV1<'a> {
    fn new(not_free: &'a NotFree) -> Self {
        let rule = |(rule, subtrees): &'a (String, usize)| InTheWayV1 { rule, subtrees: *subtrees };
        let NotFree { rules, unknown, cut_short } = not_free;
        Self { rules: rules.iter().map(rule).collect(), unknown: *unknown, cut_short: *cut_short }
    }
}

impl<'a> HolderV1<'a> {
    fn new(holder: &'a Holder) -> Self {
        let Holder { pid, inner_pid, comm, blockers, processes } = holder;
        let (pid, inner_pid, blockers, processes) = (*pid, *inner_pid, *blockers, *processes);
        Self { pid, inner_pid, comm: Named("comm", comm), blockers, processes }
    }
}
