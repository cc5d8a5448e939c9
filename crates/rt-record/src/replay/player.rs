//! Plays a recorded bridged command to a caller: reads what it read, and writes what it wrote.

use std::io;

use rt_null::{StdioPeer, StdioRead};
use rt_protocol::{ExecStdio, Result, Source, SourceKind, StreamFd, Until};

use super::playback::Playback;
use crate::format::invocation::Invocation;
use crate::format::step::{Step, Stream};

/// Plays the steps.
///
/// # Errors
/// If the caller's streams differ: they end the call, or stdin has other bytes.
pub(crate) fn play(
    playback: &Playback,
    invocation: &Invocation<'_>,
    steps: &[Step],
    stdio: ExecStdio<'_>,
    until: &Until,
) -> Result<()> {
    let play = |peer: &mut StdioPeer<'_>| {
        for step in steps {
            if let Err(message) = replay_step(playback, peer, step)? {
                return Ok(Err(message));
            }
        }
        Ok(Ok(()))
    };
    match playback.null.serve_stdio(stdio, until, play) {
        Ok(played) => played.map_err(|message| playback.tape.mismatch(invocation, message)),
        Err(error) => Err(error.with_subject(invocation.subject.to_string())),
    }
}

/// Returns the streams, and all of stdin if the caller gives it at once. `None`: stdin is of a kind
/// that this version does not know.
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

/// Plays one step. The text describes a stdin with other bytes.
fn replay_step(
    playback: &Playback,
    peer: &mut StdioPeer<'_>,
    step: &Step,
) -> io::Result<std::result::Result<(), String>> {
    let (expected, end): (&[u8], bool) = match step {
        Step::Moved(Stream::Out, bytes) => return peer.write_stdout(bytes).map(Ok),
        Step::Moved(Stream::Err, bytes) => return peer.write_stderr(bytes).map(Ok),
        Step::Moved(Stream::In, bytes) => (bytes, false),
        Step::End => (b"", true),
    };
    let got = peer.read_expected(expected)?;
    if got.bytes == expected && (got.ended || !end) {
        return Ok(Ok(()));
    }
    let masker = playback.masker();
    let expected = StdioRead::new(masker.mask_text(expected), end);
    let got = StdioRead::new(masker.mask_text(&got.bytes), got.ended);
    Ok(Err(format!("stdin is not as recorded: expected {expected}, got {got}")))
}
