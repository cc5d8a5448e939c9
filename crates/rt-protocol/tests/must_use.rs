//! An unused result is a warning: each function drops one, and expects the lint. The test is that
//! this compiles, since an expectation without a warning is an error.

#![deny(unfulfilled_lint_expectations)]

use std::time::Duration;

use rt_protocol::{
    Container, ContainerRuntime, ContainerRuntimeExt, ExecRequest, ExecStdio, ExitOutcome, Image,
    KillOutcome, KillReport, LogLine, PullStream, Result, Until,
};

#[expect(unused_must_use, reason = "a failed command is no error of `exec`")]
fn exec(container: &dyn Container, request: &ExecRequest) -> Result<()> {
    container.exec(request, &Until::forever())?;
    Ok(())
}

#[expect(unused_must_use, reason = "nor of `exec_in`")]
fn exec_in(runtime: &dyn ContainerRuntime) -> Result<()> {
    runtime.exec_in("job", ["false"], Until::forever())?;
    Ok(())
}

#[expect(unused_must_use, reason = "nor of `exec_stdio`")]
fn exec_stdio(container: &dyn Container, request: &ExecRequest, stdio: ExecStdio<'_>) -> Result<()> {
    container.exec_stdio(request, stdio, &Until::forever())?;
    Ok(())
}

#[expect(unused_must_use, reason = "a container that failed is no error of `wait`")]
fn wait(container: &dyn Container) -> Result<()> {
    container.wait(&Until::forever())?;
    Ok(())
}

#[expect(unused_must_use, reason = "a log that ended without the sign is no error")]
fn stream_initial_logs(container: &dyn Container) -> Result<()> {
    container.stream_initial_logs(&mut |_| false, &mut std::io::sink(), &Until::forever())?;
    Ok(())
}

#[expect(unused_must_use, reason = "a container that is still there is no error of the call")]
fn force_remove(runtime: &dyn ContainerRuntime) {
    runtime.force_remove(&[], &Until::forever());
}

#[expect(unused_must_use, reason = "the same, on a concrete runtime")]
fn force_remove_of_a_backend(runtime: &rt_null::NullRuntime) {
    runtime.force_remove(&[], &Until::forever());
}

#[expect(unused_must_use, reason = "a refusal is no error")]
fn remove_image(image: &dyn Image) -> Result<()> {
    image.remove(&Until::forever())?;
    Ok(())
}

#[expect(unused_must_use, reason = "the line is gone from the stream")]
fn pull(log: &mut dyn PullStream<LogLine>) -> Result<()> {
    log.pull(&Until::forever())?;
    Ok(())
}

#[expect(unused_must_use, reason = "the port is free again at once")]
fn reserve_port(runtime: &dyn ContainerRuntime) -> Result<()> {
    runtime.reserve_port(std::net::Ipv4Addr::LOCALHOST.into())?;
    Ok(())
}

#[expect(unused_must_use, reason = "it says whether the command is gone")]
fn kill_report() {
    fn end() -> KillReport {
        KillReport::new(KillOutcome::Gone, 1, Vec::new(), Duration::ZERO)
    }
    end();
}

#[expect(unused_must_use, reason = "an outcome may be a failure")]
fn outcome() {
    fn end() -> ExitOutcome {
        ExitOutcome::Lost
    }
    end();
}

/// The way that is meant, without a warning.
#[deny(unused_must_use)]
fn checked(container: &dyn Container, request: &ExecRequest, stdio: ExecStdio<'_>) -> Result<()> {
    container.exec(request, &Until::forever())?.exit_ok()?;
    container.exec_stdio(request, stdio, &Until::forever())?.exit_ok()?;
    container.wait(&Until::forever())?.exit_ok()
}

#[test]
fn results_that_can_hide_a_failure_are_must_use() {
    // Named, so that none of them is dead code.
    let _ =
        (exec as fn(_, _) -> _, exec_in as fn(_) -> _, exec_stdio as fn(_, _, _) -> _, wait as fn(_) -> _);
    let _ = (stream_initial_logs as fn(_) -> _, remove_image as fn(_) -> _, pull as fn(_) -> _);
    let _ = (force_remove as fn(_), force_remove_of_a_backend as fn(_), reserve_port as fn(_) -> _);
    let _ = checked as fn(_, _, _) -> _;
    kill_report();
    outcome();
}
