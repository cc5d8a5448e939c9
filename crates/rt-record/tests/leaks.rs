//! Recorded and replayed calls leave nothing behind in this process. Alone in its file, because it
//! counts.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rt_null::NullRuntime;
use rt_protocol::{
    ContainerRuntime, ContainerRuntimeExt, ExecRequest, ExecStdio, LaunchSpec, LogOptions, Sink, Source,
    Until,
};
use rt_record::{Recorder, Replay};

fn held() -> (usize, usize) {
    let count = |path: &str| fs::read_dir(path).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

fn program(runtime: &dyn ContainerRuntime) {
    let spec = LaunchSpec::builder("job", "alpine").build().unwrap();
    let job = runtime.launch(&spec, Until::forever()).unwrap();
    let request = ExecRequest::new(["sink"]).unwrap();
    for _ in 0..200 {
        let (mut near, far) = UnixStream::pair().unwrap();
        let (pipe, mut filled) = io::pipe().unwrap();
        near.write_all(b"hello").unwrap();
        filled.write_all(b"hello").unwrap();
        drop((near, filled));
        for source in [Source::descriptor(far), Source::descriptor(pipe)] {
            let (_kept, sink) = io::pipe().unwrap();
            let stdio = ExecStdio::new(source, Sink::descriptor(sink)).stderr(Sink::writer(Vec::new()));
            assert_eq!(job.exec_stdio(&request, stdio, &Until::forever()).unwrap().stdin.bytes, 5);
        }
        let null = File::open("/dev/null").unwrap();
        let _ = job
            .exec_stdio(
                &request,
                ExecStdio::new(Source::descriptor(null), Sink::discard()),
                &Until::forever(),
            )
            .unwrap();
        // A stream that stalls until the deadline.
        let (_silent, waiting) = UnixStream::pair().unwrap();
        let stdio = ExecStdio::new(Source::descriptor(waiting), Sink::discard());
        job.exec_stdio(&request, stdio, &Until::after(Duration::from_millis(1))).unwrap_err();
        drop(job.logs(&LogOptions::new().follow(), &Until::forever()).unwrap());
    }
}

#[test]
fn descriptors_and_threads_stay_where_they_were() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("r.jsonl");
    let before = held();
    let recorder = Recorder::create(Arc::new(NullRuntime::new()), &file).unwrap();
    program(&recorder);
    recorder.finish().unwrap();
    let replay = Replay::open(&file).unwrap();
    program(&replay);
    replay.finish().unwrap();
    // A joined thread can appear in /proc for a moment after the join.
    for _ in 0..1000 {
        if held() == before {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(held(), before);
}
