//! What all handles of one replay share: the recorded calls, the known secrets, and the clock.

use std::sync::{Arc, Mutex};

use rt_null::NullRuntime;
use rt_protocol::{Capabilities, Error, ErrorKind, Result, RuntimeId, Secret};
use serde_json::Value;

use super::tape::Tape;
use crate::format::entry::{Entry, Recording};
use crate::format::invocation::Invocation;
use crate::format::json::JsonCodec;
use crate::secrets::masker::SecretMasker;
use crate::secrets::restorer::SecretRestorer;
use rt_protocol::sync::lock;

#[derive(Debug)]
pub(crate) struct Playback {
    pub(crate) runtime: RuntimeId,
    pub(crate) capabilities: Capabilities,
    /// A runtime without containers, for its clock and the streams of bridged commands.
    pub(crate) null: NullRuntime,
    pub(crate) tape: Tape,
    masker: Mutex<Arc<SecretMasker>>,
    restorer: Mutex<SecretRestorer>,
}

impl Playback {
    pub(crate) fn new(recording: Recording) -> Self {
        let runtime = recording.header.runtime.clone();
        Self {
            runtime,
            capabilities: recording.header.capabilities,
            null: NullRuntime::new(),
            tape: Tape::new(recording),
            masker: Mutex::default(),
            restorer: Mutex::default(),
        }
    }

    /// Returns the recorded answer to a call.
    pub(crate) fn replay<T: JsonCodec>(&self, invocation: &Invocation<'_>) -> Result<T> {
        self.replay_as(invocation, T::decode)
    }

    /// Returns the recorded answer to a call whose answer was recorded in another form.
    pub(crate) fn replay_as<T>(
        &self,
        invocation: &Invocation<'_>,
        decode: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T> {
        let entry = self.take(invocation)?;
        self.answer(invocation, &entry, decode)
    }

    /// Takes the recorded call that matches.
    ///
    /// # Errors
    /// No such call is recorded, or all of them are used.
    pub(crate) fn take(&self, invocation: &Invocation<'_>) -> Result<Arc<Entry>> {
        self.find(invocation).ok_or_else(|| self.not_recorded(invocation))
    }

    /// Takes the recorded call that matches; `None` if there is none, or all are used.
    pub(crate) fn find(&self, invocation: &Invocation<'_>) -> Option<Arc<Entry>> {
        self.find_preferring(invocation, &|_| true)
    }

    /// Takes the recorded call that matches. If several do, it takes one that is `preferred`; that
    /// is called with the lock held.
    pub(crate) fn find_preferring(
        &self,
        invocation: &Invocation<'_>,
        preferred: &dyn Fn(&Entry) -> bool,
    ) -> Option<Arc<Entry>> {
        let entry = self.tape.take(invocation, preferred);
        if let Some(env) = invocation.env.filter(|env| env.has_secrets()) {
            let number = entry.as_ref().map_or(0, |entry| entry.number);
            Arc::make_mut(&mut lock(&self.masker)).add_env(env, number);
            lock(&self.restorer).add_env(env, number);
        }
        entry
    }

    pub(crate) fn not_recorded(&self, invocation: &Invocation<'_>) -> Error {
        self.tape.not_recorded(invocation, &self.masker())
    }

    /// Returns the answer of a recorded call.
    pub(crate) fn answer<T>(
        &self,
        invocation: &Invocation<'_>,
        entry: &Entry,
        decode: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T> {
        let answer = self.restore(invocation, entry, &entry.answer)?;
        if let Some(error) = answer.get("error") {
            return Err(Error::decode(error).unwrap_or_else(|| unreadable(invocation, entry)));
        }
        decode(&answer["ok"]).ok_or_else(|| unreadable(invocation, entry))
    }

    /// Returns a part of a recorded call with its secrets restored.
    pub(crate) fn restore(&self, invocation: &Invocation<'_>, entry: &Entry, value: &Value) -> Result<Value> {
        lock(&self.restorer).restore(value, invocation.env).ok_or_else(|| unreadable(invocation, entry))
    }

    /// Returns the secrets to keep out of messages.
    pub(crate) fn masker(&self) -> Arc<SecretMasker> {
        Arc::clone(&lock(&self.masker))
    }

    pub(crate) fn add_secret(&self, name: &str, secret: &Secret) {
        Arc::make_mut(&mut lock(&self.masker)).add_secret(name, secret.expose());
        lock(&self.restorer).add_secret(name, secret.expose());
    }
}

/// Builds the error for an invalid record.
pub(crate) fn unreadable(invocation: &Invocation<'_>, entry: &Entry) -> Error {
    invocation
        .error(ErrorKind::InvalidResponse, format!("line {} of the recording cannot be read", entry.line))
}
