//! The stream of events that a caller pulls. The history it reads stands in `event_log`.

use std::fmt;
use std::sync::Arc;

use rt_protocol::{Error, ErrorKind, Event, EventOptions, EventStream, Pull, Result, Until};

use crate::state::event_log::EVENT_HISTORY;
use crate::state::world::Shared;

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
        let next = shared.read(|world| match options.since {
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
        shared.read(|world| {
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
            Err(_) => Ok(Pull::Pending),
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
