//! Calls as futures: how many at once, what waits, and what a dropped one leaves.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use rt_null::{ArgvPattern, ExecReply, Fault, ImageFixture, LogScript, NullRuntime, Operation, Scope, When};
use rt_protocol::{
    CancelToken, ContainerName, ContainerState, ErrorKind, EventOptions, ExecRequest, ImageRef, KillOutcome,
    LaunchSpec, LogOptions, PullOptions, SpawnStdio, Until,
};
use rt_tokio::{AsyncContainer, AsyncRuntime, AsyncRuntimeBuilder, Orphan};
use tokio::io::AsyncReadExt;

const LIMIT: Duration = Duration::from_secs(60);

/// A running container whose command `hang` never ends.
fn null() -> NullRuntime {
    let null = NullRuntime::new();
    null.set_state("job", ContainerState::Running).unwrap();
    null.set_exec("job", ["hang"], ExecReply::hang()).unwrap();
    null.on_stdio(Scope::all(), ArgvPattern::program("hang"), |_, peer| {
        peer.write_stdout(b"begun\n")?;
        peer.hang()
    });
    null
}

fn request(word: &str) -> ExecRequest {
    ExecRequest::new([word]).unwrap()
}

fn job(runtime: &AsyncRuntime) -> AsyncContainer {
    runtime.container(&ContainerName::new("job").unwrap())
}

/// A runtime that tells of its orphans.
fn watched(set: impl FnOnce(AsyncRuntimeBuilder) -> AsyncRuntimeBuilder) -> (AsyncRuntime, Receiver<Orphan>) {
    watched_on(null(), set)
}

fn watched_on(
    null: NullRuntime,
    set: impl FnOnce(AsyncRuntimeBuilder) -> AsyncRuntimeBuilder,
) -> (AsyncRuntime, Receiver<Orphan>) {
    let (sender, orphans) = channel();
    let sender = Mutex::new(sender);
    let builder = set(AsyncRuntime::builder(Arc::new(null)));
    let builder = builder.on_orphan(move |orphan| sender.lock().unwrap().send(orphan).unwrap());
    (builder.build(), orphans)
}

async fn until_running(runtime: &AsyncRuntime, count: usize) {
    while runtime.load().running < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until so many commands have begun. One that has not is not killed, but never started.
async fn until_called(null: &NullRuntime, count: usize) {
    while null.exec_calls().len() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_call_answers_as_its_twin_does() {
    let null = null();
    null.set_exec("job", ["date"], ExecReply::stdout("today\n")).unwrap();
    let runtime = AsyncRuntime::new(Arc::new(null));
    let output = runtime.exec_in("job", ["date"], LIMIT).await.unwrap().exit_ok().unwrap();
    assert_eq!(output.stdout, "today\n");
    let missing = runtime.exec_in("other", ["date"], LIMIT).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoSuchContainer);
    assert_eq!(runtime.exec_in("-", ["date"], LIMIT).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    let other = runtime.launch(&LaunchSpec::builder("other", "image").build().unwrap(), LIMIT).await.unwrap();
    assert_eq!(other.state(LIMIT).await.unwrap(), Some(ContainerState::Running));
    assert!(runtime.force_remove(&[other.name().clone()], LIMIT).await[0].removed);
}

#[tokio::test]
async fn a_call_that_was_not_polled_has_not_begun() {
    let null = null();
    let runtime = AsyncRuntime::new(Arc::new(null.clone()));
    drop(job(&runtime).exec(&request("true"), LIMIT));
    runtime.idle().await;
    assert!(null.exec_calls().is_empty());
}

#[tokio::test]
async fn a_dropped_call_is_ended_and_reported() {
    let null = null();
    let (runtime, orphans) = watched_on(null.clone(), |builder| builder);
    let mut call = job(&runtime).exec(&request("hang"), LIMIT);
    tokio::select! {
        answer = &mut call => panic!("{answer:?}"),
        () = until_called(&null, 1) => {}
    }
    assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
    runtime.idle().await;
    let orphan = orphans.try_recv().unwrap();
    assert_eq!(orphan.container.as_ref().unwrap().as_str(), "job");
    assert_eq!(orphan.kill_report().unwrap().outcome, KillOutcome::Gone, "{orphan}");
    assert!(orphans.try_recv().is_err());
}

#[tokio::test]
async fn select_and_abort_end_a_call_too() {
    let (runtime, orphans) = watched(|builder| builder);
    tokio::select! {
        answer = job(&runtime).exec(&request("hang"), LIMIT) => panic!("{answer:?}"),
        () = until_running(&runtime, 1) => {}
    }
    runtime.idle().await;
    let task = tokio::spawn(job(&runtime).exec(&request("hang"), LIMIT));
    until_running(&runtime, 1).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    runtime.idle().await;
    assert_eq!(orphans.try_iter().count(), 2);
}

#[test]
fn a_runtime_that_shuts_down_ends_its_calls() {
    let (runtime, orphans) = watched(|builder| builder);
    let executor =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    executor.spawn(job(&runtime).exec(&request("hang"), LIMIT));
    executor.block_on(until_running(&runtime, 1));
    drop(executor);
    // Dropping the last handle waits for the end.
    drop(runtime);
    assert_eq!(orphans.try_iter().count(), 1);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_reported() {
    let null = null();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    null.on_exec(Scope::all(), ArgvPattern::program("late"), move |_| {
        released.lock().unwrap().recv().unwrap();
        ExecReply::success()
    });
    let (sender, orphans) = channel();
    let sender = Mutex::new(sender);
    let runtime = AsyncRuntime::builder(Arc::new(null))
        .on_orphan(move |orphan| sender.lock().unwrap().send(orphan).unwrap())
        .build();
    let mut call = job(&runtime).exec(&request("late"), LIMIT);
    assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut call).poll(cx).is_pending())).await);
    release.send(()).unwrap();
    runtime.idle().await;
    assert!(orphans.try_recv().is_err());
    drop(call);
    let orphan = orphans.try_recv().unwrap();
    assert!(orphan.result.is_ok(), "{orphan}");
}

#[tokio::test]
async fn the_programs_own_token_cancels_a_call() {
    let null = null();
    let (runtime, orphans) = watched_on(null.clone(), |builder| builder);
    let token = CancelToken::new();
    let task = tokio::spawn(job(&runtime).exec(&request("hang"), Until::cancelled(&token)));
    until_called(&null, 1).await;
    token.cancel();
    let error = task.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.kill_report().unwrap().outcome, KillOutcome::Gone);
    // Its caller has the answer.
    assert!(orphans.try_recv().is_err());
}

#[tokio::test]
async fn what_waits_is_seen_and_has_its_deadline() {
    let (runtime, orphans) = watched(|builder| builder.at_once(2));
    let busy: Vec<_> = (0..2).map(|_| tokio::spawn(job(&runtime).exec(&request("hang"), LIMIT))).collect();
    until_running(&runtime, 2).await;

    let begun = Instant::now();
    let soon = Until::after(Duration::from_millis(30));
    let error = job(&runtime).exec(&request("true"), soon).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.never_started(), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(30));

    let token = CancelToken::new();
    let waiting = tokio::spawn(job(&runtime).inspect(Until::cancelled(&token)));
    let dropped = tokio::spawn(job(&runtime).inspect(LIMIT));
    let kept = tokio::spawn(job(&runtime).inspect(LIMIT));
    while runtime.load().waiting < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!((runtime.load().running, runtime.load().at_once), (2, 2));
    token.cancel();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    assert_eq!(runtime.load().waiting, 1);

    busy.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(kept.await.unwrap().unwrap().is_some());
    runtime.idle().await;
    // What had not begun is no orphan.
    assert_eq!(orphans.try_iter().count(), 2);
    assert_eq!(runtime.load().threads, 0);
}

#[tokio::test]
async fn a_dropped_call_keeps_its_place_until_it_has_returned() {
    let null = null();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    null.on_exec(Scope::all(), ArgvPattern::program("stubborn"), move |_| {
        let _ = released.lock().unwrap().recv();
        ExecReply::success()
    });
    let runtime = AsyncRuntime::builder(Arc::new(null.clone())).at_once(1).build();
    let task = tokio::spawn(job(&runtime).exec(&request("stubborn"), LIMIT));
    until_called(&null, 1).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let next = job(&runtime).state(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!((next.kind(), runtime.load().running), (ErrorKind::TimedOut, 1));
    release.send(()).unwrap();
    assert!(job(&runtime).running(LIMIT).await.unwrap());
}

#[tokio::test]
async fn calls_at_once_have_so_many_threads_and_no_more() {
    const AT_ONCE: usize = 8;
    let null = null();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
    null.on_exec(Scope::all(), ArgvPattern::program("count"), move |_| {
        highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(1));
        counted.fetch_sub(1, Ordering::SeqCst);
        ExecReply::success()
    });
    let runtime = AsyncRuntime::builder(Arc::new(null)).at_once(AT_ONCE).build();
    let tasks: Vec<_> =
        (0..200).map(|_| tokio::spawn(job(&runtime).exec(&request("count"), LIMIT))).collect();
    for task in tasks {
        assert!(task.await.unwrap().unwrap().success());
        assert!(runtime.load().threads <= AT_ONCE + 1, "{}", runtime.load());
    }
    assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn two_thousand_commands_at_once_are_all_done() {
    const COMMANDS: usize = 2000;
    let null = null();
    let all_there = Arc::new(std::sync::Barrier::new(COMMANDS));
    null.on_exec(Scope::all(), ArgvPattern::program("meet"), move |_| {
        all_there.wait();
        ExecReply::success()
    });
    let runtime = AsyncRuntime::builder(Arc::new(null)).at_once(COMMANDS).build();
    let tasks: Vec<_> =
        (0..COMMANDS).map(|_| tokio::spawn(job(&runtime).exec(&request("meet"), LIMIT))).collect();
    for task in tasks {
        assert!(task.await.unwrap().unwrap().success());
    }
    runtime.idle().await;
    assert_eq!(runtime.load().threads, 0);
}

#[tokio::test]
async fn a_panic_of_a_backend_is_one_of_its_caller_alone() {
    let null = null();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    null.on_exec(Scope::all(), ArgvPattern::program("panic"), move |_| {
        let _ = released.lock().unwrap().recv();
        panic!("as the test asked")
    });
    let (sender, orphans) = channel();
    let sender = Mutex::new(sender);
    let runtime = AsyncRuntime::builder(Arc::new(null.clone()))
        .at_once(1)
        .on_orphan(move |orphan| {
            sender.lock().unwrap().send(orphan.to_string()).unwrap();
            panic!("as the test asked of a callback");
        })
        .build();
    let awaited = tokio::spawn(job(&runtime).exec(&request("panic"), LIMIT));
    until_running(&runtime, 1).await;
    release.send(()).unwrap();
    assert!(awaited.await.unwrap_err().is_panic());
    runtime.idle().await;

    let aborted = tokio::spawn(job(&runtime).exec(&request("panic"), LIMIT));
    until_running(&runtime, 1).await;
    // In the handler, which knows no cancellation.
    until_called(&null, 2).await;
    aborted.abort();
    assert!(aborted.await.unwrap_err().is_cancelled());
    drop(release);
    assert!(job(&runtime).running(LIMIT).await.unwrap());
    runtime.idle().await;
    assert_eq!(
        orphans.try_iter().collect::<Vec<_>>(),
        ["exec in container `job`: the engine failed: the call panicked: as the test asked"]
    );
}

#[tokio::test]
async fn streams_end_by_themselves_or_when_they_are_dropped() {
    let null = null();
    null.set_logs("job", LogScript::new().line("one").line("two")).unwrap();
    let runtime = AsyncRuntime::new(Arc::new(null));
    let mut log = job(&runtime).logs(&LogOptions::new(), LIMIT).await.unwrap();
    assert_eq!(log.next().await.unwrap().unwrap().text(), "one");
    assert_eq!(log.next().await.unwrap().unwrap().text(), "two");
    assert!(log.next().await.is_none() && log.next().await.is_none());

    let mut following = job(&runtime).logs(&LogOptions::new().follow().tail(1), LIMIT).await.unwrap();
    assert_eq!(following.next().await.unwrap().unwrap().text(), "two");
    let mut events = runtime.events(&EventOptions::new(), LIMIT).await.unwrap();
    job(&runtime).stop(Duration::ZERO, LIMIT).await.unwrap();
    job(&runtime).start(LIMIT).await.unwrap();
    assert!(events.next().await.unwrap().is_ok());
    drop((following, events));
    runtime.idle().await;
    assert_eq!(runtime.load().threads, 0);
}

#[tokio::test]
async fn a_pull_is_a_stream_of_its_steps_and_ends_when_it_is_dropped() {
    let null = null();
    let served = ImageFixture::new("registry.example/app:1").unwrap().layer("sha256:aa", Duration::ZERO);
    null.serve_image(served);
    let runtime = AsyncRuntime::new(Arc::new(null.clone()));
    let (app, options) = (ImageRef::new("registry.example/app:1").unwrap(), PullOptions::new());
    let mut pull = runtime.pull_image(&app, &options, LIMIT);
    let mut steps = Vec::new();
    while let Some(step) = pull.next().await {
        steps.push(step.unwrap().to_string());
    }
    assert_eq!(steps.len(), 4, "{steps:?}");
    assert_eq!(pull.wait().await.unwrap().as_str(), app.as_str());
    // Nobody reads the steps.
    assert!(runtime.pull_image(&app, &options, LIMIT).wait().await.is_ok());

    let absent = ImageRef::new("registry.example/app:2").unwrap();
    let mut pull = runtime.pull_image(&absent, &options, LIMIT);
    assert!(pull.next().await.unwrap().is_ok());
    assert_eq!(pull.next().await.unwrap().unwrap_err().kind(), ErrorKind::NoSuchImage);
    assert!(pull.next().await.is_none());
    assert_eq!(pull.wait().await.unwrap_err().kind(), ErrorKind::NoSuchImage);

    null.inject(Operation::Pull, Scope::all(), When::Next, Fault::hang());
    let mut pull = runtime.pull_image(&app, &options, Until::forever());
    assert!(pull.next().await.unwrap().is_ok());
    drop(pull);
    runtime.idle().await;
    assert_eq!(runtime.load().threads, 0);
}

#[tokio::test]
async fn a_pull_ends_with_the_token_of_the_caller() {
    let null = null();
    null.inject(Operation::Pull, Scope::all(), When::Next, Fault::hang());
    let runtime = AsyncRuntime::new(Arc::new(null));
    let (app, token) = (ImageRef::new("registry.example/app:1").unwrap(), CancelToken::new());
    let mut pull = runtime.pull_image(&app, &PullOptions::new(), Until::cancelled(&token));
    assert!(pull.next().await.unwrap().is_ok());
    token.cancel();
    assert_eq!(pull.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_stream_delivers_every_line_in_order_and_may_be_left_unread() {
    let null = null();
    let lines = (0..1000).fold(LogScript::new(), |log, number| log.line(number.to_string()));
    null.set_logs("job", lines).unwrap();
    let runtime = AsyncRuntime::new(Arc::new(null));
    let mut log = job(&runtime).logs(&LogOptions::new(), LIMIT).await.unwrap();
    let mut count = 0;
    while let Some(line) = log.next().await {
        assert_eq!(line.unwrap().text(), count.to_string());
        count += 1;
    }
    assert_eq!(count, 1000);
    let unread = job(&runtime).logs(&LogOptions::new(), LIMIT).await.unwrap();
    drop(unread);
    runtime.idle().await;
    assert_eq!(runtime.load().threads, 0);
}

#[tokio::test]
async fn the_last_handle_waits_for_what_is_being_ended() {
    let (runtime, orphans) = watched(|builder| builder);
    let mut child = job(&runtime).spawn(&request("hang"), SpawnStdio::new(), LIMIT).await.unwrap();
    // One that has not begun is not killed, but never started.
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).await.unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    drop(runtime);
    assert!(orphans.try_recv().is_err());
    drop(child);
    let orphan = orphans.try_recv().unwrap();
    assert_eq!(orphan.kill_report().unwrap().outcome, KillOutcome::Gone, "{orphan}");
}

/// A container whose command takes a moment of real time.
fn slow() -> NullRuntime {
    let null = null();
    null.on_exec(Scope::all(), ArgvPattern::program("slow"), |_| {
        std::thread::sleep(Duration::from_millis(50));
        ExecReply::success()
    });
    null
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_that_is_held_does_not_pass_a_timeout() {
    let runtime = AsyncRuntime::builder(Arc::new(slow())).hold_paused_clock().build();
    let call = job(&runtime).exec(&request("slow"), LIMIT);
    assert!(tokio::time::timeout(LIMIT, call).await.unwrap().unwrap().success());
    // Afterwards it advances again.
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_passes_a_timeout_at_once() {
    let runtime = AsyncRuntime::new(Arc::new(slow()));
    let begun = Instant::now();
    let call = job(&runtime).exec(&request("slow"), LIMIT);
    assert!(tokio::time::timeout(LIMIT, call).await.is_err());
    assert!(begun.elapsed() < LIMIT);
    // The limit of the call itself goes by real time.
    assert!(job(&runtime).exec(&request("slow"), LIMIT).await.unwrap().success());
}
