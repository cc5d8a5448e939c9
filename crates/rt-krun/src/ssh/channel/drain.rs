//! How long a command's outputs are read after its exit status.
//!
//! The status is sent when the command is reaped. Its last output may still be in the guest's
//! pipes, in its sshd (which may hold a whole window of it), or in transit. The end of the channel
//! proves that nothing is missing. But a child of the command that keeps the outputs open delays
//! that end forever. So reading stops once the guest has shown that it holds nothing back. It is
//! sent several requests, which it answers in the order of its output. Between two answers its sshd
//! has gone through its loop at least once. The loop reads the pipes and sends what it has, unless
//!
//! - keys are being renewed: then answers are sent at once and output is held back;
//! - the window is closed, or what has arrived was not taken;
//! - a packet is full: then there is more to send.
//!
//! For OpenSSH one such round is enough. Because of other servers there are several rounds, and
//! some time.

use std::time::{Duration, Instant};

use crate::ssh::raw::libssh2::WINDOW;

/// The time from the last byte or answer to the next request.
const ASK_AFTER: Duration = Duration::from_millis(20);

/// Reading stops after this many answers in a row without a byte before them, and this long after
/// the last byte.
const SILENT_ANSWERS: u32 = 4;
const SILENCE: Duration = Duration::from_millis(500);

/// Reading also stops after this many answers in a row with fewer than that many bytes before each,
/// and this long after the last time with more bytes: a child of the command writes a little now
/// and then. OpenSSH reads 16 KiB of a pipe at once.
const THIN_ANSWERS: u32 = 20;
const THIN_BYTES: u64 = 16 << 10;
const THIN: Duration = Duration::from_secs(2);

/// Reading also stops after this many bytes since the exit status, which is more than can have been
/// written before it. For each output this is a window, what sshd reads beyond it, and a pipe of
/// the largest size that a user can set (1 MiB, `pipe(7)`).
const MOST_OWED: u64 = 2 * (WINDOW as u64 + (64 << 10) + (1 << 20));

/// The state after an exit status.
#[derive(Debug)]
pub(crate) struct Drain {
    /// The time of the last byte.
    silent_since: Instant,
    silent_answers: u32,
    /// The last time that many bytes came.
    thin_since: Instant,
    thin_answers: u32,
    /// Bytes since the last answer, and since the status.
    bytes: u64,
    total: u64,
    /// When the next request is due.
    ask_at: Instant,
    /// A request is on its way.
    is_asking: bool,
    /// Since the last answer, the guest could not send, or its bytes were not taken. So the next
    /// answer proves nothing.
    is_disturbed: bool,
    /// How often keys had been renewed when this was last looked at.
    renewals: u64,
}

impl Drain {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            silent_since: now,
            silent_answers: 0,
            thin_since: now,
            thin_answers: 0,
            bytes: 0,
            total: 0,
            ask_at: now + ASK_AFTER,
            is_asking: false,
            is_disturbed: false,
            renewals: 0,
        }
    }

    /// Records one look at the channel: how many bytes it gave, whether received bytes are not
    /// taken, and how often keys were renewed so far.
    pub(crate) fn looked(&mut self, bytes: usize, is_held: bool, renewals: u64, now: Instant) {
        if bytes > 0 {
            self.heard(bytes, now);
        }
        if is_held || renewals != std::mem::replace(&mut self.renewals, renewals) {
            self.disturbed(now);
        }
    }

    /// Records that bytes arrived.
    fn heard(&mut self, bytes: usize, now: Instant) {
        self.bytes += bytes as u64;
        self.total += bytes as u64;
        (self.silent_since, self.silent_answers) = (now, 0);
    }

    /// Records that keys are being renewed, or that the received bytes are not taken. Silence means
    /// nothing until then.
    fn disturbed(&mut self, now: Instant) {
        (self.silent_since, self.silent_answers) = (now, 0);
        (self.thin_since, self.thin_answers) = (now, 0);
        self.is_disturbed = true;
    }

    /// Returns whether a request should be sent or continued now. While received bytes are not
    /// taken (`is_held`), the answer to a new one would prove nothing.
    pub(crate) fn asks(&mut self, is_held: bool, now: Instant) -> bool {
        self.is_asking |= !is_held && now >= self.ask_at;
        self.is_asking
    }

    /// Records an answer.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.is_asking = false;
        self.ask_at = now + ASK_AFTER;
        let bytes = std::mem::take(&mut self.bytes);
        if std::mem::take(&mut self.is_disturbed) {
            return;
        }
        if bytes == 0 {
            self.silent_answers += 1;
        }
        if bytes < THIN_BYTES {
            self.thin_answers += 1;
        } else {
            (self.thin_since, self.thin_answers) = (now, 0);
        }
    }

    /// Returns whether to stop reading, although no output has ended.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let is_silent = self.silent_answers >= SILENT_ANSWERS && now >= self.silent_since + SILENCE;
        let is_thin = self.thin_answers >= THIN_ANSWERS && now >= self.thin_since + THIN;
        is_silent || is_thin || self.total > MOST_OWED
    }

    /// Returns when to check again, even if nothing happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let silence = (self.silent_answers >= SILENT_ANSWERS).then_some(self.silent_since + SILENCE);
        let thin = (self.thin_answers >= THIN_ANSWERS).then_some(self.thin_since + THIN);
        let ask = (!self.is_asking).then_some(self.ask_at);
        silence.into_iter().chain(thin).chain(ask).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends requests and answers them until it is over, with `before` each answer. Returns how
    /// long that took.
    fn time_until_over(
        drain: &mut Drain,
        begun: Instant,
        mut before: impl FnMut(&mut Drain, Instant),
    ) -> Duration {
        let mut now = begun;
        while !drain.is_over(now) && now < begun + Duration::from_secs(600) {
            if drain.asks(false, now) {
                before(drain, now);
                drain.answered(now);
            }
            now += Duration::from_millis(10);
        }
        now - begun
    }

    #[test]
    fn a_guest_that_does_not_answer_is_never_left_for_silence() {
        let begun = Instant::now();
        let mut drain = Drain::new(begun);
        assert!(!drain.asks(false, begun) && drain.asks(false, begun + ASK_AFTER));
        assert!(drain.asks(false, begun + SILENCE * 100) && !drain.is_over(begun + SILENCE * 100));
        assert_eq!(drain.wake_at(), None);
    }

    #[test]
    fn nothing_is_asked_while_bytes_are_not_taken_and_an_answer_is_still_heard() {
        let begun = Instant::now();
        let mut drain = Drain::new(begun);
        assert!(!drain.asks(true, begun + SILENCE) && drain.asks(false, begun + SILENCE));
        assert!(drain.asks(true, begun + SILENCE));
    }

    #[test]
    fn a_silent_child_is_left_after_the_silence() {
        let begun = Instant::now();
        let took = time_until_over(&mut Drain::new(begun), begun, |_, _| {});
        assert!(took >= SILENCE && took < SILENCE * 2, "{took:?}");
    }

    #[test]
    fn a_talkative_child_has_a_bound() {
        let begun = Instant::now();
        let took = time_until_over(&mut Drain::new(begun), begun, |drain, now| drain.heard(100, now));
        assert!(took >= THIN && took < THIN * 2, "{took:?}");
        let mut drain = Drain::new(begun);
        let took = time_until_over(&mut drain, begun, |drain, now| drain.heard(20_000, now));
        assert!(drain.total > MOST_OWED && took < Duration::from_secs(60), "{took:?}");
    }

    #[test]
    fn full_packets_wait_for_a_window_and_two_pipes() {
        let begun = Instant::now();
        let mut drain = Drain::new(begun);
        let mut now = begun;
        for _ in 0..u64::from(WINDOW) / (32 << 10) {
            now += Duration::from_secs(1);
            assert!(drain.asks(false, now));
            drain.heard(32 << 10, now);
            drain.answered(now);
            assert!(!drain.is_over(now + ASK_AFTER));
        }
    }

    #[test]
    fn answers_while_keys_are_renewed_prove_nothing() {
        let begun = Instant::now();
        let mut drain = Drain::new(begun);
        let mut now = begun;
        for _ in 0..100 {
            now += SILENCE;
            assert!(drain.asks(false, now));
            drain.disturbed(now);
            drain.answered(now);
            assert!(!drain.is_over(now + SILENCE));
        }
        let took = time_until_over(&mut drain, now, |_, _| {});
        assert!(took >= SILENCE && took < SILENCE * 2, "{took:?}");
    }

    #[test]
    fn the_answer_to_what_was_asked_before_a_renewal_does_not_count() {
        let begun = Instant::now();
        let mut drain = Drain::new(begun);
        drain.looked(0, false, 1, begun);
        for _ in 0..SILENT_ANSWERS {
            drain.answered(begun);
        }
        assert!(!drain.is_over(begun + SILENCE));
        drain.answered(begun);
        assert!(drain.is_over(begun + SILENCE));
    }
}
