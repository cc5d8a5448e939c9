//! Faults that a test injects: what goes wrong, in which call, and how often.
//! `exec/pending_operation` applies them.

use std::time::Duration;

use rt_protocol::{ContainerName, ErrorKind, KillOutcome, KillReport, Survivor};

use super::pattern::Scope;

/// The operation that a fault applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Container::exec`](rt_protocol::Container::exec).
    Exec,
    /// [`Container::exec_stdio`](rt_protocol::Container::exec_stdio).
    ExecStdio,
    /// [`Container::inspect`](rt_protocol::Container::inspect) and what is derived from it.
    Inspect,
    /// [`ContainerRuntime::list`](rt_protocol::ContainerRuntime::list) and what is derived from it.
    List,
    /// The sizes of writable layers, of one container or of many.
    RwSize,
    /// [`Container::stats`](rt_protocol::Container::stats).
    Stats,
    /// [`ContainerRuntime::create`](rt_protocol::ContainerRuntime::create).
    Create,
    /// [`Container::start`](rt_protocol::Container::start).
    Start,
    /// [`Container::stop`](rt_protocol::Container::stop).
    Stop,
    /// [`Container::wait`](rt_protocol::Container::wait).
    Wait,
    /// [`Container::pause`](rt_protocol::Container::pause).
    Pause,
    /// [`Container::unpause`](rt_protocol::Container::unpause).
    Unpause,
    /// [`Container::kill`](rt_protocol::Container::kill).
    Kill,
    /// Copies, in and out.
    Copy,
    /// [`Container::write_file`](rt_protocol::Container::write_file),
    /// [`read_file`](rt_protocol::Container::read_file), [`stat`](rt_protocol::Container::stat),
    /// [`list_dir`](rt_protocol::Container::list_dir) and
    /// [`remove_path`](rt_protocol::Container::remove_path).
    File,
    /// The removal of one container.
    Remove,
    /// [`Container::logs`](rt_protocol::Container::logs): opening the stream.
    Logs,
    /// [`ContainerRuntime::events`](rt_protocol::ContainerRuntime::events): opening the stream.
    Events,
    /// Every query about images, and their removal.
    Images,
    /// [`ContainerRuntime::pull_image`](rt_protocol::ContainerRuntime::pull_image), after it has
    /// reported which image it tries.
    Pull,
    /// [`ContainerRuntime::reserve_port`](rt_protocol::ContainerRuntime::reserve_port).
    ReservePort,
}

impl Operation {
    /// Returns whether the operation runs a command, which may have to be killed.
    pub(crate) fn runs_command(self) -> bool {
        matches!(self, Self::Exec | Self::ExecStdio)
    }
}

/// Selects the calls on which a fault fires. Calls of its operation and scope count from the
/// injection on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// The next call, once.
    Next,
    /// The call with this number, once; the next call is number 1. Number 0 never fires.
    Nth(u64),
    /// Every call, until [`clear_faults`](crate::NullRuntime::clear_faults).
    Every,
}

/// Something that goes wrong.
///
/// ```
/// use std::time::Duration;
///
/// use rt_null::{ExecReply, Fault, NullRuntime, Operation, Scope, When};
/// use rt_protocol::{ContainerRuntimeExt, ContainerState, ErrorKind, ExitOutcome};
///
/// let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
/// runtime.set_state("job", ContainerState::Running)?;
/// runtime.set_exec("job", ["make"], ExecReply::stdout("a very long build log"))?;
/// let (job, cut) = (Scope::container("job")?, Fault::disconnect_after(10));
/// runtime.inject(Operation::Exec, job, When::Nth(3), cut);
///
/// assert!(runtime.exec_in("job", ["make"], limit)?.success());
/// assert!(runtime.exec_in("job", ["make"], limit)?.success());
/// let third = runtime.exec_in("job", ["make"], limit)?;
/// assert_eq!((third.outcome, third.stdout.total()), (ExitOutcome::Lost, 10));
///
/// let refused = Fault::refused(ErrorKind::Unreachable, "no route");
/// runtime.inject(Operation::Exec, Scope::all(), When::Next, refused);
/// let error = runtime.exec_in("job", ["make"], limit).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unreachable);
/// assert!(runtime.exec_in("job", ["make"], limit)?.success());
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Latency(Duration),
    Refused(ErrorKind, String),
    Hang(Leftover),
    Disconnect(u64),
}

impl Fault {
    /// Makes the call take this much longer by the [clock](crate::NullClock).
    pub fn latency(latency: Duration) -> Self {
        Self(Kind::Latency(latency))
    }

    /// Makes the call return an error and do nothing. `message` is a lowercase fragment without a
    /// full stop.
    pub fn refused(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Kind::Refused(kind, message.into()))
    }

    /// Makes the call hang until it is cancelled or its deadline passes. A command also ends when
    /// its container goes away, and is then lost.
    ///
    /// If the call's `Until` has no cancel token, its deadline passes at once by the clock, because
    /// nothing could end the call earlier. A killed command is [gone](KillOutcome::Gone) unless
    /// [`kill_outcome`](Self::kill_outcome) or [`survivors`](Self::survivors) says otherwise.
    pub fn hang() -> Self {
        Self(Kind::Hang(Leftover::default()))
    }

    /// Sets the kill report's outcome for a hanging command. No effect on other faults.
    #[must_use]
    pub fn kill_outcome(mut self, outcome: KillOutcome) -> Self {
        if let Kind::Hang(leftover) = &mut self.0 {
            leftover.outcome = outcome;
        }
        self
    }

    /// Lets processes of a hanging command survive the kill: the kill report names them and says
    /// [`KillOutcome::Alive`]. No effect on other faults.
    #[must_use]
    pub fn survivors(mut self, survivors: impl IntoIterator<Item = Survivor>) -> Self {
        if let Kind::Hang(leftover) = &mut self.0 {
            leftover.outcome = KillOutcome::Alive;
            leftover.survivors = survivors.into_iter().collect();
        }
        self
    }

    /// Cuts the connection. A command is [lost](rt_protocol::ExitOutcome::Lost) once this many
    /// bytes of its output (stdout and stderr together) have been handed on, or at its end if it
    /// writes fewer.
    ///
    /// Any other call returns [`Unreachable`](ErrorKind::Unreachable). The caller cannot know
    /// whether it was done; on null it was not.
    pub fn disconnect_after(bytes: u64) -> Self {
        Self(Kind::Disconnect(bytes))
    }
}

/// What is left of a command that was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) outcome: KillOutcome,
    pub(crate) survivors: Vec<Survivor>,
}

impl Default for Leftover {
    fn default() -> Self {
        Self { outcome: KillOutcome::Gone, survivors: Vec::new() }
    }
}

impl Leftover {
    pub(crate) fn report(&self) -> KillReport {
        let killed = usize::from(self.outcome == KillOutcome::Gone);
        KillReport::new(self.outcome.clone(), killed, self.survivors.clone(), Duration::ZERO)
    }
}

/// A fault that waits for its call.
#[derive(Debug)]
pub(crate) struct FaultRule {
    pub(crate) operation: Operation,
    pub(crate) scope: Scope,
    pub(crate) when: When,
    pub(crate) fault: Fault,
    pub(crate) seen: u64,
}

/// All faults of one call.
#[derive(Debug, Default)]
pub(crate) struct InjectedFault {
    pub(crate) latency: Duration,
    pub(crate) refusal: Option<(ErrorKind, String)>,
    pub(crate) hang: Option<Leftover>,
    pub(crate) cut_after: Option<u64>,
}

impl InjectedFault {
    /// Counts the call for every matching rule, and takes the faults that fire. Latencies add up.
    /// Of other faults, the first injected of each sort wins.
    pub(crate) fn take(
        rules: &mut Vec<FaultRule>,
        operation: Operation,
        name: Option<&ContainerName>,
    ) -> Self {
        let mut faults = Self::default();
        rules.retain_mut(|rule| {
            if rule.operation != operation || !rule.scope.covers(name) {
                return true;
            }
            rule.seen += 1;
            let (fires, stays) = match rule.when {
                When::Next => (true, false),
                When::Nth(number) => (rule.seen == number, rule.seen < number),
                When::Every => (true, true),
            };
            if fires {
                faults.add(&rule.fault);
            }
            stays
        });
        faults
    }

    fn add(&mut self, fault: &Fault) {
        match &fault.0 {
            Kind::Latency(latency) => self.latency = self.latency.saturating_add(*latency),
            Kind::Refused(kind, message) => {
                self.refusal.get_or_insert_with(|| (*kind, message.clone()));
            }
            Kind::Hang(leftover) => {
                self.hang.get_or_insert_with(|| leftover.clone());
            }
            Kind::Disconnect(bytes) => {
                self.cut_after.get_or_insert(*bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_their_own_calls_and_go_when_spent() {
        let name = ContainerName::new("a").unwrap();
        let rule = |when| FaultRule {
            operation: Operation::Exec,
            scope: Scope::from(&name),
            when,
            fault: Fault::latency(Duration::from_secs(1)),
            seen: 0,
        };
        let mut rules = vec![rule(When::Next), rule(When::Nth(2)), rule(When::Every), rule(When::Nth(0))];
        let mut latency = |operation, name: Option<&ContainerName>| {
            InjectedFault::take(&mut rules, operation, name).latency.as_secs()
        };
        assert_eq!(latency(Operation::Start, Some(&name)), 0);
        assert_eq!(latency(Operation::Exec, None), 0);
        assert_eq!(latency(Operation::Exec, Some(&name)), 2);
        assert_eq!(latency(Operation::Exec, Some(&name)), 2);
        assert_eq!(latency(Operation::Exec, Some(&name)), 1);
        assert_eq!(rules.len(), 1);
    }
}
