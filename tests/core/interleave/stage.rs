//! The stage: where tasks stop until it is their turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task;

use super::step::{Step, Touches, Turn, hash};

/// Where the tasks of one run stop.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether anybody stops: not before the tasks begin, and not after they have ended.
    stopping: bool,
    waiting: Vec<(Step, oneshot::Sender<Turn>)>,
    actors: HashMap<task::Id, Actor>,
    /// The step under way, and how many tasks were met first during it.
    now: (u64, Arc<str>),
    born: u32,
}

#[derive(Debug)]
struct Actor {
    name: u64,
    who: Arc<str>,
    steps: u32,
    /// It does not stop for now: all that it does belongs to one step.
    at_once: bool,
}

impl Stage {
    /// From now on everybody stops, or nobody.
    pub(crate) fn set_stopping(&self, stopping: bool) {
        self.state().stopping = stopping;
    }

    /// The calling task is one of those that the run is about.
    pub(crate) fn enter(&self, who: &str) {
        let actor = Actor { name: hash(&who), who: who.into(), steps: 0, at_once: false };
        self.state().actors.insert(task::id(), actor);
    }

    /// Waits for the caller's turn to do this.
    pub(crate) async fn stop(&self, what: &'static str, touches: Touches, can_fail: bool) -> Turn {
        let turn = {
            let mut state = self.state();
            if !state.stopping || state.actors.get(&task::id()).is_some_and(|a| a.at_once) {
                return Turn::Go;
            }
            let (sender, turn) = oneshot::channel();
            let step = state.step(what, touches, can_fail);
            state.waiting.push((step, sender));
            turn
        };
        // Nobody is left to say: the run is over.
        turn.await.unwrap_or(Turn::Go)
    }

    /// Stops once, then does all of it.
    pub(crate) async fn at_once<T>(
        &self,
        what: &'static str,
        touches: Touches,
        act: impl Future<Output = T>,
    ) -> T {
        self.stop(what, touches, false).await;
        self.set_at_once(true);
        let done = act.await;
        self.set_at_once(false);
        done
    }

    fn set_at_once(&self, at_once: bool) {
        if let Some(actor) = self.state().actors.get_mut(&task::id()) {
            actor.at_once = at_once;
        }
    }

    /// Waits until every task has stopped, ended, or waits for another; then the steps that can
    /// be taken, in an order that is always the same.
    pub(crate) async fn next_steps(&self) -> Vec<Step> {
        // It is this task's turn again when none of the others can run.
        task::yield_now().await;
        if self.state().waiting.is_empty() {
            rest().await;
        }
        let mut steps: Vec<Step> =
            self.state().waiting.iter().map(|(step, _)| step.clone()).collect();
        steps.sort_by_key(|step| step.name);
        steps
    }

    /// Lets a step be taken.
    pub(crate) fn take(&self, step: &Step) {
        let mut state = self.state();
        let waits = |(waiting, _): &(Step, _)| {
            let own: &Step = waiting;
            own.actor == step.actor && own.what == step.what
        };
        let index = state.waiting.iter().position(waits).expect("the step waits");
        let (_, sender) = state.waiting.remove(index);
        state.now = (step.name, Arc::clone(&step.who));
        state.born = 0;
        sender.send(step.turn).expect("the task waits");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic in here")
    }
}

/// Paused time moves on when no task can run, and never before.
pub(crate) async fn rest() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

impl State {
    fn step(&mut self, what: &'static str, touches: Touches, can_fail: bool) -> Step {
        let Self { actors, now, born, .. } = self;
        // A task that nobody announced was started by the step under way: work in the background.
        let actor = actors.entry(task::id()).or_insert_with(|| {
            *born += 1;
            let who = format!("{}'s background", now.1).into();
            Actor { name: hash(&(now.0, *born)), who, steps: 0, at_once: false }
        });
        actor.steps += 1;
        Step {
            actor: actor.name,
            name: hash(&(actor.name, actor.steps)),
            who: Arc::clone(&actor.who),
            what,
            turn: Turn::Go,
            touches,
            can_fail,
        }
    }
}
