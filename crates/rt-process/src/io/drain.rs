//! How long an output is still read after the process has exited. This is only a clock; it reads
//! nothing itself.

use std::time::{Duration, Instant};

/// An output that another process holds open is abandoned after this time without bytes.
pub(crate) const DRAIN_IDLE: Duration = Duration::from_millis(100);

/// It is also abandoned this long after the exit, once all output of the process itself was read.
pub(crate) const DRAIN_TOTAL: Duration = Duration::from_secs(1);

/// The drain of one output.
#[derive(Debug)]
pub(crate) struct Drain {
    /// Bytes in the pipe when the exit was noticed. They include everything that the process itself
    /// had left to write, so they are read whatever the clock says.
    pending: u64,
    last_bytes: Instant,
    total_end: Instant,
}

impl Drain {
    pub(crate) fn new(pending: u64, now: Instant) -> Self {
        Self { pending, last_bytes: now, total_end: now + DRAIN_TOTAL }
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// Counts bytes that were read.
    pub(crate) fn read(&mut self, bytes: usize, now: Instant) {
        self.pending = self.pending.saturating_sub(bytes as u64);
        self.last_bytes = now;
    }

    /// Extends the drain by a time in which the caller's sink accepted no bytes.
    pub(crate) fn extend(&mut self, time: Duration) {
        self.last_bytes += time;
        self.total_end += time;
    }

    /// Returns when it ends unless more bytes come; `None` while bytes are pending.
    pub(crate) fn end(&self) -> Option<Instant> {
        (self.pending == 0).then(|| (self.last_bytes + DRAIN_IDLE).min(self.total_end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Drain {
        fn is_over(&self, now: Instant) -> bool {
            self.end().is_some_and(|end| end <= now)
        }
    }

    #[test]
    fn owed_bytes_have_all_the_time_and_others_have_not() {
        let start = Instant::now();
        let later = start + Duration::from_secs(60);
        let mut drain = Drain::new(10, start);
        assert!(!drain.is_over(later));
        drain.read(10, start);
        assert!(!drain.is_over(start) && drain.is_over(start + DRAIN_IDLE));
        // Bytes of other processes postpone the end, up to the total.
        let mut now = start;
        for _ in 0..9 {
            now += DRAIN_IDLE;
            drain.read(1, now);
            assert!(!drain.is_over(now + DRAIN_IDLE / 2));
        }
        drain.read(1, start + DRAIN_TOTAL);
        assert!(drain.is_over(start + DRAIN_TOTAL));
    }

    #[test]
    fn time_that_the_sink_took_does_not_count() {
        let start = Instant::now();
        let mut drain = Drain::new(0, start);
        drain.extend(Duration::from_secs(60));
        assert!(!drain.is_over(start + Duration::from_secs(60)));
        assert!(drain.is_over(start + Duration::from_secs(60) + DRAIN_IDLE));
    }
}
