//! Testing your code with a recording: made once with a real engine, and replayed without
//! one.
//!
//! `cargo run -p rt --example testing_with_record`. Here the in-memory backend takes the
//! place of the engine. In a project it is `rt::open(rt::Backend::Podman)?`, on the
//! machine of the person who changes the test. Commit the recording to the repository.
//! `rt-record` is a dev-dependency.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rt::prelude::*;
use rt::{ExecRequest, LaunchSpec, Secret, Until};

// ----- The code under test. -----

const LIMIT: Duration = Duration::from_secs(60);

/// Returns how many packages of an image have updates, found out in a container that is
/// created for it.
fn pending_updates(
    runtime: &dyn ContainerRuntime,
    image: &str,
    token: &Secret,
) -> rt::Result<usize> {
    let spec =
        LaunchSpec::builder("updates-1", image).command(["sleep", "300"]).build()?;
    let container = runtime.launch(&spec, Until::after(LIMIT))?;
    let request = ExecRequest::builder(["apk", "list", "--upgradable"])
        .secret_env("MIRROR_TOKEN", token.clone())
        .build()?;
    let result = container.exec(&request, &Until::after(LIMIT));
    // A container that is left behind fails the call too, but the command's own error
    // comes first.
    let removed = runtime.force_remove(&[spec.name().clone()], &Until::after(LIMIT));
    let result = result?
        .exit_ok()
        .map_err(|error| error.during("list updates in").in_container(spec.name()))?;
    removed.into_iter().find_map(|result| result.error).map_or(Ok(()), Err)?;
    Ok(result.stdout.text().lines().count())
}

// ----- Its test. -----

use rt_null::{ExecReply, NullRuntime};
use rt_record::{Recorder, Replay};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const IMAGE: &str = "alpine:3.20";

pub(crate) fn main() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("pending_updates.jsonl");
    record(&path)?;
    the_answers_are_those_of_the_engine(&path)?;
    a_program_that_asks_something_else_is_told_what_was_expected(&path)
}

/// Run by hand, or by the test itself if a variable such as `RECORD=1` is set; not in CI.
fn record(path: &Path) -> Outcome {
    let token = Secret::new("hunter2");
    let recorder = Recorder::create(engine()?, path)?;
    let count = pending_updates(&recorder, IMAGE, &token)?;
    // Returns how many calls were written, or why one could not be.
    let calls = recorder.finish()?;
    println!("recorded: {count} updates, in {calls} calls");

    // Each call is one line of JSON that a reviewer can read. It contains the names of
    // secrets, not their values.
    let text = fs::read_to_string(path)?;
    println!(
        "the token is in the recording: {}, its name is: {}",
        text.contains("hunter2"),
        text.contains("MIRROR_TOKEN")
    );
    for line in text.lines() {
        println!("  {}", line.chars().take(100).collect::<String>());
    }
    Ok(())
}

/// The test that a project runs in CI: without an engine, image or network, and with the
/// answers of the real engine.
fn the_answers_are_those_of_the_engine(path: &Path) -> Outcome {
    let replay = Replay::open(path)?;
    // Another token: the recording does not contain the original one.
    assert_eq!(pending_updates(&replay, IMAGE, &Secret::new("not a token"))?, 2);
    // Checks that every recorded call was made. Without this line, a program that makes
    // fewer calls passes.
    replay.finish()?;
    println!("replayed: the same answer");
    Ok(())
}

/// If the program changes, its recording no longer fits. The error says so; no answer is
/// made up.
fn a_program_that_asks_something_else_is_told_what_was_expected(path: &Path) -> Outcome {
    let replay = Replay::open(path)?;
    match pending_updates(&replay, "alpine:3.21", &Secret::new("x")) {
        Err(error) => println!("another question: {error}"),
        Ok(count) => {
            return Err(format!("nobody recorded this, and the answer is {count}").into());
        }
    }
    match replay.finish() {
        Err(error) => println!("at the end: {error}"),
        Ok(()) => return Err("the replay was to find fault".into()),
    }
    Ok(())
}

/// The engine, with the parts that this recording needs.
fn engine() -> rt::Result<Arc<dyn ContainerRuntime>> {
    let runtime = NullRuntime::new();
    let updates = "busybox-1.36.1-r30 < 1.36.1-r31\nssl_client-1.36.1-r30 < 1.36.1-r31\n";
    runtime.set_exec(
        "updates-1",
        ["apk", "list", "--upgradable"],
        ExecReply::stdout(updates),
    )?;
    Ok(Arc::new(runtime))
}
