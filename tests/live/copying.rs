//! Files into and out of containers.

use std::fs;
use std::time::Duration;

use rt_protocol::{ContainerPath, CopyOptions, ErrorKind, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("copy in: a file, odd names included", files),
    ("copy in: a directory is merged by its contents", directories),
    ("copy in: missing parents are an error, or made on request", parents),
    ("copy in: a stopped container too", not_running),
    ("copy in: a missing source is told", missing),
    ("copy in: a destination that podman would rename is refused", unsayable),
    ("copy out: a file, odd names of both sides included", files_out),
    ("copy out: a directory is merged by its contents", directories_out),
    ("copy out: missing parents are an error, or made on request and only for a copy", parents_out),
    ("copy out: a container that does not run too", out_of_the_stopped),
    ("copy out: links at the destination lead nowhere", links),
    ("copy out: a deadline ends the client, and the container is free", out_deadline),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

fn files(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    for (number, name) in ["-", "-x", "a:b", "a b", "new\nline", "quote\"'", "ü"].iter().enumerate() {
        let file = directory.path().join(name);
        fs::write(&file, name)?;
        let place = format!("/tmp/{number} {name}");
        let dest = ContainerPath::new(&place)?;
        sandbox.container.copy_in(&file, &dest, &CopyOptions::new(), &until())?;
        let result = sandbox.container.exec(&rt_protocol::ExecRequest::new(["cat", &place])?, &until())?;
        assert_eq!(result.stdout, *name);
    }
    Ok(())
}

fn directories(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    fs::create_dir(directory.path().join("sub"))?;
    fs::write(directory.path().join("sub/new"), "new")?;
    fs::write(directory.path().join("both"), "ours")?;
    std::os::unix::fs::symlink("both", directory.path().join("link"))?;
    sandbox.sh("mkdir -p /tmp/d/sub; echo theirs >/tmp/d/both; echo old >/tmp/d/sub/old")?.exit_ok()?;
    let dest = ContainerPath::new("/tmp/d")?;
    sandbox.container.copy_in(directory.path(), &dest, &CopyOptions::new(), &until())?;
    let result = sandbox.sh("cd /tmp/d; find . | sort; cat both; readlink link")?;
    assert_eq!(result.stdout, ".\n./both\n./link\n./sub\n./sub/new\n./sub/old\noursboth\n");
    Ok(())
}

fn parents(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("file");
    fs::write(&file, "x")?;
    sandbox.sh("mkdir -m 700 /tmp/kept")?.exit_ok()?;
    let dest = ContainerPath::new("/tmp/kept/a/b/c/file")?;
    let error = sandbox.container.copy_in(&file, &dest, &CopyOptions::new(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    sandbox.container.copy_in(&file, &dest, &CopyOptions::new().create_parents(), &until())?;
    let seen = sandbox.sh("cat /tmp/kept/a/b/c/file; stat -c %a /tmp/kept")?;
    assert_eq!(seen.stdout, "x700\n", "{seen:?}");
    Ok(())
}

fn not_running(live: &Live) -> Outcome {
    let sandbox = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["cat", "/tmp/note"]))?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("note");
    fs::write(&file, "hello\n")?;
    sandbox.container.copy_in(&file, &ContainerPath::new("/tmp/note")?, &CopyOptions::new(), &until())?;
    sandbox.container.start(&until())?;
    let _ = sandbox.container.wait(&until())?;
    let mut log = sandbox.container.logs(&rt_protocol::LogOptions::new(), &Until::forever())?;
    let rt_protocol::Pull::Item(hello) = log.pull(&until())? else { panic!("no line") };
    assert_eq!(hello.text(), "hello");
    Ok(())
}

fn missing(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let dest = ContainerPath::new("/tmp/x")?;
    let error = sandbox
        .container
        .copy_in("/no/such/file".as_ref(), &dest, &CopyOptions::new(), &until())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    assert!(
        error.to_string().contains("/no/such/file") && error.to_string().contains(sandbox.name.as_str()),
        "{error}"
    );
    Ok(())
}

fn unsayable(live: &Live) -> Outcome {
    use std::os::unix::ffi::OsStringExt;
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("file");
    fs::write(&file, "x")?;
    let place = ContainerPath::new(std::ffi::OsString::from_vec(b"/tmp/\xff".to_vec()))?;
    let error = sandbox.container.copy_in(&file, &place, &CopyOptions::new(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    let error = sandbox.container.copy_out(&place, &file, &CopyOptions::new(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    Ok(())
}

fn files_out(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let names = ["-", "-x", "a:b", "a b", "new\nline", "quote\"'", "ü"];
    let (from, until) = (directory.path().join("from"), until());
    fs::create_dir(&from)?;
    for name in names {
        fs::write(from.join(name), name)?;
    }
    sandbox.container.copy_in(&from, &ContainerPath::new("/tmp/odd")?, &CopyOptions::new(), &until)?;
    for name in names {
        let src = ContainerPath::new(format!("/tmp/odd/{name}"))?;
        let dest = directory.path().join(name);
        sandbox.container.copy_out(&src, &dest, &CopyOptions::new(), &until)?;
        assert_eq!(fs::read_to_string(&dest)?, name);
    }
    // Into a directory, under its own name; over a file that is there; and by way of a link.
    let into = tempfile::tempdir()?;
    let src = ContainerPath::new("/tmp/odd/a b")?;
    sandbox.container.copy_out(&src, into.path(), &CopyOptions::new(), &until)?;
    assert_eq!(fs::read_to_string(into.path().join("a b"))?, "a b");
    fs::write(into.path().join("there"), "the longer one that was there")?;
    sandbox.container.copy_out(&src, &into.path().join("there"), &CopyOptions::new(), &until)?;
    assert_eq!(fs::read_to_string(into.path().join("there"))?, "a b");
    sandbox.sh("ln -s odd/ü /tmp/link")?.exit_ok()?;
    let link = ContainerPath::new("/tmp/link")?;
    sandbox.container.copy_out(&link, &into.path().join("linked"), &CopyOptions::new(), &until)?;
    assert_eq!(fs::read_to_string(into.path().join("linked"))?, "ü");
    assert_eq!(fs::read_dir(into.path())?.count(), 3);
    Ok(())
}

fn directories_out(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let dest = directory.path();
    sandbox
        .sh("mkdir -p /tmp/d/sub; echo new >/tmp/d/both; ln -s both /tmp/d/link; echo deep >/tmp/d/sub/deep")?
        .exit_ok()?;
    fs::write(dest.join("both"), "old")?;
    fs::write(dest.join("stays"), "x")?;
    fs::create_dir(dest.join("sub"))?;
    let src = ContainerPath::new("/tmp/d")?;
    for _ in 0..2 {
        sandbox.container.copy_out(&src, dest, &CopyOptions::new(), &until())?;
        assert_eq!(fs::read_to_string(dest.join("both"))?, "new\n");
        assert_eq!(fs::read_to_string(dest.join("sub/deep"))?, "deep\n");
        assert_eq!(fs::read_link(dest.join("link"))?.as_os_str(), "both");
        assert_eq!(fs::read_dir(dest)?.count(), 4);
    }
    let new = dest.join("new");
    sandbox.container.copy_out(&src, &new, &CopyOptions::new(), &until())?;
    assert_eq!(fs::read_dir(&new)?.count(), 3);
    let error = sandbox
        .container
        .copy_out(&src, &dest.join("both"), &CopyOptions::new(), &until())
        .expect_err("a directory onto a file");
    assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
    Ok(())
}

fn parents_out(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let dest = directory.path().join("a/b/file");
    let src = ContainerPath::new("/etc/passwd")?;
    let error = sandbox.container.copy_out(&src, &dest, &CopyOptions::new(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    let options = CopyOptions::new().create_parents();
    let missing = ContainerPath::new("/no/such/file")?;
    let error = sandbox.container.copy_out(&missing, &dest, &options, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    assert_eq!(fs::read_dir(directory.path())?.count(), 0, "parents of a copy that failed are gone");
    sandbox.container.copy_out(&src, &dest, &options, &until())?;
    assert!(fs::read_to_string(&dest)?.contains("root"));
    Ok(())
}

fn out_of_the_stopped(live: &Live) -> Outcome {
    let spec = Sandbox::spec(live).command(["sh", "-c", "echo made >/tmp/made"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let _ = sandbox.container.wait(&until())?;
    let directory = tempfile::tempdir()?;
    let src = ContainerPath::new("/tmp/made")?;
    sandbox.container.copy_out(&src, directory.path(), &CopyOptions::new(), &until())?;
    assert_eq!(fs::read_to_string(directory.path().join("made"))?, "made\n");
    Ok(())
}

fn links(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let (dest, outside) = (directory.path().join("dest"), directory.path().join("outside"));
    fs::create_dir(&dest)?;
    fs::create_dir(&outside)?;
    for name in ["f", "g", "h"] {
        fs::write(outside.join(name), "safe")?;
    }
    // What a first copy may have left: links of the container's choice, absolute and by dots, to
    // files and directories.
    std::os::unix::fs::symlink(outside.join("f"), dest.join("f"))?;
    std::os::unix::fs::symlink("../outside", dest.join("sub"))?;
    std::os::unix::fs::symlink(&outside, dest.join("abs"))?;
    sandbox
        .sh("mkdir -p /tmp/d/sub /tmp/d/abs; cd /tmp/d; echo evil | tee f sub/g abs/h sub/new >abs/new")?
        .exit_ok()?;
    for part in ["", "/sub", "/abs", "/f"] {
        // Whether podman refuses it or replaces the link, nothing may come out beside the
        // destination.
        let src = ContainerPath::new(format!("/tmp/d{part}"))?;
        let _ = sandbox.container.copy_out(&src, &dest, &CopyOptions::new(), &until());
    }
    for name in ["f", "g", "h"] {
        assert_eq!(fs::read_to_string(outside.join(name))?, "safe", "{name}");
    }
    assert_eq!(fs::read_dir(&outside)?.count(), 3);
    Ok(())
}

fn out_deadline(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("dd if=/dev/zero of=/tmp/big bs=1000000 count=2000")?.exit_ok()?;
    let directory = tempfile::tempdir()?;
    let src = ContainerPath::new("/tmp/big")?;
    let begun = std::time::Instant::now();
    let short = Until::after(Duration::from_millis(400));
    let error = sandbox.container.copy_out(&src, directory.path(), &CopyOptions::new(), &short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    sandbox.sh("true")?.exit_ok()?;
    let small = ContainerPath::new("/etc/passwd")?;
    sandbox.container.copy_out(&small, directory.path(), &CopyOptions::new(), &until())?;
    Ok(())
}
