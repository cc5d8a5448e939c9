//! The README's test command where there is no podman, no sshd and no QEMU: it ends green, and says
//! what it ignored and why. Their programs are hidden in a mount namespace; of the command those
//! steps are run that look for them.

use std::ffi::OsString;

use super::readme;
use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::programs;
use crate::report::Verdict;
use crate::workspace::{BUILD_LIMIT, Workspace};

/// What is hidden: podman and what it starts, servers and clients, the virtual machine.
const HIDDEN: [&str; 13] = [
    "podman",
    "crun",
    "runc",
    "conmon",
    "sshd",
    "ssh",
    "ssh-keygen",
    "dropbear",
    "tinysshd",
    "docker-registry",
    "qemu-system-x86_64",
    "slirp4netns",
    "pasta",
];

/// Programs are removed from a layer over their directories: nothing can find them, and nothing is
/// changed outside.
const SCRIPT: &str = r#"
set -e
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
layers=$1; shift
mount -t tmpfs none "$layers"
for directory in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    # A link is what it leads to.
    if [ ! -d "$directory" ] || [ -L "$directory" ]; then continue; fi
    layer=$layers$directory
    mkdir -p "$layer/upper" "$layer/work"
    mount -t overlay -o "lowerdir=$directory,upperdir=$layer/upper,workdir=$layer/work" none "$directory"
done
while [ "$1" != -- ]; do
    if path=$(command -v "$1"); then rm "$path"; fi
    if path=$(command -v "$1"); then echo "$path cannot be hidden" >&2; exit 77; fi
    shift
done
shift
exec "$@"
"#;

/// What the script answers when a program stands where no layer is.
const NOT_HIDDEN: i32 = 77;

/// The steps whose tests look at the host: the name of each step, the filter for those tests, and
/// the expected output.
const STEPS: [(&str, [&str; 2], &str); 2] = [
    ("unit", ["--filter", "doctor"], "1 passed, 0 failed"),
    ("live suite", ["--filter", ""], "ignored: podman is not on PATH"),
];

pub(super) fn check(workspace: &Workspace) -> Result<Verdict> {
    if !rustix::process::geteuid().is_root() || programs::find("unshare").is_none() {
        let reason = "programs are hidden in a mount namespace: needs root and unshare";
        return Ok(Verdict::Ignored(reason.into()));
    }
    let words = readme::words(workspace)?;
    for (step, filter, expected) in STEPS {
        let words = [&words[..], &["--only", step].map(str::to_owned), &filter.map(str::to_owned)].concat();
        let (output, code) = hidden(workspace, &words)?;
        if code == Some(NOT_HIDDEN) {
            return Ok(Verdict::Ignored("a program stands outside the usual directories".into()));
        }
        if code != Some(0) || !output.contains(expected) {
            let failure = Failure::new(format!("the step `{step}` does not end well with `{expected}`"));
            return Err(failure.after(last_lines(&output)));
        }
    }
    Ok(Verdict::Passed)
}

/// What the command prints, and its exit code.
fn hidden(workspace: &Workspace, words: &[String]) -> Result<(String, Option<i32>)> {
    let io = |error: std::io::Error| Failure::new(format!("cannot begin a namespace: {error}"));
    let home = tempfile::tempdir().map_err(io)?;
    let (script, layers) = (home.path().join("hide.sh"), home.path().join("layers"));
    std::fs::write(&script, SCRIPT).and_then(|()| std::fs::create_dir(&layers)).map_err(io)?;
    let this = std::env::current_exe().map_err(io)?;
    let mut line: Vec<OsString> = vec!["--mount".into(), "sh".into(), script.into(), layers.into()];
    line.extend(HIDDEN.map(OsString::from));
    line.extend(["--".into(), this.into()]);
    line.extend(words.iter().map(OsString::from));
    let got = Task::new("unshare")
        .args(line)
        .dir(&workspace.root)
        .limit(BUILD_LIMIT)
        .inherit_stderr()
        .captured()?;
    Ok((got.stdout, got.status.code()))
}

fn last_lines(output: &str) -> Vec<String> {
    let lines: Vec<_> = output.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(60)..].to_vec()
}
