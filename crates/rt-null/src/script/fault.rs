//! Faults that a test injects: what may go wrong, in which call, and how often. Calls apply them in `exec::pending_operation`.

use std::time::Duration;

use rt_protocol::{ContainerName, ErrorKind, KillOutcome, KillReport, Survivor};

use super::pattern::Scope;

/// What a call is, for faults.
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
    /// [`ContainerRuntime::create`](rt_protocol::ContainerRuntime::create).
    Create,
    /// [`Container::start`](rt_protocol::Container::start).
    Start,
    /// [`Container::stop`](rt_protocol::Container::stop).
    Stop,
    /// [`Container::wait`](rt_protocol::Container::wait).
    Wait,
    /// Copies, in and out.
    Copy,
    /// The removal of one container.
    Remove,
    /// [`Container::logs`](rt_protocol::Container::logs), the opening of the stream.
    Logs,
    /// [`ContainerRuntime::events`](rt_protocol::ContainerRuntime::events), the opening of the stream.
    Events,
    /// Every question about images, and their removal.
    Images,
    /// [`ContainerRuntime::reserve_port`](rt_protocol::ContainerRuntime::reserve_port).
    ReservePort,
}

impl Operation {
    /// Whether the operation runs a command, which may have to be ended.
    pub(crate) fn runs_command(self) -> bool {
        matches!(self, Self::Exec | Self::ExecStdio)
    }
}

/// Which of the calls a fault hits, counted from its injection over the calls of its operation and scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// The next one, once.
    Next,
    /// The one of this number, once; the next is number 1. Number 0 never comes.
    Nth(u64),
    /// Every one, until [`clear_faults`](crate::NullRuntime::clear_faults).
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
/// runtime.inject(Operation::Exec, Scope::container("job")?, When::Nth(3), Fault::disconnect_after(10));
///
/// assert!(runtime.exec_in("job", ["make"], limit)?.success());
/// assert!(runtime.exec_in("job", ["make"], limit)?.success());
/// let third = runtime.exec_in("job", ["make"], limit)?;
/// assert_eq!((third.outcome, third.stdout.total()), (ExitOutcome::Lost, 10));
///
/// runtime.inject(Operation::Exec, Scope::all(), When::Next, Fault::refused(ErrorKind::Unreachable, "no route"));
/// assert_eq!(runtime.exec_in("job", ["make"], limit).unwrap_err().kind(), ErrorKind::Unreachable);
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
    /// The call takes this much longer by the [clock](crate::NullClock).
    pub fn latency(latency: Duration) -> Self {
        Self(Kind::Latency(latency))
    }

    /// The call answers an error and does nothing. `message` is a lower-case fragment without a final stop.
    pub fn refused(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Kind::Refused(kind, message.into()))
    }

    /// The call hangs until it is cancelled or its deadline passes; a command also until its container goes, and is
    /// lost then.
    ///
    /// Without a token in the call's `Until`, its deadline comes at once, by the clock: nobody could end it earlier.
    /// A command that was ended is [gone](KillOutcome::Gone); see [`kill_outcome`](Self::kill_outcome) and [`survivors`](Self::survivors).
    pub fn hang() -> Self {
        Self(Kind::Hang(Leftover::default()))
    }

    /// What the kill report of a hanging command says. Without effect on other faults.
    #[must_use]
    pub fn kill_outcome(mut self, outcome: KillOutcome) -> Self {
        if let Kind::Hang(leftover) = &mut self.0 {
            leftover.outcome = outcome;
        }
        self
    }

    /// Lets processes of a hanging command outlive the attempt to end it: the kill report names them and says
    /// [`KillOutcome::Alive`]. Without effect on other faults.
    #[must_use]
    pub fn survivors(mut self, survivors: impl IntoIterator<Item = Survivor>) -> Self {
        if let Kind::Hang(leftover) = &mut self.0 {
            leftover.outcome = KillOutcome::Alive;
            leftover.survivors = survivors.into_iter().collect();
        }
        self
    }

    /// The connection goes away: a command is [lost](rt_protocol::ExitOutcome::Lost) once so many bytes of its output
    /// (stdout and stderr together) have been handed on, or at its end when there are fewer. Any other call answers
    /// [`Unreachable`](ErrorKind::Unreachable), and nobody knows whether it was done; here, it was not.
    pub fn disconnect_after(bytes: u64) -> Self {
        Self(Kind::Disconnect(bytes))
    }
}

/// What is left of a command that had to be ended.
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

/// All that goes wrong in one call.
#[derive(Debug, Default)]
pub(crate) struct InjectedFault {
    pub(crate) latency: Duration,
    pub(crate) refusal: Option<(ErrorKind, String)>,
    pub(crate) hang: Option<Leftover>,
    pub(crate) cut_after: Option<u64>,
}

impl InjectedFault {
    /// Counts the call with every rule that is meant for it, and takes what fires. Latencies add up; of the other
    /// faults, the first of its sort that was injected wins.
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
