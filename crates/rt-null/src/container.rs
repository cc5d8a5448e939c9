//! The handle on a container in memory. Commands in it stand in `command`, what happens to it in `lifecycle`.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{
    Argv, Capability, Container, ContainerInfo, ContainerKey, ContainerName, ContainerPath, ContainerState,
    CopyOptions, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome, Image, ImageRef, LogLine,
    LogOptions, PullStream, Readiness, Result, StdioResult, TimeLimits, Until, UntilError,
};

use crate::exec::command;
use crate::exec::pending_operation::{OperationSpec, PendingOperation};
use crate::image::NullImage;
use crate::log::NullLogStream;
use crate::script::fault::Operation;
use crate::state::call::{CopyCall, CopyDirection, LoginCall, NameCall, StopCall};
use crate::state::file::{self, CopyError};
use crate::state::refusal::no_such_container;
use crate::state::world::{ContainerRecord, Scripts, Shared};

/// A handle on a container in memory. Two are equal when runtime and name are.
#[derive(Clone)]
pub struct NullContainer {
    shared: Arc<Shared>,
    key: ContainerKey,
}

/// The command of a session for which none was named.
const LOGIN_COMMAND: [&str; 5] = ["tmux", "new-session", "-A", "-s", "main"];

impl NullContainer {
    pub(crate) fn new(shared: &Arc<Shared>, name: ContainerName) -> Self {
        Self { shared: Arc::clone(shared), key: ContainerKey::new(shared.id.clone(), name) }
    }

    fn operation(&self, operation: Operation, verb: &'static str) -> OperationSpec<'_> {
        OperationSpec::new(&self.shared, operation, verb).with_container(&self.key.name)
    }

    /// A question; `None` when absent.
    fn read_record<T>(
        &self,
        spec: OperationSpec<'_>,
        until: &Until,
        read: impl FnOnce(&ContainerRecord) -> T,
    ) -> Result<Option<T>> {
        spec.begin(until)?.apply_faults()?;
        Ok(self.shared.read(|world| world.containers.get(&self.key.name).map(read)))
    }

    fn record_copy(
        &self,
        direction: CopyDirection,
        host: &Path,
        inside: &ContainerPath,
        options: CopyOptions,
    ) {
        let time = self.shared.clock.now();
        self.shared.update_quietly(|world| {
            let (order, name) = (world.calls.next_order(), self.key.name.clone());
            let (host, inside) = (host.to_owned(), inside.clone());
            world.calls.copy.push(CopyCall { order, time, name, direction, host, inside, options });
        });
    }

    /// The serial number of the container, and what `pick` takes of it.
    fn present<T>(
        &self,
        operation: &PendingOperation<'_>,
        pick: impl FnOnce(&ContainerRecord) -> T,
    ) -> Result<T> {
        let found = self.shared.read(|world| world.containers.get(&self.key.name).map(pick));
        found.ok_or_else(|| operation.refusal_error(no_such_container()))
    }
}

impl Container for NullContainer {
    fn key(&self) -> &ContainerKey {
        &self.key
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        command::exec(&self.shared, &self.key.name, request, until)
    }

    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
        let spec = self.operation(Operation::Inspect, "inspect").with_limit(TimeLimits::DEFAULT.read);
        self.read_record(spec, until, |record| record.info.clone())
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        request.check_bridged().map_err(|error| error.in_container(&self.key.name))?;
        command::exec_stdio(&self.shared, &self.key.name, request, stdio, until)
    }

    fn image(&self, until: &Until) -> Result<Option<Arc<dyn Image>>> {
        let spec = self.operation(Operation::Inspect, "find the image of").requiring_one(Capability::Images);
        let spec = spec.with_limit(TimeLimits::DEFAULT.read);
        let id = self.read_record(spec, until, |record| record.info.image_id.clone())?;
        let Some(id) = id.flatten() else { return Ok(None) };
        let reference =
            ImageRef::new(id).map_err(|refused| Error::from(refused).in_container(&self.key.name))?;
        Ok(Some(Arc::new(NullImage::new(&self.shared, reference))))
    }

    fn rw_size(&self, until: &Until) -> Result<Option<u64>> {
        let spec = self.operation(Operation::RwSize, "measure").requiring_one(Capability::RwSize);
        self.read_record(spec.with_limit(TimeLimits::DEFAULT.rw_size), until, |record| record.rw_size)
    }

    fn start(&self, until: &Until) -> Result<()> {
        let spec = self.operation(Operation::Start, "start").requiring_one(Capability::Start);
        let operation = spec.with_limit(TimeLimits::DEFAULT.start).begin(until)?;
        let time = self.shared.clock.now();
        self.shared.update_quietly(|world| {
            let (order, name) = (world.calls.next_order(), self.key.name.clone());
            world.calls.start.push(NameCall { order, time, name });
        });
        operation.apply_faults()?;
        let started = self.shared.update(|world| world.start(&self.key.name, &self.shared.clock));
        started.map_err(|refusal| operation.refusal_error(refusal))
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        let operation =
            self.operation(Operation::Stop, "stop").requiring_one(Capability::Stop).begin(until)?;
        let time = self.shared.clock.now();
        self.shared.update_quietly(|world| {
            let (order, name) = (world.calls.next_order(), self.key.name.clone());
            world.calls.stop.push(StopCall { order, time, name, grace });
        });
        operation.apply_faults()?;
        let now = self.shared.clock.now();
        let name = &self.key.name;
        let stopped = self.shared.update(|world| world.end(name, world.exit_code_of(name), true, now));
        stopped.map_err(|refusal| operation.refusal_error(refusal))
    }

    /// As on any backend, but for a code that was [set](crate::NullRuntime::set_exit_code): that is the answer at once.
    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        let operation =
            self.operation(Operation::Wait, "wait for").requiring_one(Capability::Wait).begin(until)?;
        operation.apply_faults()?;
        let name = &self.key.name;
        let (serial, state) =
            self.present(&operation, |record| (record.serial, record.info.state.clone()))?;
        let has_code = self
            .shared
            .read(|world| world.scripts.get(name).is_some_and(|scripts| scripts.exit_code.is_some()));
        if state == ContainerState::Created && !has_code {
            return Err(
                operation.refusal_error((ErrorKind::NotRunning, String::from("it was never started")))
            );
        }
        let outcome = operation.waiter.wait_for(|| {
            self.shared.read(|world| {
                let Some(record) = world.containers.get(name).filter(|record| record.serial == serial) else {
                    return Some(ExitOutcome::Lost);
                };
                if let Some(code) = world.scripts.get(name).and_then(|scripts| scripts.exit_code) {
                    return Some(ExitOutcome::Code(code));
                }
                let exited = record.info.state.has_exited();
                exited.then(|| ExitOutcome::Code(record.info.exit_code.unwrap_or(0)))
            })
        });
        outcome.map_err(|stop| operation.interrupted(stop))
    }

    /// Files are kept in memory. Links inside a directory are left out; one that is named itself is followed. Every
    /// parent counts as there, whatever the options say.
    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        let operation =
            self.operation(Operation::Copy, "copy into").requiring_one(Capability::CopyIn).begin(until)?;
        self.record_copy(CopyDirection::In, src, dest, *options);
        operation.apply_faults()?;
        let target = file::normal(dest.as_path());
        let (serial, is_directory) =
            self.present(&operation, |record| (record.serial, file::is_directory(&record.files, &target)))?;
        let files = file::read_host(src, &target, is_directory, &operation.waiter)
            .map_err(|stop| copy_error(&operation, stop))?;
        self.shared.update_quietly(|world| {
            match world.containers.get_mut(&self.key.name).filter(|record| record.serial == serial) {
                Some(record) => {
                    record.files.extend(files);
                    Ok(())
                }
                None => Err(operation.refusal_error(no_such_container())),
            }
        })
    }

    /// What was copied in before, or put there by [`set_file`](crate::NullRuntime::set_file).
    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        let operation =
            self.operation(Operation::Copy, "copy out of").requiring_one(Capability::CopyOut).begin(until)?;
        self.record_copy(CopyDirection::Out, dest, src, *options);
        operation.apply_faults()?;
        let files = self.present(&operation, |record| record.files.clone())?;
        let src = file::normal(src.as_path());
        file::write_host(&files, &src, dest, options.create_parents, &operation.waiter)
            .map_err(|stop| copy_error(&operation, stop))
    }

    fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
        let spec = self.operation(Operation::Inspect, "log in to").requiring_one(Capability::LoginCommand);
        spec.without_faults().begin(until)?;
        let time = self.shared.clock.now();
        self.shared.update_quietly(|world| {
            let (order, name) = (world.calls.next_order(), self.key.name.clone());
            world.calls.login.push(LoginCall { order, time, name, command: command.cloned() });
        });
        let mut words = vec![OsString::from("null-exec"), self.key.name.as_str().into()];
        match command {
            Some(command) => words.extend_from_slice(command.words()),
            None => words.extend(LOGIN_COMMAND.map(OsString::from)),
        }
        Ok(words)
    }

    fn logs(&self, options: &LogOptions, until: &Until) -> Result<Box<dyn PullStream<LogLine>>> {
        let spec = self.operation(Operation::Logs, "read the log of").requiring_one(Capability::Logs);
        let operation = spec.with_limit(TimeLimits::DEFAULT.read).begin(until)?;
        operation.apply_faults()?;
        Ok(Box::new(NullLogStream::open(&self.shared, &operation, &self.key.name, options)?))
    }

    /// As on any backend, but for an answer that was [set](crate::NullRuntime::set_readiness), and for a container whose
    /// log nobody ever scripted: that one is ready at once, with an empty line.
    ///
    /// The contract's own way would pull line by line with a new budget each; here the whole call has one.
    fn stream_initial_logs(
        &self,
        ready: &mut dyn FnMut(&str) -> bool,
        echo: &mut dyn Write,
        until: &Until,
    ) -> Result<Readiness> {
        let spec = self.operation(Operation::Logs, "watch the log of").requiring_one(Capability::Logs);
        let operation = match spec.begin(until) {
            // A deadline is an answer here, and not an error.
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(Readiness::TimedOut),
            other => other?,
        };
        operation.apply_faults()?;
        let set = self.shared.read(|world| match world.scripts.get(&self.key.name) {
            Some(Scripts { readiness: Some(set), .. }) => Some(set.clone()),
            Some(Scripts { log: Some(_), .. }) => None,
            _ => Some(Readiness::Ready(String::new())),
        });
        let mut options = LogOptions::new();
        options.follow = set.is_none();
        let mut stream = NullLogStream::open(&self.shared, &operation, &self.key.name, &options)?;
        loop {
            match stream.next_line(&operation.waiter) {
                Ok(Some(line)) => {
                    let text = line.text();
                    let echoed = echo.write_all(format!("{text}\n").as_bytes()).and_then(|()| echo.flush());
                    echoed.map_err(|cause| operation.error(ErrorKind::SinkFailed, "").with_source(cause))?;
                    if set.is_none() && ready(&text) {
                        return Ok(Readiness::Ready(text.into_owned()));
                    }
                }
                Ok(None) => return Ok(set.unwrap_or(Readiness::Ended)),
                Err(UntilError::DeadlineExceeded) => return Ok(Readiness::TimedOut),
                Err(stop @ UntilError::Cancelled) => return Err(operation.interrupted(stop)),
            }
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn copy_error(operation: &PendingOperation<'_>, stop: CopyError) -> Error {
    match stop {
        CopyError::Stopped(stop @ (UntilError::DeadlineExceeded | UntilError::Cancelled)) => {
            operation.interrupted(stop)
        }
        CopyError::Failed(kind, path, cause) => {
            let error = operation.error(kind, format!("`{}`", path.display()));
            match cause {
                Some(cause) => error.with_source(cause),
                None => error,
            }
        }
    }
}

impl PartialEq for NullContainer {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for NullContainer {}

impl Hash for NullContainer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Debug for NullContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NullContainer")
            .field("runtime", &self.key.runtime.as_str())
            .field("name", &self.key.name.as_str())
            .finish_non_exhaustive()
    }
}
