//! The stream of events that a caller pulls. The history that it reads is in `state/event_log`.

use std::fmt;
use std::sync::Arc;

use rt_protocol::{Error, ErrorKind, Event, EventOptions, Pull, PullStream, Result, Until};

use crate::state::event_log::EVENT_HISTORY;
use crate::state::world::Shared;

/// The stream behind [`ContainerRuntime::events`](rt_protocol::ContainerRuntime::events). It holds
/// only a position in the history.
pub(crate) struct NullEventStream {
    shared: Arc<Shared>,
    options: EventOptions,
    next: u64,
    /// The first event after the stream was opened. From there on, events are returned whatever the
    /// clock says.
    new: u64,
    /// Whether an event with exactly the requested time has come.
    is_at_since: bool,
    ended: bool,
}

impl NullEventStream {
    pub(crate) fn open(shared: &Arc<Shared>, options: &EventOptions) -> Self {
        let (first, new) = shared.read(|world| (world.events.forgotten, world.events.end()));
        let next = if options.since.is_some() { first } else { new };
        Self {
            shared: Arc::clone(shared),
            options: options.clone(),
            next,
            new,
            is_at_since: false,
            ended: false,
        }
    }

    fn is_wanted(&mut self, event: &Event) -> bool {
        let is_new = self.next >= self.new;
        self.is_at_since |= !is_new && self.options.since == Some(event.time);
        (is_new || self.is_at_since || self.options.since.is_some_and(|since| event.time >= since))
            && self.options.prefix.as_ref().is_none_or(|prefix| prefix.matches(&event.name))
    }

    /// Returns the next matching event, if it has happened.
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
                        let is_wanted = self.is_wanted(event);
                        self.next += 1;
                        if is_wanted {
                            return Some(Ok(event.clone()));
                        }
                    }
                }
            }
        })
    }
}

impl PullStream<Event> for NullEventStream {
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
