//! Tar streams into and out of containers.

use std::fs;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use rt_protocol::{CancelToken, ContainerPath, ErrorKind, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("tar: a tree goes out and in, without its leading directory", tree),
    ("tar: an archive without entries is nothing to unpack", empty),
    ("tar: nothing that podman writes down stays", spool),
    ("tar: a source that fails unpacks nothing", failing_source),
    ("tar: a sink that fails leaves the container free", failing_sink),
    ("tar: a deadline and a cancel end the client", stopped),
    ("tar: what is missing, or no archive, is told", missing),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

fn path(path: &str) -> ContainerPath {
    ContainerPath::new(path).expect("a path")
}

/// An archive with these files.
fn archive(files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, name, *bytes)?;
    }
    archive.into_inner()
}

fn tree(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("mkdir -p /tmp/d/sub /tmp/e; echo a >/tmp/d/a; echo b >'/tmp/d/sub/b c'; ln -s a /tmp/d/l; echo old >/tmp/e/old")?.exit_ok()?;
    let mut out = Vec::new();
    sandbox.container.copy_out_tar(&path("/tmp/d"), &mut out, &until())?;
    let mut names = Vec::new();
    for entry in tar::Archive::new(&out[..]).entries()? {
        names.push(entry?.path()?.to_string_lossy().trim_end_matches('/').to_owned());
    }
    names.sort();
    assert_eq!(names, ["a", "l", "sub", "sub/b c"]);
    sandbox.container.copy_in_tar(&mut &out[..], &path("/tmp/e"), &until())?;
    let found = sandbox.sh("cd /tmp/e; find . | sort; cat a 'sub/b c'; readlink l")?;
    assert_eq!(found.stdout, ".\n./a\n./l\n./old\n./sub\n./sub/b c\na\nb\na\n");
    // A file alone, under its own name; and a large one, through pipes on both sides.
    sandbox.sh("head -c 30000000 /dev/urandom >/tmp/big; mkdir /tmp/f")?.exit_ok()?;
    let mut out = Vec::new();
    sandbox.container.copy_out_tar(&path("/tmp/big"), &mut out, &until())?;
    sandbox.container.copy_in_tar(&mut &out[..], &path("/tmp/f"), &until())?;
    assert!(sandbox.sh("cmp /tmp/big /tmp/f/big")?.success());
    Ok(())
}

fn empty(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("mkdir /tmp/none")?.exit_ok()?;
    let mut out = Vec::new();
    sandbox.container.copy_out_tar(&path("/tmp/none"), &mut out, &until())?;
    sandbox.container.copy_in_tar(&mut &out[..], &path("/tmp/none"), &until())?;
    sandbox.container.copy_in_tar(&mut &archive(&[])?[..], &path("/tmp/none"), &until())?;
    let error =
        sandbox.container.copy_in_tar(&mut &archive(&[])?[..], &path("/no/such"), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    Ok(())
}

fn spool(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let runtime = live.builder().env("TMPDIR", directory.path()).build()?;
    let container = rt_protocol::ContainerRuntime::container(&runtime, &sandbox.name);
    let bytes = archive(&[("file", b"x")])?;
    container.copy_in_tar(&mut &bytes[..], &path("/tmp"), &until())?;
    let error = container.copy_in_tar(&mut Broken(&bytes), &path("/tmp"), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceFailed, "{error}");
    assert_eq!(fs::read_dir(directory.path())?.count(), 0);
    Ok(())
}

/// Fails after its bytes, reading and writing alike.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(io::Error::other("the test's source has failed")),
            other => other,
        }
    }
}

impl Write for Broken<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::Error::other("the test's sink has failed"));
        }
        let count = bytes.len().min(self.0.len());
        self.0 = &self.0[count..];
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failing_source(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("mkdir /tmp/d")?.exit_ok()?;
    // Also after a whole archive, and in the middle of a file.
    let whole = archive(&[("first", b"x"), ("second", &[7; 5000])])?;
    for bytes in [&whole[..], &whole[..3000], &[]] {
        let error = sandbox.container.copy_in_tar(&mut Broken(bytes), &path("/tmp/d"), &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceFailed, "{error}");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("the test's source has failed"));
    }
    assert_eq!(sandbox.sh("ls /tmp/d")?.stdout, "");
    Ok(())
}

fn failing_sink(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("head -c 50000000 /dev/zero >/tmp/big")?.exit_ok()?;
    for bytes in [&[0; 10_000][..], &[]] {
        let error =
            sandbox.container.copy_out_tar(&path("/tmp/big"), &mut Broken(bytes), &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SinkFailed, "{error}");
        sandbox.sh("true")?.exit_ok()?;
        sandbox.container.copy_out_tar(&path("/etc/passwd"), &mut io::sink(), &until())?;
    }
    let spec = Sandbox::spec(live).command(["sh", "-c", "head -c 50000000 /dev/zero >/tmp/big"]);
    let stopped = Sandbox::launch(&live.runtime, spec)?;
    let _ = stopped.container.wait(&until())?;
    let error = stopped.container.copy_out_tar(&path("/tmp/big"), &mut Broken(&[]), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkFailed, "{error}");
    stopped.container.copy_out_tar(&path("/etc/passwd"), &mut io::sink(), &until())?;
    stopped.container.start(&until())?;
    Ok(())
}

/// Has no end, and is in no hurry.
struct Endless;

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_millis(20));
        buffer.fill(1);
        Ok(buffer.len())
    }
}

impl Write for Endless {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_millis(20));
        Ok(bytes.len().min(1000))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stopped(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("head -c 50000000 /dev/zero >/tmp/big")?.exit_ok()?;
    let token = CancelToken::new();
    let short = || Until::after(Duration::from_millis(500));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(3500));
            token.cancel();
        });
        for (until, kind) in
            [(short(), ErrorKind::TimedOut), (Until::cancelled(&token), ErrorKind::Cancelled)]
        {
            let begun = Instant::now();
            let error = sandbox.container.copy_in_tar(&mut Endless, &path("/tmp"), &until).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
            let begun = Instant::now();
            let error = sandbox.container.copy_out_tar(&path("/tmp/big"), &mut Endless, &until).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        }
        let error = sandbox.container.copy_out_tar(&path("/tmp/big"), &mut Endless, &short()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    });
    sandbox.sh("true")?.exit_ok()?;
    Ok(())
}

fn missing(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let nowhere = path("/no/such");
    let bytes = archive(&[("file", b"x")])?;
    let error = sandbox.container.copy_in_tar(&mut &bytes[..], &nowhere, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    let error = sandbox.container.copy_out_tar(&nowhere, &mut io::sink(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    let error = sandbox.container.copy_in_tar(&mut &b"no archive"[..], &path("/tmp"), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
    let name = sandbox.name.clone();
    let absent = rt_protocol::ContainerRuntime::container(&live.runtime, &name);
    drop(sandbox);
    let error = absent.copy_in_tar(&mut &bytes[..], &path("/tmp"), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchContainer, "{error}");
    let error = absent.copy_out_tar(&path("/tmp"), &mut io::sink(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchContainer, "{error}");
    Ok(())
}
