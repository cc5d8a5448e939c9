//! Which recorded calls were made, and which are still to come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rt_protocol::{Error, ErrorKind};

use crate::format::entry::{Entry, Recording};
use crate::format::invocation::{Invocation, Subject};
use crate::secrets::masker::SecretMasker;
use crate::secrets::matching::matches_recorded;
use rt_protocol::sync::lock;

/// The recorded calls, each to be made once.
#[derive(Debug)]
pub(crate) struct Tape {
    entries: Vec<Arc<Entry>>,
    truncated: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Positions of the calls that were not made yet, by object and operation, in recorded order.
    open: BTreeMap<(Subject, String), Vec<usize>>,
    /// The calls that were not recorded.
    mismatches: Vec<String>,
}

impl Tape {
    pub(crate) fn new(recording: Recording) -> Self {
        let entries: Vec<_> = recording.entries.into_iter().map(Arc::new).collect();
        let mut open = BTreeMap::<_, Vec<usize>>::new();
        for (place, entry) in entries.iter().enumerate() {
            open.entry((entry.subject.clone(), entry.op.clone())).or_default().push(place);
        }
        let state = State { open, mismatches: Vec::new() };
        Self { entries, truncated: recording.truncated, state: Mutex::new(state) }
    }

    /// Takes the earliest equal call that was not made yet; if several are equal, one that is
    /// `preferred`.
    pub(crate) fn take(
        &self,
        invocation: &Invocation<'_>,
        preferred: &dyn Fn(&Entry) -> bool,
    ) -> Option<Arc<Entry>> {
        let mut state = lock(&self.state);
        let key = (invocation.subject.clone(), invocation.op.to_owned());
        let open = state.open.get_mut(&key)?;
        let like = |place: &usize| matches_recorded(&self.entries[*place].args, &invocation.args);
        let first = open.iter().position(like)?;
        let alike = || open.iter().enumerate().skip(first).filter(|(_, place)| like(place));
        let rather = || alike().find(|(_, place)| preferred(&self.entries[**place]));
        let found = if alike().nth(1).is_some() { rather().map_or(first, |(found, _)| found) } else { first };
        let entry = &self.entries[open.remove(found)];
        if open.is_empty() {
            state.open.remove(&key);
        }
        Some(Arc::clone(entry))
    }

    /// Builds the error for a call that [`take`](Self::take) does not find.
    pub(crate) fn not_recorded(&self, invocation: &Invocation<'_>, masker: &SecretMasker) -> Error {
        let asked = invocation.summary(masker);
        let like = |entry: &&Arc<Entry>| {
            entry.subject == invocation.subject
                && entry.op == invocation.op
                && matches_recorded(&entry.args, &invocation.args)
        };
        let asked = match self.entries.iter().filter(like).count() {
            0 => format!("the replay was asked for {asked}, which is not recorded"),
            1 => format!("the replay was asked for {asked} again, which is recorded once"),
            times => format!("the replay was asked for {asked} again, which is recorded {times} times"),
        };
        let expected = match self.expected(invocation) {
            Some(entry) => format!("expected next: {} (line {})", entry.summary(), entry.line),
            None => format!("nothing more is recorded of {}", invocation.subject),
        };
        let message = match self.truncated {
            Some(last) => format!("{asked}; {expected}; the recording breaks off in line {last}"),
            None => format!("{asked}; {expected}"),
        };
        self.mismatch(invocation, message)
    }

    /// Builds an error that is reported at the end too, because a program may ignore it.
    pub(crate) fn mismatch(&self, invocation: &Invocation<'_>, message: String) -> Error {
        let error =
            invocation.error(ErrorKind::BackendFailed, message).with_hint("record again, or ask as recorded");
        lock(&self.state).mismatches.push(error.to_string());
        error
    }

    /// Returns the next call with the same operation on the same object, or else the next one on
    /// the same object.
    fn expected(&self, invocation: &Invocation<'_>) -> Option<&Entry> {
        let state = lock(&self.state);
        let key = (invocation.subject.clone(), invocation.op.to_owned());
        let of_subject = || {
            let open = state.open.iter().filter(|((subject, _), _)| *subject == invocation.subject);
            open.filter_map(|(_, places)| places.first()).min()
        };
        let place = state.open.get(&key).and_then(|places| places.first()).or_else(of_subject)?;
        Some(&self.entries[*place])
    }

    pub(crate) fn truncated(&self) -> Option<usize> {
        self.truncated
    }

    pub(crate) fn mismatches(&self) -> Vec<String> {
        lock(&self.state).mismatches.clone()
    }

    /// Describes the calls that were not made, in recorded order.
    pub(crate) fn unused(&self) -> Vec<String> {
        let mut places: Vec<usize> = lock(&self.state).open.values().flatten().copied().collect();
        places.sort_unstable();
        let line = |place: usize| {
            let entry = &self.entries[place];
            format!("line {}: {}: {}", entry.line, entry.subject, entry.summary())
        };
        places.into_iter().map(line).collect()
    }
}
