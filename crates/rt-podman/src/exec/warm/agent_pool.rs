//! The agents that a runtime keeps: one for each user of each container, started by the first
//! command.
//!
//! No thread works here. Whoever needs an agent starts it, or waits with others for the one that is
//! being started; a start that its caller does not wait for goes on, and serves the next one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rt_agent::{Agent, AgentError, AgentProgram, PendingAgent};
use rt_process::procfs;
use rt_protocol::sync::{Notify, lock};
use rt_protocol::{Until, UntilError, User};

use super::agent_client::AgentClient;
use super::agent_limits::AgentLimits;
use super::exec_path::{ColdReason, NoAgent};
use crate::cli::engine::Engine;
use crate::exec::target::ExecTarget;

/// How long the OCI runtime may take from the start of a container to its program.
const PROGRAM_LIMIT: Duration = Duration::from_secs(2);
/// The pause between two looks at it.
const PROGRAM_STEP: Duration = Duration::from_millis(1);

/// How long podman may take to start an agent.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long the first refusal counts: a container that has just been started may refuse what it
/// takes later. Each further one counts twice as long, up to [`LONGEST_REFUSAL`]. One whose cause
/// may pass at any time counts for the calls that waited for it.
const FIRST_REFUSAL: Duration = Duration::from_secs(1);

/// How long a refusal counts at most.
const LONGEST_REFUSAL: Duration = Duration::from_secs(60);

/// How long the clients of agents that were let go may take to leave: the agent gives its commands
/// 5 s to end.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// The bit of `CAP_SYS_PTRACE` in capabilities(7).
const SYS_PTRACE: u64 = 1 << 19;

/// The agents of one runtime.
#[derive(Debug)]
pub(crate) struct AgentPool {
    limits: AgentLimits,
    /// Made for the first agent.
    program: Mutex<Option<AgentProgram>>,
    slots: Mutex<HashMap<AgentKey, Arc<Slot>>>,
    /// The clients of agents that were let go.
    leaving: Mutex<Vec<AgentClient>>,
    uses: AtomicU64,
    /// Held while podman is asked about a command that does not begin.
    stall: Mutex<()>,
}

/// One run of one container, and a user of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AgentKey {
    container: String,
    /// Its first process, by pid and start.
    init: (u32, u64),
    user: Option<String>,
}

/// The place of one agent.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<SlotState>,
    /// The agent that was being started is there, or not; or nobody waits for it any more.
    changed: Notify,
    /// When it was used last, in calls of the runtime.
    last_use: AtomicU64,
    /// How many starts were refused since the last agent.
    refusals: AtomicU32,
}

#[derive(Debug, Default)]
enum SlotState {
    #[default]
    Empty,
    Starting {
        pending: PendingAgent,
        client: AgentClient,
        since: Instant,
        /// Whether a caller waits for the hello.
        is_watched: bool,
    },
    Warm {
        agent: Agent,
        client: AgentClient,
        since: Instant,
    },
    Refused {
        reason: ColdReason,
        since: Instant,
        may_pass: bool,
    },
}

impl AgentPool {
    pub(crate) fn new(limits: AgentLimits) -> Self {
        Self {
            limits,
            program: Mutex::default(),
            slots: Mutex::default(),
            leaving: Mutex::default(),
            uses: AtomicU64::new(0),
            stall: Mutex::default(),
        }
    }

    /// The right to ask podman about a command that does not begin; `None` while another one does.
    /// On a busy machine many commands wait, and a question each would keep it busy.
    pub(crate) fn ask_about_stall(&self) -> Option<MutexGuard<'_, ()>> {
        self.stall.try_lock().ok()
    }

    /// The agent of a user of a container; starts one if there is none.
    pub(crate) fn agent(
        &self,
        engine: &Engine,
        target: &ExecTarget,
        user: Option<&User>,
        until: &Until,
    ) -> Result<Agent, NoAgent> {
        let began = Instant::now();
        self.sweep(engine);
        let key = AgentKey::of(target, user).ok_or(NoAgent::Cold(ColdReason::NotSeen))?;
        let slot = self.slot(&key);
        let _registration = slot.changed.notify_on_cancel(until);
        loop {
            let seen = slot.changed.count();
            let pending = {
                let mut state = lock(&slot.state);
                self.look(&key, &slot, &mut state, began);
                if let SlotState::Empty = &*state {
                    *state = self.start(engine, target, user, &key);
                    slot.count(&state);
                    self.let_go_of_oldest(&key);
                }
                match &mut *state {
                    SlotState::Warm { agent, .. } => return Ok(agent.clone()),
                    SlotState::Refused { reason, .. } => return Err(NoAgent::Cold(reason.clone())),
                    SlotState::Starting { pending, is_watched, .. } => {
                        until.check().map_err(NoAgent::Stopped)?;
                        (!std::mem::replace(is_watched, true)).then(|| pending.clone())
                    }
                    SlotState::Empty => continue,
                }
            };
            match pending {
                // One caller waits for the hello, which comes once, and tells the others.
                Some(pending) => {
                    // The client of the one before it, which has just been found to have ended.
                    self.sweep(engine);
                    // Not longer than the start may take, which the next look judges.
                    let _ = pending.wait(&until.clone().or_after(START_LIMIT));
                    let mut state = lock(&slot.state);
                    if let SlotState::Starting { is_watched, .. } = &mut *state {
                        *is_watched = false;
                    }
                    self.look(&key, &slot, &mut state, began);
                    let come =
                        if let SlotState::Warm { agent, .. } = &*state { Some(agent.clone()) } else { None };
                    drop(state);
                    slot.changed.notify();
                    if let Some(agent) = come {
                        self.let_go_of_oldest(&key);
                        return Ok(agent);
                    }
                }
                None => slot.changed.wait_beyond(seen, until.remaining()),
            }
        }
    }

    /// Lets an agent go that did not take a command, unless another one has its place already.
    pub(crate) fn replace(&self, target: &ExecTarget, user: Option<&User>, agent: &Agent) {
        self.leave_place(target, user, |known| known.is_same(agent), |_| SlotState::Empty);
    }

    /// Has commands take the cold path for a while.
    pub(crate) fn give_up(&self, target: &ExecTarget, user: Option<&User>, reason: ColdReason) {
        self.leave_place(target, user, |_| true, |key| key.refused(reason));
    }

    fn leave_place(
        &self,
        target: &ExecTarget,
        user: Option<&User>,
        is_it: impl Fn(&Agent) -> bool,
        next: impl FnOnce(&AgentKey) -> SlotState,
    ) {
        let Some(key) = AgentKey::of(target, user) else { return };
        let Some(slot) = lock(&self.slots).get(&key).cloned() else { return };
        let mut state = lock(&slot.state);
        if matches!(&*state, SlotState::Warm { agent, .. } if is_it(agent)) {
            self.let_go(std::mem::replace(&mut *state, next(&key)));
            if let SlotState::Refused { .. } = &*state {
                // It had begun as it should and takes no commands: the next would be no better.
                slot.refusals.store(u32::BITS, Ordering::Relaxed);
            }
        }
    }

    /// Lets all agents go, and waits until their clients have left. An agent ends after the
    /// commands that it has begun.
    ///
    /// # Errors
    /// `until` was over before; those that have not left by then are waited for by the next call.
    pub(crate) fn cool_down(&self, engine: &Engine, until: &Until) -> Result<(), UntilError> {
        drop(lock(&self.program).take());
        // The places stay: a caller that waits for one starts an agent there that is not forgotten.
        let slots: Vec<_> = lock(&self.slots).values().cloned().collect();
        for slot in slots {
            self.let_go(std::mem::take(&mut *lock(&slot.state)));
            slot.changed.notify();
        }
        let mut leaving = std::mem::take(&mut *lock(&self.leaving)).into_iter();
        while let Some(client) = leaving.next() {
            if until.check().is_err() && !client.has_gone() {
                lock(&self.leaving).extend(std::iter::once(client).chain(leaving));
                return until.check();
            }
            client.leave(engine, until);
        }
        Ok(())
    }

    /// As [`cool_down`](Self::cool_down), for the end of the runtime.
    pub(crate) fn close(&self, engine: &Engine) {
        let until = Until::after(LEAVE_LIMIT);
        let _ = self.cool_down(engine, &until);
        for client in std::mem::take(&mut *lock(&self.leaving)) {
            client.leave(engine, &until);
        }
    }

    /// Reaps the clients that have left.
    fn sweep(&self, engine: &Engine) {
        let gone: Vec<_> = lock(&self.leaving).extract_if(.., |client| client.has_gone()).collect();
        for client in gone {
            client.forget(engine, &Until::after(engine.limits.kill_report));
        }
    }

    fn slot(&self, key: &AgentKey) -> Arc<Slot> {
        let use_count = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut slots = lock(&self.slots);
        let slot = slots.entry(key.clone()).or_default();
        slot.last_use.store(use_count, Ordering::Relaxed);
        Arc::clone(slot)
    }

    /// Takes what has happened in a place since the last look, for a call that began then: a hello,
    /// a refusal, an end.
    fn look(&self, key: &AgentKey, slot: &Slot, state: &mut SlotState, began: Instant) {
        let was_starting = matches!(state, SlotState::Starting { .. });
        let over = |since: &Instant, limit: Duration| since.elapsed() >= limit;
        *state = match std::mem::take(state) {
            SlotState::Starting { pending, client, since, is_watched } => match pending.try_hello() {
                Ok(None) if over(&since, START_LIMIT) => {
                    lock(&self.leaving).push(client);
                    let limit = START_LIMIT.as_secs();
                    key.refused(ColdReason::Refused(format!("podman started no agent within {limit} s")))
                }
                Ok(None) => SlotState::Starting { pending, client, since, is_watched },
                Ok(Some(agent)) => self.admit(key, agent, client),
                Err(AgentError::Gone) => {
                    let refusal = client.refusal();
                    lock(&self.leaving).push(client);
                    let reason = ColdReason::Refused(refusal.words);
                    if refusal.may_pass { key.passing(reason) } else { key.refused(reason) }
                }
                Err(error) => {
                    lock(&self.leaving).push(client);
                    key.refused(ColdReason::Refused(error.to_string()))
                }
            },
            SlotState::Warm { agent, client, since } => {
                if over(&since, self.limits.age) || !agent.is_alive() || client.has_left() {
                    self.let_go(SlotState::Warm { agent, client, since });
                    SlotState::Empty
                } else {
                    SlotState::Warm { agent, client, since }
                }
            }
            SlotState::Refused { since, may_pass: true, .. } if since < began => SlotState::Empty,
            SlotState::Refused { since, may_pass: false, .. } if over(&since, slot.refusal_limit()) => {
                SlotState::Empty
            }
            same => same,
        };
        if was_starting {
            slot.count(state);
        }
    }

    /// Takes an agent that has said hello, if a status of it can be believed.
    fn admit(&self, key: &AgentKey, agent: Agent, client: AgentClient) -> SlotState {
        let since = Instant::now();
        let reason = match agent.host_pid() {
            None => Some(ColdReason::NotSeen),
            Some(pid) => may_trace(pid).then_some(ColdReason::MayTrace),
        };
        match reason {
            None => {
                tracing::debug!(container = %key.container, user = key.user, "commands go by an agent");
                SlotState::Warm { agent, client, since }
            }
            Some(reason) => {
                self.let_go(SlotState::Warm { agent, client, since });
                key.refused(reason)
            }
        }
    }

    fn start(&self, engine: &Engine, target: &ExecTarget, user: Option<&User>, key: &AgentKey) -> SlotState {
        wait_for_program(key.init.0);
        if may_trace(key.init.0) {
            return key.refused(ColdReason::MayTrace);
        }
        let mut program = lock(&self.program);
        let made = match program.take().map_or_else(sealed_program, Ok) {
            Ok(made) => program.insert(made),
            Err(reason) => return key.refused(reason),
        };
        match AgentClient::start(engine, made, target, user, self.limits.idle) {
            Ok((client, pending)) => {
                SlotState::Starting { pending, client, since: Instant::now(), is_watched: false }
            }
            // This process, or this machine, has no room for another client now.
            Err(error) => key.passing(ColdReason::Refused(error.to_string())),
        }
    }

    /// Lets go of what is in a place. An agent ends when nobody holds its socket.
    fn let_go(&self, state: SlotState) {
        if let SlotState::Starting { client, .. } | SlotState::Warm { client, .. } = state {
            client.end_stopped();
            lock(&self.leaving).push(client);
        }
    }

    /// Keeps within the limit of agents when one more is there, and forgets places that are no
    /// longer of use. One that a caller waits for is never let go: beyond the limit, it is when the
    /// next one has come.
    fn let_go_of_oldest(&self, new: &AgentKey) {
        let mut slots = lock(&self.slots);
        slots.retain(|key, slot| {
            // A place that a caller has in hand is in use: what the caller starts there must not be
            // forgotten. Nobody gets it meanwhile.
            if Arc::strong_count(slot) > 1 {
                return true;
            }
            let mut state = lock(&slot.state);
            self.look(key, slot, &mut state, Instant::now());
            !matches!(&*state, SlotState::Empty)
        });
        let has_agent =
            |slot: &Slot| !matches!(slot.state.try_lock().as_deref(), Ok(SlotState::Refused { .. }));
        let mut places: Vec<_> = slots.iter().filter(|(_, slot)| has_agent(slot)).collect();
        places.sort_unstable_by_key(|(_, slot)| slot.last_use.load(Ordering::Relaxed));
        let mut surplus = places.len().saturating_sub(self.limits.agents.max(1));
        for (_, slot) in places.into_iter().filter(|(key, _)| *key != new) {
            // A place that is locked is in use. Waiting for it here could be waiting for oneself.
            if surplus > 0
                && let Ok(mut state) = slot.state.try_lock()
                && !matches!(&*state, SlotState::Starting { is_watched: true, .. })
            {
                self.let_go(std::mem::take(&mut *state));
                surplus -= 1;
            }
        }
    }
}

impl Slot {
    /// Counts what a start has come to.
    fn count(&self, state: &SlotState) {
        match state {
            SlotState::Refused { may_pass: false, .. } => drop(self.refusals.fetch_add(1, Ordering::Relaxed)),
            SlotState::Warm { .. } => self.refusals.store(0, Ordering::Relaxed),
            SlotState::Refused { .. } | SlotState::Empty | SlotState::Starting { .. } => {}
        }
    }

    /// How long the last refusal counts.
    fn refusal_limit(&self) -> Duration {
        let doublings = self.refusals.load(Ordering::Relaxed).saturating_sub(1);
        let factor = 2_u32.saturating_pow(doublings);
        FIRST_REFUSAL.saturating_mul(factor).min(LONGEST_REFUSAL)
    }
}

impl AgentKey {
    /// `None` where this process does not see the container's first process.
    fn of(target: &ExecTarget, user: Option<&User>) -> Option<Self> {
        let init = target.first_process()?;
        Some(Self {
            container: target.id.clone(),
            init: (init.pid, init.start_time),
            user: user.map(ToString::to_string),
        })
    }

    /// The state of a place whose commands take the cold path.
    fn refused(&self, reason: ColdReason) -> SlotState {
        self.refused_as(reason, false)
    }

    /// As [`refused`](Self::refused), for a reason that may pass at any time.
    fn passing(&self, reason: ColdReason) -> SlotState {
        self.refused_as(reason, true)
    }

    fn refused_as(&self, reason: ColdReason, may_pass: bool) -> SlotState {
        tracing::debug!(container = %self.container, user = self.user, %reason, "commands go by `podman exec`");
        SlotState::Refused { reason, since: Instant::now(), may_pass }
    }
}

/// Waits until the first process of a container that was just started is the container's program.
/// Before, it has the rights of the OCI runtime.
fn wait_for_program(pid: u32) {
    let limit = Until::after(PROGRAM_LIMIT);
    while procfs::has_executed(pid).is_ok_and(|has| has == Some(false)) && limit.sleep(PROGRAM_STEP).is_ok() {
    }
}

/// Whether the process, or what it starts, may trace others. In doubt it may.
fn may_trace(pid: u32) -> bool {
    !matches!(procfs::capability_bounds(pid), Ok(Some(bounds)) if bounds & SYS_PTRACE == 0)
}

fn sealed_program() -> Result<AgentProgram, ColdReason> {
    if rt_agent::PROGRAM.is_none() {
        return Err(ColdReason::NoProgram);
    }
    AgentProgram::new().map_err(|error| ColdReason::NoMemory(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_counts_longer_until_an_agent_is_there() {
        let refused = |may_pass| SlotState::Refused {
            reason: ColdReason::Refused(String::new()),
            since: Instant::now(),
            may_pass,
        };
        let slot = Slot::default();
        let mut seconds = Vec::new();
        for may_pass in [false, true, false, false, false, false, false, false, false] {
            slot.count(&refused(may_pass));
            seconds.push(slot.refusal_limit().as_secs());
        }
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
        (0..100).for_each(|_| slot.count(&refused(false)));
        assert_eq!(slot.refusal_limit(), LONGEST_REFUSAL);
        slot.count(&SlotState::Empty);
        assert_eq!(slot.refusal_limit(), LONGEST_REFUSAL);
    }
}
