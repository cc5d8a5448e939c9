//! Answers that a test scripts for a name: of commands, bridged commands, waits and logs. Containers stand in `fixture`.

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
/// Scripts belong to a name, whether or not there is a container, and may be set before it is created. They last until
/// the name is [removed](rt_protocol::ContainerRuntime::force_remove). A command is answered by the exact script, else by
/// the newest handler that matches, else by an empty success.
impl NullRuntime {
    /// What a command of exactly these words answers; replaces an earlier answer. Bridged, the command gives the same
    /// answer, unless it has a script or handler of its own there.
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

    /// What a bridged command of exactly these words reads and writes; replaces an earlier script.
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

    /// Answers captured commands by a function, which runs on the thread of the call, without any lock held.
    pub fn on_exec(
        &self,
        scope: impl Into<Scope>,
        pattern: ArgvPattern,
        handler: impl Fn(&ExecCall) -> ExecReply + Send + Sync + 'static,
    ) {
        let scope = scope.into();
        self.shared.update_quietly(|world| world.exec_handlers.push(scope, pattern, Arc::new(handler)));
    }

    /// Lets a function take the part of bridged commands: see [`StdioPeer`]. Its outcome is the command's; an error that
    /// is not the end of the call itself becomes [`BackendFailed`](rt_protocol::ErrorKind::BackendFailed).
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use rt_null::{ArgvPattern, NullRuntime, Scope};
    /// use rt_protocol::{
    ///     ContainerName, ContainerRuntime, ContainerState, ExecRequest, ExecStdio, ExitOutcome, Sink, Source, Until,
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

    /// The code with which the main process ends: [`wait`](rt_protocol::Container::wait) answers it at once, also while
    /// the container runs, and a stop ends with it. Unless set, a wait lasts until the container has ended, and a stop
    /// ends with 0.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_exit_code(&self, name: impl AsRef<str>, code: i32) -> Result<()> {
        self.script(name, |scripts| scripts.exit_code = Some(code))
    }

    /// Sets the log. Unless set, it is empty.
    ///
    /// # Errors
    /// A malformed name.
    pub fn set_logs(&self, name: impl AsRef<str>, script: LogScript) -> Result<()> {
        let log = Log::new(script, self.clock().elapsed());
        self.script(name, |scripts| scripts.log = Some(log))
    }

    /// Writes one more line to the log, now; whoever follows it is told.
    ///
    /// # Errors
    /// A malformed name.
    pub fn push_log(&self, name: impl AsRef<str>, line: LogLine) -> Result<()> {
        let elapsed = self.clock().elapsed();
        self.script(name, |scripts| scripts.log.get_or_insert_default().push(line, elapsed))
    }

    /// What [`stream_initial_logs`](rt_protocol::Container::stream_initial_logs) answers once it has echoed what is in
    /// the log, whatever that is. Unless set, a log that was scripted is watched as on any backend, and one that never
    /// was is ready at once, with an empty line.
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
