//! Files of containers from memory, in every shape of container and against one that plays tricks.
//! The facts that hold for each backend are in the conformance suite.

use std::fs;
use std::io::Cursor;
use std::time::{Duration, Instant};

use rt_podman::ExecPath;
use rt_protocol::{
    Capability, Container, ContainerPath, ErrorKind, ExecRequest, FileKind, FileMode, FileOptions, FileOwner,
    ImageRef, LaunchSpec, LaunchSpecBuilder, Network, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome, Problem};
use crate::warm_container::WarmContainer;

pub(crate) const CASES: &[Case] = &[
    ("files: a container of nothing but one program has them by an agent", one_program),
    ("files: a container without a shell has them by podman cp, and no listing", no_shell),
    ("files: a container that does not run has them by podman cp", not_running),
    ("files: they are root's, whoever its commands are", other_users),
    ("files: two GiB are told by their size, and not read", two_gib),
    ("files: two GiB are written and read whole", whole_two_gib),
    ("files: one that grows without end is refused", growing),
    ("files: a container that swaps them for pipes and links does no harm", swapped),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

fn path(path: &str) -> ContainerPath {
    ContainerPath::new(path).expect("a path")
}

/// A description of a container whose image has one program and a directory.
fn of_one_program(live: &Live) -> Result<LaunchSpecBuilder, Problem> {
    let image = ImageRef::new("localhost/rt-test:one-file")?;
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let program = fs::read(&live.busybox)?;
    header.set_mode(0o755);
    header.set_size(program.len().try_into()?);
    archive.append_data(&mut header, "sleep", program.as_slice())?;
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    archive.append_data(&mut header, "srv/", &[][..])?;
    live.runtime.import_image(Cursor::new(archive.into_inner()?), &image, &[], &until())?;
    let spec = LaunchSpec::builder(Sandbox::fresh_name(), image.as_str()).network(Network::None);
    Ok(spec.command(["/sleep", "777777"]))
}

/// Writes, reads and looks up a file, with the options that every way serves. `tells_owners`:
/// lookups say who owns it.
fn written_and_read(container: &dyn Container, file: &ContainerPath, tells_owners: bool) -> Outcome {
    for (bytes, bits) in [(&b"first\0"[..], 0o640), (&vec![7; 100_000], 0o4755), (b"", 0o600)] {
        // A user namespace has few numbers; others do not fit the oldest tar.
        let group = if rustix::process::geteuid().is_root() { 5_000_000 } else { 50_000 };
        let (mode, owner) = (FileMode::new(bits)?, FileOwner::new(1234, group)?);
        let options = FileOptions::new().mode(mode).owner(owner);
        container.write_file(file, bytes, &options, &until())?;
        assert_eq!(container.read_file(file, 100_000, &until())?, bytes);
        let info = container.stat(file, &until())?.ok_or("nothing is there")?;
        assert_eq!((info.kind, info.size), (FileKind::File, bytes.len() as u64));
        assert_eq!((info.mode, info.owner), (mode, tells_owners.then_some(owner)));
        assert!(info.modified.is_some_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() < 600)));
        // They stay without options.
        container.write_file(file, b"ten bytes.", &FileOptions::new(), &until())?;
        let info = container.stat(file, &until())?.ok_or("nothing is there")?;
        assert_eq!((info.size, info.mode, info.owner), (10, mode, tells_owners.then_some(owner)));
    }
    let error = container.read_file(file, 9, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
    assert!(error.to_string().contains("10 bytes"), "{error}");
    Ok(())
}

/// What is no file is told.
fn told_apart(container: &dyn Container) -> Outcome {
    let kind = |answer: rt_protocol::Result<Vec<u8>>| answer.unwrap_err().kind();
    assert_eq!(kind(container.read_file(&path("/srv"), 9, &until())), ErrorKind::IsADirectory);
    assert_eq!(kind(container.read_file(&path("/srv/none"), 9, &until())), ErrorKind::NoSuchPath);
    let write = |file: &str| container.write_file(&path(file), b"x", &FileOptions::new(), &until());
    assert_eq!(write("/srv").unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(write("/none/file").unwrap_err().kind(), ErrorKind::NoSuchPath);
    assert_eq!(container.stat(&path("/srv/none"), &until())?, None);
    let info = container.stat(&path("/srv"), &until())?.ok_or("nothing is there")?;
    assert_eq!((info.kind, info.mode.bits()), (FileKind::Directory, 0o755));
    Ok(())
}

fn one_program(live: &Live) -> Outcome {
    let warm =
        WarmContainer::with_runtime(live, of_one_program(live)?, live.builder().exec_path(ExecPath::Warm))?;
    let container = warm.container.as_ref();
    written_and_read(container, &path("/srv/file"), true)?;
    told_apart(container)?;
    let deep = path("/new/deep/file");
    container.write_file(&deep, b"atomic", &FileOptions::new().parents().atomic(), &until())?;
    assert_eq!(container.read_file(&deep, 99, &until())?, b"atomic");
    let names: Vec<_> =
        container.list_dir(&path("/new/deep"), &until())?.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["file"]);
    container.remove_path(&path("/new"), &until())?;
    assert_eq!(container.stat(&path("/new"), &until())?, None);
    // A file of /proc has a size of 0, and contents.
    assert!(container.read_file(&path("/proc/self/status"), 1 << 20, &until())?.starts_with(b"Name:"));
    Ok(())
}

fn no_shell(live: &Live) -> Outcome {
    let live = live.cold()?;
    let sandbox = Sandbox::launch(&live.runtime, of_one_program(&live)?)?;
    let container = sandbox.container.as_ref();
    written_and_read(container, &path("/srv/file"), false)?;
    told_apart(container)?;
    for (missing, answer) in [
        (Capability::ListDir, container.list_dir(&path("/srv"), &until()).map(drop)),
        (Capability::RemovePath, container.remove_path(&path("/srv/file"), &until())),
        (
            Capability::AtomicWrite,
            container.write_file(&path("/srv/file"), b"x", &FileOptions::new().atomic(), &until()),
        ),
    ] {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.missing().contains(missing), "{error}");
    }
    assert_eq!(container.read_file(&path("/srv/file"), 99, &until())?, b"ten bytes.");
    let far = path("/new/deep/file");
    container.write_file(&far, b"far", &FileOptions::new().parents(), &until())?;
    assert_eq!(container.read_file(&far, 99, &until())?, b"far");
    Ok(())
}

fn not_running(live: &Live) -> Outcome {
    let spec = Sandbox::spec(live).command(["sh", "-c", "cat /srv/file; sleep 777777"]);
    let sandbox = Sandbox::create(&live.runtime, spec)?;
    let container = sandbox.container.as_ref();
    let options = FileOptions::new().parents();
    container.write_file(&path("/srv/file"), b"early", &options, &until())?;
    written_and_read(container, &path("/srv/file"), false)?;
    let error = container.list_dir(&path("/srv"), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
    container.start(&until())?;
    assert_eq!(sandbox.sh("cat /srv/file")?.stdout, "ten bytes.");
    let owner = FileOwner::new(1234, 4321)?;
    container.stop(Duration::ZERO, &until())?;
    container.write_file(&path("/srv/own"), b"x", &FileOptions::new().owner(owner), &until())?;
    container.start(&until())?;
    assert_eq!(sandbox.sh("stat -c %u:%g:%a /srv/own")?.stdout, "1234:4321:644\n");
    container.stop(Duration::ZERO, &until())?;
    assert_eq!(container.read_file(&path("/srv/file"), 99, &until())?, b"ten bytes.");
    Ok(())
}

/// Does something in a container without agents, and in one with agents only.
fn on_each_path(
    live: &Live,
    spec: &dyn Fn() -> LaunchSpecBuilder,
    check: &dyn Fn(&dyn Container, &Sandbox<'_>) -> Outcome,
) -> Outcome {
    let cold = live.cold()?;
    let sandbox = Sandbox::launch(&cold.runtime, spec())?;
    check(sandbox.container.as_ref(), &sandbox)?;
    drop(sandbox);
    let warm = WarmContainer::launch(live, spec())?;
    check(warm.container.as_ref(), &warm.sandbox)
}

fn other_users(live: &Live) -> Outcome {
    let idle = ["sleep", "777777"];
    let by_dev = || Sandbox::spec(live).user("1234:4321").command(idle);
    on_each_path(live, &by_dev, &|container, sandbox| {
        container.write_file(&path("/etc/given"), b"by root", &FileOptions::new(), &until())?;
        assert_eq!(sandbox.sh("stat -c %u:%g:%a /etc/given; id -u")?.stdout, "0:0:644\n1234\n");
        Ok(())
    })?;
    // Root without capabilities is not let into the directory of another user.
    let without_rights = || Sandbox::spec(live).cap_drop("ALL").command(idle);
    on_each_path(live, &without_rights, &|container, _| {
        let request = ExecRequest::builder(["sh", "-c", "mkdir -m 700 /tmp/own"]).user("1234");
        container.exec(&request.build()?, &until())?.exit_ok()?;
        let file = path("/tmp/own/file");
        let write = container.write_file(&file, b"x", &FileOptions::new(), &until());
        assert_eq!(write.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let entries = container.list_dir(&path("/tmp/own"), &until());
        assert_eq!(entries.unwrap_err().kind(), ErrorKind::PermissionDenied);
        Ok(())
    })
}

fn two_gib(live: &Live) -> Outcome {
    const SIZE: u64 = (2 << 30) + 5;
    let idle = || Sandbox::spec(live).command(["sleep", "777777"]);
    on_each_path(live, &idle, &|container, sandbox| {
        sandbox.sh(&format!("truncate -s {SIZE} /tmp/large"))?.exit_ok()?;
        let info = container.stat(&path("/tmp/large"), &until())?.ok_or("nothing is there")?;
        assert_eq!(info.size, SIZE);
        for limit in [0, 1 << 20, SIZE - 1] {
            let begun = Instant::now();
            let error = container.read_file(&path("/tmp/large"), limit, &until()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
            assert!(error.to_string().contains(&SIZE.to_string()), "{error}");
            assert!(begun.elapsed() < sandbox.allow(Duration::from_secs(5))?, "it was read");
        }
        Ok(())
    })
}

fn whole_two_gib(live: &Live) -> Outcome {
    const SIZE: usize = (2 << 30) + 5;
    let idle = || Sandbox::spec(live).command(["sleep", "777777"]);
    on_each_path(live, &idle, &|container, sandbox| {
        let until = Until::after(Duration::from_secs(300));
        let mut bytes = vec![0; SIZE];
        // Each page is unlike all others.
        for (number, page) in bytes.chunks_exact_mut(4096).enumerate() {
            page[..8].copy_from_slice(&number.to_le_bytes());
        }
        container.write_file(&path("/tmp/whole"), &bytes, &FileOptions::new().atomic(), &until)?;
        let size = sandbox.sh("stat -c %s /tmp/whole")?.exit_ok()?.stdout.text().trim().to_owned();
        assert_eq!(size, SIZE.to_string());
        let read = container.read_file(&path("/tmp/whole"), SIZE as u64, &until)?;
        assert!(read == bytes, "other bytes came back");
        container.remove_path(&path("/tmp/whole"), &until)?;
        Ok(())
    })
}

fn growing(live: &Live) -> Outcome {
    let idle = || Sandbox::spec(live).command(["sleep", "777777"]);
    on_each_path(live, &idle, &|container, sandbox| {
        // It ends before it takes much of the disk.
        sandbox.sh("yes | head -c 300000000 >/tmp/log & sleep 0.1")?.exit_ok()?;
        let mut refused = 0;
        for _ in 0..10 {
            match container.read_file(&path("/tmp/log"), 1 << 20, &until()) {
                Ok(bytes) => {
                    assert!(bytes.len() <= 1 << 20 && bytes.iter().all(|byte| b"y\n".contains(byte)));
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0, "it did not grow");
        Ok(())
    })
}

/// By an agent. A script in the container can be made to wait for a pipe, until its limit.
fn swapped(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    let container = warm.container.as_ref();
    warm.sh("mkdir /tmp/d; (cd /tmp/d; while :; do mkfifo f; rm -f f; ln -s /dev/zero f; rm -f f; \
         ln -s /tmp/none f; rm -f f; echo file >f; rm -f f; done) >/dev/null 2>&1 &")?
        .exit_ok()?;
    let file = path("/tmp/d/f");
    let expected = [ErrorKind::NoSuchPath, ErrorKind::InvalidRequest];
    for _ in 0..100 {
        match container.read_file(&file, 99, &until()) {
            Ok(bytes) => {
                assert!(bytes.is_empty() || bytes == b"file\n" || b"given".starts_with(&bytes), "{bytes:?}");
            }
            Err(error) => assert!(expected.contains(&error.kind()), "{error}"),
        }
        for options in [FileOptions::new(), FileOptions::new().atomic()] {
            if let Err(error) = container.write_file(&file, b"given", &options, &until()) {
                assert!(expected.contains(&error.kind()), "{error}");
            }
        }
    }
    let left = container.list_dir(&path("/tmp/d"), &until())?;
    assert!(left.iter().all(|entry| entry.name == "f"), "{left:?}");
    Ok(())
}
