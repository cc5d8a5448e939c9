//! Events of containers: the history of a runtime, and the stream that a caller pulls.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rt_protocol::{
    ContainerName, Error, ErrorKind, Event, EventAction, EventOptions, EventStream, Pull, Result, Until,
};

use crate::state::world::Shared;

/// How many events a runtime remembers. A stream that falls further behind than that ends with an error.
pub const EVENT_HISTORY: usize = 65_536;

/// What has happened, oldest first.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    events: VecDeque<Event>,
    /// How many older ones were forgotten.
    forgotten: u64,
}

impl EventLog {
    pub(crate) fn happened(
        &mut self,
        name: ContainerName,
        id: Option<String>,
        action: EventAction,
        exit_code: Option<i32>,
        time: SystemTime,
    ) {
        let mut event = Event::new(name, action, time);
        event.id = id;
        event.exit_code = exit_code;
        self.push(event);
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.events.len() == EVENT_HISTORY {
            self.events.pop_front();
            self.forgotten += 1;
        }
        self.events.push_back(event);
    }

    fn end(&self) -> u64 {
        self.forgotten + self.events.len() as u64
    }

    /// The event of this number: `None` is one that is yet to come, `Err` one that was forgotten.
    fn get(&self, number: u64) -> std::result::Result<Option<&Event>, ()> {
        let place = number.checked_sub(self.forgotten).ok_or(())?;
        Ok(usize::try_from(place).ok().and_then(|place| self.events.get(place)))
    }
}

/// The stream behind [`ContainerRuntime::events`](rt_protocol::ContainerRuntime::events). Holds nothing but a place in
/// the history.
pub(crate) struct NullEventStream {
    shared: Arc<Shared>,
    options: EventOptions,
    next: u64,
    ended: bool,
}

impl NullEventStream {
    pub(crate) fn open(shared: &Arc<Shared>, options: &EventOptions) -> Self {
        let next = shared.look(|world| match options.since {
            Some(_) => world.events.forgotten,
            None => world.events.end(),
        });
        Self { shared: Arc::clone(shared), options: options.clone(), next, ended: false }
    }

    fn is_wanted(&self, event: &Event) -> bool {
        self.options.prefix.as_ref().is_none_or(|prefix| prefix.matches(&event.name))
            && self.options.since.is_none_or(|since| event.time >= since)
    }

    /// The next event that is wanted, if it has happened.
    fn look(&mut self) -> Option<Result<Event>> {
        let shared = Arc::clone(&self.shared);
        shared.look(|world| {
            loop {
                match world.events.get(self.next) {
                    Err(()) => {
                        let message = format!("the stream fell more than {EVENT_HISTORY} events behind");
                        return Some(Err(Error::new(ErrorKind::BackendFailed, "watch events", message)));
                    }
                    Ok(None) => return None,
                    Ok(Some(event)) => {
                        self.next += 1;
                        if self.is_wanted(event) {
                            return Some(Ok(event.clone()));
                        }
                    }
                }
            }
        })
    }
}

impl EventStream for NullEventStream {
    fn pull(&mut self, until: &Until) -> Result<Pull<Event>> {
        if self.ended {
            return Ok(Pull::End);
        }
        match self.shared.waiter(until.clone()).wait_for(|| self.look()) {
            Ok(Ok(event)) => Ok(Pull::Item(event)),
            Ok(Err(error)) => {
                self.ended = true;
                Err(error)
            }
            Err(_) => Ok(Pull::Idle),
        }
    }

    fn close(&mut self) -> Result<()> {
        self.ended = true;
        Ok(())
    }
}

impl fmt::Debug for NullEventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NullEventStream").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_bounded_and_a_late_reader_is_told() {
        let mut log = EventLog::default();
        let name = ContainerName::new("a").unwrap();
        for _ in 0..=EVENT_HISTORY {
            log.happened(name.clone(), None, EventAction::Started, None, SystemTime::UNIX_EPOCH);
        }
        assert_eq!(log.events.len(), EVENT_HISTORY);
        assert!(log.get(0).is_err());
        assert!(log.get(1).unwrap().is_some());
        assert!(log.get(log.end()).unwrap().is_none());
    }
}
