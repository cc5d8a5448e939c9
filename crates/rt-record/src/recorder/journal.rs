//! Writes a recording: one line for each call, when it has been answered.

use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rt_protocol::{Error, ErrorKind, Result, Secret};
use serde_json::Value;

use crate::format::invocation::Invocation;
use crate::format::json::{JsonCodec, line, object};
use crate::secrets::masker::SecretMasker;
use rt_protocol::sync::lock;

/// What all handles of one recorder share.
pub(crate) struct Journal {
    next: AtomicU64,
    handles: AtomicU64,
    masker: Mutex<Arc<SecretMasker>>,
    state: Mutex<JournalState>,
}

struct JournalState {
    writer: Option<Box<dyn Write + Send>>,
    calls: u64,
    /// The first failure. Nothing is written after a failed write: a recording has no gaps.
    failure: Option<Error>,
}

/// The number of a call. Calls are numbered when they begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallNumber(u64);

impl Journal {
    pub(crate) fn new(writer: Box<dyn Write + Send>, header: &str) -> Self {
        let state = JournalState { writer: Some(writer), calls: 0, failure: None };
        let journal = Self {
            next: AtomicU64::new(1),
            handles: AtomicU64::new(1),
            masker: Mutex::default(),
            state: Mutex::new(state),
        };
        lock(&journal.state).write_line(header);
        journal
    }

    /// Makes a call and records it.
    pub(crate) fn record<T: JsonCodec>(
        &self,
        invocation: &Invocation<'_>,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.record_as(invocation, call, T::encode)
    }

    /// Makes a call and records its answer in another form.
    pub(crate) fn record_as<T>(
        &self,
        invocation: &Invocation<'_>,
        call: impl FnOnce() -> Result<T>,
        encode: impl FnOnce(&T) -> Value,
    ) -> Result<T> {
        let number = self.begin(invocation);
        let answer = call();
        self.write(number, invocation, answer.as_ref().map(encode), []);
        answer
    }

    /// Numbers a call that begins, and adds its secrets.
    pub(crate) fn begin(&self, invocation: &Invocation<'_>) -> CallNumber {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(env) = invocation.env.filter(|env| env.has_secrets()) {
            let mut masker = lock(&self.masker);
            let mut changed = SecretMasker::clone(&masker);
            if changed.add_env(env, number) {
                *masker = Arc::new(changed);
            }
        }
        CallNumber(number)
    }

    /// Writes a call. The fields in `more` must contain no secrets.
    pub(crate) fn write<const N: usize>(
        &self,
        CallNumber(number): CallNumber,
        invocation: &Invocation<'_>,
        answer: std::result::Result<Value, &Error>,
        more: [(&str, Value); N],
    ) {
        let masker = self.masker(invocation);
        let answer = match answer {
            // Null is an answer too.
            Ok(answer) => Value::Object([("ok".to_owned(), masker.mask_value(answer))].into_iter().collect()),
            Err(error) => object([("error", masker.mask_value(error.encode()))]),
        };
        let args = masker.mask_value(invocation.args.clone());
        let call = [
            ("seq", number.into()),
            invocation.subject.encode(),
            ("op", invocation.op.into()),
            ("args", args),
        ];
        let line = line(call.into_iter().chain([("answer", answer)]).chain(more));
        let mut state = lock(&self.state);
        if state.write_line(&line) {
            state.calls += 1;
        }
    }

    /// Returns a number for a stream or reservation.
    pub(crate) fn handle(&self) -> u64 {
        self.handles.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the masker for what is written about a call.
    pub(crate) fn masker(&self, invocation: &Invocation<'_>) -> Arc<SecretMasker> {
        lock(&self.masker).for_call(invocation.env)
    }

    pub(crate) fn add_secret(&self, name: &str, secret: &Secret) {
        let mut masker = lock(&self.masker);
        Arc::make_mut(&mut masker).add_secret(name, secret.expose());
    }

    /// Records that something could not be recorded.
    pub(crate) fn note_failure(&self, what: &str, cause: io::Error) {
        let error = Error::new(ErrorKind::System, "record", format!("{what} could not be recorded"))
            .with_source(cause);
        lock(&self.state).failure.get_or_insert(error);
    }

    /// Ends the recording and drops the writer.
    pub(crate) fn finish(&self) -> Result<u64> {
        let mut state = lock(&self.state);
        if let Some(mut writer) = state.writer.take() {
            state.try_write(|| writer.flush());
            // A writer may do its last work when it is dropped.
            state.try_write(|| {
                drop(writer);
                Ok(())
            });
        }
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(state.calls),
        }
    }
}

impl JournalState {
    /// Writes a line at once, so that the recording has every answered call even if the program
    /// dies.
    fn write_line(&mut self, line: &str) -> bool {
        let Some(mut writer) = self.writer.take() else { return false };
        let written = self.try_write(|| writer.write_all(line.as_bytes()).and_then(|()| writer.flush()));
        if written {
            self.writer = Some(writer);
        }
        written
    }

    /// Uses the writer. Neither its error nor its panic reaches the recorded program.
    fn try_write(&mut self, work: impl FnOnce() -> io::Result<()>) -> bool {
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic)));
        if let Err(cause) = done {
            let error = Error::new(ErrorKind::System, "record", "the recording could not be written")
                .with_source(cause)
                .with_hint("what was recorded until then can be replayed");
            self.failure.get_or_insert(error);
            return false;
        }
        true
    }
}

/// Forgets the payload of a panic, which can be any type and may itself panic when dropped.
fn panicked(panic: Box<dyn Any + Send>) -> io::Error {
    std::mem::forget(panic);
    io::Error::other("the writer panicked")
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Journal")
            .field("calls", &state.calls)
            .field("failure", &state.failure)
            .finish_non_exhaustive()
    }
}
