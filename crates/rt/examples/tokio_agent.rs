//! The contract from async code: a blocking pool, and a token that ends the command when its future
//! is dropped.
//!
//! `cargo run -p rt --example tokio_agent`. The recipe is [`AsyncContainer::exec`]. Other executors
//! only have another name for `spawn_blocking`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rt::prelude::*;
use rt::{CancelToken, ErrorKind, ExecRequest, ExecResult, LaunchSpec, Result, Until};
use rt_null::{ExecReply, NullRuntime};

pub(crate) fn main() -> Result<()> {
    // One thread is enough for the futures. Blocking calls have threads of their own.
    let executor = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|cause| {
        rt::Error::new(ErrorKind::System, "start", "").with_subject("the executor").with_source(cause)
    })?;
    let spec = LaunchSpec::builder("agent-1", "localhost/toolbox").command(["sleep", "inf"]).build()?;
    let handle = rehearsal()?.launch(&spec, Until::after(Duration::from_secs(60)))?;
    executor.block_on(agent(handle))
}

async fn agent(handle: Arc<dyn Container>) -> Result<()> {
    let (container, orphans) = AsyncContainer::new(handle);
    let minute = Duration::from_secs(60);

    println!("1. one command, awaited");
    let result = container.exec(ExecRequest::new(["cargo", "build"])?, minute).await?;
    println!("   {}: {:?}", result.outcome, result.stdout.text());

    println!("2. two commands at once");
    let first = tokio::spawn(container.exec(ExecRequest::new(["make", "lint"])?, minute));
    let second = tokio::spawn(container.exec(ExecRequest::new(["make", "docs"])?, minute));
    for task in [first, second] {
        let result = task.await.map_err(|cause| unanswered(&cause))??;
        println!("   {}: {:?}", result.outcome, result.stdout.text());
    }

    println!("3. a command whose caller is gone");
    let begun = Instant::now();
    let watch = container.exec(ExecRequest::new(["npm", "run", "watch"])?, Duration::from_secs(3600));
    // A timeout drops the future here. `select!`, `abort` or a closed connection drop it in the
    // same way.
    if tokio::time::timeout(Duration::from_millis(50), watch).await.is_ok() {
        return Err(rt::Error::new(ErrorKind::InvalidResponse, "watch", "a watcher has ended by itself"));
    }
    // Waits in the pool, since the thread of the futures must not block.
    let orphan = tokio::task::spawn_blocking(move || next_orphan(&orphans))
        .await
        .map_err(|cause| unanswered(&cause))??;
    println!("   dropped, and ended {:.0?} after its start: {orphan}", begun.elapsed());
    println!("   what is left of it: {:?}", orphan.kill_report().map(|report| &report.outcome));
    Ok(())
}

/// A container for async callers. Clones refer to the same container.
#[derive(Clone, Debug)]
struct AsyncContainer {
    container: Arc<dyn Container>,
    orphans: Sender<rt::Error>,
}

impl AsyncContainer {
    /// Returns the container, and a channel for the ends of commands whose futures were dropped.
    /// Their callers are gone, but a program should know the outcome.
    fn new(container: Arc<dyn Container>) -> (Self, Receiver<rt::Error>) {
        let (orphans, receiver) = channel();
        (Self { container, orphans }, receiver)
    }

    /// Runs a command, at most for `limit` from now. Dropping the future ends the command.
    fn exec(
        &self,
        request: ExecRequest,
        limit: Duration,
    ) -> impl Future<Output = Result<ExecResult>> + Send + use<> {
        let Self { container, orphans } = self.clone();
        let token = CancelToken::new();
        // The deadline begins here, so that it includes the wait for a thread of the pool.
        let until = Until::after(limit).or_cancelled(&token);
        // The guard is part of the future, the call runs in the pool. Dropping the future drops the
        // guard, which wakes the call. With `spawn_blocking` alone, the command would continue
        // unnoticed.
        let guard = token.cancel_on_drop();
        async move {
            let call = tokio::task::spawn_blocking(move || {
                let answer = container.exec(&request, &until);
                if let Err(error) = &answer
                    && error.kind() == ErrorKind::Cancelled
                {
                    // Only this place still gets the result. A program would log the kill report,
                    // and check the container if processes are left.
                    let _ = orphans.send(error.clone());
                }
                answer
            });
            let answer = call.await.map_err(|cause| unanswered(&cause))?;
            // From here on there is nothing to end.
            guard.disarm();
            answer
        }
    }
}

fn next_orphan(orphans: &Receiver<rt::Error>) -> Result<rt::Error> {
    orphans.recv_timeout(Duration::from_secs(10)).map_err(|cause| {
        rt::Error::new(ErrorKind::TimedOut, "wait for the end of the command", "").with_source(cause)
    })
}

/// The error for a task that panicked, or an executor that is shutting down.
fn unanswered(cause: &tokio::task::JoinError) -> rt::Error {
    rt::Error::new(ErrorKind::System, "exec in the blocking pool", cause.to_string())
}

/// The answers of the commands in memory.
fn rehearsal() -> Result<NullRuntime> {
    let runtime = NullRuntime::new();
    runtime.set_exec("agent-1", ["cargo", "build"], ExecReply::stdout("Finished in 2.1 s\n"))?;
    runtime.set_exec("agent-1", ["make", "lint"], ExecReply::stdout("no warnings\n"))?;
    runtime.set_exec("agent-1", ["make", "docs"], ExecReply::stdout("42 pages\n"))?;
    // Runs until it is ended. This call has a token, so it really waits for its cancel.
    runtime.set_exec("agent-1", ["npm", "run", "watch"], ExecReply::hang().with_stdout("watching\n"))?;
    Ok(runtime)
}
