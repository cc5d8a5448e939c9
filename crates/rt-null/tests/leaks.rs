//! A thousand bridged calls leave nothing behind in this process. Alone in its file, because it
//! counts.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rt_null::NullRuntime;
use rt_protocol::{
    ContainerRuntime, ContainerRuntimeExt, EventOptions, ExecRequest, ExecStdio, LaunchSpec, LogOptions,
    Sink, Source, Until,
};

fn held() -> (usize, usize) {
    let count = |path: &str| fs::read_dir(path).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[test]
fn descriptors_and_threads_stay_where_they_were() {
    let runtime = NullRuntime::new();
    let spec = LaunchSpec::builder("job", "alpine").build().unwrap();
    let job = runtime.launch(&spec, Until::forever()).unwrap();
    let request = ExecRequest::new(["sink"]).unwrap();
    let before = held();
    for _ in 0..1000 {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(b"hello").unwrap();
        drop(near);
        let stdio = ExecStdio::new(Source::descriptor(far), Sink::writer(Vec::new()));
        assert_eq!(job.exec_stdio(&request, stdio, &Until::forever()).unwrap().stdin.bytes, 5);
        let stdio = ExecStdio::new(Source::reader(&b"hello"[..]), Sink::discard());
        let _ = job.exec_stdio(&request, stdio, &Until::forever()).unwrap();
        drop(job.logs(&LogOptions::new().follow(), &Until::forever()).unwrap());
        drop(runtime.events(&EventOptions::new(), &Until::forever()).unwrap());
    }
    // A joined thread can appear in /proc for a moment after the join.
    for _ in 0..1000 {
        if held() == before {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(held(), before);
}
