//! Tar streams into and out of a container, by `podman cp` with `-` on one side. Files and
//! directories are in `copy_in` and `copy_out`.
//!
//! If a client's stream fails or its time is over, it is ended with its group, and its output is
//! drained meanwhile. On 4.3, a client whose output is not read can hold the lock of its container.

use std::ffi::OsString;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use rt_process::{Output, Streams, with_process};
use rt_protocol::sync::lock;
use rt_protocol::{
    CancelToken, ContainerPath, Error, ErrorKind, Interruption, KILL_GRACE, OutputLimit, Result, Sink,
    Source, Until,
};

use super::glob;
use super::host_path::TemporaryDirectory;
use super::{INTO, OUT_OF, container_path, container_source, contents_of, place, system};
use crate::cli::answer::{Verdict, interrupted};
use crate::cli::engine::{Call, Engine, process_error};
use crate::state::target::Target;

/// The most that is kept of podman's stderr, in bytes.
const COMPLAINTS: OutputLimit = OutputLimit::bytes(64 << 10);

/// The most that is read from the caller at once, in bytes.
const CHUNK: usize = 64 << 10;

/// podman's text for a stream that is not an archive, and for one that contains only zeros.
const NO_ARCHIVE: &str = "source must be a (compressed) tar archive";

/// Unpacks a tar stream into a directory of the container.
pub(crate) fn copy_in_tar(
    container: &Target,
    tar: &mut (dyn Read + Send),
    dest: &ContainerPath,
    until: &Until,
) -> Result<()> {
    unpack(container, tar, dest, &[], until).map_err(|error| error.in_container(container.name()))
}

/// Unpacks a tar stream whose entries keep their owners.
pub(crate) fn unpack_with_owners(
    container: &Target,
    tar: &mut (dyn Read + Send),
    dest: &ContainerPath,
    until: &Until,
) -> Result<()> {
    unpack(container, tar, dest, &["--archive=false"], until)
}

fn unpack(
    container: &Target,
    tar: &mut (dyn Read + Send),
    dest: &ContainerPath,
    options: &[&str],
    until: &Until,
) -> Result<()> {
    let dest = container_path(INTO, dest)?;
    // If podman looks up a directory as a pattern, it may unpack into another one.
    if !glob::is_plain(dest) {
        return Err(glob::refused(INTO));
    }
    let target = container.id_or_name(until)?;
    until.check().map_err(|stop| Error::stopped(stop, INTO))?;
    let spool = spool(container.engine())
        .map_err(|cause| system(INTO, "no temporary directory can be made", cause))?;
    let options = options.iter().map(OsString::from);
    let words = [OsString::from("cp")].into_iter().chain(options);
    let words = words.chain([OsString::from("--"), OsString::from("-"), place(&target, dest)]);
    let mut call = container.engine().call(words);
    if let Some(spool) = &spool {
        call = call.env("TMPDIR", spool.path());
    }
    let (theirs, ours) = io::pipe().map_err(|cause| system(INTO, "no pipe can be made", cause))?;
    // The feeder ends the call through its own token; the caller's cancel passes through to it.
    let token = until.cancel_token().map_or_else(CancelToken::new, CancelToken::child);
    let bounded = until.clone().or_cancelled(&token);
    let held = Mutex::new(None);
    let (answer, fed) = thread::scope(|scope| {
        let feeder = thread::Builder::new()
            .name(String::from("rt-podman-tar"))
            .spawn_scoped(scope, || feed(tar, ours, &held, &token))
            .map_err(|cause| system(INTO, "no thread can be started", cause))?;
        let streams = Streams {
            stdin: Source::descriptor(OwnedFd::from(theirs)),
            ..Streams::captured(OutputLimit::bytes(0), COMPLAINTS)
        };
        let answer = run(&call, streams, INTO, &bounded);
        let fed = feeder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, Error>((answer, fed))
    })?;
    if let Some(cause) = fed.error {
        let error = Error::new(ErrorKind::SourceFailed, INTO, "reading the tar stream failed");
        return Err(error.with_source(cause).with_hint("nothing was unpacked"));
    }
    match answer? {
        Ok(()) => Ok(()),
        // An archive without entries has nothing to unpack, and podman does not recognize its
        // zeros. It has checked the directory before.
        Err(refusal) if fed.zeros >= TAR_BLOCK && refusal.stderr.contains(NO_ARCHIVE) => Ok(()),
        Err(refusal) => Err(refusal.error(INTO)),
    }
}

/// Packs a file, or the contents of a directory, into a tar stream.
pub(crate) fn copy_out_tar(
    container: &Target,
    src: &ContainerPath,
    tar: &mut (dyn Write + Send),
    until: &Until,
) -> Result<()> {
    // With `/.`, the entries of a directory have no leading directory; a file has its own name
    // (4.3.1 and 5.4.2).
    let packed = container_source(src).and_then(|source| pack(container, &contents_of(&source), tar, until));
    packed.map_err(|error| error.in_container(container.name()))
}

/// Packs a file, or a directory with its own entry first, into a tar stream.
pub(crate) fn pack_itself(
    container: &Target,
    src: &ContainerPath,
    tar: &mut (dyn Write + Send),
    until: &Until,
) -> Result<()> {
    pack(container, &container_source(src)?, tar, until)
}

fn pack(container: &Target, source: &Path, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
    let target = container.id_or_name(until)?;
    until.check().map_err(|stop| Error::stopped(stop, OUT_OF))?;
    let words = [OsString::from("cp"), OsString::from("--"), place(&target, source), OsString::from("-")];
    let call = container.engine().call(words);
    let mut archive = Trailer::watched(tar);
    let streams = Streams {
        stdin: Source::empty(),
        stdout: Output::Bridge(Sink::borrowed(&mut archive)),
        stderr: Output::Capture(COMPLAINTS),
    };
    run(&call, streams, OUT_OF, until)?.map_err(|refusal| refusal.error(OUT_OF))?;
    archive.flush().map_err(sink_failed)?;
    if archive.has_ended() {
        return Ok(());
    }
    Err(interrupted(OUT_OF, "podman ended with exit code 0 and without the end of the archive"))
}

fn sink_failed(cause: io::Error) -> Error {
    Error::new(ErrorKind::SinkFailed, OUT_OF, "writing the tar stream failed").with_source(cause)
}

/// Runs the client to its end. If it is stopped or its stream fails, it is ended before this
/// returns.
fn run(call: &Call, streams: Streams<'_>, operation: &'static str, until: &Until) -> Result<Verdict<()>> {
    with_process(&call.spec, streams, |process| {
        let driven = process.drive(until);
        if driven.is_err() {
            process.end(KILL_GRACE);
        }
        let finished = process.finish();
        match driven {
            Ok(()) => Ok(call.answer(operation, finished)?.told()?.map(drop)),
            Err(Interruption::Stopped(stop)) => {
                Err(Error::stopped(stop, operation).with_hint("what was copied until then stays"))
            }
            Err(Interruption::SinkFailed(_, cause)) => Err(sink_failed(cause)),
            // This is our own pipe; the feeder reads from the caller's reader.
            Err(Interruption::SourceFailed(cause)) => Err(system(operation, "reading a pipe failed", cause)),
        }
    })
    .map_err(|error| process_error(operation, error))?
}

/// The result of the feeder.
#[derive(Default)]
struct Fed {
    /// How many bytes were read if all of them were zero; 0 if any was not.
    zeros: u64,
    /// The error of the caller's reader.
    error: Option<io::Error>,
}

/// The size of an archive's block. A block of zeros begins the end of the archive (POSIX, `pax`,
/// "ustar Interchange Format").
const TAR_BLOCK: u64 = 512;

/// Passes an archive to its writer and checks its end.
struct Trailer<'a> {
    tar: &'a mut (dyn Write + Send),
    /// How many bytes there were, and how many zeros at the end.
    bytes: u64,
    zeros: u64,
}

impl<'a> Trailer<'a> {
    fn watched(tar: &'a mut (dyn Write + Send)) -> Self {
        Self { tar, bytes: 0, zeros: 0 }
    }

    /// Returns whether the archive is complete: whole blocks, with two blocks of zeros at the end.
    fn has_ended(&self) -> bool {
        self.bytes.is_multiple_of(TAR_BLOCK) && self.zeros >= 2 * TAR_BLOCK
    }
}

impl Write for Trailer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.tar.write(bytes)?;
        let taken = &bytes[..count.min(bytes.len())];
        let zeros = taken.iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == taken.len() { self.zeros + zeros as u64 } else { zeros as u64 };
        self.bytes += taken.len() as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tar.flush()
    }
}

/// Reads from the caller and writes into the pipe, until either ends.
///
/// A failure of the reader must not look like the end of the stream: podman 5.4 unpacks half an
/// archive and reports success. So the pipe is kept open in `held`, which outlives the client, and
/// the token ends the client.
fn feed(
    tar: &mut (dyn Read + Send),
    mut pipe: PipeWriter,
    held: &Mutex<Option<PipeWriter>>,
    token: &CancelToken,
) -> Fed {
    let mut chunk = vec![0; CHUNK];
    let mut fed = Fed::default();
    let mut only_zeros = true;
    loop {
        match tar.read(&mut chunk) {
            Ok(0) => return fed,
            Ok(count) => {
                let bytes = &chunk[..count.min(CHUNK)];
                only_zeros &= bytes.iter().all(|byte| *byte == 0);
                fed.zeros = if only_zeros { fed.zeros + bytes.len() as u64 } else { 0 };
                // It fails if the client has ended; the reason is found elsewhere.
                if pipe.write_all(bytes).is_err() {
                    return fed;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                *lock(held) = Some(pipe);
                token.cancel();
                fed.error = Some(error);
                return fed;
            }
        }
    }
}

/// Creates a directory for podman's own copy of the stream. podman writes the whole stream to a
/// temporary file before it unpacks. The file stays if podman is ended; 4.3 always leaves it
/// behind.
///
/// `None` if TMPDIR does more than locate temporary files: a rootless podman without
/// `XDG_RUNTIME_DIR` keeps its state there.
fn spool(engine: &Engine) -> io::Result<Option<TemporaryDirectory>> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root && engine.variable("XDG_RUNTIME_DIR").is_none_or(|path| path.is_empty()) {
        return Ok(None);
    }
    let parent = engine.variable("TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    TemporaryDirectory::new(&parent).map(Some)
}

#[cfg(test)]
mod tests {
    use std::io::PipeReader;

    use super::*;

    /// Fails after its bytes.
    struct Broken<'a>(&'a [u8]);

    impl Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer) {
                Ok(0) => Err(io::Error::other("broken")),
                other => other,
            }
        }
    }

    fn fed(tar: &mut (dyn Read + Send)) -> (Fed, Mutex<Option<PipeWriter>>, PipeReader, CancelToken) {
        let (reader, writer) = io::pipe().unwrap();
        let (held, token) = (Mutex::new(None), CancelToken::new());
        let fed = feed(tar, writer, &held, &token);
        (fed, held, reader, token)
    }

    #[test]
    fn a_reader_that_ends_ends_the_pipe() {
        let (fed, held, mut reader, token) = fed(&mut &b"archive"[..]);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), fed.zeros, token.is_cancelled()), ("archive", 0, false));
        assert!(fed.error.is_none() && held.into_inner().unwrap().is_none());
    }

    #[test]
    fn a_reader_that_fails_keeps_the_pipe_open_and_ends_the_client() {
        let (fed, held, mut reader, token) = fed(&mut Broken(b"half"));
        assert!(fed.error.is_some() && token.is_cancelled());
        let mut half = [0; 4];
        reader.read_exact(&mut half).unwrap();
        assert_eq!(&half, b"half");
        assert!(held.into_inner().unwrap().is_some());
    }

    #[test]
    fn an_archive_is_whole_when_it_ends_with_two_blocks_of_zeros() {
        let ended = |pieces: &[&[u8]]| {
            let mut written = Vec::new();
            let mut trailer = Trailer::watched(&mut written);
            for piece in pieces {
                trailer.write_all(piece).unwrap();
            }
            let ended = trailer.has_ended();
            assert_eq!(written, pieces.concat());
            ended
        };
        let (block, zeros) = ([7; 512], [0; 512]);
        assert!(ended(&[&block, &zeros, &zeros]));
        assert!(ended(&[&block, &[0; 100], &[0; 412], &[], &[0; 1], &[0; 511]]));
        assert!(ended(&[&[0; 1024]]));
        for cut in
            [&[][..], &[&block[..]], &[&block, &zeros], &[&block, &zeros, &[0; 511]], &[&zeros, &block]]
        {
            assert!(!ended(cut), "{}", cut.len());
        }
    }

    #[test]
    fn an_archive_without_entries_is_known() {
        assert_eq!(fed(&mut &[0; 1024][..]).0.zeros, 1024);
        let mut one = vec![0; 1024];
        one.push(1);
        assert_eq!(fed(&mut &one[..]).0.zeros, 0);
        one.extend([0; 1024]);
        assert_eq!(fed(&mut &one[..]).0.zeros, 0);
        assert_eq!(fed(&mut &b""[..]).0.zeros, 0);
    }
}
