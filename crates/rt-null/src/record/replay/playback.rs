//! What all handles of one replay share: the recorded calls, the secrets that are known, and the clock.

use std::sync::{Arc, Mutex};

use rt_protocol::{Error, ErrorKind, Result, RuntimeId, Secret, Stop, Until};
use serde_json::Value;

use crate::record::format::entry::{Entry, Recording};
use crate::record::format::invocation::Question;
use crate::record::format::json::Answer;
use crate::record::replay::tape::Book;
use crate::record::secrets::masker::Vault;
use crate::record::secrets::restorer::Keyring;
use crate::state::world::Shared;
use crate::streams::notify::lock;

#[derive(Debug)]
pub(crate) struct Playback {
    pub(crate) runtime: RuntimeId,
    /// A world without containers, for the clock and for waiting.
    pub(crate) shared: Shared,
    pub(crate) book: Book,
    vault: Mutex<Arc<Vault>>,
    keyring: Mutex<Keyring>,
}

impl Playback {
    pub(crate) fn new(recording: Recording) -> Self {
        let runtime = recording.header.runtime.clone();
        let shared = Shared::new(0, recording.header.capabilities);
        Self {
            runtime,
            shared,
            book: Book::new(recording),
            vault: Mutex::default(),
            keyring: Mutex::default(),
        }
    }

    /// The recorded answer to a question.
    pub(crate) fn ask<T: Answer>(&self, question: &Question<'_>) -> Result<T> {
        self.ask_as(question, T::decode)
    }

    /// The same for an answer that was written down as something else.
    pub(crate) fn ask_as<T>(
        &self,
        question: &Question<'_>,
        decode: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T> {
        let entry = self.take(question)?;
        self.answer(question, &entry, decode)
    }

    /// The recorded call that a question is.
    ///
    /// # Errors
    /// There is none, or no more.
    pub(crate) fn take(&self, question: &Question<'_>) -> Result<Arc<Entry>> {
        self.find(question).ok_or_else(|| self.refuse(question))
    }

    /// The same; `None` where there is none or no more.
    pub(crate) fn find(&self, question: &Question<'_>) -> Option<Arc<Entry>> {
        self.find_rather(question, &|_| true)
    }

    /// The same; among several that are alike rather one that is `preferred`, which is asked under a lock.
    pub(crate) fn find_rather(
        &self,
        question: &Question<'_>,
        preferred: &dyn Fn(&Entry) -> bool,
    ) -> Option<Arc<Entry>> {
        let entry = self.book.take(question, preferred);
        if let Some(env) = question.env.filter(|env| env.has_secrets()) {
            let number = entry.as_ref().map_or(0, |entry| entry.number);
            Arc::make_mut(&mut lock(&self.vault)).learn_all(env, number);
            lock(&self.keyring).learn_all(env, number);
        }
        entry
    }

    pub(crate) fn refuse(&self, question: &Question<'_>) -> Error {
        self.book.refuse(question, &self.vault())
    }

    /// What was answered to a recorded call.
    pub(crate) fn answer<T>(
        &self,
        question: &Question<'_>,
        entry: &Entry,
        decode: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T> {
        let answer = self.resolve(question, entry, &entry.answer)?;
        if let Some(error) = answer.get("error") {
            return Err(Error::decode(error).unwrap_or_else(|| unreadable(question, entry)));
        }
        decode(&answer["ok"]).ok_or_else(|| unreadable(question, entry))
    }

    /// A part of a recorded call with its secrets put back.
    pub(crate) fn resolve(&self, question: &Question<'_>, entry: &Entry, value: &Value) -> Result<Value> {
        lock(&self.keyring).resolve(value, question.env).ok_or_else(|| unreadable(question, entry))
    }

    /// The secrets to keep out of messages.
    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&lock(&self.vault))
    }

    pub(crate) fn learn(&self, name: &str, secret: &Secret) {
        Arc::make_mut(&mut lock(&self.vault)).learn(name, secret.expose());
        lock(&self.keyring).learn(name, secret.expose());
    }

    /// Waits until this ends, by the replay's clock; for ever when nothing can end it.
    pub(crate) fn wait_out(&self, until: &Until) -> Stop {
        loop {
            if let Err(stop) = self.shared.waiter(until.clone()).wait_for(|| None::<()>) {
                return stop;
            }
        }
    }
}

/// The error for a record that is none.
pub(crate) fn unreadable(question: &Question<'_>, entry: &Entry) -> Error {
    question.error(ErrorKind::BadAnswer, format!("line {} of the recording cannot be read", entry.line))
}
