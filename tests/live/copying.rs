//! Files into containers.

use std::fs;
use std::time::Duration;

use rt_protocol::{ContainerPath, CopyOptions, ErrorKind, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("copy in: a file, odd names included", files),
    ("copy in: a directory is merged by its contents", directories),
    ("copy in: missing parents are an error, or made on request", parents),
    ("copy in: a stopped container too", not_running),
    ("copy in: a missing source is told", missing),
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
    sandbox.sh("mkdir -p /tmp/d/sub; echo theirs >/tmp/d/both; echo old >/tmp/d/sub/old")?;
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
    sandbox.sh("mkdir -m 700 /tmp/kept")?;
    let dest = ContainerPath::new("/tmp/kept/a/b/c/file")?;
    let error = sandbox.container.copy_in(&file, &dest, &CopyOptions::new(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
    sandbox.container.copy_in(&file, &dest, &CopyOptions::new().create_parents(), &until())?;
    assert_eq!(sandbox.sh("cat /tmp/kept/a/b/c/file; stat -c %a /tmp/kept")?.stdout, "x700\n");
    Ok(())
}

fn not_running(live: &Live) -> Outcome {
    let sandbox = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["cat", "/tmp/note"]))?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("note");
    fs::write(&file, "hello\n")?;
    sandbox.container.copy_in(&file, &ContainerPath::new("/tmp/note")?, &CopyOptions::new(), &until())?;
    sandbox.container.start(&until())?;
    sandbox.container.wait(&until())?;
    let mut log = sandbox.container.logs(&rt_protocol::LogOptions::new())?;
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
