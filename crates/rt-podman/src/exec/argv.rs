//! From an [`ExecRequest`] to the arguments of `podman exec`: a pure function.

use std::ffi::{OsStr, OsString};

use rt_process::ProcessSpec;
use rt_protocol::{EnvValue, Error, ErrorKind, ExecRequest, Result};

use crate::cli::secret_env::{Passed, SecretEnv};
use rt_process::ExecMarker;

/// Adds `exec …` for `request` to a call of podman. `target` is a checked name or a full id.
///
/// The container's name stands behind `--`, and the command behind the name: `podman exec NAME --` would take the dashes
/// for the command. `-i` only where the caller has a stdin: with `-i`, podman loses output in some calls whose command
/// leaves any of its stdin unread.
pub(crate) fn exec(
    call: ProcessSpec,
    request: &ExecRequest,
    interactive: bool,
    marker: &ExecMarker,
    target: &str,
) -> Result<Passed> {
    let mut secrets = SecretEnv::new(!interactive);
    let mut call = call.arg("exec");
    if interactive {
        // Without detach keys: podman would take the two bytes ctrl-p and ctrl-q for an order to leave the command.
        call = call.args(["--interactive", "--detach-keys="]);
    }
    if let Some(user) = request.user() {
        call = call.arg(format!("--user={user}"));
    }
    if let Some(workdir) = request.workdir() {
        call = call.arg("--workdir").arg(workdir.as_os_str());
    }
    for (name, value) in request.env().iter() {
        if name.as_str() == ExecMarker::NAME {
            let message = format!(
                "the variable {name} is this backend's own: it tells which processes are the command's"
            );
            return Err(
                Error::new(ErrorKind::InvalidRequest, "exec in", message).with_hint("choose another name")
            );
        }
        call = match value {
            EnvValue::Plain(value) => call.arg("--env").arg(assignment(name.as_str(), value)),
            EnvValue::Secret(secret) => secrets.pass(call, name, secret)?,
        };
    }
    call = call.arg("--env").arg(assignment(ExecMarker::NAME, OsStr::new(marker.value())));
    let mut passed = secrets.finish(call);
    passed.call = passed.call.args(["--", target]).args(request.argv().words().iter().cloned());
    Ok(passed)
}

/// `NAME=VALUE`
pub(crate) fn assignment(name: &str, value: &OsStr) -> OsString {
    let mut assignment = OsString::from(name);
    assignment.push("=");
    assignment.push(value);
    assignment
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rt_process::Program;
    use rt_protocol::{ContainerName, Secret};

    use super::*;

    /// The words of the call, without podman itself.
    fn words(request: &ExecRequest, interactive: bool, marker: &ExecMarker, target: &str) -> Vec<String> {
        let shell = Program::find("/bin/sh").unwrap();
        let call = exec(ProcessSpec::new(&shell), request, interactive, marker, target).unwrap().call;
        let mut words = shlex::split(&call.to_string()).unwrap();
        let program = words.iter().position(|word| word == "/bin/sh").unwrap();
        words.split_off(program + 1)
    }

    proptest! {
        #[test]
        fn nothing_of_the_caller_is_read_as_an_option_or_a_container(
            argv in proptest::collection::vec("[^\\x00]{0,12}|--?[a-z]{1,8}(=x)?", 1..5),
            value in "[^\\x00]{0,12}|-[a-z]{1,4}|--",
            workdir in "/[^\\x00]{0,12}",
            name in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,12}",
            interactive in any::<bool>(),
        ) {
            prop_assume!(!argv[0].is_empty());
            let name = ContainerName::new(name).unwrap();
            let request = ExecRequest::builder(argv.clone())
                .env("PLAIN", value.clone())
                .secret_env("HIDDEN", Secret::new("hunter2"))
                .workdir(&workdir)
                .user("dev:staff")
                .build()
                .unwrap();
            let marker = ExecMarker::fresh();
            let words = words(&request, interactive, &marker, name.as_str());
            let mut expected: Vec<String> = vec!["exec".into()];
            if interactive {
                expected.extend(["--interactive".into(), "--detach-keys=".into()]);
            }
            expected.extend(["--user=dev:staff".into(), "--workdir".into(), workdir]);
            expected.extend(["--env".into(), format!("PLAIN={value}"), "--env".into(), "HIDDEN".into()]);
            expected.extend(["--env".into(), format!("RT_EXEC_ID={}", marker.value())]);
            expected.extend(["--".into(), name.to_string()]);
            expected.extend(argv);
            prop_assert_eq!(words, expected);
        }
    }

    #[test]
    fn a_secret_stands_neither_in_the_words_nor_in_a_text() {
        let request = ExecRequest::builder(["true"]).secret_env("TOKEN", "hunter2").build().unwrap();
        let shell = Program::find("/bin/sh").unwrap();
        let call = exec(ProcessSpec::new(&shell), &request, false, &ExecMarker::fresh(), "c").unwrap().call;
        for text in [call.to_string(), format!("{call:?}"), format!("{call:#?}")] {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn steering_secrets_use_stdin_only_where_it_is_free() {
        let request =
            ExecRequest::builder(["true"]).secret_env("LD_PRELOAD", Secret::new("/x.so")).build().unwrap();
        let shell = Program::find("/bin/sh").unwrap();
        let by_stdin = |interactive| {
            let call = ProcessSpec::new(&shell);
            exec(call, &request, interactive, &ExecMarker::fresh(), "web").unwrap().stdin.is_some()
        };
        assert!(by_stdin(false) && !by_stdin(true));
    }
}
