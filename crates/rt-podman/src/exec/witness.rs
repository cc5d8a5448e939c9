//! What the host itself sees of one exec, from before its client starts: how podman's record of it
//! appears and disappears.
//!
//! A client's exit code proves nothing if another process may have ended the client: on SIGTERM,
//! podman 4.3 exits with 0, 5.x with 1. The record does. These steps were seen on 4.3.1 and 5.4.2,
//! in this order, below the container's `StaticDir`:
//!
//! 1. the client creates `<session>/`, `<session>/exit/` and `<session>/exec-process-*`, which
//!    contains the marker;
//! 2. conmon writes `<session>/exec_pid` once the command runs;
//! 3. conmon moves `<session>/exit/<container>` into place, with the exit code, when all output is
//!    on its way;
//! 4. the client removes `<session>/` after the last byte of the output, and exits. conmon's
//!    clean-up process also removes it, about 50 ms later, even if the client is gone.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rt_process::{DirectoryChange, DirectoryWatch, ExecMarker, PollSource, Process, procfs};
use rt_protocol::StreamReport;

use super::attach_socket::{self, AttachSocket, Leaving};
use super::session::{self, ExecSession};

/// How long stdin waits at most: if podman never reports that the command runs, it is fed all the
/// same.
const STDIN_WAITS: Duration = Duration::from_secs(3);

/// The witness of one exec.
#[derive(Debug)]
pub(crate) struct ExecWitness {
    /// `None` if the host cannot see podman's records, or has no watch left.
    watch: Option<DirectoryWatch>,
    static_dir: PathBuf,
    mark: String,
    /// Records that were created since, and that are not known to be another command's.
    candidates: Vec<PathBuf>,
    /// Records that were gone before they could be read.
    unread: Vec<PathBuf>,
    record: Option<Record>,
    /// The command has a stdin.
    is_fed: bool,
    attach: Option<AttachSocket>,
    begun: Instant,
    /// conmon reported the end while the client was there.
    was_told_the_end: bool,
    /// The client may have been waiting for a slow sink when it exited; `None` until its exit was
    /// noticed.
    was_held_back: Option<bool>,
}

/// How far a slow sink may be behind once conmon has reported the end, in bytes. The remaining
/// output is at most what a socket (about 100 KB), the client and a pipe hold, so nothing delays
/// the client any more.
const ROOM_AT_THE_END: usize = 512 << 10;

/// What was seen of the command's own record.
#[derive(Debug, Default)]
struct Record {
    directory: PathBuf,
    started: bool,
    ended: bool,
    code: Option<i32>,
    removed: Option<Removal>,
}

/// The situation when the record was removed.
#[derive(Debug)]
struct Removal {
    /// The client was there, and nothing kept it from handing over everything.
    by_client: bool,
    output_bytes: u64,
}

/// What the record says about a command whose client has exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It returned this exit code, and the client read its output to the end.
    Returned(i32),
    /// podman created a record of it, and the command has not been started.
    NotStarted,
    /// podman created no record of it: the client did not come that far.
    NoRecord,
    /// It was started, or may have been, and its fate cannot be known from here.
    Doubt {
        /// It was certainly started.
        started: bool,
    },
}

impl ExecWitness {
    /// Starts to watch. Call it before the client is started.
    pub(crate) fn of(static_dir: Option<&Path>, marker: &ExecMarker) -> Self {
        let watch = static_dir.and_then(|directory| {
            let mut watch = DirectoryWatch::new().ok()?;
            watch.add(directory).ok()?;
            Some(watch)
        });
        if watch.is_none() {
            tracing::debug!(?static_dir, "podman's records of this exec cannot be watched");
        }
        Self {
            watch,
            static_dir: static_dir.map(Path::to_owned).unwrap_or_default(),
            mark: format!("{}={}", ExecMarker::NAME, marker.value()),
            candidates: Vec::new(),
            unread: Vec::new(),
            record: None,
            begun: Instant::now(),
            is_fed: false,
            attach: Some(AttachSocket::default()),
            was_told_the_end: false,
            was_held_back: None,
        }
    }

    /// Also detects output that podman loses when stdin is left unread.
    pub(crate) fn with_stdin(mut self) -> Self {
        self.is_fed = true;
        self
    }

    /// Returns which outputs may be incomplete after the client has exited, if it fed `stdin` to
    /// the command and handed over `output_bytes` of output.
    pub(crate) fn cut_outputs(&mut self, stdin: StreamReport, output_bytes: u64) -> [bool; 2] {
        let leaving = Leaving {
            has_seen_the_end: matches!(self.evidence(output_bytes), Evidence::Returned(_)),
            could_see_the_end: self.was_told_the_end || !self.can_see(),
            was_held_back: self.was_held_back.unwrap_or(false),
        };
        self.attach
            .take()
            .map_or([false; 2], |attach| attach.cut_outputs(self.is_fed.then_some(stdin), leaving))
    }

    /// Returns whether the client reads from conmon's socket itself, so that podman is local.
    pub(crate) fn has_copied_socket(&self) -> bool {
        self.attach.as_ref().is_some_and(AttachSocket::has_copy)
    }

    /// Notes that podman is remote, or may be: conmon's socket is in the service, out of reach.
    pub(crate) fn note_remote(&mut self) {
        if let Some(attach) = &mut self.attach {
            attach.is_remote = true;
        }
    }

    /// Releases the copy of the client's socket: a client that is to be ended must not wait for a
    /// reader that reads nothing.
    pub(crate) fn release_socket(&mut self) {
        self.attach = None;
    }

    /// Returns whether the host sees podman's records at all.
    pub(crate) fn can_see(&self) -> bool {
        self.watch.is_some()
    }

    /// Returns podman's record of the command, once it was seen.
    pub(crate) fn session(&self) -> Option<ExecSession> {
        self.record.as_ref().map(|record| ExecSession::at(&record.directory))
    }

    /// Returns whether the command was certainly started.
    pub(crate) fn has_started(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.started || record.ended)
    }

    /// Returns whether the command was started, or may have been.
    fn may_run(&self) -> bool {
        match &self.record {
            Some(record) => record.started || record.ended || record.removed.is_some(),
            None => !self.unread.is_empty() || self.candidates.iter().any(|it| it.join("exec_pid").exists()),
        }
    }

    /// Returns the exit code that conmon reported, if it was seen.
    pub(crate) fn reported_code(&self) -> Option<i32> {
        self.record.as_ref().and_then(|record| record.code)
    }

    /// Returns whether the client, which exited with `code`, has seen the end of the command:
    /// podman's list (`listed`) has none of the sessions that may be the command's, and conmon
    /// reported no other exit code. `said` means that the client has complained; then conmon must
    /// have reported the end, too.
    pub(crate) fn saw_the_end(&self, code: i32, listed: &[String], said: bool) -> bool {
        let is_listed = |directory: &Path| {
            directory
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|id| listed.iter().any(|known| known == id))
        };
        if let Some(record) = &self.record {
            return record.code.is_none_or(|told| told == code)
                && (record.ended || !said)
                && record.removed.is_some()
                && !is_listed(&record.directory);
        }
        let all_gone = self.candidates.is_empty() && !self.unread.is_empty();
        all_gone && !self.unread.iter().any(|directory| is_listed(directory))
    }

    /// Returns whether the command's record was removed before it was read, so that it is one of
    /// several. Other commands' sessions that are still listed are about to be recognised or
    /// removed.
    pub(crate) fn is_one_of_several(&self) -> bool {
        self.record.is_none() && self.unread.len() + self.candidates.len() > 1
    }

    /// Returns what the record says, after the client has exited.
    pub(crate) fn evidence(&self, output_bytes: u64) -> Evidence {
        if self.watch.is_none() {
            return Evidence::Doubt { started: false };
        }
        match &self.record {
            None if self.candidates.is_empty() && self.unread.is_empty() => Evidence::NoRecord,
            // podman writes the command line before it starts the command, and the rest of the
            // record says nothing (for example of an unknown user). So it is another client's, or
            // this command has not been started.
            None if self.unread.is_empty()
                && !self.candidates.iter().any(|it| it.join("exec_pid").exists()) =>
            {
                Evidence::NotStarted
            }
            None => Evidence::Doubt { started: false },
            Some(Record { code: Some(code), removed: Some(removal), .. })
                if removal.by_client && removal.output_bytes == output_bytes =>
            {
                Evidence::Returned(*code)
            }
            Some(record) if record.started || record.ended => Evidence::Doubt { started: true },
            Some(_) => Evidence::NotStarted,
        }
    }

    /// Reads what has happened until now.
    pub(crate) fn look(&mut self, process: &Process<'_>) {
        let Some(watch) = &mut self.watch else { return };
        let Ok(changes) = watch.changes() else {
            self.watch = None;
            return;
        };
        for change in changes {
            self.take(change, process);
        }
        let has_ended = self.record.as_ref().is_some_and(|record| record.ended);
        if has_ended && !self.was_told_the_end && !process.has_exited() {
            self.was_told_the_end = true;
            process.grow_output_pipes(ROOM_AT_THE_END);
        }
    }

    fn take(&mut self, change: DirectoryChange, process: &Process<'_>) {
        match change {
            DirectoryChange::Created { directory, name }
                if directory == self.static_dir && session::is_session_id(&name.to_string_lossy()) =>
            {
                self.add_candidate(directory.join(name));
            }
            DirectoryChange::Removed { directory, name } if directory == self.static_dir => {
                self.part_with(&directory.join(name), process);
            }
            DirectoryChange::Created { directory, name } | DirectoryChange::Written { directory, name } => {
                if name == "exit" {
                    self.add_exit(&directory);
                } else if directory.ends_with("exit") {
                    self.read_exit(&directory, &name);
                } else {
                    self.take_entry(&directory, &name);
                }
            }
            // Some changes are missing, so nothing can be concluded from their absence.
            DirectoryChange::Lost => self.watch = None,
            _ => {}
        }
    }

    /// Adds a record that may be the command's.
    fn add_candidate(&mut self, directory: PathBuf) {
        if self.record.is_some() {
            return;
        }
        self.add(&directory);
        self.candidates.push(directory.clone());
        // What came before the watch.
        for file in fs::read_dir(&directory).into_iter().flatten().filter_map(Result::ok) {
            self.take_entry(&directory, &file.file_name());
        }
        self.add_exit(&directory);
    }

    /// Watches where conmon reports the end, and reads what it has reported before.
    fn add_exit(&mut self, directory: &Path) {
        let exit = directory.join("exit");
        self.add(&exit);
        for file in fs::read_dir(&exit).into_iter().flatten().filter_map(Result::ok) {
            self.read_exit(&exit, &file.file_name());
        }
    }

    fn add(&mut self, directory: &Path) {
        if let Some(watch) = &mut self.watch {
            // One that is gone already reports nothing more.
            let _ = watch.add(directory);
        }
    }

    fn take_entry(&mut self, directory: &Path, name: &OsStr) {
        match &mut self.attach {
            Some(attach) if name == attach_socket::NAME => attach.is_there = true,
            _ => self.read_file(directory, name),
        }
    }

    fn read_file(&mut self, directory: &Path, name: &OsStr) {
        let name = name.to_string_lossy();
        if name.starts_with("exec-process-") && self.record.is_none() {
            let Some(text) = session::read_spec(&directory.join(&*name)) else { return };
            if text.contains(&self.mark) {
                self.candidates.clear();
                self.unread.clear();
                self.record = Some(Record { directory: directory.to_owned(), ..Record::default() });
                self.started_before(directory);
            } else if text.trim_end().ends_with('}') {
                self.candidates.retain(|candidate| candidate != directory);
            }
        } else if name == "exec_pid"
            && let Some(record) = self.record_at(directory)
        {
            record.started = true;
        }
    }

    /// Reads what conmon had written when the record was recognised as the command's.
    fn started_before(&mut self, directory: &Path) {
        if directory.join("exec_pid").exists() {
            self.read_file(directory, OsStr::new("exec_pid"));
        }
        self.add_exit(directory);
    }

    /// conmon writes to a temporary file whose name has a suffix after a dot, and moves it into
    /// place.
    fn read_exit(&mut self, exit: &Path, name: &OsStr) {
        if name.to_string_lossy().contains('.') {
            return;
        }
        let code = session::read_exit_code(&exit.join(name));
        if let Some(record) = exit.parent().and_then(|directory| self.record_at(directory)) {
            record.ended = true;
            record.code = record.code.or(code);
        }
    }

    fn part_with(&mut self, directory: &Path, process: &Process<'_>) {
        let removal = || Removal {
            by_client: !process.has_exited()
                && can_go_on(process.pid())
                && !process.may_be_blocked_on_output(),
            output_bytes: process.output_bytes(),
        };
        if let Some(record) = self.record_at(directory) {
            record.removed.get_or_insert_with(removal);
        } else {
            let place = self.candidates.iter().position(|candidate| candidate == directory);
            self.unread.extend(place.map(|place| self.candidates.swap_remove(place)));
        }
    }

    fn record_at(&mut self, directory: &Path) -> Option<&mut Record> {
        self.record.as_mut().filter(|record| record.directory == directory)
    }
}

impl PollSource for ExecWitness {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    fn ready(&mut self, process: &Process<'_>) {
        if process.has_exited() {
            self.was_held_back.get_or_insert_with(|| process.may_be_blocked_on_output());
        }
        self.look(process);
        let has_begun = if self.is_fed {
            self.record.is_some() || !self.candidates.is_empty()
        } else {
            self.has_started()
        };
        if let Some(attach) = self.attach.as_mut().filter(|_| has_begun) {
            attach.look(process.pid());
        }
    }

    /// Bytes that are not sent cannot be left unread. So stdin waits until the client's socket was
    /// copied, or until the command runs, since the client is connected by then. So no output is
    /// cut unnoticed, however late this process looks.
    fn holds_stdin(&self) -> Option<Duration> {
        let is_uncopied = |attach: &AttachSocket| !attach.has_copy();
        let waits = self.is_fed && self.watch.is_some() && self.attach.as_ref().is_some_and(is_uncopied);
        (waits && !self.may_run()).then(|| STDIN_WAITS.checked_sub(self.begun.elapsed())).flatten()
    }
}

/// Returns whether the client is not stopped: a stopped client has not removed its record, another
/// process has.
fn can_go_on(client: u32) -> bool {
    !matches!(procfs::is_stopped(client), Ok(true))
}

#[cfg(test)]
mod tests {
    use rt_process::{Output, ProcessSpec, Program, Streams, with_process};
    use rt_protocol::{KILL_GRACE, OutputLimit, Source};

    use super::*;

    #[test]
    fn stdin_waits_until_the_command_may_run() {
        let records = tempfile::tempdir().unwrap();
        let session = records.path().join("5".repeat(64));
        let marker = ExecMarker::fresh();
        let witness = || ExecWitness::of(Some(records.path()), &marker).with_stdin();
        let spec = ProcessSpec::new(&Program::find("sleep").unwrap()).args(["60"]);
        let capture = || Output::Capture(OutputLimit::UNLIMITED);
        let streams = Streams { stdin: Source::empty(), stdout: capture(), stderr: capture() };
        with_process(&spec, streams, |client| {
            let mut witness = witness();
            let mut waits_after = |step: &dyn Fn()| {
                step();
                witness.ready(client);
                witness.holds_stdin().is_some()
            };
            assert!(waits_after(&|| {}));
            assert!(waits_after(&|| fs::create_dir_all(session.join("exit")).unwrap()));
            let spec = format!("{{\"env\":[\"{}={}\"]}}", ExecMarker::NAME, marker.value());
            assert!(waits_after(&|| fs::write(session.join("exec-process-1"), &spec).unwrap()));
            assert!(waits_after(&|| fs::write(session.join("attach"), "").unwrap()));
            assert!(!waits_after(&|| fs::write(session.join("exec_pid"), "1").unwrap()));
            client.end(KILL_GRACE);
        })
        .unwrap();
        // Not for a command without a stdin, one that cannot be watched, or one whose podman never
        // reports that it runs.
        assert_eq!(ExecWitness::of(Some(records.path()), &marker).holds_stdin(), None);
        assert_eq!(ExecWitness::of(None, &marker).with_stdin().holds_stdin(), None);
        let mut late = witness();
        late.begun = late.begun.checked_sub(STDIN_WAITS).unwrap();
        assert_eq!(late.holds_stdin(), None);
    }

    #[test]
    fn of_records_that_went_unread_none_may_be_listed() {
        let records = tempfile::tempdir().unwrap();
        let ids = ["a".repeat(64), "b".repeat(64)];
        let spec = ProcessSpec::new(&Program::find("sleep").unwrap()).args(["60"]);
        with_process(&spec, Streams::captured(OutputLimit::UNLIMITED, OutputLimit::UNLIMITED), |client| {
            let mut witness = ExecWitness::of(Some(records.path()), &ExecMarker::fresh());
            for id in &ids {
                fs::create_dir(records.path().join(id)).unwrap();
            }
            fs::remove_dir(records.path().join(&ids[0])).unwrap();
            witness.look(client);
            // The second is not read yet, and may be the command's.
            assert!(witness.is_one_of_several() && !witness.saw_the_end(10, &[], false));
            fs::remove_dir(records.path().join(&ids[1])).unwrap();
            witness.look(client);
            assert_eq!(witness.evidence(0), Evidence::Doubt { started: false });
            // Another command's is gone but still listed: it is about to be removed.
            assert!(witness.is_one_of_several() && !witness.saw_the_end(10, &ids[1..], false));
            assert!(witness.saw_the_end(10, &[], false));
            client.end(KILL_GRACE);
        })
        .unwrap();
    }

    #[test]
    fn what_conmon_told_before_it_was_watched_is_taken() {
        let records = tempfile::tempdir().unwrap();
        let session = records.path().join("5".repeat(64));
        let marker = ExecMarker::fresh();
        let spec = ProcessSpec::new(&Program::find("sleep").unwrap()).args(["60"]);
        with_process(&spec, Streams::captured(OutputLimit::UNLIMITED, OutputLimit::UNLIMITED), |client| {
            let mut witness = ExecWitness::of(Some(records.path()), &marker);
            fs::create_dir(&session).unwrap();
            let text = format!("{{\"env\":[\"{}={}\"]}}", ExecMarker::NAME, marker.value());
            fs::write(session.join("exec-process-1"), text).unwrap();
            witness.look(client);
            fs::create_dir(session.join("exit")).unwrap();
            fs::write(session.join("exit/container"), "125").unwrap();
            fs::write(session.join("exec_pid"), "1").unwrap();
            witness.look(client);
            fs::remove_dir_all(&session).unwrap();
            witness.look(client);
            assert_eq!(witness.evidence(0), Evidence::Returned(125));
            client.end(KILL_GRACE);
        })
        .unwrap();
    }
}
