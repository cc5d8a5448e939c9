//! What the host sees by itself of one exec, from before its client starts: podman's record of it as it comes and goes.
//!
//! A client's exit code proves nothing where somebody else has ended the client: podman 4.3 exits with 0 on SIGTERM, 5.x
//! with 1. The record does. Seen on 4.3.1 and 5.4.2, in this order, below the container's `StaticDir`:
//!
//! 1. the client makes `<session>/`, `<session>/exit/` and `<session>/exec-process-*`, which has the marker;
//! 2. conmon writes `<session>/exec_pid` once the command runs;
//! 3. conmon moves `<session>/exit/<container>` into its place, with the exit code, when all output is on its way;
//! 4. the client removes `<session>/` after the last byte of the output, and leaves. conmon's clean-up process removes it
//!    too, some 50 ms later: also when there is no client any more.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rt_process::{DirectoryChange, DirectoryWatch, ExecMarker, PollSource, Process, procfs};
use rt_protocol::StreamReport;

use super::attach_socket::{self, AttachSocket, Leaving};
use super::session::{self, ExecSession};

/// How long stdin waits at most: a podman that never says that the command runs is fed all the same.
const STDIN_WAITS: Duration = Duration::from_secs(3);

/// The witness of one exec.
#[derive(Debug)]
pub(crate) struct ExecWitness {
    /// `None` where the host cannot see podman's records, or has no watch left.
    watch: Option<DirectoryWatch>,
    static_dir: PathBuf,
    mark: String,
    /// Records that were made since, and that are not known to be another command's.
    candidates: Vec<PathBuf>,
    /// Those that were gone before they could be read.
    unread: Vec<PathBuf>,
    record: Option<Record>,
    /// The command has a stdin.
    is_fed: bool,
    attach: Option<AttachSocket>,
    begun: Instant,
    /// conmon told the end while the client was there.
    was_told_the_end: bool,
    /// The client may have been waiting for a slow sink when it left; `None` until its exit was noticed.
    was_held_back: Option<bool>,
}

/// How far a slow sink may be behind once conmon has told the end, in bytes. By then there is no more to come than what a
/// socket (some 100 KB), the client and a pipe hold, so nothing holds the client back any more.
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

/// How things stood when the record was removed.
#[derive(Debug)]
struct Removal {
    /// The client was there, and nothing kept it from handing over everything.
    by_client: bool,
    output_bytes: u64,
}

/// What the record says of a command whose client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It returned this code, and the client took its output to the end.
    Returned(i32),
    /// podman made a record of it, and the command has not been started.
    NotStarted,
    /// podman made no record of it: the client never came that far.
    NoRecord,
    /// It was started, or may have been, and what became of it cannot be told from here.
    Doubt {
        /// It was started for sure.
        started: bool,
    },
}

impl ExecWitness {
    /// Begins to look. To be called before the client is started.
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

    /// Looks also after the output that podman loses where a stdin is left unread.
    pub(crate) fn with_stdin(mut self) -> Self {
        self.is_fed = true;
        self
    }

    /// Which of the outputs may not be whole, now that the client has left, having fed `stdin` to the command and handed
    /// over this much of output.
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

    /// Releases the copy of the client's socket: a client that is to be ended must not wait for a reader that reads nothing.
    pub(crate) fn release_socket(&mut self) {
        self.attach = None;
    }

    /// Whether the host sees podman's records at all.
    pub(crate) fn can_see(&self) -> bool {
        self.watch.is_some()
    }

    /// podman's record of the command, once it was seen.
    pub(crate) fn session(&self) -> Option<ExecSession> {
        self.record.as_ref().map(|record| ExecSession::at(&record.directory))
    }

    /// Whether the command was started for sure.
    pub(crate) fn has_started(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.started || record.ended)
    }

    /// Whether the command was started, or may have been.
    fn may_run(&self) -> bool {
        match &self.record {
            Some(record) => record.started || record.ended || record.removed.is_some(),
            None => !self.unread.is_empty() || self.candidates.iter().any(|it| it.join("exec_pid").exists()),
        }
    }

    /// Whether the client, which left with `code`, has seen the end of the command: podman's list, as it is now, has none
    /// of the sessions that may be the command's, and conmon told no other code. `said` is whether the client has complained;
    /// then conmon must have told the end, too.
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

    /// Whether the command's record was removed before it was read, so that it is one of several: those of others that are
    /// still listed are about to be known, or taken off.
    pub(crate) fn is_one_of_several(&self) -> bool {
        self.record.is_none() && self.unread.len() + self.candidates.len() > 1
    }

    /// What the record says, now that the client has left.
    pub(crate) fn evidence(&self, output_bytes: u64) -> Evidence {
        if self.watch.is_none() {
            return Evidence::Doubt { started: false };
        }
        match &self.record {
            None if self.candidates.is_empty() && self.unread.is_empty() => Evidence::NoRecord,
            // podman writes what is to be run before it is started, and what is left here says nothing (an unknown user, say):
            // it is another client's, or this command has not been started.
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

    /// Takes what has happened until now.
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
            // Some changes are missing: nothing that is concluded from their absence holds.
            DirectoryChange::Lost => self.watch = None,
            _ => {}
        }
    }

    /// A record that may be the command's.
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

    /// Watches where conmon tells the end, and takes what it has told before.
    fn add_exit(&mut self, directory: &Path) {
        let exit = directory.join("exit");
        self.add(&exit);
        for file in fs::read_dir(&exit).into_iter().flatten().filter_map(Result::ok) {
            self.read_exit(&exit, &file.file_name());
        }
    }

    fn add(&mut self, directory: &Path) {
        if let Some(watch) = &mut self.watch {
            // One that is gone already tells nothing more.
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

    /// What conmon has written by the time the record was known for the command's.
    fn started_before(&mut self, directory: &Path) {
        if directory.join("exec_pid").exists() {
            self.read_file(directory, OsStr::new("exec_pid"));
        }
        self.add_exit(directory);
    }

    /// conmon writes to a file beside it, with a suffix behind a dot, and moves that into its place.
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

    /// What is not sent is not left unread. So stdin waits for the copy of the client's socket, or for the command itself,
    /// before which the client was connected: no output can be cut unseen then, however late this process gets to look.
    fn holds_stdin(&self) -> Option<Duration> {
        let waits =
            self.is_fed && self.watch.is_some() && self.attach.as_ref().is_some_and(AttachSocket::may_come);
        (waits && !self.may_run()).then(|| STDIN_WAITS.checked_sub(self.begun.elapsed())).flatten()
    }
}

/// Whether the client is not stopped: a stopped one has not removed its record, somebody else has.
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
        // Not for one that is without a stdin, that cannot be watched, or whose podman never says that it runs.
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
            // The second is yet to be read, and may be the command's.
            assert!(witness.is_one_of_several() && !witness.saw_the_end(10, &[], false));
            fs::remove_dir(records.path().join(&ids[1])).unwrap();
            witness.look(client);
            assert_eq!(witness.evidence(0), Evidence::Doubt { started: false });
            // Another command's is gone, and still listed: it is about to be taken off.
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
