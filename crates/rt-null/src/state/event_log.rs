//! The history of events of a runtime's containers. Streams that read it are in `event`.

use std::collections::VecDeque;
use std::time::SystemTime;

use rt_protocol::{ContainerId, ContainerName, Event, EventAction};

/// The number of events that a runtime keeps. A stream that falls further behind ends with an
/// error.
pub const EVENT_HISTORY: usize = 65_536;

/// The events, oldest first.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    events: VecDeque<Event>,
    /// How many older events were dropped.
    pub(crate) forgotten: u64,
}

impl EventLog {
    pub(crate) fn push_new(
        &mut self,
        name: ContainerName,
        id: Option<ContainerId>,
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

    pub(crate) fn end(&self) -> u64 {
        self.forgotten + self.events.len() as u64
    }

    /// Returns the event with this number: `None` if it has not happened yet, `Err` if it was
    /// dropped.
    pub(crate) fn get(&self, number: u64) -> Result<Option<&Event>, ()> {
        let place = number.checked_sub(self.forgotten).ok_or(())?;
        Ok(usize::try_from(place).ok().and_then(|place| self.events.get(place)))
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
            log.push_new(name.clone(), None, EventAction::Started, None, SystemTime::UNIX_EPOCH);
        }
        assert_eq!(log.events.len(), EVENT_HISTORY);
        assert!(log.get(0).is_err());
        assert!(log.get(1).unwrap().is_some());
        assert!(log.get(log.end()).unwrap().is_none());
    }
}
