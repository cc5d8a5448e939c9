//! A recorded bridged command played to a caller: what it read is read again, and what it wrote is written.

use std::io;

use rt_protocol::{ErrorKind, ExecStdio, KillReport, Result, Source, SourceKind, StreamFd, Until};

use super::playback::Playback;
use crate::record::format::invocation::Invocation;
use crate::record::format::step::{Step, Stream};
use crate::script::stdio_script::{Shown, read_like};
use crate::streams::peer::{PeerEnd, StdioPeer};

/// Plays the steps.
///
/// # Errors
/// When the caller's streams are not what they were: they end the call, or stdin is another one.
pub(crate) fn play(
    playback: &Playback,
    invocation: &Invocation<'_>,
    steps: &[Step],
    stdio: ExecStdio<'_>,
    until: &Until,
) -> Result<()> {
    let waiter = playback.shared.waiter(until.clone());
    let gone = || false;
    let mut peer = match StdioPeer::open(stdio, &waiter, &gone, None) {
        Ok(Some(peer)) => peer,
        Ok(None) => {
            return Err(invocation.error(ErrorKind::Unsupported, "a stream is of a kind that came later"));
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(invocation.error(ErrorKind::InvalidRequest, error.to_string()));
        }
        Err(error) => return Err(invocation.error(ErrorKind::System, "").with_source(error)),
    };
    let played = steps.iter().try_for_each(|step| replay_step(playback, &mut peer, step));
    let (end, moved) = peer.close();
    let Err(stop) = played else { return Ok(()) };
    Err(match (stop, end) {
        (StepError::Other(message), _) => playback.tape.mismatch(invocation, message),
        // As a backend answers for a command that it has ended.
        (StepError::Ended, Some(PeerEnd::Interrupted(interruption))) => {
            invocation.interrupted(interruption).of_ended_command(KillReport::gone(1), moved)
        }
        (StepError::Ended, Some(PeerEnd::Lost) | None) => {
            invocation.error(ErrorKind::Unreachable, "the call has ended")
        }
    })
}

/// The streams again, and all of stdin where the caller gives it at once. `None`: stdin is of a kind that this version does
/// not know.
pub(crate) fn stdin_bytes(stdio: ExecStdio<'_>) -> Option<(ExecStdio<'_>, Option<Vec<u8>>)> {
    let (source, given) = match stdio.stdin.into_kind() {
        SourceKind::Empty => (Source::empty(), None),
        SourceKind::Bytes(bytes) => (Source::bytes(bytes.clone()), Some(bytes)),
        SourceKind::Descriptor(StreamFd::Owned(fd)) => (Source::descriptor(fd), None),
        SourceKind::Descriptor(StreamFd::Borrowed(fd)) => (Source::borrowed_descriptor(fd), None),
        SourceKind::Reader(reader) => (Source::reader(reader), None),
        _ => return None,
    };
    Some((ExecStdio::new(source, stdio.stdout).stderr(stdio.stderr), given))
}

enum StepError {
    /// The call has ended.
    Ended,
    /// stdin is another one.
    Other(String),
}

impl From<io::Error> for StepError {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

fn replay_step(
    playback: &Playback,
    peer: &mut StdioPeer<'_>,
    step: &Step,
) -> std::result::Result<(), StepError> {
    let (expected, end): (&[u8], bool) = match step {
        Step::Moved(Stream::Out, bytes) => return Ok(peer.write_stdout(bytes)?),
        Step::Moved(Stream::Err, bytes) => return Ok(peer.write_stderr(bytes)?),
        Step::Moved(Stream::In, bytes) => (bytes, false),
        Step::End => (b"", true),
    };
    let got = read_like(peer, expected)?;
    if got.bytes == expected && (got.ended || !end) {
        return Ok(());
    }
    let masker = playback.masker();
    let expected = masker.mask_text(expected);
    let bytes = masker.mask_text(&got.bytes);
    let expected = Shown { bytes: &expected, ended: end };
    let got = Shown { bytes: &bytes, ended: got.ended };
    Err(StepError::Other(format!("stdin is not as recorded: expected {expected}, got {got}")))
}
