//! A sandbox service on tokio: 20 sandboxes at once, their lines while they run, a client
//! that leaves, SIGINT, and a clean-up by prefix.
//!
//! `cargo run -p rt --features tokio --example async_sandboxes`. What you copy is
//! [`serve`] and what it calls.

use std::sync::Arc;
use std::time::Duration;

use rt::prelude::*;
use rt::tokio::{AsyncContainer, AsyncRuntime, Orphan};
use rt::{
    CancelToken, ErrorKind, ExecRequest, LaunchSpec, NamePrefix, Network, SpawnStdio,
};
use rt_null::{ArgvPattern, NullRuntime, Scope};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinSet;

/// Each sandbox has this name, a dash, and its number.
const FAMILY: &str = "sandbox";
const SANDBOXES: usize = 20;
/// How long the code of a client may run.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// How long the engine may take.
const ENGINE_LIMIT: Duration = Duration::from_secs(60);

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn main() -> Result<(), Failure> {
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    executor.block_on(serve(Arc::new(rehearsal())))
}

async fn serve(runtime: Arc<dyn ContainerRuntime>) -> Result<(), Failure> {
    let runtime = AsyncRuntime::builder(runtime).at_once(64).on_orphan(log).build();
    let family = NamePrefix::new(FAMILY)?;
    // What an earlier run has left that was killed.
    remove_all(&runtime, &family).await?;
    let served = tokio::select! {
        served = serve_clients(&runtime) => served,
        // SIGINT. Dropping the sessions ends what they run.
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Failure::from),
    };
    runtime.idle().await;
    remove_all(&runtime, &family).await?;
    println!("{}", runtime.load());
    served
}

/// Serves all clients at once. Dropping it ends all sessions.
async fn serve_clients(runtime: &AsyncRuntime) -> Result<(), Failure> {
    let mut sessions = JoinSet::new();
    for number in 0..SANDBOXES {
        sessions.spawn(session(runtime.clone(), number));
    }
    while let Some(session) = sessions.join_next().await {
        session??;
    }
    Ok(())
}

async fn session(runtime: AsyncRuntime, number: usize) -> Result<(), Failure> {
    let spec = LaunchSpec::builder(
        format!("{FAMILY}-{number}"),
        "docker.io/library/python:3-slim",
    )
    .command(["sleep", "3600"])
    .network(Network::None)
    .memory(256 << 20)
    .pids_limit(64)
    .build()?;
    let sandbox = runtime.launch(&spec, ENGINE_LIMIT).await?;

    // Every fifth client leaves early. Another task cancels its command.
    let leaves = CancelToken::new();
    let watcher = leaves.clone();
    let client = tokio::spawn(async move {
        if number % 5 == 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            watcher.cancel();
        }
    });
    let code = if number % 5 == 4 { "while True: pass" } else { "print(6 * 7)" };
    let ran = run(&sandbox, code, &leaves).await;
    client.await?;
    match ran {
        Ok(()) => Ok(sandbox.remove(ENGINE_LIMIT).await?),
        Err(failure) => match failure.downcast::<rt::Error>() {
            Ok(error) if error.kind() == ErrorKind::Cancelled => {
                println!("{}: its client has left", sandbox.name());
                Ok(())
            }
            Ok(error) => Err(error),
            Err(failure) => Err(failure),
        },
    }
}

/// Runs code, and passes its lines on while it runs.
async fn run(
    sandbox: &AsyncContainer,
    code: &str,
    stop: &CancelToken,
) -> Result<(), Failure> {
    let request = ExecRequest::new(["python3", "-"])?;
    let stdio = SpawnStdio::new().piped_stdin().stderr(rt::Sink::discard());
    let mut python = sandbox.spawn(&request, stdio, ENGINE_LIMIT).await?;
    if let Some(mut stdin) = python.stdin.take() {
        stdin.write_all(code.as_bytes()).await?;
    }
    let until = rt::Until::after(TIME_LIMIT).or_cancelled(stop);
    let stdout = python.stdout.take().expect("it is piped");
    let lines = tokio::spawn(print_lines(sandbox.name().clone(), stdout));
    // If this ends early, by the limit or the client, dropping the command ends it.
    python.wait(until).await?.exit_ok()?;
    lines.await??;
    Ok(())
}

async fn print_lines(
    name: rt::ContainerName,
    output: impl tokio::io::AsyncRead + Unpin,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        println!("{name}: {line}");
    }
    Ok(())
}

async fn remove_all(runtime: &AsyncRuntime, family: &NamePrefix) -> Result<(), Failure> {
    for removed in runtime.remove_family(family, ENGINE_LIMIT).await? {
        removed.error.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// The caller of the command is gone, but a program should know what is left of it.
fn log(orphan: Orphan) {
    println!("{orphan}");
}

/// A runtime that plays the interpreter, in place of podman.
fn rehearsal() -> NullRuntime {
    use std::io::Read;
    let runtime = NullRuntime::new();
    let python = ArgvPattern::program("python3");
    runtime.on_stdio(Scope::all(), python, |_, peer| {
        let mut code = String::new();
        peer.read_to_string(&mut code)?;
        if code.starts_with("while") {
            return peer.hang();
        }
        peer.write_stdout(b"42\n")?;
        Ok(rt::ExitOutcome::Code(0))
    });
    runtime
}
