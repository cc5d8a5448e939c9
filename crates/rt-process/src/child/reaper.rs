//! Threads for processes that no caller waits for any more.

use std::sync::Arc;
use std::thread;

use rt_protocol::Until;

use super::child_process::ChildProcess;

/// Waits for a process that has survived KILL so far, and reaps it.
pub(crate) fn reap(process: Arc<ChildProcess>) {
    start(process.pid(), move || drop(process.wait(&Until::forever())));
}

/// Starts a thread that waits for a process.
pub(crate) fn start(pid: u32, wait: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name("rt-process-reap".to_owned()).spawn(wait) {
        tracing::warn!(target: "rt_process", pid, %error, "no thread can wait for the process");
    }
}
