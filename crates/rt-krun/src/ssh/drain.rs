//! How long a command's outputs are read after its exit status. Not how they are read.
//!
//! The status comes when the command is reaped; what it wrote last may still be in the guest's pipes. sshd ends the outputs
//! when the pipes have ended, which a child of the command that holds them open can put off for ever. Time alone does not
//! tell a guest that is slow from one that has nothing more to say, so it is asked: sshd reads its pipes before it answers.

use std::time::{Duration, Instant};

/// A guest that says nothing for so long is asked.
const ASK_AFTER: Duration = Duration::from_millis(20);

/// An output that is held open is left so long after an answer before which nothing came.
const IDLE: Duration = Duration::from_millis(100);

/// And so long after the exit status in any case, when a child of the command never falls silent.
const TOTAL: Duration = Duration::from_secs(1);

/// But not before so many answers: sshd reads 16 KiB and more of a pipe before each, and a pipe holds 64 KiB.
const ANSWERS: u32 = 8;

/// The time after an exit status.
#[derive(Debug)]
pub(super) struct Drain {
    status: Instant,
    bytes: Instant,
    /// A question is on its way.
    is_asking: bool,
    /// Nothing came since the question.
    is_silent: bool,
    /// When a question was answered before which nothing came; nothing came since.
    quiet: Option<Instant>,
    answers: u32,
    is_overdue: bool,
}

impl Drain {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            status: now,
            bytes: now,
            is_asking: false,
            is_silent: false,
            quiet: None,
            answers: 0,
            is_overdue: false,
        }
    }

    /// Bytes came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.bytes = now;
        self.is_silent = false;
        self.quiet = None;
    }

    /// Whether the guest is to be asked now, or asked on.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        self.is_overdue |= now >= self.status + TOTAL;
        if !self.is_asking {
            let is_late = self.is_overdue && self.answers < ANSWERS;
            self.is_asking = is_late || (self.quiet.is_none() && now >= self.bytes + ASK_AFTER);
            self.is_silent = self.is_asking;
        }
        self.is_asking
    }

    /// It has answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.is_asking = false;
        self.answers += 1;
        if self.is_silent {
            self.quiet = Some(now);
        }
    }

    /// Whether the outputs are to be left although nobody has ended them.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.quiet.is_some_and(|quiet| now >= quiet + IDLE) || (self.is_overdue && self.answers >= ANSWERS)
    }

    /// When it is worth looking again, whatever comes.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let next = match self.quiet {
            Some(quiet) => Some(quiet + IDLE),
            None if self.is_asking => None,
            None => Some(self.bytes + ASK_AFTER),
        };
        let total = (!self.is_overdue).then_some(self.status + TOTAL);
        next.into_iter().chain(total).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_does_not_answer_is_never_left_for_silence() {
        let begun = Instant::now();
        let mut drain = Drain::new(begun);
        assert!(!drain.asks(begun));
        assert!(drain.asks(begun + ASK_AFTER) && drain.asks(begun + TOTAL * 9));
        assert!(!drain.is_over(begun + TOTAL * 9));
        assert_eq!(drain.wake_at(), None);
    }

    #[test]
    fn an_answer_before_which_bytes_came_is_none() {
        let begun = Instant::now();
        let mut drain = Drain::new(begun);
        let later = begun + ASK_AFTER;
        assert!(drain.asks(later));
        drain.heard(later);
        drain.answered(later);
        assert!(!drain.is_over(later + IDLE));
        assert!(drain.asks(later + ASK_AFTER));
        drain.answered(later + ASK_AFTER);
        assert!(!drain.is_over(later + ASK_AFTER) && drain.is_over(later + ASK_AFTER + IDLE));
    }

    #[test]
    fn a_child_that_never_falls_silent_is_left_after_enough_answers() {
        let begun = Instant::now();
        let mut drain = Drain::new(begun);
        let late = begun + TOTAL;
        for _ in 0..ANSWERS {
            drain.heard(late);
            assert!(drain.asks(late) && !drain.is_over(late));
            drain.heard(late);
            drain.answered(late);
        }
        assert!(drain.is_over(late));
    }
}
