//! Passing a command's output on while keeping a digest of it, for the close of a long report: who reads
//! only the end of a log still sees why a step failed.

use std::io::{BufRead as _, BufReader, PipeReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::digest::{self, Digest};
use crate::failure::{Failure, Result};

/// How long the output may go on after its command ended. A daemon may hold it open for ever.
const REST: Duration = Duration::from_secs(2);

/// The two outputs of one command on their way to ours.
#[derive(Debug)]
pub(super) struct Echo {
    digest: Arc<Mutex<Digest>>,
    threads: Vec<JoinHandle<()>>,
}

impl Echo {
    /// Takes the outputs of a command that is not started yet. The command must be let go of its ends
    /// ([`release`]) when it is.
    ///
    /// `label` stands before each line that is passed on.
    pub(super) fn of(command: &mut Command, label: &str) -> Result<Self> {
        let pipe = || std::io::pipe().map_err(|error| Failure::new(format!("cannot make a pipe: {error}")));
        let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
        command.stdout(out).stderr(err);
        let digest = Arc::<Mutex<Digest>>::default();
        let pass = |from: PipeReader, to: fn() -> Box<dyn Write>| {
            let (digest, label) = (Arc::clone(&digest), label.to_owned());
            thread::spawn(move || pass_on(from, to, &label, &digest))
        };
        let threads =
            vec![pass(stdout, || Box::new(std::io::stdout())), pass(stderr, || Box::new(std::io::stderr()))];
        Ok(Self { digest, threads })
    }

    /// What is kept, once the command has ended.
    pub(super) fn digest(self) -> Digest {
        let start = Instant::now();
        while start.elapsed() < REST && !self.threads.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(1));
        }
        std::mem::take(&mut *self.digest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Closes our copies of a started command's outputs: their readers see an end only then.
pub(super) fn release(command: &mut Command) {
    command.stdout(Stdio::null()).stderr(Stdio::null());
}

fn pass_on(from: PipeReader, to: fn() -> Box<dyn Write>, label: &str, digest: &Mutex<Digest>) {
    let mut from = BufReader::new(from);
    let mut place = digest::Environment::default();
    let mut line = Vec::new();
    // A reader of ours that went away is no reason to hold the command up.
    while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
        // An empty line sets nothing apart among those of other commands.
        if label.is_empty() || !line.trim_ascii().is_empty() {
            let mut to = to();
            // One write, so that lines of commands side by side do not mix.
            let whole = [label.as_bytes(), &line].concat();
            let _ = to.write_all(&whole).and_then(|()| to.flush());
        }
        let mut digest = digest.lock().unwrap_or_else(PoisonError::into_inner);
        digest.take(&mut place, String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        drop(digest);
        line.clear();
    }
}
