//! Writing a backend: three methods of a runtime and three of a container; everything
//! else has defaults.
//!
//! `cargo run -p rt --example third_party_backend`. The "containers" of this backend are
//! sets of functions in this process. They could offer built-in tools next to real
//! containers. The suite in the crate `rt-conformance` tests backends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt::prelude::*;
use rt::{
    Argv, Capabilities, Capability, Capture, ContainerFilter, ContainerInfo,
    ContainerKey, ContainerName, ContainerState, Error, ErrorKind, ExecRequest,
    ExecResult, ExitOutcome, ImageRef, KillReport, LaunchSpec, LogOptions, NamePrefix,
    PartialOutput, Result, RuntimeId, StreamEnd, Until, UntilError,
};

/// A command: takes its arguments and a time limit, and returns an exit code and its
/// output.
type Function = fn(&Argv, &Until) -> std::result::Result<(i32, String), UntilError>;
/// The commands of one container, by their names.
type Toolbox = BTreeMap<&'static str, Function>;

/// A runtime whose containers are toolboxes.
#[derive(Debug)]
struct FunctionRuntime {
    id: RuntimeId,
    toolboxes: Arc<BTreeMap<ContainerName, Toolbox>>,
}

/// The capabilities beyond running a command. Everything that is not listed here must be
/// rejected, and is.
const CAPABILITIES: Capabilities = Capabilities::none()
    .with(Capability::OutputLimits)
    .with(Capability::ByteArguments)
    .with(Capability::VerifiedKill);

impl ContainerRuntime for FunctionRuntime {
    fn id(&self) -> &RuntimeId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        // Does nothing else: the container need not exist.
        let key = ContainerKey::new(self.id.clone(), name.clone());
        Arc::new(FunctionContainer { key, toolboxes: Arc::clone(&self.toolboxes) })
    }
}

/// A handle on one toolbox.
#[derive(Debug)]
struct FunctionContainer {
    key: ContainerKey,
    toolboxes: Arc<BTreeMap<ContainerName, Toolbox>>,
}

impl Container for FunctionContainer {
    fn key(&self) -> &ContainerKey {
        &self.key
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        // No field of a request is ignored: a required capability that is missing is
        // rejected before anything starts. This line also rejects fields that a later
        // version of the contract adds.
        let missing = request.required_capabilities().difference(CAPABILITIES);
        if !missing.is_empty() {
            return Err(
                Error::unsupported("exec in", missing).in_container(&self.key.name)
            );
        }
        let begun = Instant::now();
        until.check().map_err(|stop| self.stopped(stop, KillReport::never_started()))?;
        let toolbox = self
            .toolboxes
            .get(&self.key.name)
            .ok_or_else(|| self.error(ErrorKind::NoSuchContainer, ""))?;
        let argv = request.argv();
        let function =
            argv.program().to_str().and_then(|program| toolbox.get(program)).ok_or_else(
                || {
                    self.error(
                        ErrorKind::CommandNotFound,
                        format!("`{}` is not in this toolbox", argv.program().display()),
                    )
                },
            )?;
        // A function that has returned is gone, so the outcome after a deadline is known.
        // A backend with real processes must end them first, and check.
        let (code, text) = function(argv, until)
            .map_err(|stop| self.stopped(stop, KillReport::gone(1)))?;
        let mut stdout = Capture::new(request.stdout_limit());
        stdout.push(text.as_bytes());
        let stderr = Capture::new(request.stderr_limit());
        // The function has returned, so nothing holds its streams open.
        let (stdout, stderr) =
            (stdout.finish(StreamEnd::Eof), stderr.finish(StreamEnd::Eof));
        Ok(ExecResult::new(ExitOutcome::Code(code), stdout, stderr, begun.elapsed()))
    }

    fn inspect(&self, _until: &Until) -> Result<Option<ContainerInfo>> {
        // `None` means absent. An error would mean that the backend did not answer, which
        // cannot happen here.
        let name = &self.key.name;
        if !self.toolboxes.contains_key(name) {
            return Ok(None);
        }
        let id = format!("toolbox-{name}").try_into()?;
        Ok(Some(ContainerInfo::new(name.clone(), id, ContainerState::Running)))
    }
}

impl FunctionContainer {
    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, "exec in", message).in_container(&self.key.name)
    }

    fn stopped(&self, stop: UntilError, report: KillReport) -> Error {
        let error = Error::stopped(stop, "exec in").in_container(&self.key.name);
        error.of_ended_command(report, PartialOutput::nothing(false))
    }
}

pub(crate) fn main() -> Result<()> {
    let tools = ContainerName::new("tools")?;
    let toolbox: Toolbox =
        BTreeMap::from([("echo", echo as Function), ("sleep", sleep as Function)]);
    let runtime: Arc<dyn ContainerRuntime> = Arc::new(FunctionRuntime {
        id: RuntimeId::new("functions"),
        toolboxes: Arc::new(BTreeMap::from([(tools.clone(), toolbox)])),
    });
    let container = runtime.container(&tools);
    let (limit, short) =
        (Duration::from_secs(10), Until::after(Duration::from_millis(20)));

    println!("what the six methods answer, and what derives from them:");
    println!(
        "  by name: {:?}",
        runtime.exec_in("tools", ["echo", "hello"], limit)?.stdout.text()
    );
    println!("  state {:?}, id {:?}", container.state(limit)?, container.id(limit)?);
    println!(
        "  running {}; a toolbox that is not there: {:?}",
        container.running(limit)?,
        runtime.container(&ContainerName::new("none")?).state(limit)?
    );
    refused(runtime.exec_in("none", ["echo"], limit))?;
    refused(runtime.exec_in("tools", ["cat"], limit))?;
    refused(container.exec(&ExecRequest::new(["sleep"])?, &short))?;

    println!("what it does not claim is refused, and started nothing:");
    refused(container.exec(
        &ExecRequest::builder(["echo"]).env("A", "b").user("root").build()?,
        &short,
    ))?;
    refused(container.exec_stdio(
        &ExecRequest::new(["echo"])?,
        rt::ExecStdio::default(),
        &short,
    ))?;
    refused(container.logs(&LogOptions::new(), &short))?;
    refused(container.start(&short))?;
    refused(runtime.list(&ContainerFilter::all(), &short))?;
    refused(runtime.states(&NamePrefix::new("any")?, limit))?;
    refused(runtime.create(&LaunchSpec::builder("new", "alpine").build()?, &short))?;
    refused(runtime.image(&ImageRef::new("alpine")?).exists(limit))?;
    for result in runtime.force_remove(&[tools], &short) {
        refused(result.error.map_or(Ok(()), Err))?;
    }
    Ok(())
}

/// Prints why a call was rejected. If it was not rejected, this backend has a fault.
fn refused<T>(answer: Result<T>) -> Result<()> {
    match answer {
        Ok(_) => Err(Error::new(
            ErrorKind::InvalidResponse,
            "check the backend",
            "a call was not refused",
        )),
        Err(error) => {
            println!("  {:?}: {error}", error.kind());
            Ok(())
        }
    }
}

fn echo(argv: &Argv, until: &Until) -> std::result::Result<(i32, String), UntilError> {
    until.check()?;
    let words: Vec<_> =
        argv.arguments().iter().map(|word| word.to_string_lossy()).collect();
    Ok((0, words.join(" ") + "\n"))
}

/// Sleeps for an hour, or until a deadline or a cancel wakes it.
fn sleep(_: &Argv, until: &Until) -> std::result::Result<(i32, String), UntilError> {
    until.sleep(Duration::from_secs(3600))?;
    Ok((0, String::new()))
}
