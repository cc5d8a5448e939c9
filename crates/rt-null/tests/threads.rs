//! One runtime under a hundred threads: nothing hangs, and no record is lost.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use rt_null::{ArgvPattern, ExecReply, Fault, NullRuntime, Operation, Scope, When};
use rt_protocol::{
    ContainerFilter, ContainerName, ContainerRuntime, ContainerRuntimeExt, ErrorKind, EventOptions,
    ExecRequest, ExecStdio, ExitOutcome, LaunchSpec, Pull, Sink, Source, Until,
};

const THREADS: usize = 100;
const ROUNDS: usize = 20;

#[test]
fn a_hundred_threads_on_one_runtime() {
    let runtime = NullRuntime::new();
    let own = runtime.clone();
    // Handlers may use the runtime themselves: no lock is held while they run.
    runtime.on_exec(Scope::all(), ArgvPattern::program("count"), move |_| {
        ExecReply::stdout(own.list(&ContainerFilter::all(), &Until::forever()).unwrap().len().to_string())
    });
    let slow = Fault::latency(Duration::from_secs(60));
    runtime.inject(Operation::Wait, Scope::all(), When::Every, slow);
    let mut events = runtime.events(&EventOptions::new(), &Until::forever()).unwrap();

    thread::scope(|scope| {
        for thread in 0..THREADS {
            let runtime = runtime.clone();
            scope.spawn(move || life(&runtime, thread));
        }
    });

    let execs = runtime.exec_calls();
    assert_eq!(execs.len(), THREADS * ROUNDS);
    assert_eq!(runtime.stdio_calls().len(), THREADS * ROUNDS);
    assert_eq!(runtime.create_calls().len(), THREADS * ROUNDS);
    assert_eq!(runtime.remove_calls().len(), THREADS * ROUNDS);
    let orders: BTreeSet<u64> = execs.iter().map(|call| call.order).collect();
    assert_eq!(orders.len(), execs.len());
    assert!(runtime.list(&ContainerFilter::all(), &Until::forever()).unwrap().is_empty());

    let mut count = 0;
    while let Pull::Item(_) = events.pull(&Until::after(Duration::from_millis(1))).unwrap() {
        count += 1;
    }
    // Created, initialized, started, died, stopped, removed.
    assert_eq!(count, THREADS * ROUNDS * 6);
}

fn life(runtime: &NullRuntime, thread: usize) {
    let forever = Until::forever();
    for round in 0..ROUNDS {
        let text = format!("job-{thread}-{round}");
        let job = runtime.launch(&LaunchSpec::builder(&text, "alpine").build().unwrap(), &forever).unwrap();
        assert!(runtime.exec_in(&text, ["count"], Until::forever()).unwrap().success());
        let mut out = Vec::new();
        let stdio = ExecStdio::new(Source::reader(&b"hello"[..]), Sink::borrowed(&mut out));
        let result = job.exec_stdio(&ExecRequest::new(["sink"]).unwrap(), stdio, &forever).unwrap();
        assert_eq!(result.stdin.bytes, 5);
        let error = job.wait(&Until::after(Duration::from_secs(30))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        job.stop(Duration::ZERO, &forever).unwrap();
        assert_eq!(job.wait(&Until::after(Duration::from_secs(90))).unwrap(), ExitOutcome::Code(0));
        let _ = runtime.force_remove(&[ContainerName::new(text).unwrap()], &forever);
    }
}
