//! The writing of a recording: one line for each call, when it has been answered.

use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rt_protocol::{Error, ErrorKind, Result, Secret};
use serde_json::Value;

use crate::record::format::invocation::Question;
use crate::record::format::json::{Answer, line, object};
use crate::record::secrets::masker::Vault;
use crate::streams::notify::lock;

/// What all handles of one recorder share.
pub(crate) struct Journal {
    next: AtomicU64,
    handles: AtomicU64,
    vault: Mutex<Arc<Vault>>,
    pen: Mutex<Pen>,
}

struct Pen {
    writer: Option<Box<dyn Write + Send>>,
    calls: u64,
    /// The first thing that went wrong. Nothing is written after a failed write: a recording has no holes.
    failure: Option<Error>,
}

/// The number of a call; calls are numbered when they are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(u64);

impl Journal {
    pub(crate) fn new(writer: Box<dyn Write + Send>, header: &str) -> Self {
        let pen = Pen { writer: Some(writer), calls: 0, failure: None };
        let journal = Self {
            next: AtomicU64::new(1),
            handles: AtomicU64::new(1),
            vault: Mutex::default(),
            pen: Mutex::new(pen),
        };
        lock(&journal.pen).put(header);
        journal
    }

    /// Makes a call and writes it down.
    pub(crate) fn record<T: Answer>(
        &self,
        question: &Question<'_>,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.record_as(question, call, T::encode)
    }

    /// The same for an answer that is written down as something else.
    pub(crate) fn record_as<T>(
        &self,
        question: &Question<'_>,
        call: impl FnOnce() -> Result<T>,
        encode: impl FnOnce(&T) -> Value,
    ) -> Result<T> {
        let number = self.begin(question);
        let answer = call();
        self.write(number, question, answer.as_ref().map(encode), []);
        answer
    }

    /// Numbers a call that is about to be made, and takes its secrets up.
    pub(crate) fn begin(&self, question: &Question<'_>) -> Number {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(env) = question.env.filter(|env| env.has_secrets()) {
            let mut vault = lock(&self.vault);
            let mut changed = Vault::clone(&vault);
            if changed.learn_all(env, number) {
                *vault = Arc::new(changed);
            }
        }
        Number(number)
    }

    /// Writes a call down. What stands in `more` has no secrets in it.
    pub(crate) fn write<const N: usize>(
        &self,
        Number(number): Number,
        question: &Question<'_>,
        answer: std::result::Result<Value, &Error>,
        more: [(&str, Value); N],
    ) {
        let vault = self.vault(question);
        let answer = match answer {
            // Null is an answer too.
            Ok(answer) => Value::Object([("ok".to_owned(), vault.mask_value(answer))].into_iter().collect()),
            Err(error) => object([("error", vault.mask_value(error.encode()))]),
        };
        let args = vault.mask_value(question.args.clone());
        let call =
            [("seq", number.into()), question.subject.encode(), ("op", question.op.into()), ("args", args)];
        let line = line(call.into_iter().chain([("answer", answer)]).chain(more));
        let mut pen = lock(&self.pen);
        if pen.put(&line) {
            pen.calls += 1;
        }
    }

    /// A number for a stream or reservation.
    pub(crate) fn handle(&self) -> u64 {
        self.handles.fetch_add(1, Ordering::Relaxed)
    }

    /// The secrets to take out of what is written of a call.
    pub(crate) fn vault(&self, question: &Question<'_>) -> Arc<Vault> {
        lock(&self.vault).for_call(question.env)
    }

    pub(crate) fn learn(&self, name: &str, secret: &Secret) {
        let mut vault = lock(&self.vault);
        Arc::make_mut(&mut vault).learn(name, secret.expose());
    }

    /// Keeps in mind that something could not be recorded.
    pub(crate) fn miss(&self, what: &str, cause: io::Error) {
        let error = Error::new(ErrorKind::System, "record", format!("{what} could not be recorded"))
            .with_source(cause);
        lock(&self.pen).failure.get_or_insert(error);
    }

    /// Ends the recording and lets go of the writer.
    pub(crate) fn finish(&self) -> Result<u64> {
        let mut pen = lock(&self.pen);
        if let Some(mut writer) = pen.writer.take() {
            pen.attempt(|| writer.flush());
            // A writer may do its last work when it is dropped.
            pen.attempt(|| {
                drop(writer);
                Ok(())
            });
        }
        match &pen.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(pen.calls),
        }
    }
}

impl Pen {
    /// Writes a line at once, so that the recording of a program that dies lacks no answered call.
    fn put(&mut self, line: &str) -> bool {
        let Some(mut writer) = self.writer.take() else { return false };
        let written = self.attempt(|| writer.write_all(line.as_bytes()).and_then(|()| writer.flush()));
        if written {
            self.writer = Some(writer);
        }
        written
    }

    /// Does something with the writer. Neither an error nor a panic of it reaches the program under record.
    fn attempt(&mut self, work: impl FnOnce() -> io::Result<()>) -> bool {
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

/// What a panic says may be anything, and may panic itself when dropped; it is forgotten.
fn panicked(panic: Box<dyn Any + Send>) -> io::Error {
    std::mem::forget(panic);
    io::Error::other("the writer panicked")
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pen = lock(&self.pen);
        f.debug_struct("Journal")
            .field("calls", &pen.calls)
            .field("failure", &pen.failure)
            .finish_non_exhaustive()
    }
}
