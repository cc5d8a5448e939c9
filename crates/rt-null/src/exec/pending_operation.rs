//! One call in progress: what it requires, its budget, its faults and its errors.

use std::time::Duration;

use rt_protocol::{
    Capabilities, Capability, ContainerName, Error, ErrorKind, ImageRef, Interruption, PartialOutput, Result,
    Until, UntilError,
};

use crate::script::fault::{InjectedFault, Leftover, Operation};
use crate::state::refusal::Refusal;
use crate::state::world::Shared;
use crate::streams::waiter::Waiter;

/// A call before it begins.
#[derive(Debug)]
pub(crate) struct OperationSpec<'a> {
    shared: &'a Shared,
    operation: Operation,
    verb: &'static str,
    subject: Subject<'a>,
    requires: Capabilities,
    limit: Option<Duration>,
    has_faults: bool,
}

#[derive(Clone, Copy, Debug)]
enum Subject<'a> {
    Container(&'a ContainerName),
    Image(&'a ImageRef),
    Nothing,
}

impl<'a> OperationSpec<'a> {
    /// `verb` must read well before the subject: "exec in".
    pub(crate) fn new(shared: &'a Shared, operation: Operation, verb: &'static str) -> Self {
        let (subject, requires) = (Subject::Nothing, Capabilities::none());
        Self { shared, operation, verb, subject, requires, limit: None, has_faults: true }
    }

    pub(crate) fn with_container(self, name: &'a ContainerName) -> Self {
        Self { subject: Subject::Container(name), ..self }
    }

    pub(crate) fn with_image(self, reference: &'a ImageRef) -> Self {
        Self { subject: Subject::Image(reference), ..self }
    }

    pub(crate) fn requiring(self, requires: Capabilities) -> Self {
        Self { requires, ..self }
    }

    pub(crate) fn requiring_one(self, capability: Capability) -> Self {
        self.requiring(Capabilities::none().with(capability))
    }

    /// Sets the runtime's own limit, used if the caller gives no deadline.
    pub(crate) fn with_limit(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Skips the injected faults, for calls that would not ask an engine.
    pub(crate) fn without_faults(self) -> Self {
        Self { has_faults: false, ..self }
    }

    /// Refuses a call that the runtime does not support or whose time has passed. Neither starts
    /// anything.
    pub(crate) fn begin(mut self, until: &Until) -> Result<PendingOperation<'a>> {
        let missing = self.requires.difference(self.shared.capabilities);
        if !missing.is_empty() {
            return Err(self.name_subject(Error::unsupported(self.verb, missing)));
        }
        if let Err(stop) = until.check() {
            let error = self.name_subject(Error::stopped(stop, self.verb));
            return Err(if self.operation.runs_command() {
                error.of_unstarted_command(self.operation == Operation::ExecStdio)
            } else {
                error
            });
        }
        let mut until = until.clone();
        // The runtime's own limit counts only if the caller gave none.
        self.limit = self.limit.filter(|_| until.deadline().is_none());
        if let Some(limit) = self.limit {
            until = until.or_after(limit);
        }
        let name = match self.subject {
            Subject::Container(name) => Some(name),
            Subject::Image(_) | Subject::Nothing => None,
        };
        let faults = if self.has_faults {
            self.shared.take_faults(self.operation, name)
        } else {
            InjectedFault::default()
        };
        Ok(PendingOperation { waiter: self.shared.waiter(until), faults, spec: self })
    }

    fn name_subject(&self, error: Error) -> Error {
        match self.subject {
            Subject::Container(name) => error.in_container(name),
            Subject::Image(reference) => error.of_image(reference),
            Subject::Nothing => error,
        }
    }
}

/// A call in progress.
#[derive(Debug)]
pub(crate) struct PendingOperation<'a> {
    spec: OperationSpec<'a>,
    pub(crate) waiter: Waiter,
    pub(crate) faults: InjectedFault,
}

impl PendingOperation<'_> {
    /// Applies all injected faults, for a call that runs no command.
    pub(crate) fn apply_faults(&self) -> Result<()> {
        debug_assert!(!self.spec.operation.runs_command(), "a command is ended, and reports it");
        self.check_refusal()?;
        self.waiter.spend(self.faults.latency).map_err(|stop| self.interrupted(stop))?;
        if self.faults.hang.is_some() {
            self.waiter.hang(|| None::<()>).map_err(|stop| self.interrupted(stop))?;
        }
        if self.faults.cut_after.is_some() {
            return Err(self.error(ErrorKind::Unreachable, "the connection went away before an answer came"));
        }
        Ok(())
    }

    /// Fails if a fault refuses the call.
    pub(crate) fn check_refusal(&self) -> Result<()> {
        match &self.faults.refusal {
            Some((kind, message)) => Err(self.error(*kind, message.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.spec.name_subject(Error::new(kind, self.spec.verb, message))
    }

    /// Builds the error for a refusal, with its hint.
    pub(crate) fn refusal_error(&self, (kind, message): Refusal) -> Error {
        let error = self.error(kind, message);
        match kind {
            ErrorKind::NoSuchContainer => error.with_hint("create it first"),
            ErrorKind::NotRunning => error.with_hint("start it first"),
            ErrorKind::Paused => error.with_hint("unpause it first"),
            ErrorKind::Stopping => error.with_hint("wait until it has stopped, or remove it by force"),
            ErrorKind::NameInUse => error.with_hint("choose another name, or remove its owner"),
            ErrorKind::NoSuchImage => error.with_hint("add it with add_image, or let it be pulled"),
            ErrorKind::PortInUse => error.with_hint("choose another port, or let one be picked"),
            _ => error,
        }
    }

    /// Builds the error for a call that ended before its work was done.
    pub(crate) fn interrupted(&self, stop: UntilError) -> Error {
        match (stop, self.spec.limit) {
            (UntilError::DeadlineExceeded, Some(limit)) => {
                self.error(ErrorKind::BackendUnresponsive, format!("no answer within {} s", limit.as_secs()))
            }
            _ => self.spec.name_subject(Error::stopped(stop, self.spec.verb)),
        }
    }

    /// Builds the error for a command that was killed, with its survivors and partial output.
    pub(crate) fn killed(
        &self,
        interruption: Interruption,
        leftover: &Leftover,
        partial: PartialOutput,
    ) -> Error {
        self.spec
            .name_subject(interruption.into_error(self.spec.verb))
            .of_ended_command(leftover.report(), partial)
    }
}
