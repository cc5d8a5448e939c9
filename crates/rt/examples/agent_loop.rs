//! An agent's tool loop: commands with limits on time and output, which are only retried
//! if nothing can run twice.
//!
//! `cargo run -p rt --example agent_loop` runs it on the in-memory backend, whose answers
//! are at the end of this file. `-- IMAGE` runs the same loop in a podman container of an
//! image that has a shell, and tells how long each command took.

use std::time::{Duration, Instant};

use rt::prelude::*;
use rt::{
    ErrorKind, ExecRequest, ExecResult, ExitOutcome, KillOutcome, LaunchSpec,
    OutputLimit, PartialOutput, Result, Until,
};
use rt_null::{ArgvPattern, ExecReply, Fault, NullRuntime, Operation, Scope, When};

/// The commands that the model requests, one after another.
const TOOL_CALLS: &[&[&str]] = &[
    &["cargo", "test"],
    &["make", "lint"],
    &["npm", "run", "watch"],
    &["rg", "TODO"],
    &["make", "deploy"],
];

/// The time limit of one command.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// How much output the model gets to read: the beginning, and the end, where failures are
/// explained.
const OUTPUT_LIMIT: OutputLimit = OutputLimit::head_and_tail(24, 40);
/// How often a command is sent if it never started.
const ATTEMPTS: u32 = 3;

/// The same for a container that has nothing but a shell.
const SHELL_CALLS: &[&[&str]] = &[
    &["sh", "-c", "echo 1 > build.log; seq 400; exit 101"],
    &["cat", "build.log"],
    &["rg", "TODO"],
    &["rm", "build.log"],
];

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        None => rehearse(),
        Some(image) => work_in(&image),
    }
}

/// Runs the loop in a container that ends by itself if this program is killed.
fn work_in(image: &str) -> Result<()> {
    let runtime = rt::open(rt::Backend::Podman)?;
    let spec = LaunchSpec::builder(format!("agent-{}", std::process::id()), image)
        .command(["sleep", "300"])
        .extra_args(["--rm"])
        .build()?;
    let container = runtime.launch(&spec, Until::after(Duration::from_secs(60)))?;
    let outcome = SHELL_CALLS.iter().try_for_each(|argv| {
        let begun = Instant::now();
        show(container.as_ref(), argv)?;
        println!("  (after {:.1?})", begun.elapsed());
        Ok(())
    });
    let names = std::slice::from_ref(spec.name());
    let removed = runtime.force_remove(names, &Until::after(Duration::from_secs(60)));
    outcome.and(removed.into_iter().find_map(|result| result.error).map_or(Ok(()), Err))
}

/// Runs the loop in memory.
pub(crate) fn rehearse() -> Result<()> {
    let runtime = rehearsal()?;
    let spec = LaunchSpec::builder("agent-1", "localhost/toolbox")
        .command(["sleep", "inf"])
        .build()?;
    let container = runtime.launch(&spec, Until::after(Duration::from_secs(60)))?;

    TOOL_CALLS.iter().try_for_each(|argv| show(container.as_ref(), argv))
}

/// Runs one command, and prints what the model gets to read. An error of the loop itself
/// ends it, for example when the engine is gone: no answer of the model can fix that.
fn show(container: &dyn Container, argv: &[&str]) -> Result<()> {
    println!("$ {}", argv.join(" "));
    let observation = observe(container, argv)?;
    observation.lines().for_each(|line| println!("  {line}"));
    Ok(())
}

/// Runs one command and describes the result.
fn observe(container: &dyn Container, argv: &[&str]) -> Result<String> {
    let request = ExecRequest::builder(argv.iter().copied())
        .workdir("/tmp")
        .env("CI", "1")
        .output_limit(OUTPUT_LIMIT)
        .build()?;
    let mut attempt = 1;
    loop {
        // Each attempt has its own deadline. An agent that a person can stop adds
        // `.or_cancelled(&token)`.
        match container.exec(&request, &Until::after(TIME_LIMIT)) {
            Ok(result) => return Ok(finished(&result)),
            Err(error) if attempt < ATTEMPTS && may_go_better(&error) => {
                println!("  (attempt {attempt}: {error})");
                if error.kind() == ErrorKind::NotRunning {
                    container.start(&Until::after(TIME_LIMIT))?;
                }
                attempt += 1;
            }
            Err(error) => return explained(error),
        }
    }
}

/// Whether the same command may be sent again, and a retry is useful.
fn may_go_better(error: &rt::Error) -> bool {
    // `never_started` decides about safety: a command that timed out may have done half
    // of its work. The kind decides about usefulness: a program that does not exist will
    // not exist a moment later.
    error.never_started()
        && matches!(
            error.kind(),
            ErrorKind::TimedOut | ErrorKind::NotRunning | ErrorKind::Unreachable
        )
}

/// Describes a command that ran to its end. A non-zero exit is a normal result.
fn finished(result: &ExecResult) -> String {
    let end = match &result.outcome {
        ExitOutcome::Lost => {
            "lost: all, some or none of its work may be done; look before you repeat it"
                .to_owned()
        }
        outcome => outcome.to_string(),
    };
    // `text()` marks where output was omitted, and how much.
    format!(
        "{end}\nstdout: {:?}\nstderr: {:?}",
        result.stdout.text(),
        result.stderr.text()
    )
}

/// Describes an error that the model can act on; returns any other error.
fn explained(error: rt::Error) -> Result<String> {
    match error.kind() {
        ErrorKind::CommandNotFound
        | ErrorKind::CommandNotExecutable
        | ErrorKind::BadWorkdir
        | ErrorKind::UnknownUser => Ok(format!("it did not run: {error}")),
        ErrorKind::TimedOut => Ok(timed_out(&error)),
        _ => Err(error),
    }
}

/// Describes what is left of a command that timed out: its output so far, and its
/// processes.
fn timed_out(error: &rt::Error) -> String {
    let mut lines = vec![format!("ended after {TIME_LIMIT:?}")];
    if let Some(report) = error.kill_report() {
        // The outcome matters for later commands in this container: processes that are
        // left may still write files.
        lines.push(match &report.outcome {
            KillOutcome::Gone => {
                format!("{} of its processes were ended, none is left", report.killed)
            }
            // Says which processes are left, or why that is unknown.
            _ => report.to_string(),
        });
    }
    if let Some(PartialOutput::Output { stdout, stderr }) = error.partial() {
        lines.push(format!("stdout so far: {:?}", stdout.text()));
        lines.push(format!("stderr so far: {:?}", stderr.text()));
    }
    lines.join("\n")
}

/// The answers of the commands in memory.
fn rehearsal() -> Result<NullRuntime> {
    let runtime = NullRuntime::new();
    let log = format!(
        "running 400 tests\n{}test result: FAILED. 399 passed; 1 failed\n",
        "test a ... ok\n".repeat(399)
    );
    runtime.set_exec(
        "agent-1",
        ["cargo", "test"],
        ExecReply::code(101).with_stdout(log),
    )?;
    runtime.set_exec("agent-1", ["make", "lint"], ExecReply::stdout("no warnings\n"))?;
    // A watcher never ends by itself. This takes no time: the clock of this backend skips
    // to the deadline.
    let watching = ExecReply::hang().with_stdout("compiled in 1.2 s, watching\n");
    runtime.set_exec("agent-1", ["npm", "run", "watch"], watching)?;
    runtime.on_exec(Scope::all(), ArgvPattern::program("rg"), |_| {
        ExecReply::error(ErrorKind::CommandNotFound, "rg is not in the image")
    });
    // The second command finds the engine busy and never starts. The connection of the
    // last one breaks.
    runtime.inject(
        Operation::Exec,
        Scope::all(),
        When::Nth(2),
        Fault::hang().kill_outcome(KillOutcome::NeverStarted),
    );
    runtime.set_exec(
        "agent-1",
        ["make", "deploy"],
        ExecReply::stdout("uploading\ndone\n"),
    )?;
    runtime.inject(
        Operation::Exec,
        Scope::all(),
        When::Nth(6),
        Fault::disconnect_after(10),
    );
    Ok(runtime)
}
