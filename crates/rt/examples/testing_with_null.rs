//! Testing your code on the in-memory backend: scripts, recorded calls, faults, and a
//! clock that skips time.
//!
//! `cargo run -p rt --example testing_with_null`. The first half is the code under test,
//! which only knows the contract. The second half is its tests. In a project these are
//! `#[test]` functions, and `rt-null` is a dev-dependency.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt::prelude::*;
use rt::{
    ErrorKind, ExecRequest, ExitOutcome, LaunchSpec, OutputLimit, Readiness, Secret,
    Until,
};

// ----- The code under test: rolls a service out, and removes it if anything goes
// wrong. -----

const READY_WITHIN: Duration = Duration::from_secs(60);
const MIGRATED_WITHIN: Duration = Duration::from_secs(300);

/// Why a service was not rolled out.
#[derive(Debug)]
enum RollOutError {
    /// It did not become ready in time, or ended before.
    NotReady(Readiness),
    /// Its migration failed. Has the outcome and the end of its stderr.
    Migration(ExitOutcome, String),
    /// A call failed.
    Runtime(rt::Error),
}

impl From<rt::Error> for RollOutError {
    fn from(error: rt::Error) -> Self {
        Self::Runtime(error)
    }
}

/// Launches the service, waits until it reports that it is ready, and migrates its
/// database.
fn roll_out(
    runtime: &dyn ContainerRuntime,
    spec: &LaunchSpec,
    database: Secret,
) -> Result<Arc<dyn Container>, RollOutError> {
    let container = runtime.launch(spec, READY_WITHIN)?;
    match make_usable(container.as_ref(), database) {
        Ok(()) => Ok(container),
        Err(error) => {
            // The reason matters more to the caller than a removal that fails too. A
            // reaper can remove the service later.
            let _ = runtime.force_remove(
                &[container.key().name.clone()],
                &Until::after(READY_WITHIN),
            );
            Err(error)
        }
    }
}

fn make_usable(container: &dyn Container, database: Secret) -> Result<(), RollOutError> {
    let mut ready = |line: &str| line.starts_with("listening on");
    match container.stream_initial_logs(
        &mut ready,
        &mut io::sink(),
        &Until::after(READY_WITHIN),
    )? {
        Readiness::Ready(_) => {}
        other => return Err(RollOutError::NotReady(other)),
    }
    let request = ExecRequest::builder(["service", "migrate"])
        .secret_env("DATABASE_URL", database)
        .output_limit(OutputLimit::head_and_tail(0, 32))
        .build()?;
    // Never sent twice: a migration that was interrupted may have done half of its work.
    let result = container.exec(&request, &Until::after(MIGRATED_WITHIN))?;
    if result.success() {
        Ok(())
    } else {
        Err(RollOutError::Migration(
            result.outcome,
            String::from_utf8_lossy(result.stderr.tail()).into_owned(),
        ))
    }
}

// ----- Its tests. -----

use rt_null::{ExecReply, Fault, LogScript, NullRuntime, Operation, Scope, When};

type Outcome = Result<(), Box<dyn std::error::Error>>;
type Test = fn() -> Outcome;

const TESTS: &[(&str, Test)] = &[
    (
        "a_ready_service_is_migrated_once_with_its_secret",
        a_ready_service_is_migrated_once_with_its_secret,
    ),
    (
        "a_failed_migration_takes_the_service_back",
        a_failed_migration_takes_the_service_back,
    ),
    (
        "a_service_that_is_late_costs_the_test_no_time",
        a_service_that_is_late_costs_the_test_no_time,
    ),
    (
        "a_migration_that_is_lost_is_not_sent_again",
        a_migration_that_is_lost_is_not_sent_again,
    ),
    ("a_start_that_fails_leaves_nothing", a_start_that_fails_leaves_nothing),
];

pub(crate) fn main() -> Outcome {
    for (name, test) in TESTS {
        test()?;
        println!("{name}: ok");
    }
    Ok(())
}

fn a_ready_service_is_migrated_once_with_its_secret() -> Outcome {
    // The test keeps one clone and passes on another. Clones share everything.
    let runtime = service_that_is_ready_after(Duration::from_secs(5))?;
    let container =
        roll_out(&runtime, &spec()?, Secret::new("postgres://app:hunter2@db"))
            .map_err(explain)?;
    assert!(container.running(READY_WITHIN)?);

    let calls = runtime.exec_calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].argv().words(), ["service", "migrate"]);
    let url =
        calls[0].env().get("DATABASE_URL").ok_or("the migration got no database")?;
    assert!(url.is_secret() && url.expose() == "postgres://app:hunter2@db");
    // All recorded calls have a common order, whatever their kind.
    assert!(runtime.start_calls()[0].order < calls[0].order);
    Ok(())
}

fn a_failed_migration_takes_the_service_back() -> Outcome {
    let runtime = service_that_is_ready_after(Duration::from_secs(5))?;
    let failure = ExecReply::code(2)
        .with_stderr("line 1 of many\n".repeat(100) + "ERROR: relation exists\n");
    runtime.set_exec("web-1", ["service", "migrate"], failure)?;

    match roll_out(&runtime, &spec()?, Secret::new("x")) {
        Err(RollOutError::Migration(ExitOutcome::Code(2), text)) => {
            assert!(text.ends_with("ERROR: relation exists\n"));
        }
        other => return Err(format!("the migration was to fail: {other:?}").into()),
    }
    assert_eq!(runtime.container(spec()?.name()).state(READY_WITHIN)?, None);
    Ok(())
}

fn a_service_that_is_late_costs_the_test_no_time() -> Outcome {
    let begun = Instant::now();
    let runtime = service_that_is_ready_after(Duration::from_secs(90))?;
    let answer = roll_out(&runtime, &spec()?, Secret::new("x"));
    assert!(
        matches!(answer, Err(RollOutError::NotReady(Readiness::TimedOut))),
        "{answer:?}"
    );
    assert!(runtime.exec_calls().is_empty());
    // A minute has passed on the clock of the runtime, and no real time.
    assert!(
        runtime.clock().elapsed() >= READY_WITHIN && begun.elapsed() < READY_WITHIN / 2
    );
    Ok(())
}

fn a_migration_that_is_lost_is_not_sent_again() -> Outcome {
    let runtime = service_that_is_ready_after(Duration::from_secs(5))?;
    // The connection breaks during the next command. Real engines do this once a month; a
    // fault does it on demand.
    runtime.inject(
        Operation::Exec,
        Scope::container("web-1")?,
        When::Next,
        Fault::disconnect_after(0),
    );
    let answer = roll_out(&runtime, &spec()?, Secret::new("x"));
    assert!(
        matches!(answer, Err(RollOutError::Migration(ExitOutcome::Lost, _))),
        "{answer:?}"
    );
    assert_eq!(runtime.exec_calls().len(), 1);
    Ok(())
}

fn a_start_that_fails_leaves_nothing() -> Outcome {
    let runtime = service_that_is_ready_after(Duration::from_secs(5))?;
    runtime.inject(
        Operation::Start,
        Scope::all(),
        When::Next,
        Fault::refused(ErrorKind::PortInUse, "port 8080"),
    );
    let answer = roll_out(&runtime, &spec()?, Secret::new("x"));
    assert!(
        matches!(
            &answer,
            Err(RollOutError::Runtime(error)) if error.kind() == ErrorKind::PortInUse
        ),
        "{answer:?}"
    );
    assert_eq!((runtime.create_calls().len(), runtime.remove_calls().len()), (1, 1));
    assert!(runtime.container(spec()?.name()).inspect(&READY_WITHIN.into())?.is_none());
    Ok(())
}

/// Returns a runtime in which the service logs after `delay` that it is ready. Commands
/// succeed unless scripted.
fn service_that_is_ready_after(delay: Duration) -> rt::Result<NullRuntime> {
    let runtime = NullRuntime::new();
    runtime.set_logs(
        "web-1",
        LogScript::new().line("starting").delay(delay).line("listening on 0.0.0.0:8080"),
    )?;
    Ok(runtime)
}

fn spec() -> rt::Result<LaunchSpec> {
    LaunchSpec::builder("web-1", "registry.example.org/service:1.4").build()
}

fn explain(error: RollOutError) -> String {
    format!("the roll-out failed: {error:?}")
}
