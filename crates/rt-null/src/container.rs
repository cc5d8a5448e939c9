//! The handle on a container in memory. Its commands are in `exec/command`, its life in
//! `state/lifecycle`.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Argv, BackgroundCommand, Capabilities, Capability, CommandControl, CommandStreams, Container,
    ContainerInfo, ContainerKey, ContainerName, ContainerPath, ContainerState, ContainerStats, CopyOptions,
    DirEntry, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome, FileInfo, FileOptions,
    Image, ImageRef, LogLine, LogOptions, OperationSpan, PullStream, Readiness, Result, Signal, StdioResult,
    TimeLimits, Until, UntilError, file_operation,
};

use crate::exec::command;
use crate::exec::pending_operation::{OperationSpec, PendingOperation};
use crate::image::NullImage;
use crate::log::NullLogStream;
use crate::script::fault::Operation;
use crate::state::call::{
    CopyCall, CopyDirection, FileAction, FileCall, KillCall, LoginCall, NameCall, StopCall, TarCall,
};
use crate::state::file::{self, CopyError};
use crate::state::file_system::{Failure, WriteRules};
use crate::state::refusal::{Refusal, no_such_container, not_in_state};
use crate::state::tar_stream::{self, TarError};
use crate::state::world::{ContainerRecord, Scripts, Shared, World};
use crate::streams::signal_queue::SignalQueue;

/// A handle on a container in memory. Two handles are equal if runtime and name are equal.
#[derive(Clone)]
pub struct NullContainer {
    shared: Arc<Shared>,
    key: ContainerKey,
}

/// The command of a login session without a command of its own.
const LOGIN_COMMAND: [&str; 5] = ["tmux", "new-session", "-A", "-s", "main"];

impl NullContainer {
    pub(crate) fn new(shared: &Arc<Shared>, name: ContainerName) -> Self {
        Self { shared: Arc::clone(shared), key: ContainerKey::new(shared.id.clone(), name) }
    }

    fn operation(&self, operation: Operation, verb: &'static str) -> OperationSpec<'_> {
        OperationSpec::new(&self.shared, operation, verb).with_container(&self.key.name)
    }

    fn span(&self, verb: &'static str) -> OperationSpan {
        OperationSpan::on(verb, &self.key.name)
    }

    fn command_span(&self, request: &ExecRequest) -> OperationSpan {
        OperationSpan::of_command("exec in", &self.key.name, request)
    }

    /// Reads the container's record; `None` if it does not exist.
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
        let (name, host, inside) = (self.key.name.clone(), host.to_owned(), inside.clone());
        self.shared.record(|calls, order, time| {
            calls.copy.push(CopyCall { order, time, name, direction, host, inside, options });
        });
    }

    fn record_tar(&self, direction: CopyDirection, inside: &ContainerPath) {
        let (name, inside) = (self.key.name.clone(), inside.clone());
        self.shared.record(|calls, order, time| {
            calls.tar.push(TarCall { order, time, name, direction, inside });
        });
    }

    /// Does something with the container's files, whether it runs or not.
    fn file<T>(
        &self,
        verb: &'static str,
        needs: Capabilities,
        path: &ContainerPath,
        action: FileAction,
        until: &Until,
        act: impl FnOnce(&mut ContainerRecord, SystemTime) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        self.span(verb).run(|| {
            let spec = self.operation(Operation::File, verb).requiring(needs);
            let operation = spec.with_limit(TimeLimits::DEFAULT.start).begin(until)?;
            let (name, path) = (self.key.name.clone(), path.clone());
            self.shared.record(|calls, order, time| {
                calls.file.push(FileCall { order, time, name, path, action });
            });
            operation.apply_faults()?;
            let now = self.shared.clock.now();
            self.shared.update_quietly(|world| {
                let record = world.containers.get_mut(&self.key.name);
                let record = record.ok_or_else(|| operation.refusal_error(no_such_container()))?;
                match &record.info.state {
                    state
                    @ (ContainerState::Paused | ContainerState::Stopping | ContainerState::Removing) => {
                        Err(operation.refusal_error(not_in_state(state)))
                    }
                    _ => act(record, now).map_err(|(kind, message)| operation.error(kind, message)),
                }
            })
        })
    }

    /// Returns the serial number of the container, and what `pick` takes from its record.
    fn present<T>(
        &self,
        operation: &PendingOperation<'_>,
        pick: impl FnOnce(&ContainerRecord) -> T,
    ) -> Result<T> {
        let found = self.shared.read(|world| world.containers.get(&self.key.name).map(pick));
        found.ok_or_else(|| operation.refusal_error(no_such_container()))
    }

    fn verb(
        &self,
        operation: Operation,
        verb: &'static str,
        needs: Capability,
        until: &Until,
    ) -> Result<PendingOperation<'_>> {
        let spec = self.operation(operation, verb).requiring_one(needs);
        spec.with_limit(TimeLimits::DEFAULT.start).begin(until)
    }

    /// Changes the container's state after the injected faults.
    fn change(
        &self,
        operation: &PendingOperation<'_>,
        change: impl FnOnce(&mut World, &ContainerName, SystemTime) -> std::result::Result<(), Refusal>,
    ) -> Result<()> {
        operation.apply_faults()?;
        let now = self.shared.clock.now();
        let changed = self.shared.update(|world| change(world, &self.key.name, now));
        changed.map_err(|refusal| operation.refusal_error(refusal))
    }

    fn bridged(
        &self,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        signals: &SignalQueue,
        until: &Until,
    ) -> Result<StdioResult> {
        let name = &self.key.name;
        stdio.bridge(request, |stdio| command::exec_stdio(&self.shared, name, request, stdio, signals, until))
    }
}

impl Container for NullContainer {
    fn key(&self) -> &ContainerKey {
        &self.key
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        self.command_span(request).captured(|_| command::exec(&self.shared, &self.key.name, request, until))
    }

    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
        self.span("inspect").run(|| {
            let spec = self.operation(Operation::Inspect, "inspect").with_limit(TimeLimits::DEFAULT.read);
            self.read_record(spec, until, |record| record.info.clone())
        })
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        self.command_span(request).bridged(|_| self.bridged(request, stdio, &SignalQueue::default(), until))
    }

    fn spawn(
        &self,
        request: &ExecRequest,
        streams: &mut CommandStreams,
        until: &Until,
    ) -> Result<Box<dyn CommandControl>> {
        self.command_span(request).spawned(|_| {
            const VERB: &str = "exec in";
            let needs = request.required_capabilities().with(Capability::Spawn);
            let spec = self.operation(Operation::ExecStdio, VERB).requiring(needs).without_faults();
            spec.begin(until)?;
            let stdio = streams.take();
            let signals = Arc::<SignalQueue>::default();
            let command = {
                let (container, request, signals) = (self.clone(), request.clone(), Arc::clone(&signals));
                BackgroundCommand::start(move |until| container.bridged(&request, stdio, &signals, until))?
            };
            let (shared, resized) = (Arc::clone(&self.shared), Arc::clone(&signals));
            let command = command.with_resizes(move |size| {
                resized.resize(size);
                // Wakes the command.
                shared.update(|_| ());
                Ok(())
            });
            let (shared, name) = (Arc::clone(&self.shared), self.key.name.clone());
            let can_signal = shared.capabilities.contains(Capability::SendSignal);
            Ok(Box::new(command.with_signals(move |signal| {
                if !can_signal {
                    let missing = Capabilities::none().with(Capability::SendSignal);
                    return Err(Error::unsupported("signal a command in", missing).in_container(&name));
                }
                signals.send(signal);
                // Wakes the command.
                shared.update(|_| ());
                Ok(())
            })))
        })
    }

    fn image(&self, until: &Until) -> Result<Option<Arc<dyn Image>>> {
        self.span("find the image of").run(|| {
            let spec =
                self.operation(Operation::Inspect, "find the image of").requiring_one(Capability::Images);
            let spec = spec.with_limit(TimeLimits::DEFAULT.read);
            let id = self.read_record(spec, until, |record| record.info.image_id.clone())?;
            let Some(id) = id.flatten() else { return Ok(None) };
            let reference =
                ImageRef::new(id).map_err(|refused| Error::from(refused).in_container(&self.key.name))?;
            Ok(Some(Arc::new(NullImage::new(&self.shared, reference)) as _))
        })
    }

    fn rw_size(&self, until: &Until) -> Result<Option<u64>> {
        self.span("measure").run(|| {
            let spec = self.operation(Operation::RwSize, "measure").requiring_one(Capability::RwSize);
            self.read_record(spec.with_limit(TimeLimits::DEFAULT.rw_size), until, |record| record.rw_size)
        })
    }

    fn start(&self, until: &Until) -> Result<()> {
        self.span("start").run(|| {
            let spec = self.operation(Operation::Start, "start").requiring_one(Capability::Start);
            let operation = spec.with_limit(TimeLimits::DEFAULT.start).begin(until)?;
            let name = self.key.name.clone();
            self.shared.record(|calls, order, time| calls.start.push(NameCall { order, time, name }));
            operation.apply_faults()?;
            let started = self.shared.update(|world| world.start(&self.key.name, &self.shared.clock));
            started.map_err(|refusal| operation.refusal_error(refusal))
        })
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        self.span("stop").run(|| {
            let operation =
                self.operation(Operation::Stop, "stop").requiring_one(Capability::Stop).begin(until)?;
            let name = self.key.name.clone();
            self.shared.record(|calls, order, time| calls.stop.push(StopCall { order, time, name, grace }));
            operation.apply_faults()?;
            let now = self.shared.clock.now();
            let name = &self.key.name;
            let stopped = self.shared.update(|world| world.end(name, world.exit_code_of(name), true, now));
            stopped.map_err(|refusal| operation.refusal_error(refusal))
        })
    }

    /// As on any backend, except after `NullRuntime::set_exit_code`: then that code is returned at
    /// once.
    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        self.span("wait for").wait(|| {
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
                    let Some(record) = world.containers.get(name).filter(|record| record.serial == serial)
                    else {
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
        })
    }

    fn stats(&self, until: &Until) -> Result<ContainerStats> {
        self.span("measure the use of").run(|| {
            let spec =
                self.operation(Operation::Stats, "measure the use of").requiring_one(Capability::Stats);
            let operation = spec.with_limit(TimeLimits::DEFAULT.read).begin(until)?;
            operation.apply_faults()?;
            let stats = self.shared.read(|world| world.stats(&self.key.name));
            stats.map_err(|refusal| operation.refusal_error(refusal))
        })
    }

    /// Commands that already run go on.
    fn pause(&self, until: &Until) -> Result<()> {
        self.span("pause").run(|| {
            let operation = self.verb(Operation::Pause, "pause", Capability::Pause, until)?;
            let name = self.key.name.clone();
            self.shared.record(|calls, order, time| calls.pause.push(NameCall { order, time, name }));
            self.change(&operation, World::pause)
        })
    }

    fn unpause(&self, until: &Until) -> Result<()> {
        self.span("unpause").run(|| {
            let operation = self.verb(Operation::Unpause, "unpause", Capability::Pause, until)?;
            let name = self.key.name.clone();
            self.shared.record(|calls, order, time| calls.unpause.push(NameCall { order, time, name }));
            self.change(&operation, World::unpause)
        })
    }

    /// `KILL` ends the main process with exit code 137, and `TERM` as [`stop`](Self::stop) does.
    /// Other signals are recorded and have no effect.
    fn kill(&self, signal: Signal, until: &Until) -> Result<()> {
        self.span("signal").run(|| {
            let operation = self.verb(Operation::Kill, "signal", Capability::Kill, until)?;
            let name = self.key.name.clone();
            self.shared.record(|calls, order, time| calls.kill.push(KillCall { order, time, name, signal }));
            self.change(&operation, |world, name, now| world.kill(name, signal, now))
        })
    }

    fn remove(&self, until: &Until) -> Result<()> {
        self.span("remove").run(|| {
            let spec = self.operation(Operation::Remove, "remove").requiring_one(Capability::ForceRemove);
            let operation = spec.with_limit(TimeLimits::DEFAULT.remove).begin(until)?;
            let name = self.key.name.clone();
            self.shared.record(|calls, order, time| calls.remove.push(NameCall { order, time, name }));
            self.change(&operation, |world, name, now| {
                world.remove(name, now);
                Ok(())
            })
        })
    }

    /// Files are kept in memory. Symbolic links inside a directory are skipped; a `src` that is a
    /// link is followed. Every parent directory counts as existing, whatever the options say.
    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        self.span("copy into").run(|| {
            let operation = self
                .operation(Operation::Copy, "copy into")
                .requiring_one(Capability::CopyIn)
                .begin(until)?;
            self.record_copy(CopyDirection::In, src, dest, *options);
            operation.apply_faults()?;
            let target = file::normal(dest.as_path());
            let (serial, is_directory) =
                self.present(&operation, |record| (record.serial, record.files.is_directory(&target)))?;
            let files = file::read_host(src, &target, is_directory, &operation.waiter)
                .map_err(|stop| copy_error(&operation, stop))?;
            let now = self.shared.clock.now();
            self.shared.update_quietly(|world| {
                match world.containers.get_mut(&self.key.name).filter(|record| record.serial == serial) {
                    Some(record) => {
                        for (path, bytes) in files {
                            record.files.put(path, bytes, now);
                        }
                        Ok(())
                    }
                    None => Err(operation.refusal_error(no_such_container())),
                }
            })
        })
    }

    /// Writes what was copied in before, or put in place by
    /// `NullRuntime::set_file`.
    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        self.span("copy out of").run(|| {
            let operation = self
                .operation(Operation::Copy, "copy out of")
                .requiring_one(Capability::CopyOut)
                .begin(until)?;
            self.record_copy(CopyDirection::Out, dest, src, *options);
            operation.apply_faults()?;
            let files = self.present(&operation, |record| record.files.clone())?;
            let src = file::normal(src.as_path());
            file::write_host(&files, &src, dest, options.create_parents, &operation.waiter)
                .map_err(|stop| copy_error(&operation, stop))
        })
    }

    /// Other entries than files, directories, symbolic and hard links are skipped. A hard link
    /// becomes a copy.
    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        self.span("copy into").run(|| {
            let operation = self
                .operation(Operation::Copy, "copy into")
                .requiring_one(Capability::CopyTar)
                .begin(until)?;
            self.record_tar(CopyDirection::In, dest);
            operation.apply_faults()?;
            let serial = self.present(&operation, |record| record.serial)?;
            let failed = |error| tar_error(&operation, ErrorKind::SourceFailed, error);
            let unpacked = tar_stream::read(tar, &operation.waiter).map_err(failed)?;
            self.shared.update_quietly(|world| {
                match world.containers.get_mut(&self.key.name).filter(|record| record.serial == serial) {
                    Some(record) => {
                        // After an error everything is as before.
                        let mut files = record.files.clone();
                        unpacked.put(&mut files, dest).map_err(failed)?;
                        record.files = files;
                        Ok(())
                    }
                    None => Err(operation.refusal_error(no_such_container())),
                }
            })
        })
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        self.span("copy out of").run(|| {
            let operation = self
                .operation(Operation::Copy, "copy out of")
                .requiring_one(Capability::CopyTar)
                .begin(until)?;
            self.record_tar(CopyDirection::Out, src);
            operation.apply_faults()?;
            let files = self.present(&operation, |record| record.files.clone())?;
            tar_stream::write(&files, src, tar, &operation.waiter)
                .map_err(|error| tar_error(&operation, ErrorKind::SinkFailed, error))
        })
    }

    fn write_file(
        &self,
        path: &ContainerPath,
        bytes: &[u8],
        options: &FileOptions,
        until: &Until,
    ) -> Result<()> {
        let action = FileAction::Write(bytes.to_vec(), *options);
        let needs = options.required_capabilities();
        self.file(file_operation::WRITE, needs, path, action, until, |record, now| {
            let rules = WriteRules(record.spec.as_ref());
            record.files.write(path, bytes, *options, rules, now)
        })
    }

    fn read_file(&self, path: &ContainerPath, limit: u64, until: &Until) -> Result<Vec<u8>> {
        let (needs, action) = (Capability::ReadFile.into(), FileAction::Read(limit));
        self.file(file_operation::READ, needs, path, action, until, |record, _| {
            record.files.read(path, limit).map(<[u8]>::to_vec)
        })
    }

    fn stat(&self, path: &ContainerPath, until: &Until) -> Result<Option<FileInfo>> {
        let needs = Capability::StatFile.into();
        self.file(file_operation::STAT, needs, path, FileAction::Stat, until, |record, _| {
            record.files.stat(path)
        })
    }

    fn list_dir(&self, path: &ContainerPath, until: &Until) -> Result<Vec<DirEntry>> {
        let needs = Capability::ListDir.into();
        self.file(file_operation::LIST, needs, path, FileAction::List, until, |record, _| {
            record.files.list(path)
        })
    }

    fn remove_path(&self, path: &ContainerPath, until: &Until) -> Result<()> {
        let needs = Capability::RemovePath.into();
        self.file(file_operation::REMOVE, needs, path, FileAction::Remove, until, |record, _| {
            record.files.remove(path, WriteRules(record.spec.as_ref()))
        })
    }

    fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
        self.span("log in to").run(|| {
            let spec =
                self.operation(Operation::Inspect, "log in to").requiring_one(Capability::LoginCommand);
            spec.without_faults().begin(until)?;
            let (name, given) = (self.key.name.clone(), command.cloned());
            self.shared.record(|calls, order, time| {
                calls.login.push(LoginCall { order, time, name, command: given });
            });
            let mut words = vec![OsString::from("null-exec"), self.key.name.as_str().into()];
            match command {
                Some(command) => words.extend_from_slice(command.words()),
                None => words.extend(LOGIN_COMMAND.map(OsString::from)),
            }
            Ok(words)
        })
    }

    fn logs(&self, options: &LogOptions, until: &Until) -> Result<Box<dyn PullStream<LogLine>>> {
        self.span("read the log of").run(|| {
            let spec = self.operation(Operation::Logs, "read the log of").requiring_one(Capability::Logs);
            let operation = spec.with_limit(TimeLimits::DEFAULT.read).begin(until)?;
            operation.apply_faults()?;
            Ok(Box::new(NullLogStream::open(&self.shared, &operation, &self.key.name, options)?) as _)
        })
    }

    /// As on any backend, with two exceptions. An answer from
    /// `NullRuntime::set_readiness` is returned. A container whose log was
    /// never scripted is ready at once, with an empty line.
    ///
    /// The contract's default pulls each line with a new budget. Here the whole call has one
    /// budget.
    fn stream_initial_logs(
        &self,
        ready: &mut dyn FnMut(&str) -> bool,
        echo: &mut dyn Write,
        until: &Until,
    ) -> Result<Readiness> {
        self.span("watch the log of").run(|| {
            let spec = self.operation(Operation::Logs, "watch the log of").requiring_one(Capability::Logs);
            let operation = match spec.begin(until) {
                // A passed deadline is a result here, not an error.
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
                        let echoed =
                            echo.write_all(format!("{text}\n").as_bytes()).and_then(|()| echo.flush());
                        echoed
                            .map_err(|cause| operation.error(ErrorKind::SinkFailed, "").with_source(cause))?;
                        if set.is_none() && ready(&text) {
                            return Ok(Readiness::Ready(text.into_owned()));
                        }
                    }
                    Ok(None) => return Ok(set.unwrap_or(Readiness::Ended)),
                    Err(UntilError::DeadlineExceeded) => return Ok(Readiness::TimedOut),
                    Err(stop @ UntilError::Cancelled) => return Err(operation.interrupted(stop)),
                }
            }
        })
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

fn tar_error(operation: &PendingOperation<'_>, of_stream: ErrorKind, error: TarError) -> Error {
    match error {
        TarError::Stopped(stop) => operation.interrupted(stop),
        TarError::Failed(kind, message) => operation.error(kind, message),
        TarError::Stream(cause) => operation.error(of_stream, "").with_source(cause),
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
