//! Going through all orders, depth first; each run begins anew and repeats how it came there.

use std::fmt;

use super::stage::Stage;
use super::step::{Step, Turn};
use super::world::{Scenario, World};

/// What came of going through all orders.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Explored {
    /// Runs to the end.
    pub(crate) runs: usize,
    /// Runs that were given up: all that could come is the same as what was run.
    pub(crate) same: usize,
    /// The most steps that a run took.
    pub(crate) steps: usize,
}

/// An order in which something went wrong.
pub(crate) struct Violation {
    pub(crate) what: String,
    pub(crate) schedule: Vec<String>,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, after", self.what)?;
        self.schedule.iter().try_for_each(|step| writeln!(f, "    {step:?},"))
    }
}

/// A point on the way, where one of several steps was chosen.
struct Fork {
    options: Vec<Step>,
    chosen: usize,
    /// Steps that need not be taken here: what would come has been run already.
    asleep: Vec<Step>,
}

impl Fork {
    fn step(&self) -> &Step {
        &self.options[self.chosen]
    }

    fn first_awake(&self) -> Option<usize> {
        let asleep = |step: &Step| self.asleep.iter().any(|sleeper| sleeper.name == step.name);
        self.options.iter().position(|step| !asleep(step))
    }
}

/// More runs than this are a mistake in the scenario.
const MOST: usize = 200_000;
const LONGEST: usize = 200;

/// Goes through the orders of each scenario, says how many, and fails if any ends badly.
#[allow(clippy::print_stdout, reason = "how much was run, with --nocapture")]
pub(crate) fn go_through(
    scenarios: impl IntoIterator<Item = Scenario>,
    explore: impl Fn(&Scenario) -> Result<Explored, Violation>,
) {
    let (mut count, mut all, mut wrong) = (0, Explored::default(), Vec::new());
    for scenario in scenarios {
        count += 1;
        match explore(&scenario) {
            Ok(explored) => {
                all.runs += explored.runs;
                all.same += explored.same;
                all.steps = all.steps.max(explored.steps);
            }
            Err(violation) => wrong.push(violation),
        }
    }
    let what = std::thread::current().name().unwrap_or_default().to_owned();
    let Explored { runs, same, steps } = all;
    println!("{what}: {count} scenarios, {runs} orders, {same} cut short, up to {steps} steps");
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
}

/// Whether every order is run of every scenario, however many there are.
fn thoroughly() -> bool {
    std::env::var_os("INTERLEAVE_ALL").is_some_and(|value| !value.is_empty())
}

/// Orders of a scenario that are run one after the other, and those that are then chosen at random
/// if there are more.
const FIRST: usize = 20;
const THEN: usize = 10;

/// Runs a scenario in every order if there are few; else in some, unless asked for all.
pub(crate) fn explore_some(scenario: &Scenario) -> Result<Explored, Violation> {
    if thoroughly() {
        return explore(scenario);
    }
    match explore_up_to(scenario, FIRST)? {
        (explored, true) => Ok(explored),
        (first, false) => {
            let then = sample(scenario, THEN)?;
            let (runs, steps) = (first.runs + then.runs, first.steps.max(then.steps));
            Ok(Explored { runs, steps, ..first })
        }
    }
}

/// Runs a scenario in some orders, unless asked for all.
pub(crate) fn explore_few(scenario: &Scenario) -> Result<Explored, Violation> {
    if thoroughly() { explore(scenario) } else { sample(scenario, THEN) }
}

/// Runs a scenario in every order.
pub(crate) fn explore(scenario: &Scenario) -> Result<Explored, Violation> {
    let (explored, all) = explore_up_to(scenario, MOST)?;
    assert!(all, "{scenario:?}: too many orders");
    Ok(explored)
}

/// Runs a scenario in so many orders; and whether those were all.
fn explore_up_to(scenario: &Scenario, most: usize) -> Result<(Explored, bool), Violation> {
    let (mut path, mut explored) = (Vec::new(), Explored::default());
    loop {
        let end = run(scenario, |depth, options| choose(&mut path, depth, options));
        explored.steps = explored.steps.max(path.len());
        match end {
            Some(verdict) => {
                explored.runs += 1;
                verdict.map_err(|what| Violation {
                    what: format!("{scenario:?}: {what}"),
                    schedule: path.iter().map(|fork| fork.step().title()).collect(),
                })?;
            }
            None => explored.same += 1,
        }
        if !turn_back(&mut path) {
            return Ok((explored, true));
        }
        if explored.runs + explored.same >= most {
            return Ok((explored, false));
        }
    }
}

/// Runs a scenario in so many orders, chosen at random, the same ones each time: where there are
/// too many to run them all.
pub(crate) fn sample(scenario: &Scenario, runs: usize) -> Result<Explored, Violation> {
    let mut explored = Explored { runs, ..Explored::default() };
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..runs {
        let mut schedule = Vec::new();
        let end = run(scenario, |_, options| {
            let step = random.choice(options)?;
            schedule.push(step.title());
            Some(step)
        });
        explored.steps = explored.steps.max(schedule.len());
        let verdict = end.expect("there are steps to choose from");
        verdict.map_err(|what| Violation { what: format!("{scenario:?}: {what}"), schedule })?;
    }
    Ok(explored)
}

/// Runs a scenario in one order: the steps with these titles, then whichever comes first. Steps that
/// are not there (any more) are left out.
pub(crate) fn follow(scenario: &Scenario, titles: &[&str]) -> Result<(), String> {
    let mut titles = titles.iter();
    let choose = |_, options: Vec<Step>| {
        let wanted = titles.find_map(|title| options.iter().find(|step| step.title() == **title));
        wanted.cloned().or_else(|| options.into_iter().next())
    };
    run(scenario, choose).expect("there are steps to choose from")
}

/// The step to take, as far as the path goes that of the path. `None`: nothing new can come.
fn choose(path: &mut Vec<Fork>, depth: usize, options: Vec<Step>) -> Option<Step> {
    if let Some(fork) = path.get(depth) {
        let same = options.iter().map(|step| step.name);
        assert!(same.eq(fork.options.iter().map(|step| step.name)), "runs are repeatable");
        return Some(fork.step().clone());
    }
    let asleep = path.last().map_or(Vec::new(), |fork| {
        // Steps that have nothing to do with the one just taken are still asleep.
        fork.asleep.iter().filter(|step| step.commutes_with(fork.step())).cloned().collect()
    });
    let mut fork = Fork { options, chosen: 0, asleep };
    fork.chosen = fork.first_awake()?;
    path.push(fork);
    path.last().map(|fork| fork.step().clone())
}

/// On to the next order; false if there is none.
fn turn_back(path: &mut Vec<Fork>) -> bool {
    while let Some(fork) = path.last_mut() {
        let done = fork.step().clone();
        fork.asleep.push(done);
        if let Some(next) = fork.first_awake() {
            fork.chosen = next;
            return true;
        }
        path.pop();
    }
    false
}

/// One run. `None` if it was given up.
fn run(
    scenario: &Scenario,
    mut choose: impl FnMut(usize, Vec<Step>) -> Option<Step>,
) -> Option<Result<(), String>> {
    fastrand::seed(7);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let world = World::new(scenario).await;
        let mut tasks = world.begin();
        let (mut depth, mut failed) = (0, false);
        loop {
            let options = options(&world.stage, scenario.fails && !failed).await;
            if options.is_empty() {
                break;
            }
            let step = choose(depth, options)?;
            failed |= step.turn != Turn::Go;
            world.stage.take(&step);
            depth += 1;
            if depth > LONGEST {
                return Some(Err("it does not end".into()));
            }
        }
        world.stage.set_stopping(false);
        while let Some(task) = tasks.try_join_next() {
            if let Err(error) = task {
                return Some(Err(format!("a task ended badly: {error}")));
            }
        }
        if !tasks.is_empty() {
            return Some(Err("a task waits for ever".into()));
        }
        Some(world.verdict().await)
    })
}

/// The steps that can be taken, with all outcomes.
async fn options(stage: &Stage, may_fail: bool) -> Vec<Step> {
    let mut steps = stage.next_steps().await;
    if may_fail {
        let failing = steps.iter().filter(|step| step.can_fail);
        let failing = failing
            .flat_map(|step| [Turn::Lose, Turn::LoseTheAnswer].map(|turn| step.failing(turn)));
        let failing: Vec<Step> = failing.collect();
        steps.extend(failing);
    }
    steps
}
