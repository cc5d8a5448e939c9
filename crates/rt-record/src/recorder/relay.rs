//! A descriptor as a source, recorded without taking more from it than the command does.
//!
//! A plain reader would be read ahead of the command, and what the command leaves unread would be
//! lost. So the backend gets the end of a pipe that holds one chunk. A thread looks at the caller's
//! descriptor without taking from it (`MSG_PEEK`, `tee(2)`) and copies the chunk into the pipe. It
//! takes the chunk from the descriptor only once the backend has read it. What is left in the pipe
//! at the end was never taken.
//!
//! Descriptors that do not support this (terminals, devices; pipes on systems other than Linux) are
//! read, at most one chunk ahead of the command.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::stream_tap::{CHUNK_BYTES, StreamTap};
use super::transcript::TranscriptWriter;

/// A running relay. Dropping it ends its thread.
pub(crate) struct Relay {
    call: Option<UnixStream>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Relay {
    /// Starts a relay. Returns what the backend is to read, or the error if the source fails at the
    /// first look: the backend can get that failure before it begins. `failed` is called if the
    /// source fails later, because a pipe cannot carry an error.
    ///
    /// # Errors
    /// The error if the descriptor cannot be relayed.
    pub(crate) fn start(
        source: OwnedFd,
        transcript: TranscriptWriter,
        failed: impl FnOnce() + Send + 'static,
    ) -> io::Result<Result<(Self, OwnedFd), io::Error>> {
        let source = StreamTap::new(source)?;
        let (near, far) = one_chunk_pipe()?;
        let kept = near.try_clone()?;
        let (call, ended) = UnixStream::pair()?;
        let mut state = RelayState { source, transcript, far: Some(far), near: kept, ended, in_pipe: 0 };
        if let Err(failure) = state.step(Some(&Timespec::default())) {
            return Ok(Err(failure));
        }
        let thread = thread::Builder::new().name("rt-null record".into()).spawn(move || {
            let relayed = state.run();
            if relayed.is_err() {
                failed();
                // The end of the pipe would look like the end of stdin, which this is not.
                state.wait_for_end();
            }
            state.consume_delivered();
            relayed
        })?;
        Ok(Ok((Self { call: Some(call), thread: Some(thread) }, near)))
    }

    /// Ends it, after the call.
    ///
    /// # Errors
    /// The error of the source.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.end().unwrap_or(Ok(()))
    }

    fn end(&mut self) -> Option<io::Result<()>> {
        drop(self.call.take());
        self.thread.take().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that relays stdin panicked")))
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end();
    }
}

/// The state of the thread.
struct RelayState {
    source: StreamTap,
    transcript: TranscriptWriter,
    /// Closed at the end of the source.
    far: Option<OwnedFd>,
    /// Tells what the backend has not read, and keeps the pipe whole if the backend closes its end.
    near: OwnedFd,
    ended: UnixStream,
    /// How many bytes are in the pipe and not yet taken from the source.
    in_pipe: usize,
}

impl RelayState {
    fn run(&mut self) -> io::Result<()> {
        while self.step(None)? {}
        Ok(())
    }

    /// Moves one chunk, once there is one. Returns false if the call or `limit` ends first.
    fn step(&mut self, limit: Option<&Timespec>) -> io::Result<bool> {
        let mut chunk = [0; CHUNK_BYTES];
        let Some(far) = &self.far else {
            self.wait_for_end();
            return Ok(false);
        };
        let next = if self.in_pipe == 0 {
            wait(&self.source.fd, PollFlags::IN, &self.ended, limit)?
        } else {
            wait(far, PollFlags::OUT, &self.ended, limit)?
        };
        let Some(revents) = next else { return Ok(false) };
        if self.in_pipe > 0 {
            self.source.take(self.in_pipe)?;
            self.in_pipe = 0;
            return Ok(true);
        }
        let Some(count) = self.source.peek(&mut chunk)? else { return Ok(true) };
        if count > 0 {
            self.transcript.put(&chunk[..count]);
            self.in_pipe = rustix::io::write(far, &chunk[..count])?;
        }
        // If the end is already visible, it goes with the last chunk, as a backend would see it.
        if count == 0 || revents.contains(PollFlags::HUP) && count < chunk.len() {
            self.transcript.end();
            self.far = None;
        }
        Ok(true)
    }

    fn wait_for_end(&self) {
        while !matches!(wait(&self.ended, PollFlags::IN, &self.ended, None), Ok(None) | Err(_)) {}
    }

    /// Takes from the source exactly what the backend has read.
    fn consume_delivered(&mut self) {
        let unread = rustix::io::ioctl_fionread(&self.near).unwrap_or(0);
        let taken = self.in_pipe.saturating_sub(usize::try_from(unread).unwrap_or(usize::MAX));
        // If the source fails now, no call is left to report it.
        let _ = self.source.take(taken);
    }
}

/// Waits until the descriptor is ready. `None`: the call has ended, or `limit` has passed.
fn wait(
    fd: &impl AsFd,
    events: PollFlags,
    ended: &UnixStream,
    limit: Option<&Timespec>,
) -> io::Result<Option<PollFlags>> {
    loop {
        let mut fds = [PollFd::new(fd, events), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut fds, limit) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if !fds[1].revents().is_empty() {
            return Ok(None);
        }
        if !fds[0].revents().is_empty() {
            return Ok(Some(fds[0].revents()));
        }
    }
}

fn one_chunk_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (near, far) = io::pipe()?;
    #[cfg(target_os = "linux")]
    rustix::pipe::fcntl_setpipe_size(&far, CHUNK_BYTES)?;
    Ok((near.into(), far.into()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::sync::{Arc, Mutex};

    use crate::format::step::{Step, Stream};
    use crate::recorder::transcript::{Delivered, Transcript};
    use rustix::event::Timespec;

    use super::*;

    /// What a command leaves of `abcdef` in each kind of descriptor if it reads three bytes.
    #[test]
    #[cfg(target_os = "linux")]
    fn what_the_command_leaves_stays_in_the_source() {
        let (mut pipe_near, mut pipe_far) = io::pipe().unwrap();
        let (mut socket_near, mut socket_far) = UnixStream::pair().unwrap();
        pipe_far.write_all(b"abcdef").unwrap();
        socket_far.write_all(b"abcdef").unwrap();
        let (pipe, socket) = (pipe_near.try_clone().unwrap(), socket_near.try_clone().unwrap());
        for (source, rest) in
            [(OwnedFd::from(pipe), &mut pipe_near as &mut dyn Read), (socket.into(), &mut socket_near)]
        {
            let transcript = Arc::<Mutex<Transcript>>::default();
            let (relay, near) =
                Relay::start(source, TranscriptWriter::new(&transcript, Stream::In), || {}).unwrap().unwrap();
            let mut taken = [0; 3];
            File::from(near).read_exact(&mut taken).unwrap();
            relay.finish().unwrap();
            let mut left = [0; 3];
            rest.read_exact(&mut left).unwrap();
            assert_eq!((&taken, &left), (b"abc", b"def"));
            let steps =
                Transcript::close(&transcript, Vec::new(), Delivered { bytes: Some(3), ended: false });
            assert_eq!(steps, [Step::Moved(Stream::In, b"abc".to_vec())]);
        }
    }

    #[test]
    fn much_goes_through_and_the_end_with_it() {
        let data: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let (near, mut far) = io::pipe().unwrap();
        let copy = data.clone();
        let writer = thread::spawn(move || far.write_all(&copy));
        let transcript = Arc::<Mutex<Transcript>>::default();
        let (relay, near) = Relay::start(near.into(), TranscriptWriter::new(&transcript, Stream::In), || {})
            .unwrap()
            .unwrap();
        let mut seen = Vec::new();
        File::from(near).read_to_end(&mut seen).unwrap();
        writer.join().unwrap().unwrap();
        relay.finish().unwrap();
        assert!(seen == data);
        let steps = Transcript::close(&transcript, Vec::new(), Delivered { bytes: None, ended: true });
        assert!(steps == [Step::Moved(Stream::In, data), Step::End]);
    }

    #[test]
    fn a_failing_source_is_told_and_is_not_the_end_of_stdin() {
        let transcript = TranscriptWriter::new(&Arc::default(), Stream::In);
        let (mut source, far) = UnixStream::pair().unwrap();
        source.write_all(b"unread").unwrap();
        let (told, hear) = std::sync::mpsc::channel();
        let relay = Relay::start(source.into(), transcript, move || told.send(()).unwrap());
        let (relay, near) = relay.unwrap().unwrap();
        // A socket that is closed with unread bytes is reset (unix(7)).
        drop(far);
        hear.recv().unwrap();
        let mut fds = [PollFd::new(&near, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&Timespec::default())).unwrap(), 0);
        assert!(relay.finish().is_err());
    }

    #[test]
    fn a_source_that_has_failed_is_told_before_the_call_begins() {
        let directory: OwnedFd = File::open("/").unwrap().into();
        let transcript = TranscriptWriter::new(&Arc::default(), Stream::In);
        let started = Relay::start(directory, transcript, || panic!("told twice")).unwrap();
        assert_eq!(started.err().unwrap().kind(), io::ErrorKind::IsADirectory);
    }
}
