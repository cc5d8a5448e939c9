//! What a channel asks of the guest's sshd and waits for: one question at a time on a connection.
//!
//! libssh2 takes the next answer that comes, and where that is another channel's, it gives the connection up. Servers need
//! not answer in the order of the questions, and a command may be left before its answer is there.

use std::task::Poll;

use rt_protocol::OutputStream;

use super::libssh2::{Channel, PollResult};
use super::request_kind::RequestKind;

impl Channel {
    /// Has the guest's sshd run `command` by the user's login shell, and waits for its consent. Pending, and not sent, while
    /// another channel awaits an answer.
    pub(crate) fn exec(&mut self, command: &[u8]) -> PollResult<()> {
        self.put(RequestKind::Exec, command)
    }

    /// Asks the guest's sshd something that it answers whatever the command does: to set a variable, which it refuses of a
    /// command that runs. Whatever it had to say before the answer has come by then. Pending, and not sent, while another
    /// channel awaits an answer.
    pub(crate) fn ask(&mut self) -> PollResult<()> {
        match self.put(RequestKind::Variable, &[]) {
            Poll::Ready(Err(refusal)) if refusal.is_of_channel() => Poll::Ready(Ok(())),
            other => other,
        }
    }

    /// Whether it was asked something, and was not heard to answer yet.
    pub(crate) fn is_asked(&self) -> bool {
        self.raw_session.asked.get() == Some(self.number())
    }

    /// Whether it still owes an answer, once what has come is looked at. None is owed when the guest has closed it.
    pub(crate) fn owes_answer(&mut self) -> bool {
        if !self.is_asked() {
            return false;
        }
        // libssh2 has sent the question, and does not look at its words again.
        if self.put(self.question, &[]).is_ready() {
            return false;
        }
        // Its output is nobody's any more, and the end stands behind it.
        let mut dropped = [0; 4096];
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            while matches!(self.read(stream, &mut dropped), Poll::Ready(Ok(1..))) {}
        }
        if self.is_eof() && self.wait_closed().is_ready() {
            self.raw_session.asked.set(None);
            return false;
        }
        true
    }

    fn put(&mut self, question: RequestKind, command: &[u8]) -> PollResult<()> {
        if self.raw_session.asked.get().is_some_and(|asked| asked != self.number()) {
            return Poll::Pending;
        }
        if self.raw_session.asked.replace(Some(self.number())).is_none() {
            self.raw_session.questions.set(self.raw_session.questions.get() + 1);
        }
        self.question = question;
        let answer = match question {
            RequestKind::Exec => self.startup(command),
            RequestKind::Variable => self.variable(),
        };
        if answer.is_ready() {
            self.raw_session.asked.set(None);
        }
        answer
    }
}
