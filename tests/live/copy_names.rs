//! Copies of names that podman's copier would read as patterns.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rt_protocol::{ContainerPath, CopyOptions, ErrorKind, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("copy in: a file whose name is a pattern is that file and no other", files_in),
    ("copy in: below a directory whose name is a pattern, nothing else is taken", below),
    ("copy in: a destination whose name is a pattern is that name, or refused", destinations),
    ("copy in: a link is followed, whatever the names on its way", links_in),
    ("copy out: a source whose name is a pattern is that one and no other", out),
    ("copy out: out of a container that does not run too", out_of_the_stopped),
    ("tar: a source whose name is a pattern is that one and no other", tar_out),
    ("tar: a destination that podman would take for a pattern is refused", tar_in),
];

/// Names that are patterns, each with a neighbour that it matches.
const NAMES: [(&str, &str); 6] = [
    ("a*", "ab"),
    ("q?", "qq"),
    ("x[1].txt", "x1.txt"),
    ("back\\slash", "backslash"),
    ("[", "]"),
    ("**", "z"),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

fn path(path: impl Into<std::path::PathBuf>) -> ContainerPath {
    ContainerPath::new(path).expect("a path")
}

/// A directory with all the names, each a file with its own name in it.
fn names(directory: &Path) -> std::io::Result<()> {
    for (name, neighbour) in NAMES {
        fs::write(directory.join(name), name)?;
        fs::write(directory.join(neighbour), "another")?;
    }
    Ok(())
}

fn files_in(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    names(directory.path())?;
    sandbox.sh("mkdir /tmp/into; echo old >/tmp/there")?.exit_ok()?;
    for (name, _) in NAMES {
        for dest in ["/tmp/new", "/tmp/there", "/tmp/into", "/tmp/into/"] {
            sandbox.container.copy_in(
                &directory.path().join(name),
                &path(dest),
                &CopyOptions::new(),
                &until(),
            )?;
        }
        let found = sandbox.sh("cd /tmp; cat new there; rm new; cd into; for f in *; do echo; echo \"$f\"; cat \"$f\"; rm \"$f\"; done")?;
        assert_eq!(found.stdout.text(), format!("{name}{name}\n{name}\n{name}"));
    }
    Ok(())
}

fn below(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    for (name, neighbour) in NAMES {
        for (parent, text) in [(name, "mine"), (neighbour, "theirs")] {
            let project = directory.path().join(parent).join("proj");
            fs::create_dir_all(&project)?;
            fs::write(project.join("f"), text)?;
            fs::write(project.join(text), "")?;
        }
        let project = directory.path().join(name).join("proj");
        sandbox.sh("rm -rf /tmp/p /tmp/f /tmp/old; mkdir /tmp/old; touch /tmp/old/stays")?.exit_ok()?;
        for (source, dest) in
            [(project.as_path(), "/tmp/p"), (&project.join("f"), "/tmp/f"), (&project, "/tmp/old")]
        {
            sandbox.container.copy_in(source, &path(dest), &CopyOptions::new(), &until())?;
        }
        let found = sandbox.sh("cd /tmp; ls p old; cat f")?;
        assert_eq!(found.stdout, "old:\nf\nmine\nstays\n\np:\nf\nmine\nmine", "{name}");
        // The directory of that name itself.
        let dest = path("/tmp/p/whole");
        sandbox.container.copy_in(&directory.path().join(name), &dest, &CopyOptions::new(), &until())?;
        assert_eq!(sandbox.sh("cat /tmp/p/whole/proj/f")?.stdout, "mine", "{name}");
    }
    Ok(())
}

fn destinations(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let (file, tree) = (directory.path().join("file"), directory.path().join("tree"));
    fs::write(&file, "x")?;
    fs::create_dir(&tree)?;
    fs::write(tree.join("f"), "x")?;
    fs::hard_link(tree.join("f"), tree.join("hard"))?;
    for (name, neighbour) in NAMES {
        sandbox.sh("rm -rf /tmp/d; mkdir /tmp/d")?.exit_ok()?;
        sandbox
            .sh(&format!("cd /tmp/d; echo another >'{neighbour}'; mkdir -p 'tree/{neighbour}'"))?
            .exit_ok()?;
        for (source, dest) in [(&file, "/tmp/d"), (&tree, "/tmp/d/tree")] {
            let dest = path(Path::new(dest).join(name));
            sandbox.container.copy_in(source, &dest, &CopyOptions::new(), &until())?;
        }
        let found = sandbox
            .sh(&format!("cd /tmp/d; cat '{name}'; cd tree/'{name}'; ls; cat hard; ls '../{neighbour}'"))?;
        assert_eq!(found.stdout, "xf\nhard\nx", "{name}");
        // Where podman finds a directory, it may be another one.
        sandbox.sh(&format!("cd /tmp/d; rm -rf *; mkdir '{neighbour}'"))?.exit_ok()?;
        let answer = sandbox.container.copy_in(
            &file,
            &path(Path::new("/tmp/d").join(name)),
            &CopyOptions::new(),
            &until(),
        );
        let found = sandbox.sh(&format!("cd /tmp/d; ls -A '{neighbour}'; cat '{name}'"))?;
        match answer {
            Ok(()) => assert_eq!(found.stdout, "x", "{name}"),
            Err(error) => {
                assert_eq!(
                    (error.kind(), found.stdout.as_bytes()),
                    (ErrorKind::InvalidRequest, &b""[..]),
                    "{error}"
                );
            }
        }
        sandbox.sh(&format!("cd /tmp/d; rm -rf *; mkdir '{name}' '{neighbour}'; chmod 700 *"))?.exit_ok()?;
        let dest = path(Path::new("/tmp/d").join(name).join("far/file"));
        for options in [CopyOptions::new(), CopyOptions::new().create_parents()] {
            let error = sandbox.container.copy_in(&file, &dest, &options, &until()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        }
        assert_eq!(sandbox.sh("cd /tmp/d; stat -c %a *; find . -type f")?.stdout, "700\n700\n");
    }
    Ok(())
}

fn links_in(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    let root = directory.path();
    fs::create_dir_all(root.join("w[1]/real/deep"))?;
    fs::create_dir(root.join("w1"))?;
    fs::write(root.join("w[1]/real/f"), "mine")?;
    fs::write(root.join("w1/f"), "theirs")?;
    std::os::unix::fs::symlink("w[1]/real/deep", root.join("way"))?;
    std::os::unix::fs::symlink("../f", root.join("w[1]/real/deep/file"))?;
    std::os::unix::fs::symlink("..", root.join("w[1]/real/deep/tree"))?;
    for (source, dest) in [("way/file", "/tmp/f"), ("way/tree", "/tmp/t"), ("way/tree/f", "/tmp/g")] {
        sandbox.container.copy_in(&root.join(source), &path(dest), &CopyOptions::new(), &until())?;
    }
    assert_eq!(sandbox.sh("cat /tmp/f /tmp/t/f /tmp/g")?.stdout, "mineminemine");
    Ok(())
}

/// Makes, for each name, a file of that name and a directory, and the same for its neighbour.
const MAKE: &str = "make() { printf mine >\"$1\"; printf theirs >\"$2\"; mkdir -p \"$1.d/sub\" \"$2.d/sub\"; \
                    printf mine >\"$1.d/sub/f\"; printf theirs >\"$2.d/sub/f\"; ln -s \"$1.d/sub/f\" \"$1.l\"; }; \
                    mkdir -p /o; cd /o; make 'q?' qq; make 'x[1]' x1; make 'back\\slash' backslash; make 'a*' ab";

fn out(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh(MAKE)?.exit_ok()?;
    names_come_out(&sandbox)
}

fn out_of_the_stopped(live: &Live) -> Outcome {
    let spec = Sandbox::spec(live).command(["sh", "-c", MAKE]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let _ = sandbox.container.wait(&until())?;
    names_come_out(&sandbox)
}

fn names_come_out(sandbox: &Sandbox<'_>) -> Outcome {
    let copy = |src: &str, dest: &Path| {
        sandbox.container.copy_out(&path(format!("/o/{src}")), dest, &CopyOptions::new(), &until())
    };
    for name in ["q?", "x[1]", "back\\slash"] {
        let directory = tempfile::tempdir()?;
        let dest = directory.path();
        for (kind, below) in [("", ""), (".l", ""), (".d", "sub/f"), (".d/sub", "f"), (".d/sub/f", "")] {
            let (new, into) = (dest.join("new"), dest.join("into"));
            fs::create_dir(&into)?;
            copy(&format!("{name}{kind}"), &new).map_err(|error| format!("{name}{kind}: {error}"))?;
            copy(&format!("{name}{kind}"), &into).map_err(|error| format!("{name}{kind}: {error}"))?;
            let (new, own) = if below.is_empty() {
                let own = format!("{name}{kind}");
                (new, into.join(own.rsplit('/').next().unwrap_or_default()))
            } else {
                (new.join(below), into.join(below))
            };
            assert_eq!(fs::read_to_string(new)?, "mine", "{name}{kind}");
            assert_eq!(fs::read_to_string(own)?, "mine", "{name}{kind}");
            assert_eq!(fs::read_dir(dest)?.count(), 2, "nothing comes out beside: {name}{kind}");
            assert_eq!(fs::read_dir(&into)?.count(), 1, "{name}{kind}");
            fs::remove_dir_all(&into)?;
            let _ = fs::remove_dir_all(dest.join("new"));
            let _ = fs::remove_file(dest.join("new"));
        }
        // A file in the place of one that is there, and no directory in the place of a file.
        fs::write(dest.join("there"), "the longer one that was there")?;
        copy(name, &dest.join("there"))?;
        assert_eq!(fs::read_to_string(dest.join("there"))?, "mine");
        let error = copy(&format!("{name}.d"), &dest.join("there")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
        let error = copy(name, &dest.join("no/such")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
        let error = copy(&format!("{name}.no"), &dest.join("nothing")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchPath, "{error}");
        assert_eq!(fs::read_dir(dest)?.count(), 1);
    }
    let directory = tempfile::tempdir()?;
    for name in ["a*", "a*.d/sub/f"] {
        let error = copy(name, &directory.path().join("new")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    }
    Ok(())
}

fn tar_out(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh(MAKE)?.exit_ok()?;
    for name in ["q?", "x[1]", "back\\slash"] {
        for (kind, entry) in [("", name), (".d", "sub/f"), (".d/sub", "f")] {
            let mut out = Vec::new();
            sandbox.container.copy_out_tar(&path(format!("/o/{name}{kind}")), &mut out, &until())?;
            let mut texts = Vec::new();
            for found in tar::Archive::new(&out[..]).entries()? {
                let mut found = found?;
                if found.header().entry_type().is_file() {
                    let mut text = String::new();
                    std::io::Read::read_to_string(&mut found, &mut text)?;
                    texts.push((found.path()?.to_string_lossy().into_owned(), text));
                }
            }
            assert_eq!(texts, [(entry.to_owned(), String::from("mine"))], "{name}{kind}");
        }
    }
    let error = sandbox.container.copy_out_tar(&path("/o/a*"), &mut Vec::new(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    Ok(())
}

fn tar_in(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("mkdir -p '/o/x[1]' /o/x1")?.exit_ok()?;
    let mut out = Vec::new();
    sandbox.container.copy_out_tar(&path("/etc/passwd"), &mut out, &until())?;
    let error = sandbox.container.copy_in_tar(&mut &out[..], &path("/o/x[1]"), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    assert_eq!(sandbox.sh("find /o -type f")?.stdout, "");
    Ok(())
}
