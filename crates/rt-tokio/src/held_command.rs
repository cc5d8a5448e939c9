//! A running command that is ended on a thread when it is dropped.

use std::any::Any;
use std::sync::Arc;

use rt_protocol::{ContainerName, Error, ErrorKind, Result, RunningCommand, UntilError};
use tokio::sync::oneshot;

use crate::call::Operation;
use crate::runtime_handle::Shared;
use crate::threads::Deliver;

/// The operation of a command that runs while the caller does other things.
const OPERATION: &str = "exec in";

/// A running command, here or lent to a thread.
#[derive(Debug)]
pub(crate) struct HeldCommand {
    place: Place,
    container: ContainerName,
    shared: Arc<Shared>,
    /// Dropped once the command has ended.
    pipes: Option<Box<dyn Any + Send + Sync>>,
}

#[derive(Debug)]
enum Place {
    Here(Box<RunningCommand>),
    /// A thread has it, and sends it back.
    Lent(oneshot::Receiver<Box<RunningCommand>>),
    /// The call of the thread panicked with it.
    Lost,
}

impl HeldCommand {
    pub(crate) fn new(command: RunningCommand, container: ContainerName, shared: &Arc<Shared>) -> Self {
        Self { place: Place::Here(Box::new(command)), container, shared: Arc::clone(shared), pipes: None }
    }

    /// Keeps its pipes until it has ended, for a command that is dropped. An end of stdin before
    /// would let it take a part of its input for the whole.
    pub(crate) fn keep_pipes(&mut self, pipes: impl Any + Send + Sync) {
        self.pipes = Some(Box::new(pipes));
    }

    pub(crate) fn container(&self) -> &ContainerName {
        &self.container
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the command, unless a thread has it.
    pub(crate) fn try_here(&mut self) -> Option<&mut RunningCommand> {
        if let Place::Lent(receiver) = &mut self.place {
            match receiver.try_recv() {
                Ok(command) => self.place = Place::Here(command),
                Err(oneshot::error::TryRecvError::Empty) => {}
                Err(oneshot::error::TryRecvError::Closed) => self.place = Place::Lost,
            }
        }
        match &mut self.place {
            Place::Here(command) => Some(command),
            _ => None,
        }
    }

    /// Returns the command, once no thread has it.
    ///
    /// # Errors
    /// A call of the backend panicked with it.
    pub(crate) async fn here(&mut self) -> Result<&mut RunningCommand> {
        if let Place::Lent(receiver) = &mut self.place {
            self.place = receiver.await.map_or(Place::Lost, Place::Here);
        }
        if let Place::Here(command) = &mut self.place {
            Ok(command)
        } else {
            let message = "a call about the command panicked";
            let error = Error::new(ErrorKind::BackendFailed, OPERATION, message);
            Err(error.in_container(&self.container))
        }
    }

    /// Makes a call about the command on a thread. If the future is dropped, the call goes on.
    ///
    /// # Errors
    /// There is no thread, or an earlier call panicked.
    pub(crate) async fn lend<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut RunningCommand) -> T + Send + 'static,
    ) -> Result<T> {
        self.here().await?;
        let Place::Here(command) = std::mem::replace(&mut self.place, Place::Lost) else {
            unreachable!("it is here");
        };
        let (back, receiver) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let lent = Lent { command: Some(command), back: Some(back), name: self.container.clone() };
        let shared = Arc::clone(&self.shared);
        let job = move || {
            let mut lent = lent;
            if let Some(command) = &mut lent.command {
                let _ = answer.send(call(command));
            }
            lent.give_back(&shared);
            None
        };
        self.place = Place::Lent(receiver);
        if let Err((error, job)) = self.shared.threads.hold(Box::new(job)) {
            // The command is in the job, and is ended with it.
            drop(job);
            return Err(Error::out_of_resources(OPERATION, error.to_string()).in_container(&self.container));
        }
        let answer = answered.await;
        self.here().await?;
        answer.map_err(|_| {
            let message = "a call about the command panicked";
            Error::new(ErrorKind::BackendFailed, OPERATION, message).in_container(&self.container)
        })
    }
}

/// A command that a thread has.
struct Lent {
    command: Option<Box<RunningCommand>>,
    back: Option<oneshot::Sender<Box<RunningCommand>>>,
    name: ContainerName,
}

impl Lent {
    fn give_back(mut self, shared: &Shared) {
        let (Some(back), Some(command)) = (self.back.take(), self.command.take()) else { return };
        // Nobody waits for it if the handle was dropped and there was no thread for its end.
        if let Err(mut command) = back.send(command) {
            end(&mut command, &self.name, shared);
        }
    }
}

/// Ends a command whose handle was dropped, and reports what became of it.
fn end(command: &mut RunningCommand, name: &ContainerName, shared: &Shared) {
    if matches!(command.try_wait(), Ok(None)) {
        let report = command.kill();
        shared.report(|| {
            // What it returned says more than the report, if it returned anything.
            let result = match command.try_wait() {
                Ok(Some(_)) => Ok(()),
                Ok(None) => {
                    let stop = UntilError::Cancelled;
                    Err(Error::stopped(stop, OPERATION).in_container(name).with_kill_report(report))
                }
                Err(error) => Err(error),
            };
            Operation::new(OPERATION).in_container(name).orphan(result)
        });
    }
}

impl Drop for HeldCommand {
    fn drop(&mut self) {
        let mut place = std::mem::replace(&mut self.place, Place::Lost);
        let is_lent = match &mut place {
            Place::Here(command) => match command.try_wait() {
                Ok(None) => false,
                _ => return,
            },
            Place::Lent(_) => true,
            Place::Lost => return,
        };
        let (name, shared, pipes) = (self.container.clone(), Arc::clone(&self.shared), self.pipes.take());
        let job = move || {
            let command = match place {
                Place::Here(command) => Some(command),
                Place::Lent(receiver) => receiver.blocking_recv().ok(),
                Place::Lost => None,
            };
            if let Some(mut command) = command {
                end(&mut command, &name, &shared);
            }
            drop(pipes);
            None
        };
        if let Err((_, job)) = self.shared.threads.hold(Box::new(job)) {
            if is_lent {
                // The thread that has it ends it.
                drop(job);
            } else {
                // Without a thread, it is ended here.
                let _: Option<Deliver> = job();
            }
        }
    }
}
