//! Requests of a channel that the guest's sshd answers: one at a time on a connection.
//!
//! libssh2 takes the next answer that arrives. If it belongs to another channel, it gives up the
//! connection. Servers may answer in another order than they were asked, and a command may be
//! abandoned before its answer arrives.

use std::task::Poll;

use rt_protocol::OutputStream;

use super::libssh2::{Channel, PollResult};
use super::request_kind::RequestKind;
use super::terminal_request::TerminalRequest;

impl Channel {
    /// Asks the guest's sshd to run `command` by the user's login shell, and waits for the answer.
    /// Pending, and not sent, while another channel awaits an answer.
    pub(crate) fn exec(&mut self, command: &[u8]) -> PollResult<()> {
        self.put(RequestKind::Exec, |channel| channel.startup(command))
    }

    /// Asks the guest's sshd for a terminal, before [`exec`](Self::exec), and waits for the answer.
    /// Pending, and not sent, while another channel awaits an answer.
    pub(crate) fn terminal(&mut self, request: &TerminalRequest) -> PollResult<()> {
        self.put(RequestKind::Terminal, |channel| channel.open_terminal(request))
    }

    /// Sends a request that the guest's sshd answers whatever the command does: to set a variable,
    /// which is refused while a command runs. Everything that it sent before the answer has arrived
    /// by then. Pending, and not sent, while another channel awaits an answer. A guest that has
    /// closed the channel gives none, and has sent everything.
    pub(crate) fn ask(&mut self) -> PollResult<()> {
        if self.is_closed() {
            self.forget_question();
            return Poll::Ready(Ok(()));
        }
        match self.put(RequestKind::Variable, Self::variable) {
            Poll::Ready(Err(refusal)) if refusal.is_of_channel() => Poll::Ready(Ok(())),
            other => other,
        }
    }

    /// Returns whether a request was sent and its answer was not seen yet.
    pub(crate) fn is_asked(&self) -> bool {
        self.raw_session.asked.get() == Some(self.number())
    }

    /// Returns whether an answer is still missing after a look at what has arrived. None is
    /// expected once the guest has closed the channel.
    pub(crate) fn owes_answer(&mut self) -> bool {
        if !self.is_asked() {
            return false;
        }
        // libssh2 has sent the request, and does not look at its arguments again.
        let answer = match self.question {
            RequestKind::Exec => self.exec(&[]),
            RequestKind::Variable => self.ask(),
            RequestKind::Terminal => self.terminal(&TerminalRequest::default()),
        };
        if answer.is_ready() {
            return false;
        }
        // No caller wants its output any more, and the end is behind it.
        let mut dropped = [0; 4096];
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            while matches!(self.read(stream, &mut dropped), Poll::Ready(Ok(1..))) {}
        }
        if self.is_eof() && self.wait_closed().is_ready() {
            self.forget_question();
            return false;
        }
        true
    }

    /// Lets other channels send requests: no answer comes any more.
    fn forget_question(&self) {
        if self.is_asked() {
            self.raw_session.asked.set(None);
        }
    }

    fn put(&mut self, question: RequestKind, send: impl FnOnce(&Self) -> PollResult<()>) -> PollResult<()> {
        if self.raw_session.asked.get().is_some_and(|asked| asked != self.number()) {
            return Poll::Pending;
        }
        if self.raw_session.asked.replace(Some(self.number())).is_none() {
            self.raw_session.questions.set(self.raw_session.questions.get() + 1);
        }
        self.question = question;
        let answer = send(self);
        if answer.is_ready() {
            self.raw_session.asked.set(None);
        }
        answer
    }
}
