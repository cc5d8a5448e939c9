//! Copies of what is more than plain files: hard links, parents that are made, devices and sockets.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rt_protocol::{ContainerPath, CopyOptions, ErrorKind, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("copy in: hard links stay links among the files of their tree", hard_links),
    ("copy in: a directory has its permissions at a new place, and an old place keeps its own", permissions),
    ("copy in: parents that are made are open to all, as mkdir makes them", open_parents),
    ("copy in: a slash at the end of the destination", slashes),
    ("copy in: a socket is refused", socket_in),
    ("copy out: a socket is refused", socket_out),
];

pub(crate) const DEVICE_CASES: &[Case] =
    &[("copy out: what podman leaves out is not called copied", left_out)];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

fn path(path: &str) -> ContainerPath {
    ContainerPath::new(path).expect("a path")
}

fn hard_links(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let tree = directory.path().join("tree");
    fs::create_dir_all(tree.join("a/b"))?;
    fs::write(tree.join("f"), "mine")?;
    fs::hard_link(tree.join("f"), tree.join("hard"))?;
    fs::hard_link(tree.join("f"), tree.join("a/b/deep"))?;
    // What has the source's name, the link's or the destination's is no business of the copy.
    sandbox
        .sh("mkdir -p /tmp/tree /tmp/old /tmp/source; for d in tree source; do echo theirs >/tmp/$d/f; done")?
        .exit_ok()?;
    for dest in ["/tmp/new", "/tmp/old", "/tmp/w[1]", "/tmp/new/tree", "/tmp/also/"] {
        let options = CopyOptions::new();
        sandbox.container.copy_in(&tree, &path(dest), &options, &until())?;
        let found = sandbox
            .sh(&format!("cd '{dest}'; cat f hard a/b/deep; stat -c %h f; ls /tmp/tree /tmp/source"))?;
        assert_eq!(found.stdout, "mineminemine3\n/tmp/source:\nf\n\n/tmp/tree:\nf\n", "{dest}");
    }
    assert_eq!(sandbox.sh("cat /tmp/tree/f /tmp/source/f")?.stdout, "theirs\ntheirs\n");
    let stopped = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["cat", "/etc/t/a/b/deep"]))?;
    stopped.container.copy_in(&tree, &path("/etc/t"), &CopyOptions::new(), &until())?;
    stopped.container.start(&until())?;
    assert_eq!(stopped.container.wait(&until())?, rt_protocol::ExitOutcome::Code(0));
    Ok(())
}

fn permissions(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let tree = directory.path().join("tree");
    fs::create_dir(&tree)?;
    fs::write(tree.join("tool"), "x")?;
    fs::set_permissions(tree.join("tool"), Permissions::from_mode(0o4751))?;
    fs::set_permissions(&tree, Permissions::from_mode(0o750))?;
    symlink("nowhere", tree.join("link"))?;
    sandbox.sh("mkdir -m 711 /tmp/old")?.exit_ok()?;
    for (dest, mode) in [("/tmp/new", "750"), ("/tmp/old", "711")] {
        sandbox.container.copy_in(&tree, &path(dest), &CopyOptions::new(), &until())?;
        let found = sandbox.sh(&format!("cd {dest}; stat -c '%a %u:%g' . tool; readlink link"))?;
        assert_eq!(found.stdout.text(), format!("{mode} 0:0\n4751 0:0\nnowhere\n"));
    }
    Ok(())
}

fn open_parents(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("file");
    fs::write(&file, "x")?;
    sandbox.sh("mkdir -m 700 /tmp/kept")?.exit_ok()?;
    let options = CopyOptions::new().create_parents();
    sandbox.container.copy_in(&file, &path("/tmp/kept/a/b/file"), &options, &until())?;
    let found = sandbox.sh("cd /tmp/kept; stat -c '%a %u:%g' . a a/b")?;
    assert_eq!(found.stdout, "700 0:0\n755 0:0\n755 0:0\n");
    Ok(())
}

fn slashes(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let (file, tree) = (directory.path().join("file"), directory.path().join("tree"));
    fs::write(&file, "x")?;
    fs::create_dir(&tree)?;
    fs::write(tree.join("f"), "x")?;
    let (plain, parents) = (CopyOptions::new(), CopyOptions::new().create_parents());
    for (source, dest, arrived) in [
        (&tree, "/tmp/r1/r2/", "r1\nr1/r2\nr1/r2/f\n"),
        (&tree, "/tmp/r1/r2/.", "r1\nr1/r2\nr1/r2/f\n"),
        (&file, "/tmp/r1/r2/", "r1\nr1/r2\nr1/r2/file\n"),
        (&file, "/tmp/r1/r2/r3//", "r1\nr1/r2\nr1/r2/r3\nr1/r2/r3/file\n"),
    ] {
        sandbox.sh("rm -rf /tmp/r1")?.exit_ok()?;
        let error = sandbox.container.copy_in(source, &path(dest), &plain, &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
        assert!(!sandbox.sh("test -e /tmp/r1")?.success(), "nothing is made for a copy that fails");
        for _ in 0..2 {
            sandbox.container.copy_in(source, &path(dest), &parents, &until())?;
            assert_eq!(sandbox.sh("cd /tmp; find r1 | sort")?.stdout.text(), arrived, "{dest}");
        }
    }
    Ok(())
}

fn socket_in(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket)?;
    let error =
        sandbox.container.copy_in(&socket, &path("/tmp/s"), &CopyOptions::new(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    assert!(error.to_string().contains("socket"), "{error}");
    // In a tree it is left out.
    fs::write(directory.path().join("f"), "x")?;
    sandbox.container.copy_in(directory.path(), &path("/tmp/t"), &CopyOptions::new(), &until())?;
    assert_eq!(sandbox.sh("ls /tmp/t")?.stdout, "f\n");
    Ok(())
}

fn left_out(live: &Live) -> Outcome {
    // Newer podmans do not let a container make device nodes unless they are told to.
    let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(["--cap-add=MKNOD"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let made = sandbox.sh(
        "mkdir /tmp/d '/tmp/x[1]' && mknod /tmp/d/null c 1 3 && touch /tmp/d/f && mknod '/tmp/x[1]/[' c 1 3",
    )?;
    assert!(made.success(), "{}", made.stderr);
    let directory = tempfile::tempdir()?;
    let into = directory.path().join("into");
    fs::create_dir(&into)?;
    let new = directory.path().join("new");
    for src in [
        "/dev",
        "/dev/",
        "/proc",
        "/sys",
        "/dev/null",
        "/proc/version",
        "/dev/shm",
        "/sys/fs",
        "//dev/../proc/./1/comm",
    ] {
        for dest in [&new, &into] {
            let error =
                sandbox.container.copy_out(&path(src), dest, &CopyOptions::new(), &until()).expect_err(src);
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{src} {error}");
            assert!(!new.exists() && fs::read_dir(&into)?.count() == 0);
        }
        let mut tar = Vec::new();
        let error = sandbox.container.copy_out_tar(&path(src), &mut tar, &until()).expect_err(src);
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{src} {error}");
        assert!(tar.is_empty());
    }
    for src in ["/tmp/d/null", "/tmp/x[1]/["] {
        let error =
            sandbox.container.copy_out(&path(src), &new, &CopyOptions::new(), &until()).expect_err(src);
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{src} {error}");
        assert!(!new.exists());
    }
    // Out of a container that does not run, these names are left out of a mount too.
    let host = tempfile::tempdir()?;
    fs::create_dir(host.path().join("dev"))?;
    fs::write(host.path().join("dev/f"), "x")?;
    let mount = rt_protocol::BindMount::read_only(host.path(), "/mnt")?;
    let stopped = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["true"]).mount(mount))?;
    let error =
        stopped.container.copy_out(&path("/mnt/dev"), &new, &CopyOptions::new(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    // In a tree a device is left out.
    sandbox.container.copy_out(&path("/tmp/d"), &new, &CopyOptions::new(), &until())?;
    assert_eq!(fs::read_dir(&new)?.count(), 1);
    Ok(())
}

fn socket_out(live: &Live) -> Outcome {
    let host = tempfile::tempdir()?;
    let spec = Sandbox::spec(live)
        .command(["sleep", "777777"])
        .mount(rt_protocol::BindMount::read_only(host.path(), "/mnt")?);
    let mounted = Sandbox::launch(&live.runtime, spec)?;
    let _listener = UnixListener::bind(host.path().join("socket"))?;
    let directory = tempfile::tempdir()?;
    let new = directory.path().join("new");
    let error = mounted
        .container
        .copy_out(&path("/mnt/socket"), &new, &CopyOptions::new(), &until())
        .expect_err("a socket");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    let error = mounted
        .container
        .copy_out_tar(&path("/mnt/socket"), &mut Vec::new(), &until())
        .expect_err("a socket");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    Ok(())
}
