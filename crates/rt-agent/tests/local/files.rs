//! Operations on files, done by an agent on this machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use rt_agent::FileRequest;
use rt_process::ExecMarker;
use rt_protocol::{
    CancelToken, ContainerPath, ErrorKind, FileKind, FileMode, FileOptions, FileOwner, Result, Until,
};
use rustix::process::Signal;

use crate::fixture::{LONG, LocalAgent, Single, name, signal, wait_for};

fn at(path: &Path) -> ContainerPath {
    ContainerPath::new(path).unwrap()
}

impl LocalAgent {
    fn file(&self, request: &FileRequest<'_>, until: &Until) -> Result<Vec<u8>> {
        rt_agent::file(&mut Single(self.agent()), request, &ExecMarker::fresh(), &name(), until)
    }

    fn write(&self, path: &Path, bytes: &[u8], options: &FileOptions) -> Result<()> {
        let path = at(path);
        self.file(&FileRequest::write(&path, bytes, options)?, &Until::after(LONG)).map(drop)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        let path = at(path);
        let request = FileRequest::read(&path, limit)?;
        request.contents(self.file(&request, &Until::after(LONG))?)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let path = at(path);
        self.file(&FileRequest::remove(&path)?, &Until::after(LONG)).map(drop)
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn contents_and_states_are_those_of_the_kernel() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    let file = home.path().join("a\n\u{e4}");
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let options = FileOptions::new().mode(FileMode::new(0o640).unwrap());
    local.write(&file, &bytes, &options).unwrap();
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(local.read(&file, 300_000).unwrap(), bytes);
    let known = fs::metadata(&file).unwrap();
    let path = at(&file);
    let request = FileRequest::stat(&path).unwrap();
    let info = request.info(&local.file(&request, &Until::after(LONG)).unwrap()).unwrap();
    assert_eq!((info.kind, info.size, info.mode.bits()), (FileKind::File, 300_000, 0o640));
    assert_eq!(info.owner, FileOwner::new(known.uid(), known.gid()).ok());
    assert_eq!(info.modified, known.modified().ok());
    let path = at(home.path());
    let request = FileRequest::list(&path).unwrap();
    let entries = request.entries(&local.file(&request, &Until::after(LONG)).unwrap()).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].name, file.file_name().unwrap());
}

#[test]
fn a_plain_write_keeps_the_inode_and_an_atomic_one_does_not() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    let (file, other) = (home.path().join("file"), home.path().join("other"));
    fs::write(&file, "before").unwrap();
    fs::hard_link(&file, &other).unwrap();
    local.write(&file, b"in place", &FileOptions::new()).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"in place");
    local.write(&file, b"replaced", &FileOptions::new().atomic()).unwrap();
    assert_eq!(
        (fs::read(&file).unwrap(), fs::read(&other).unwrap()),
        (b"replaced".to_vec(), b"in place".to_vec())
    );
    assert_eq!(names(home.path()), ["file", "other"]);
}

#[test]
fn a_file_of_proc_has_contents_and_one_that_grows_has_an_end() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    assert!(local.read(Path::new("/proc/version"), 4096).unwrap().starts_with(b"Linux"));
    let log = home.path().join("log");
    fs::write(&log, "x").unwrap();
    let token = CancelToken::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(&log).unwrap();
            let block = vec![b'x'; 1 << 16];
            while !token.is_cancelled() && file.metadata().unwrap().len() < 64 << 20 {
                std::io::Write::write_all(&mut file, &block).unwrap();
            }
        });
        let mut too_large = 0;
        while too_large < 3 {
            match local.read(&log, 1 << 20) {
                Ok(bytes) => assert!(bytes.len() <= 1 << 20),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
                    too_large += 1;
                }
            }
        }
        token.cancel();
    });
}

#[test]
fn what_is_no_regular_file_is_neither_opened_nor_waited_for() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    let fifo = home.path().join("fifo");
    assert!(local.sh(&format!("mkfifo {}", fifo.display())).success());
    for special in [fifo.as_path(), Path::new("/dev/zero"), Path::new("/dev/tty")] {
        assert_eq!(local.read(special, 9).unwrap_err().kind(), ErrorKind::InvalidRequest);
        for options in [FileOptions::new(), FileOptions::new().atomic()] {
            let error = local.write(special, b"x", &options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        }
    }
    assert_eq!(names(home.path()), ["fifo"]);
}

#[test]
fn two_thousand_levels_and_a_thousand_files_are_removed_and_nothing_beside_them() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    let (top, kept) = (home.path().join("top"), home.path().join("kept"));
    fs::create_dir_all(top.join("wide")).unwrap();
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("file"), "x").unwrap();
    symlink(&kept, top.join("link")).unwrap();
    symlink("..", top.join("wide/up")).unwrap();
    for number in 0..1000 {
        fs::write(top.join("wide").join(format!("{number:0>200}")), "").unwrap();
    }
    // Deeper than any path.
    let script = format!(
        "cd {} && n=0; while [ $n -lt 2000 ]; do mkdir dd && cd -P dd && : >f || exit; n=$((n+1)); done",
        top.display()
    );
    assert!(local.sh(&script).success());
    local.remove(&top).unwrap();
    assert_eq!(names(home.path()), ["kept"]);
    assert_eq!(names(&kept), ["file"]);
    local.remove(&top).unwrap();
}

#[test]
fn a_tree_whose_directories_are_moved_meanwhile_takes_nothing_else_along() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    let (top, kept) = (home.path().join("top"), home.path().join("kept"));
    fs::create_dir(&kept).unwrap();
    let all = || {
        for place in ["a/b/c", "d/e"] {
            fs::create_dir_all(top.join(place)).unwrap();
            for number in 0..50 {
                fs::write(top.join(place).join(number.to_string()), "").unwrap();
            }
        }
    };
    for round in 0..20 {
        all();
        fs::write(kept.join(round.to_string()), "").unwrap();
        std::thread::scope(|scope| {
            let removal = scope.spawn(|| local.remove(&top));
            // A directory goes elsewhere, and a link to a place that must stay comes instead.
            let _ = fs::rename(top.join("a"), home.path().join(format!("moved-{round}")));
            let _ = symlink(&kept, top.join("a"));
            // It may find that it cannot be emptied, since it is filled again.
            let _ = removal.join().unwrap();
        });
        let _ = local.remove(&top);
        assert_eq!(names(&kept).len(), round + 1);
    }
}

/// Writes more than the pipe holds to an agent whose writer is stopped, and returns the writer.
fn stopped_write(local: &LocalAgent, home: &Path, then: impl FnOnce(u32)) -> Result<()> {
    let bytes = vec![7; 512 << 20];
    let path = at(&home.join("file"));
    let request = FileRequest::write(&path, &bytes, &FileOptions::new().atomic()).unwrap();
    let token = CancelToken::new();
    std::thread::scope(|scope| {
        let (cancel, file) = (&token, &request);
        let write = scope.spawn(move || local.file(file, &Until::after(LONG).or_cancelled(cancel)));
        let begun = Instant::now();
        let writer = loop {
            assert!(begun.elapsed() < LONG, "nothing is written");
            let all = rt_process::procfs::snapshot().unwrap();
            let supervisors = local.children();
            let writer = all.iter().find(|entry| supervisors.contains(&entry.parent));
            if let Some(writer) = writer.filter(|_| names(home).iter().any(|name| name.starts_with(".rt-"))) {
                break writer.pid;
            }
            std::thread::sleep(Duration::from_micros(100));
        };
        then(writer);
        token.cancel();
        write.join().unwrap().map(drop)
    })
}

#[test]
fn a_write_that_is_cancelled_leaves_nothing() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    fs::write(home.path().join("file"), "before").unwrap();
    let error = stopped_write(&local, home.path(), |writer| signal(writer, Signal::STOP)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(names(home.path()), ["file"]);
    assert_eq!(fs::read(home.path().join("file")).unwrap(), b"before");
}

#[test]
fn a_write_whose_process_is_killed_leaves_nothing_and_is_no_success() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    let error = stopped_write(&local, home.path(), |writer| {
        signal(writer, Signal::KILL);
        wait_for(|| names(home.path()).is_empty());
    })
    .unwrap_err();
    let kinds = [ErrorKind::BackendInterrupted, ErrorKind::Cancelled];
    assert!(kinds.contains(&error.kind()), "{error}");
    assert!(names(home.path()).is_empty());
}

#[test]
fn a_write_whose_supervisor_is_killed_is_no_success() {
    let (local, home) = (LocalAgent::start(), tempfile::tempdir().unwrap());
    let error = stopped_write(&local, home.path(), |_| {
        for supervisor in local.children() {
            signal(supervisor, Signal::KILL);
        }
    })
    .unwrap_err();
    assert_ne!(error.kind(), ErrorKind::SourceFailed, "{error}");
    // The writer sees the end of its input, which came too early.
    wait_for(|| names(home.path()).is_empty());
}
