//! Scripted answers for a name: of commands, bridged commands, waits and logs. Containers are in
//! `fixture`.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use rt_protocol::{Argv, ContainerName, ExitOutcome, LogLine, Readiness, Result};

use super::log_script::LogScript;
use super::pattern::{ArgvPattern, Scope};
use super::reply::ExecReply;
use super::stdio_script::StdioScript;
use crate::runtime::NullRuntime;
use crate::state::call::ExecCall;
use crate::state::log::Log;
use crate::state::world::Scripts;
use crate::streams::peer::StdioPeer;

/// # Scripts
///
/// A script belongs to a name, whether or not the container exists, and can be set before the
/// container is created. It lasts until the name is
/// [removed](rt_protocol::ContainerRuntime::force_remove).
///
/// The answer to a command comes from its exact script, else from the newest matching handler.
/// Otherwise the command succeeds without output.
impl NullRuntime {
    /// Sets the answer to a command of exactly these words, replacing an earlier one. A bridged
    /// command gives the same answer, unless a bridged script or handler matches it.
    ///
    /// # Errors
    /// A malformed name or command.
    pub fn set_exec<I, S>(&self, name: impl AsRef<str>, argv: I, reply: ExecReply) -> Result<()>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let argv = Argv::new(argv)?;
        self.script(name, |scripts| drop(scripts.exec.insert(argv, reply)))
    }

    /// Sets what a bridged command of exactly these words reads and writes, replacing an earlier
    /// script.
    ///
    /// # Errors
    /// A malformed name or command.
    pub fn set_stdio<I, S>(&self, name: impl AsRef<str>, argv: I, script: StdioScript) -> Result<()>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let argv = Argv::new(argv)?;
        self.script(name, |scripts| drop(scripts.stdio.insert(argv, Arc::new(script))))
    }

    /// Answers captured commands by a function. It runs on the thread of the call, with no lock
    /// held.
    pub fn on_exec(
        &self,
        scope: impl Into<Scope>,
        pattern: ArgvPattern,
        handler: impl Fn(&ExecCall) -> ExecReply + Send + Sync + 'static,
    ) {
        let scope = scope.into();
        self.shared.update_quietly(|world| world.exec_handlers.push(scope, pattern, Arc::new(handler)));
    }

    /// Plays bridged commands by a function: see [`StdioPeer`]. The function returns the command's
    /// outcome. An error that does not stem from the end of the call becomes
    /// [`BackendFailed`](rt_protocol::ErrorKind::BackendFailed).
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use rt_null::{ArgvPattern, NullRuntime, Scope};
    /// use rt_protocol::{
    ///     ContainerName, ContainerRuntime, ContainerState, ExecRequest, ExecStdio, ExitOutcome,
    ///     Sink, Source, Until,
    /// };
    ///
    /// let runtime = NullRuntime::new();
    /// runtime.set_state("job", ContainerState::Running)?;
    /// runtime.on_stdio(Scope::all(), ArgvPattern::program("cat"), |_call, peer| {
    ///     let mut chunk = [0; 4096];
    ///     loop {
    ///         match peer.read(&mut chunk)? {
    ///             0 => return Ok(ExitOutcome::Code(0)),
    ///             count => peer.write_all(&chunk[..count])?,
    ///         }
    ///     }
    /// });
    ///
    /// let mut echo = Vec::new();
    /// let stdio = ExecStdio::new(Source::bytes("hello"), Sink::borrowed(&mut echo));
    /// let cat = ExecRequest::new(["cat"])?;
    /// runtime.exec_stdio(&ContainerName::new("job")?, &cat, stdio, &Until::forever())?;
    /// assert_eq!(echo, b"hello");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    pub fn on_stdio(
        &self,
        scope: impl Into<Scope>,
        pattern: ArgvPattern,
        handler: impl Fn(&ExecCall, &mut StdioPeer<'_>) -> io::Result<ExitOutcome> + Send + Sync + 'static,
    ) {
        let scope = scope.into();
        self.shared.update_quietly(|world| world.stdio_handlers.push(scope, pattern, Arc::new(handler)));
    }

    /// Sets the exit code of the main process. [`wait`](rt_protocol::Container::wait) returns it at
    /// once, even while the container runs, and a stopped container exits with it. By default a
    /// wait lasts until the container has exited, and a stopped container exits with 0.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_exit_code(&self, name: impl AsRef<str>, code: i32) -> Result<()> {
        self.script(name, |scripts| scripts.exit_code = Some(code))
    }

    /// Sets the log; it is empty by default.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_logs(&self, name: impl AsRef<str>, script: LogScript) -> Result<()> {
        let log = Log::new(script, self.clock().elapsed());
        self.script(name, |scripts| scripts.log = Some(log))
    }

    /// Appends a line to the log now, and wakes its followers.
    ///
    /// # Errors
    /// A malformed name.
    pub fn push_log(&self, name: impl AsRef<str>, line: LogLine) -> Result<()> {
        let elapsed = self.clock().elapsed();
        self.script(name, |scripts| scripts.log.get_or_insert_default().push(line, elapsed))
    }

    /// Sets what [`stream_initial_logs`](rt_protocol::Container::stream_initial_logs) returns once
    /// it has echoed the log. By default, a scripted log is watched as on any backend, and a
    /// container with an unscripted log is ready at once, with an empty line.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_readiness(&self, name: impl AsRef<str>, readiness: Readiness) -> Result<()> {
        self.script(name, |scripts| scripts.readiness = Some(readiness))
    }

    fn script(&self, name: impl AsRef<str>, change: impl FnOnce(&mut Scripts)) -> Result<()> {
        let name = ContainerName::new(name.as_ref())?;
        self.shared.update(|world| change(world.scripts_of(&name)));
        Ok(())
    }
}
