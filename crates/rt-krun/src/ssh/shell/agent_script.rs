//! The script that receives the program of an agent on its stdin, and becomes that program.

use rt_process::ExecMarker;
use rt_protocol::{ExecRequest, InvalidValue};

/// Looks for a directory in which a file can be created and executed, reads the program into one,
/// and becomes it. The program removes the file first of all; if it does not come to that, the
/// script does.
///
/// `$1` is the length of the program in bytes, `$2` the name of the file, which nobody can know
/// before, `$3` the processor as uname(1) names it. A shell would read the program of another
/// processor as a script.
///
/// The file is created by the shell with `O_EXCL` (`set -C`) and for its user alone. Some shells
/// say that root may execute it where nothing may be executed, so it is tried. If the script fails,
/// the reason is the last line of stderr.
const SCRIPT: &str = r#"
{ set +xv; } 2>/dev/null; ${BASH_VERSION:+shopt -s execfail}
rt_file= rt_umask=$(umask)
fail() { echo "$1" >&2; exit "${2:-100}"; }
trap '[ -z "$rt_file" ] || rm -f "$rt_file"' EXIT
trap 'exit 101' HUP INT PIPE TERM
for rt_dir in head uname wc chmod rm; do
  command -v "$rt_dir" >/dev/null || fail "it has no \`$rt_dir\`" 102
done
rt_dir=$(uname -m)
[ "$rt_dir" = "$3" ] || fail "its processor is $rt_dir, and the agent is for $3" 103
umask 077; set -C
for rt_dir in /run /dev/shm /tmp ${HOME:+"$HOME"}; do
  rt_file=$rt_dir/$2
  if { echo '#!/bin/sh' >"$rt_file" && chmod 700 "$rt_file" && "$rt_file" </dev/null; } >/dev/null 2>&1; then break; fi
  rm -f "$rt_file"; rt_file=
done
[ -n "$rt_file" ] || fail 'none of /run, /dev/shm, /tmp and the home takes a file that may be executed' 104
head -c "$1" >|"$rt_file" || fail "its \`head\` takes no program" 105
[ $(wc -c <"$rt_file") -eq "$1" ] || fail 'the program did not arrive' 106
chmod 500 "$rt_file" && umask "$rt_umask" && set +C && exec "$rt_file" multiplex
fail 'the program cannot be executed' 107
"#;

/// Returns the request that starts an agent, once it has got a program of this length.
pub(crate) fn request(length: usize) -> Result<ExecRequest, InvalidValue> {
    let name = format!(".rt-agent-{}", ExecMarker::fresh().value());
    ExecRequest::new(["sh", "-c", SCRIPT, "sh", &length.to_string(), &name, std::env::consts::ARCH])
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use rt_process::{ExitStatus, Finished, ProcessSpec, Program, capture};
    use rt_protocol::{OutputLimit, Source, Until};

    use super::*;

    const SHELLS: [&[&str]; 4] = [&["sh"], &["dash"], &["bash"], &["busybox", "sh"]];

    /// A program that says what it is and where, and removes itself as an agent does.
    const PROGRAM: &[u8] = b"#!/bin/sh\nrm \"$0\"; printf '%s|%s|' \"$0\" \"$*\"; umask; cat\n";

    /// Runs the script in each shell of this machine, with the places of `edit` in the place of
    /// the usual ones.
    fn each_shell(
        edit: impl Fn(&str) -> String,
        length: usize,
        stdin: &[u8],
        check: impl Fn(&str, &Finished),
    ) {
        for shell in SHELLS.into_iter().filter(|shell| Program::find(shell[0]).is_ok()) {
            let request = request(length).unwrap();
            let mut words = request.argv().words().to_vec();
            words[2] = OsString::from(edit(words[2].to_str().unwrap()));
            let spec = ProcessSpec::new(&Program::find(shell[0]).unwrap())
                .args(&shell[1..])
                .args(&words[1..])
                .env("HOME", "/nowhere");
            let limit = OutputLimit::UNLIMITED;
            let stdin = Source::bytes(stdin.to_vec());
            check(&shell.join(" "), &capture(&spec, stdin, limit, limit, &Until::forever()).unwrap());
        }
    }

    fn places(places: &str) -> impl Fn(&str) -> String {
        move |script| script.replace("/run /dev/shm /tmp", places)
    }

    fn is_empty(directory: &Path) -> bool {
        fs::read_dir(directory).unwrap().next().is_none()
    }

    fn said(done: &Finished) -> (Option<ExitStatus>, String) {
        (done.status, done.stderr_capture.text().trim().to_owned())
    }

    #[test]
    fn the_program_runs_in_the_first_place_that_takes_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().to_str().unwrap();
        let many = format!("/no/such /proc {path} /tmp");
        let stdin = [PROGRAM, b"the rest"].concat();
        each_shell(places(&many), PROGRAM.len(), &stdin, |shell, done| {
            let text = done.stdout_capture.text();
            assert!(text.starts_with(&format!("{path}/.rt-agent-")), "{shell}: {done:?}");
            assert!(text.contains("|multiplex|0"), "{shell}: {text}");
            assert_eq!(done.status, Some(ExitStatus::Code(0)), "{shell}");
            assert!(is_empty(place.path()), "{shell}");
        });
    }

    #[test]
    fn a_program_that_does_not_arrive_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().to_str().unwrap();
        each_shell(places(path), PROGRAM.len() + 1, PROGRAM, |shell, done| {
            let expected = (Some(ExitStatus::Code(106)), String::from("the program did not arrive"));
            assert_eq!(said(done), expected, "{shell}");
            assert!(is_empty(place.path()), "{shell}");
        });
    }

    #[test]
    fn a_program_that_cannot_be_executed_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().to_str().unwrap();
        let program = b"#!/no/such/interpreter\n";
        each_shell(places(path), program.len(), program, |shell, done| {
            assert!(!matches!(done.status, Some(ExitStatus::Code(0))), "{shell}: {done:?}");
            assert!(!done.stderr_capture.is_empty() && is_empty(place.path()), "{shell}: {done:?}");
        });
    }

    #[test]
    fn a_guest_without_a_place_says_so() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o500)).unwrap();
        // procfs takes no file, not even from root.
        each_shell(places("/proc /no/such"), PROGRAM.len(), PROGRAM, |shell, done| {
            let (status, words) = said(done);
            assert_eq!(status, Some(ExitStatus::Code(104)), "{shell}: {words}");
            assert!(words.ends_with("the home takes a file that may be executed"), "{shell}: {words}");
        });
    }

    #[test]
    fn a_guest_with_another_processor_or_without_a_tool_says_so() {
        let other = |script: &str| script.replace("$(uname -m)", "riscv64");
        each_shell(other, PROGRAM.len(), PROGRAM, |shell, done| {
            let (status, words) = said(done);
            assert_eq!(status, Some(ExitStatus::Code(103)), "{shell}: {words}");
            assert!(words.starts_with("its processor is riscv64"), "{shell}: {words}");
        });
        let without = |script: &str| script.replace("in head", "in rt-no-head");
        each_shell(without, PROGRAM.len(), PROGRAM, |shell, done| {
            let expected = (Some(ExitStatus::Code(102)), String::from("it has no `rt-no-head`"));
            assert_eq!(said(done), expected, "{shell}");
        });
    }
}
