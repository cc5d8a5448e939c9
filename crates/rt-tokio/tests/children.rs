//! Commands that run while the task does other things.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::future::poll_fn;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use rt_null::{ArgvPattern, LogScript, NullRuntime, Scope, StdioScript};
use rt_protocol::{
    ContainerName, ContainerState, ErrorKind, ExecRequest, ExitOutcome, KillOutcome, LogOptions, Signal,
    SpawnStdio,
};
use rt_tokio::{AsyncContainer, AsyncRuntime, Child};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::{FramedRead, LinesCodec};

const LIMIT: Duration = Duration::from_secs(60);

fn null() -> NullRuntime {
    let null = NullRuntime::new();
    null.set_state("job", ContainerState::Running).unwrap();
    null.on_stdio(Scope::all(), ArgvPattern::program("hang"), |_, peer| {
        peer.write_stdout(b"begun\n")?;
        peer.hang()
    });
    let echo = StdioScript::new().read("ping\n").write("pong\n").read_end().write_stderr("bye\n").exit(7);
    null.set_stdio("job", ["echo"], echo).unwrap();
    null
}

fn job(runtime: &AsyncRuntime) -> AsyncContainer {
    runtime.container(&ContainerName::new("job").unwrap())
}

async fn spawn(runtime: &AsyncRuntime, word: &str) -> Child {
    let request = ExecRequest::new([word]).unwrap();
    job(runtime).spawn(&request, SpawnStdio::new().piped_stdin(), LIMIT).await.unwrap()
}

/// A command that never ends, and has begun: one that has not is not killed, but never started.
async fn hanging(runtime: &AsyncRuntime) -> Child {
    begun(runtime, "hang").await
}

async fn begun(runtime: &AsyncRuntime, word: &str) -> Child {
    let mut child = spawn(runtime, word).await;
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).await.unwrap();
    child
}

#[tokio::test]
async fn a_conversation_and_the_end() {
    let runtime = AsyncRuntime::new(Arc::new(null()));
    let mut child = spawn(&runtime, "echo").await;
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(b"ping\n").await.unwrap();
    let mut answer = [0; 5];
    stdout.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"pong\n");
    assert_eq!(child.try_wait().unwrap(), None);
    let early = child.wait(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::TimedOut);
    assert!(early.kill_report().is_none());
    drop(stdin);
    let mut rest = String::new();
    child.stderr.take().unwrap().read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye\n");
    let result = child.wait(LIMIT).await.unwrap();
    assert_eq!(result.outcome, ExitOutcome::Code(7));
    assert_eq!(child.wait(LIMIT).await.unwrap(), result);
    assert_eq!(child.try_wait().unwrap(), Some(result));
}

#[tokio::test]
async fn waiting_may_be_given_up_and_begun_again() {
    let runtime = AsyncRuntime::new(Arc::new(null()));
    let mut child = hanging(&runtime).await;
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(5), child.wait(LIMIT)).await.is_err());
    }
    let report = child.kill().await.unwrap();
    assert_eq!(report.outcome, KillOutcome::Gone);
    let error = child.wait(LIMIT).await.unwrap_err();
    assert_eq!((error.kind(), error.kill_report()), (ErrorKind::Cancelled, Some(&report)));
}

#[tokio::test]
async fn a_kill_that_was_given_up_goes_on() {
    let runtime = AsyncRuntime::new(Arc::new(null()));
    let mut child = hanging(&runtime).await;
    {
        let mut kill = Box::pin(child.kill());
        // It may be done already.
        let _ = poll_fn(|cx| Poll::Ready(kill.as_mut().poll(cx).is_pending())).await;
    }
    assert_eq!(child.wait(LIMIT).await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(child.kill().await.unwrap().outcome, KillOutcome::Gone);
}

#[tokio::test]
async fn a_signal_reaches_the_command() {
    let runtime = AsyncRuntime::new(Arc::new(null()));
    let mut child = hanging(&runtime).await;
    child.signal(Signal::KILL).await.unwrap();
    assert_eq!(child.wait(LIMIT).await.unwrap().outcome, ExitOutcome::Signal("KILL".into()));
}

#[tokio::test]
async fn a_resize_without_a_terminal_is_refused() {
    let runtime = AsyncRuntime::new(Arc::new(null()));
    let mut child = hanging(&runtime).await;
    let error = child.resize(rt_protocol::TerminalSize::new(24, 80).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn hundreds_that_are_dropped_are_ended_and_reported() {
    const COMMANDS: usize = 200;
    let (sender, orphans) = channel();
    let sender = Mutex::new(sender);
    let runtime = AsyncRuntime::builder(Arc::new(null()))
        .at_once(4)
        .on_orphan(move |orphan| sender.lock().unwrap().send(orphan).unwrap())
        .build();
    let mut children = Vec::new();
    for _ in 0..COMMANDS {
        children.push(hanging(&runtime).await);
    }
    // A running command keeps no place.
    assert_eq!(runtime.load().running, 0);
    drop(children);
    runtime.idle().await;
    let gone = |orphan: &rt_tokio::Orphan| orphan.kill_report().unwrap().outcome == KillOutcome::Gone;
    assert_eq!(orphans.try_iter().filter(gone).count(), COMMANDS);
}

#[tokio::test]
async fn one_that_has_ended_is_no_orphan() {
    let (sender, orphans) = channel();
    let sender = Mutex::new(sender);
    let runtime = AsyncRuntime::builder(Arc::new(null()))
        .on_orphan(move |orphan| sender.lock().unwrap().send(orphan).unwrap())
        .build();
    let mut child = spawn(&runtime, "echo").await;
    child.stdin.take().unwrap().write_all(b"ping\n").await.unwrap();
    assert!(child.wait(LIMIT).await.is_ok());
    drop(child);
    runtime.idle().await;
    assert!(orphans.try_recv().is_err());
}

#[tokio::test]
async fn one_that_is_dropped_never_sees_the_end_of_its_stdin() {
    const COMMANDS: usize = 50;
    let (seen, ends) = channel();
    let seen = Mutex::new(seen);
    let null = null();
    null.on_stdio(Scope::all(), ArgvPattern::program("commit"), move |_, peer| {
        peer.write_stdout(b"begun\n")?;
        let read = std::io::Read::read_to_end(peer, &mut Vec::new());
        seen.lock().unwrap().send(read.is_ok()).unwrap();
        read.map(|_| ExitOutcome::Code(0))
    });
    let runtime = AsyncRuntime::new(Arc::new(null));
    let mut children = Vec::new();
    for _ in 0..COMMANDS {
        let mut child = begun(&runtime, "commit").await;
        child.stdin.as_mut().unwrap().write_all(b"half of it").await.unwrap();
        children.push(child);
    }
    drop(children);
    runtime.idle().await;
    assert_eq!(ends.try_iter().collect::<Vec<_>>(), [false; COMMANDS]);
}

#[tokio::test]
async fn codecs_and_adapters_of_other_crates_take_its_streams() {
    let null = null();
    null.set_stdio("job", ["make"], StdioScript::new().write("cc\nld\n").exit(0)).unwrap();
    null.set_logs("job", LogScript::new().line("one").line("two")).unwrap();
    let runtime = AsyncRuntime::new(Arc::new(null));
    let mut child = spawn(&runtime, "make").await;
    let lines = FramedRead::new(child.stdout.take().unwrap(), LinesCodec::new());
    assert_eq!(lines.map(Result::unwrap).collect::<Vec<_>>().await, ["cc", "ld"]);
    assert!(child.wait(LIMIT).await.unwrap().success());
    let log = job(&runtime).logs(&LogOptions::new(), LIMIT).await.unwrap();
    let texts = log.map(|line| line.unwrap().text().into_owned());
    assert_eq!(texts.collect::<Vec<_>>().await, ["one", "two"]);
}

#[tokio::test]
async fn idle_does_not_wait_for_a_command_that_runs() {
    let runtime = AsyncRuntime::new(Arc::new(null()));
    let mut child = hanging(&runtime).await;
    let waiting = tokio::spawn(async move { child.wait(LIMIT).await });
    while runtime.load().held == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(LIMIT / 4, runtime.idle()).await.unwrap();
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    runtime.idle().await;
    // Now no task waits for a deadline.
    assert_eq!(runtime.load().threads, 0);
}
