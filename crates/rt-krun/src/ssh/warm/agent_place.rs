//! The place of the agent of one user of a guest: started by the first command, shared by all.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rt_agent::Agent;
use rt_podman::{ColdReason, Warmth};
use rt_protocol::sync::{Notify, lock};
use rt_protocol::{Error, Until, UntilError};

use crate::ssh::channel::job::JobHandle;
use crate::ssh::session::SshSession;

/// How long the first refusal counts. Each further one counts twice as long, up to
/// [`LONGEST_REFUSAL`].
const FIRST_REFUSAL: Duration = Duration::from_secs(1);

/// How long a refusal counts at most.
const LONGEST_REFUSAL: Duration = Duration::from_secs(60);

/// An agent in a guest, and the connection that carries it. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct GuestAgent {
    pub(crate) agent: Agent,
    pub(crate) session: SshSession,
    pub(crate) job: JobHandle,
}

/// The place of one agent.
#[derive(Debug, Default)]
pub(crate) struct AgentPlace {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// How many starts were refused since the last agent.
    refusals: u32,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Empty,
    /// A caller starts it.
    Starting,
    Warm(GuestAgent),
    /// The guest gives none.
    Refused(ColdReason, Instant),
    /// There was no connection to start it on. Counts for the calls that waited for it.
    Failed(Error, Instant),
}

/// What a call finds.
#[derive(Debug)]
pub(crate) enum Found<'p> {
    Warm(GuestAgent),
    Refused(ColdReason),
    Failed(Error),
    /// Nothing: this caller starts it.
    Start(Starter<'p>),
}

/// The right to start the agent. Dropping it leaves the start to another caller.
#[derive(Debug)]
pub(crate) struct Starter<'p>(&'p AgentPlace);

impl GuestAgent {
    fn serves(&self) -> bool {
        self.agent.is_alive() && self.session.is_open()
    }

    /// Ends it once its commands have ended.
    pub(crate) fn retire(&self) {
        self.job.leave();
        self.session.wake();
    }
}

impl AgentPlace {
    /// Returns what a call finds that began then. Waits while another caller starts the agent.
    pub(crate) fn find(&self, began: Instant, until: &Until) -> Result<Found<'_>, UntilError> {
        self.changed.wait_for(until, || {
            let mut state = self.lock();
            let found = match &state.stage {
                Stage::Starting => return None,
                Stage::Warm(agent) if agent.serves() => return Some(Found::Warm(agent.clone())),
                Stage::Refused(reason, since) if since.elapsed() < state.refusal_limit() => {
                    Found::Refused(reason.clone())
                }
                Stage::Failed(error, since) if *since >= began => Found::Failed(error.clone()),
                _ => {
                    state.set(Stage::Starting);
                    Found::Start(Starter(self))
                }
            };
            Some(found)
        })
    }

    /// Returns how commands get into the guest; `None` if none has gone there yet.
    pub(crate) fn warmth(&self) -> Option<Warmth> {
        let state = self.lock();
        match &state.stage {
            Stage::Warm(agent) => agent.serves().then_some(Warmth::Warm),
            Stage::Refused(reason, _) => Some(Warmth::Cold(reason.clone())),
            Stage::Empty | Stage::Starting | Stage::Failed(..) => None,
        }
    }

    /// Lets an agent go that did not take a command, unless another one has its place already.
    pub(crate) fn replace(&self, agent: &GuestAgent) {
        let mut state = self.lock();
        if matches!(&state.stage, Stage::Warm(known) if known.agent.is_same(&agent.agent)) {
            state.set(Stage::Empty);
        }
    }

    /// Forgets an agent that has ended, which holds descriptors.
    pub(crate) fn sweep(&self) {
        let mut state = self.lock();
        if matches!(&state.stage, Stage::Warm(agent) if !agent.agent.is_alive() || agent.session.is_gone()) {
            state.set(Stage::Empty);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn set(&mut self, stage: Stage) {
        if let Stage::Warm(agent) = std::mem::replace(&mut self.stage, stage) {
            agent.retire();
        }
    }

    /// How long the last refusal counts.
    fn refusal_limit(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.refusals.saturating_sub(1));
        FIRST_REFUSAL.saturating_mul(factor).min(LONGEST_REFUSAL)
    }
}

impl Starter<'_> {
    pub(crate) fn warm(self, agent: GuestAgent) {
        let mut state = self.0.lock();
        state.refusals = 0;
        state.set(Stage::Warm(agent));
    }

    pub(crate) fn refused(self, reason: ColdReason) {
        let mut state = self.0.lock();
        state.refusals = state.refusals.saturating_add(1);
        state.set(Stage::Refused(reason, Instant::now()));
    }

    pub(crate) fn failed(self, error: Error) {
        self.0.lock().set(Stage::Failed(error, Instant::now()));
    }
}

impl Drop for Starter<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if matches!(state.stage, Stage::Starting) {
            state.set(Stage::Empty);
        }
        drop(state);
        self.0.changed.notify();
    }
}

#[cfg(test)]
mod tests {
    use rt_protocol::ErrorKind;

    use super::*;

    fn refusal() -> ColdReason {
        ColdReason::Refused(String::from("no place"))
    }

    #[test]
    fn one_caller_starts_and_the_others_learn_what_came_of_it() {
        let (place, began) = (AgentPlace::default(), Instant::now());
        let now = Until::after(Duration::ZERO);
        let Ok(Found::Start(starter)) = place.find(began, &now) else { panic!("nobody starts") };
        assert_eq!(place.find(began, &now).unwrap_err(), UntilError::DeadlineExceeded);
        drop(starter);
        let Ok(Found::Start(starter)) = place.find(began, &now) else { panic!("nobody starts") };
        assert_eq!(place.warmth(), None);
        starter.refused(refusal());
        assert!(matches!(place.find(began, &now), Ok(Found::Refused(_))));
        assert_eq!(place.warmth(), Some(Warmth::Cold(refusal())));
    }

    #[test]
    fn a_failed_connection_counts_only_for_those_who_waited() {
        let (place, began) = (AgentPlace::default(), Instant::now());
        let now = Until::after(Duration::ZERO);
        let Ok(Found::Start(starter)) = place.find(began, &now) else { panic!("nobody starts") };
        starter.failed(Error::new(ErrorKind::Unreachable, "exec in", "nobody listens"));
        assert!(matches!(place.find(began, &now), Ok(Found::Failed(_))));
        std::thread::sleep(Duration::from_millis(2));
        assert!(matches!(place.find(Instant::now(), &now), Ok(Found::Start(_))));
    }

    #[test]
    fn each_refusal_counts_longer_until_an_agent_is_there() {
        let limit = |refusals| State { refusals, ..State::default() }.refusal_limit().as_secs();
        assert_eq!([1, 2, 3, 6, 7, 100].map(limit), [1, 2, 4, 32, 60, 60]);
    }
}
