//! A job of a CI runner: its steps show their output while they run, and a step that
//! takes too long gets time to clean up.
//!
//! `cargo run -p rt --example ci_job`. What you copy is [`run_step`].

use std::sync::Arc;
use std::time::Duration;

use rt::prelude::*;
use rt::{
    ContainerExt, ExecRequest, ExitOutcome, LaunchSpec, Result, Signal, Sink, SpawnStdio,
};
use rt_null::{NullRuntime, StdioScript};

/// How long a step may clean up after INT.
const CLEAN_UP: Duration = Duration::from_secs(10);
/// A longer line is shown in pieces.
const LINE_BYTES: usize = 16 * 1024;

pub(crate) fn main() -> Result<()> {
    let spec = LaunchSpec::builder("job-7", "localhost/toolbox")
        .command(["sleep", "inf"])
        .build()?;
    let job = rehearsal()?.launch(&spec, Duration::from_secs(60))?;
    for step in ["build", "test", "deploy"] {
        println!("$ make {step}");
        let request = ExecRequest::new(["make", step])?;
        println!("  {}", run_step(&job, &request, Duration::from_millis(200))?);
    }
    Ok(())
}

/// Runs a step and shows its output. After `limit` it gets INT, and time to clean up.
fn run_step(
    job: &Arc<dyn Container>,
    request: &ExecRequest,
    limit: Duration,
) -> Result<ExitOutcome> {
    let out = Sink::lines(LINE_BYTES, |line| println!("  out | {}", line.text()));
    let err = Sink::lines(LINE_BYTES, |line| println!("  err | {}", line.text()));
    let stdio = SpawnStdio::new().stdout(out).stderr(err);
    let mut step = job.spawn_command(request, stdio, limit)?;
    // A wait that was too short has ended nothing.
    if step.wait(limit).is_err() && step.try_wait()?.is_none() {
        println!("  it takes too long");
        step.signal(Signal::INT)?;
        if step.wait(CLEAN_UP).is_err() && step.try_wait()?.is_none() {
            println!("  {}", step.kill());
        }
    }
    Ok(step.wait(limit)?.outcome)
}

/// A runtime that plays the steps, in place of podman.
fn rehearsal() -> Result<NullRuntime> {
    let runtime = NullRuntime::new();
    let build = StdioScript::new().write("compiling\nlinking\n");
    runtime.set_stdio("job-7", ["make", "build"], build)?;
    let test = StdioScript::new().write("12 tests\n").write_stderr("1 failed\n").exit(2);
    runtime.set_stdio("job-7", ["make", "test"], test)?;
    let deploy = StdioScript::new()
        .write("copying\n")
        .wait_for_signal(Signal::INT)
        .write("rolled back\n")
        .exit(130);
    runtime.set_stdio("job-7", ["make", "deploy"], deploy)?;
    Ok(runtime)
}
