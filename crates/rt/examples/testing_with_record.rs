//! Tests of one's own code with a recording: made once with a real engine, replayed wherever there is none.
//!
//! `cargo run -p rt --example testing_with_record`. The engine that is recorded here is played by the in-memory backend;
//! in a project it is `rt::open(rt::Backend::Podman)?`, on the machine of whoever changes the test. The recording goes into
//! the repository; `rt-record` is a dev-dependency.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rt::prelude::*;
use rt::{ExecRequest, LaunchSpec, Secret, Until};

// ----- The code under test. -----

const LIMIT: Duration = Duration::from_secs(60);

/// How many packages an image wants to update, asked in a container that is made for it.
fn pending_updates(runtime: &dyn ContainerRuntime, image: &str, token: &Secret) -> rt::Result<usize> {
    let spec = LaunchSpec::builder("updates-1", image).command(["sleep", "300"]).build()?;
    let container = runtime.launch(&spec, Until::after(LIMIT))?;
    let request = ExecRequest::builder(["apk", "list", "--upgradable"])
        .secret_env("MIRROR_TOKEN", token.clone())
        .build()?;
    let result = container.exec(&request, &Until::after(LIMIT));
    // A container that is left behind fails the call too, though not before the command's own answer.
    let removed = runtime.force_remove(&[spec.name().clone()], &Until::after(LIMIT));
    let result =
        result?.exit_ok().map_err(|error| error.during("list updates in").in_container(spec.name()))?;
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

/// Done by hand, or by the test itself when a variable such as `RECORD=1` is set; not in CI.
fn record(path: &Path) -> Outcome {
    let token = Secret::new("hunter2");
    let recorder = Recorder::create(engine()?, path)?;
    let count = pending_updates(&recorder, IMAGE, &token)?;
    // Says how many calls were written, or why one could not be.
    let calls = recorder.finish()?;
    println!("recorded: {count} updates, in {calls} calls");

    // One line of JSON for each call, for a reviewer to read. Secrets stand in it by their names.
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

/// What a project runs in CI: no engine, no image, no network, and the answers of the real thing.
fn the_answers_are_those_of_the_engine(path: &Path) -> Outcome {
    let replay = Replay::open(path)?;
    // Another token: the recording does not have the one it was made with.
    assert_eq!(pending_updates(&replay, IMAGE, &Secret::new("not a token"))?, 2);
    // Everything that was recorded was asked, and nothing else. Without this line, a program that asks less passes.
    replay.finish()?;
    println!("replayed: the same answer");
    Ok(())
}

/// When the program changes, its recording does not fit any more. That is an error which says so, never a made-up answer.
fn a_program_that_asks_something_else_is_told_what_was_expected(path: &Path) -> Outcome {
    let replay = Replay::open(path)?;
    match pending_updates(&replay, "alpine:3.21", &Secret::new("x")) {
        Err(error) => println!("another question: {error}"),
        Ok(count) => return Err(format!("nobody recorded this, and the answer is {count}").into()),
    }
    match replay.finish() {
        Err(error) => println!("at the end: {error}"),
        Ok(()) => return Err("the replay was to find fault".into()),
    }
    Ok(())
}

/// The engine, as far as this recording needs it.
fn engine() -> rt::Result<Arc<dyn ContainerRuntime>> {
    let runtime = NullRuntime::new();
    let updates = "busybox-1.36.1-r30 < 1.36.1-r31\nssl_client-1.36.1-r30 < 1.36.1-r31\n";
    runtime.set_exec("updates-1", ["apk", "list", "--upgradable"], ExecReply::stdout(updates))?;
    Ok(Arc::new(runtime))
}
