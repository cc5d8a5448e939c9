//! A bridge between a caller's streams and three pipes. Another part of the program serves the
//! pipes' other ends, for example a channel of an SSH connection. No process is started here; the
//! streams of a local process are driven by `process`.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rt_protocol::sync::Waker;
use rt_protocol::{CapturedOutput, Interruption, StreamReport, Until};
use rustix::event::PollFlags;

use crate::io::fd::nonblocking;
use crate::io::output_factory::with_pumps;
use crate::io::output_pump::OutputPump;
use crate::io::poll_loop::PollLoop;
use crate::io::stdin_pump::StdinPump;
use crate::{ProcessError, Streams};

/// Runs `body` with a bridge for `streams`, and the peer's ends of its pipes.
///
/// Bytes move only inside [`Bridge::drive`], on the calling thread. Threads that serve writers
/// borrowed by `streams` end before this returns, as for [`with_process`](crate::with_process).
/// When `body` returns or panics, the bridge's ends of the pipes are closed.
///
/// ```
/// use std::io::{Read, Write};
///
/// use rt_process::{Output, Streams, with_bridge};
/// use rt_protocol::{Sink, Source, Until};
///
/// let mut answer = Vec::new();
/// let streams = Streams {
///     stdin: Source::bytes("ping"),
///     stdout: Output::Bridge(Sink::borrowed(&mut answer)),
///     stderr: Output::Bridge(Sink::discard()),
/// };
/// with_bridge(streams, |bridge, far| {
///     let echo = std::thread::spawn(move || {
///         let mut text = String::new();
///         std::fs::File::from(far.stdin.unwrap()).read_to_string(&mut text).unwrap();
///         std::fs::File::from(far.stdout).write_all(text.as_bytes()).unwrap();
///         drop(far.stderr);
///     });
///     assert!(bridge.drive(&Until::forever()).is_ok());
///     echo.join().unwrap();
/// })?;
/// assert_eq!(answer, b"ping");
/// # Ok::<(), rt_process::ProcessError>(())
/// ```
///
/// # Errors
/// - [`UnsupportedFd`](ProcessError::UnsupportedFd): a descriptor of the caller is a
///   message-oriented socket.
/// - [`System`](ProcessError::System): a pipe or a thread cannot be created, or a descriptor of the
///   caller cannot be examined.
pub fn with_bridge<T>(
    streams: Streams<'_>,
    body: impl FnOnce(&mut Bridge<'_>, PeerPipes) -> T,
) -> Result<T, ProcessError> {
    let refused = |source| ProcessError::from_stream_setup("prepare a bridge of streams", source);
    with_pumps(streams, refused, |stdin, outputs, waker| {
        let (mut bridge, far) = Bridge::open(stdin, outputs, waker).map_err(refused)?;
        Ok(body(&mut bridge, far))
    })
}

/// The peer's ends of a bridge's pipes. They are in blocking mode unless their owner changes that.
#[derive(Debug)]
#[non_exhaustive]
pub struct PeerPipes {
    /// Read end: bytes from the caller's source. `None` for
    /// [`Source::empty`](rt_protocol::Source::empty). Closing it means that stdin is not read any
    /// further.
    pub stdin: Option<OwnedFd>,
    /// Write end: bytes for the caller's stdout sink. Closing it ends the stream.
    pub stdout: OwnedFd,
    /// Write end: bytes for the caller's stderr sink. Closing it ends the stream.
    pub stderr: OwnedFd,
}

/// The caller's side of a bridge.
pub struct Bridge<'a> {
    poll_loop: PollLoop<'a>,
}

/// A command that runs elsewhere and uses the streams of a bridge; see [`Bridge::drive_with`].
pub trait RemoteCommand {
    /// Returns the descriptor that becomes ready when [`ready`](Self::ready) should be called;
    /// `None` if there is nothing left to watch.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Returns whether the descriptor is also watched for writing.
    fn wants_write(&self) -> bool {
        false
    }

    /// Handles the readiness. Must not block, and must consume what made the descriptor ready.
    fn ready(&mut self);

    /// Returns whether the command has exited or can no longer be observed. Once true, it must stay
    /// true.
    fn has_exited(&self) -> bool;
}

/// The bytes that were moved over a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeReport {
    /// What was written to the stdin pipe.
    pub stdin: StreamReport,
    /// What was written to the stdout sink.
    pub stdout: StreamReport,
    /// What was written to the stderr sink.
    pub stderr: StreamReport,
}

impl<'a> Bridge<'a> {
    fn open(
        mut stdin_pump: StdinPump<'a>,
        mut outputs: [OutputPump<'a>; 2],
        waker: Waker,
    ) -> io::Result<(Self, PeerPipes)> {
        let stdin = if stdin_pump.wants_pipe() {
            let (far, near) = io::pipe()?;
            stdin_pump.attach(Some(nonblocking(near)?));
            Some(OwnedFd::from(far))
        } else {
            None
        };
        let mut output = |place: usize| -> io::Result<OwnedFd> {
            let (near, far) = io::pipe()?;
            outputs[place].attach(Some(nonblocking(near)?));
            Ok(far.into())
        };
        let (stdout, stderr) = (output(0)?, output(1)?);
        let bridge = Self { poll_loop: PollLoop::without_process(stdin_pump, outputs, waker) };
        Ok((bridge, PeerPipes { stdin, stdout, stderr }))
    }

    /// Moves bytes until both outputs have ended and were handed on, `until` has ended, or a stream
    /// of the caller has failed. It behaves as [`Process::drive`](crate::Process::drive), and can
    /// be called again afterwards.
    ///
    /// # Errors
    /// The same as [`Process::drive`](crate::Process::drive).
    pub fn drive(&mut self, until: &Until) -> Result<(), Interruption> {
        let _registration = self.poll_loop.waker.wake_on_cancel(until);
        loop {
            if let Some(failure) = self.poll_loop.failures.pop_front() {
                return Err(failure);
            }
            if self.poll_loop.is_complete() {
                return Ok(());
            }
            if let Err(stop) = until.check() {
                // One pass even after the deadline, for bytes that have already come.
                while self.poll_loop.poll_once(Some(Duration::ZERO)) && !self.poll_loop.is_complete() {}
                if self.poll_loop.failures.is_empty() && !self.poll_loop.is_complete() {
                    return Err(stop.into());
                }
                continue;
            }
            self.poll_loop.poll_once(until.remaining());
        }
    }

    /// Does the same as [`drive`](Self::drive), for a command whose exit `command` observes. After
    /// the exit, the outputs are read as those of a [`Process`](crate::Process): first what the
    /// pipes contain, then for a bounded time if others hold them open.
    ///
    /// # Errors
    /// The same as [`Process::drive`](crate::Process::drive).
    pub fn drive_with(&mut self, until: &Until, command: &mut dyn RemoteCommand) -> Result<(), Interruption> {
        let _registration = self.poll_loop.waker.wake_on_cancel(until);
        loop {
            self.poll_loop.set_remote_runs(!command.has_exited());
            if let Some(failure) = self.poll_loop.failures.pop_front() {
                return Err(failure);
            }
            if self.poll_loop.is_complete() {
                return Ok(());
            }
            let stop = until.check().err();
            let flags = if command.wants_write() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            let descriptor = command.descriptor().map(|descriptor| (descriptor, flags));
            let timeout = if stop.is_some() { Some(Duration::ZERO) } else { until.remaining() };
            let owed = self.poll_loop.has_pending();
            if self.poll_loop.poll_once_with(timeout, descriptor).1 {
                command.ready();
                self.poll_loop.set_remote_runs(!command.has_exited());
            }
            // One pass even after the deadline, for bytes that have already come. If the command
            // has exited, all its bytes can be read without waiting; one more pass finds the ends
            // of the streams.
            if let Some(stop) = stop
                && !(owed || self.poll_loop.has_pending())
            {
                self.poll_loop.abandon_outputs();
                if self.poll_loop.failures.is_empty() && !self.poll_loop.is_complete() {
                    return Err(stop.into());
                }
            }
        }
    }

    /// Returns what wakes a drive from another thread. The drive then looks again whether its
    /// command [wants to write](RemoteCommand::wants_write).
    pub fn waker(&self) -> Waker {
        self.poll_loop.waker.clone()
    }

    /// Enlarges the pipes of both outputs, as
    /// [`Process::grow_output_pipes`](crate::Process::grow_output_pipes) does.
    pub fn grow_output_pipes(&self, bytes: usize) {
        self.poll_loop.outputs.iter().for_each(|output| output.grow_pipe(bytes));
    }

    /// Returns what was captured of stdout and stderr. Call it after [`finish`](Self::finish).
    pub fn take_captures(&mut self) -> [CapturedOutput; 2] {
        self.poll_loop.outputs.each_mut().map(OutputPump::take_copy)
    }

    /// Closes the bridge's ends of the pipes, whether or not the streams have ended, and returns
    /// what was moved.
    pub fn finish(&mut self) -> BridgeReport {
        self.poll_loop.stop_streams();
        let [stdout, stderr] = &self.poll_loop.outputs;
        BridgeReport {
            stdin: self.poll_loop.stdin.report(),
            stdout: stdout.report(),
            stderr: stderr.report(),
        }
    }
}

/// Omits the streams, which may contain anything.
impl fmt::Debug for Bridge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::thread;
    use std::time::Instant;

    use rt_protocol::{Sink, Source, StreamEnd};

    use super::*;
    use crate::Output;
    use crate::io::fd::set_nonblocking;

    fn streams<'a>(stdin: Source<'a>, stdout: Sink<'a>) -> Streams<'a> {
        Streams { stdin, stdout: Output::Bridge(stdout), stderr: Output::Bridge(Sink::discard()) }
    }

    #[test]
    fn bytes_cross_both_ways_and_ends_are_passed_on() {
        let mut answer = Vec::new();
        let bridged = with_bridge(
            streams(Source::bytes("a".repeat(300_000)), Sink::borrowed(&mut answer)),
            |bridge, far| {
                let echo = thread::spawn(move || {
                    drop(far.stderr);
                    io::copy(&mut File::from(far.stdin.unwrap()), &mut File::from(far.stdout)).unwrap()
                });
                assert!(bridge.drive(&Until::forever()).is_ok());
                assert_eq!(echo.join().unwrap(), 300_000);
                bridge.finish()
            },
        )
        .unwrap();
        assert_eq!(answer.len(), 300_000);
        assert_eq!(bridged.stdin, StreamReport::new(300_000, StreamEnd::Eof));
        assert_eq!(bridged.stdout, StreamReport::new(300_000, StreamEnd::Eof));
    }

    #[test]
    fn a_deadline_stops_the_drive_and_not_the_bridge() {
        with_bridge(streams(Source::empty(), Sink::discard()), |bridge, far| {
            assert!(far.stdin.is_none());
            let begun = Instant::now();
            assert!(matches!(
                bridge.drive(&Until::after(Duration::from_millis(20))),
                Err(Interruption::Stopped(_))
            ));
            assert!(begun.elapsed() >= Duration::from_millis(20));
            File::from(far.stdout).write_all(b"last words").unwrap();
            drop(far.stderr);
            assert!(bridge.drive(&Until::after(Duration::from_secs(10))).is_ok());
            assert_eq!(bridge.finish().stdout, StreamReport::new(10, StreamEnd::Eof));
        })
        .unwrap();
    }

    #[test]
    fn a_far_end_that_reads_no_more_is_a_reader_that_is_gone() {
        let (source, _kept) = io::pipe().unwrap();
        with_bridge(streams(Source::descriptor(source), Sink::discard()), |bridge, far| {
            drop(far.stdin);
            assert!(matches!(
                bridge.drive(&Until::after(Duration::from_millis(5))),
                Err(Interruption::Stopped(_))
            ));
            drop((far.stdout, far.stderr));
            assert!(bridge.drive(&Until::forever()).is_ok());
            assert_eq!(bridge.finish().stdin, StreamReport::new(0, StreamEnd::ReaderGone));
        })
        .unwrap();
    }

    #[test]
    fn a_command_that_exits_is_not_held_by_who_has_its_outputs() {
        struct Remote(io::PipeReader, bool);
        impl RemoteCommand for Remote {
            fn descriptor(&self) -> Option<BorrowedFd<'_>> {
                (!self.1).then(|| std::os::fd::AsFd::as_fd(&self.0))
            }
            fn ready(&mut self) {
                self.1 = true;
            }
            fn has_exited(&self) -> bool {
                self.1
            }
        }
        // A command that exits while it is driven, and one that exited before.
        for has_exited in [false, true] {
            with_bridge(streams(Source::empty(), Sink::discard()), |bridge, far| {
                let (exit, said) = io::pipe().unwrap();
                File::from(far.stdout.try_clone().unwrap()).write_all(b"last words").unwrap();
                let mut remote = Remote(exit, has_exited);
                if !has_exited {
                    let soon = Until::after(Duration::from_millis(20));
                    assert!(matches!(bridge.drive_with(&soon, &mut remote), Err(Interruption::Stopped(_))));
                }
                drop(said);
                let long = Until::after(Duration::from_secs(60));
                assert!(bridge.drive_with(&long, &mut remote).is_ok());
                assert!(long.remaining() > Some(Duration::from_secs(50)));
                assert_eq!(bridge.finish().stdout, StreamReport::new(10, StreamEnd::LeftOpen));
                drop(far);
            })
            .unwrap();
        }
    }

    #[test]
    fn a_failing_source_is_said_once_and_its_pipe_stays_open() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        with_bridge(streams(Source::reader(Broken), Sink::discard()), |bridge, far| {
            assert!(matches!(bridge.drive(&Until::forever()), Err(Interruption::SourceFailed(_))));
            assert!(matches!(
                bridge.drive(&Until::after(Duration::from_millis(1))),
                Err(Interruption::Stopped(_))
            ));
            set_nonblocking(far.stdin.as_ref().unwrap()).unwrap();
            let read = File::from(far.stdin.unwrap()).read(&mut [0; 8]).unwrap_err();
            assert_eq!(read.kind(), io::ErrorKind::WouldBlock);
        })
        .unwrap();
    }
}
