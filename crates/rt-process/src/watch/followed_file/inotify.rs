//! Followed files on Linux: inotify counts the replacements, a pidfd reports the end of the writer.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_protocol::Until;
use rt_protocol::sync::Waker;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::growth::Growth;
use crate::procfs::{self, ProcessEntry};

/// How many files may wait to be read. Each holds a descriptor and disk space.
const MAX_PENDING_FILES: usize = 64;

#[derive(Debug)]
pub(crate) struct FollowedFile {
    path: PathBuf,
    name: OsString,
    /// Watches the directory, because a watch of the file would stay with the replaced one.
    watch: OwnedFd,
    writer: OwnedFd,
    waker: Waker,
    /// The file being read, and those that have replaced it; never empty.
    files: VecDeque<Generation>,
    /// How far the first of them was read, in bytes.
    position: u64,
    writer_has_ended: bool,
}

/// The file between two replacements.
#[derive(Debug)]
struct Generation {
    file: File,
    identity: (u64, u64),
    /// Whether files between the previous one and this one are lost, or may be.
    after_gap: bool,
}

impl FollowedFile {
    pub(crate) fn open(path: &Path, writer: &ProcessEntry) -> io::Result<Option<Self>> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let Some(pidfd) = procfs::pidfd_of(writer)? else { return Ok(None) };
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(
            &watch,
            directory,
            WatchFlags::MODIFY | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR,
        )?;
        let mut followed = Self {
            path: path.to_owned(),
            name: name.to_owned(),
            watch,
            writer: pidfd,
            waker: Waker::new()?,
            files: VecDeque::from([Generation::open(path)?]),
            position: 0,
            writer_has_ended: false,
        };
        // Replacements between the start of the watch and the opening must not count. The count
        // that is dropped here may include a later one: if the path now leads to another file,
        // start again with that file.
        loop {
            followed.replacements()?;
            match Generation::open(path) {
                Ok(now) if now.identity != followed.files[0].identity => followed.files[0] = now,
                Ok(_) => return Ok(Some(followed)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(followed)),
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn first(&self) -> &File {
        &self.files[0].file
    }

    pub(crate) fn begin_at(&mut self, position: u64) {
        self.position = position;
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8], until: &Until) -> io::Result<Growth> {
        let _registration = self.waker.wake_on_cancel(until);
        loop {
            // At every read, not only at the end of a file: the earlier a new file is opened, the
            // fewer are missed.
            self.open_replacements()?;
            let file = &self.files[0].file;
            let count = match file.read_at(buffer, self.position) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                count => count?,
            };
            if count > 0 {
                self.position += count as u64;
                return Ok(Growth::Bytes(count));
            }
            if file.metadata()?.len() < self.position {
                // Truncated in place, as by `copytruncate`.
                self.position = 0;
                return Ok(Growth::Gap);
            }
            if self.files.len() > 1 {
                // A writer that has turned to a new file no longer writes to the old one.
                self.files.pop_front();
                self.position = 0;
                if std::mem::take(&mut self.files[0].after_gap) {
                    return Ok(Growth::Gap);
                }
                continue;
            }
            if self.writer_has_ended {
                return Ok(Growth::End);
            }
            if until.check().is_err() {
                return Ok(Growth::Idle);
            }
            self.wait(until.remaining())?;
        }
    }

    /// Waits until the file may have grown, the writer has ended, a cancel token was cancelled, or
    /// the time has passed.
    fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut ready =
            [readable(self.watch.as_fd()), readable(self.writer.as_fd()), readable(self.waker.as_fd())];
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut ready, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Reads once more after this is known, because the last bytes may have come since.
        self.writer_has_ended |= !ready[1].revents().is_empty();
        self.waker.drain();
        Ok(())
    }

    /// Opens the file that replaced the last one opened.
    fn open_replacements(&mut self) -> io::Result<()> {
        let mut count = self.replacements()?;
        while count > 0 {
            let mut new = match Generation::open(&self.path) {
                Ok(new) => new,
                // Removed, with its container.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            new.after_gap = count > 1;
            let since = self.replacements()?;
            let last = self.files.len() - 1;
            if self.files[last].identity == new.identity {
                // It was opened already; the counted replacements came before it.
                self.files[last].after_gap |= last > 0;
            } else {
                if self.files.len() > MAX_PENDING_FILES {
                    self.files.pop_back();
                    new.after_gap = true;
                }
                self.files.push_back(new);
            }
            count = since;
        }
        Ok(())
    }

    /// Returns how often the file was replaced since the last call; at least twice if the system
    /// has lost count.
    fn replacements(&self) -> io::Result<usize> {
        let mut count = 0;
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.watch, &mut room);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => count += 2,
                Ok(event) => {
                    let is_new = event.events().intersects(ReadFlags::MOVED_TO | ReadFlags::CREATE);
                    let is_it = event.file_name().is_some_and(|name| name.to_bytes() == self.name.as_bytes());
                    count += usize::from(is_new && is_it);
                }
                Err(Errno::WOULDBLOCK) => return Ok(count),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Generation {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(Self { file, identity: (metadata.dev(), metadata.ino()), after_gap: false })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use rt_protocol::CancelToken;

    use super::*;
    use crate::{LineStream, ProcessSpec, Program};

    /// A file, and a process that stands for its writer; the tests themselves write.
    struct Fixture {
        directory: tempfile::TempDir,
        writer: LineStream,
    }

    impl Fixture {
        fn new() -> Self {
            let cat = ProcessSpec::new(&Program::find("sleep").unwrap()).args(["1000"]);
            let fixture = Self {
                directory: tempfile::tempdir().unwrap(),
                writer: LineStream::spawn(&cat, 100).unwrap(),
            };
            fixture.append("");
            fixture
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("log")
        }

        fn append(&self, text: &str) {
            let mut file = File::options().append(true).create(true).open(self.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// As conmon does: a new file is moved over the old one.
        fn replace(&self, text: &str) {
            let new = self.path().with_extension("tmp");
            fs::write(&new, text).unwrap();
            fs::rename(new, self.path()).unwrap();
        }

        fn follow(&self) -> FollowedFile {
            let entry = procfs::entry(self.writer.pid()).unwrap().unwrap();
            FollowedFile::open(&self.path(), &entry).unwrap().unwrap()
        }
    }

    fn soon() -> Until {
        Until::after(Duration::from_secs(20))
    }

    fn read(file: &mut FollowedFile) -> (Growth, String) {
        let mut buffer = [0; 100];
        let growth = file.read(&mut buffer, &soon()).unwrap();
        let count = if let Growth::Bytes(count) = growth { count } else { 0 };
        (growth, String::from_utf8(buffer[..count].to_vec()).unwrap())
    }

    fn text(file: &mut FollowedFile) -> String {
        match read(file) {
            (Growth::Bytes(_), text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_replaced_file_is_read_to_its_end_before_the_next_one() {
        let fixture = Fixture::new();
        let mut file = fixture.follow();
        fixture.append("a");
        assert_eq!(text(&mut file), "a");
        fixture.append("b");
        fixture.replace("c");
        assert_eq!((text(&mut file), text(&mut file)), ("b".into(), "c".into()));
        fixture.append("d");
        assert_eq!(text(&mut file), "d");
    }

    #[test]
    fn files_that_came_and_went_unseen_are_a_gap() {
        let fixture = Fixture::new();
        let mut file = fixture.follow();
        fixture.append("a");
        fixture.replace("gone");
        fixture.replace("b");
        assert_eq!(text(&mut file), "a");
        assert_eq!(read(&mut file).0, Growth::Gap);
        assert_eq!(text(&mut file), "b");
    }

    #[test]
    fn files_that_wait_are_all_read() {
        let fixture = Fixture::new();
        let mut file = fixture.follow();
        fixture.append(&"x".repeat(20));
        for number in 0..20 {
            // One look at every replacement is enough, even while much of the first file is unread.
            fixture.replace(&format!("{number},"));
            assert_eq!(file.read(&mut [0], &soon()).unwrap(), Growth::Bytes(1));
        }
        for number in 0..20 {
            assert_eq!(text(&mut file), format!("{number},"));
        }
    }

    #[test]
    fn a_file_that_was_cut_is_a_gap() {
        let fixture = Fixture::new();
        let mut file = fixture.follow();
        fixture.append("abc");
        assert_eq!(text(&mut file), "abc");
        fs::write(fixture.path(), "d").unwrap();
        assert_eq!(read(&mut file).0, Growth::Gap);
        assert_eq!(text(&mut file), "d");
    }

    #[test]
    fn the_end_of_the_writer_is_the_end_after_the_last_byte() {
        let mut fixture = Fixture::new();
        let mut file = fixture.follow();
        fixture.append("last");
        fixture.replace("words");
        fixture.writer.close();
        assert_eq!((text(&mut file), text(&mut file)), ("last".into(), "words".into()));
        assert_eq!(read(&mut file).0, Growth::End);
    }

    #[test]
    fn a_writer_that_has_ended_has_no_followed_file() {
        let mut fixture = Fixture::new();
        let entry = procfs::entry(fixture.writer.pid()).unwrap().unwrap();
        fixture.writer.close();
        assert!(FollowedFile::open(&fixture.path(), &entry).unwrap().is_none());
    }

    #[test]
    fn a_read_ends_with_its_limit_and_by_its_token() {
        let fixture = Fixture::new();
        let mut file = fixture.follow();
        let soon = Until::after(Duration::from_millis(20));
        assert_eq!(file.read(&mut [0; 10], &soon).unwrap(), Growth::Idle);
        let token = CancelToken::new();
        let until = Until::cancelled(&token);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| file.read(&mut [0; 10], &until).unwrap());
            token.cancel();
            assert_eq!(reader.join().unwrap(), Growth::Idle);
        });
    }
}
