//! From an [`ExecRequest`] to the arguments of `podman exec`: a pure function.

use std::ffi::OsStr;

use rt_process::ProcessSpec;
use rt_protocol::{Error, ErrorKind, ExecRequest, Result};

use crate::cli::engine::assignment;
use crate::cli::secret_env::{Passed, SecretEnv};
use rt_process::ExecMarker;

/// Adds `exec …` for `request` to a call of podman. `target` is a valid name or a full id.
///
/// The container's name follows `--`, and the command follows the name: `podman exec NAME --` would
/// take the dashes for the command. `-i` is used only if the caller has a stdin: with it, podman
/// loses output in some calls whose command leaves some of its stdin unread. A request with a
/// terminal gives the client one as its stdin, of which it takes the size; the outputs stay pipes.
pub(crate) fn exec(
    call: ProcessSpec,
    request: &ExecRequest,
    interactive: bool,
    marker: &ExecMarker,
    target: &str,
) -> Result<Passed> {
    // Of a client with a terminal, the stdin is that.
    let has_terminal = request.terminal().is_some();
    let mut secrets = SecretEnv::new(!interactive && !has_terminal);
    // podman writes its own log on stderr, where its warnings would be the command's output (5.x
    // has one for each call on cgroups v1). After the verb, so that no level of the caller wins.
    let mut call = call.args(["exec", "--log-level=error"]);
    if interactive {
        call = call.arg("--interactive");
    }
    if has_terminal {
        call = call.arg("--tty");
    }
    if interactive || has_terminal {
        // podman would detach from the command when stdin contains the two bytes ctrl-p and ctrl-q.
        call = call.arg("--detach-keys=");
    }
    call = secrets.pass_settings(call, request.user(), request.workdir(), request.env())?;
    call = call.arg("--env").arg(assignment(ExecMarker::NAME, OsStr::new(marker.value())));
    let mut passed = secrets.finish(call);
    if let Some(size) = request.terminal() {
        passed.call = passed.call.stdin_terminal(size);
    }
    passed.call = passed.call.args(["--", target]).args(request.argv().words().iter().cloned());
    Ok(passed)
}

/// Refuses a request that sets the variable by which the processes of its command are found.
pub(crate) fn refuse_marker(request: &ExecRequest) -> Result<()> {
    let name = ExecMarker::NAME;
    if !request.env().iter().any(|(known, _)| known.as_str() == name) {
        return Ok(());
    }
    let message =
        format!("the variable {name} is this backend's own: it tells which processes are the command's");
    Err(Error::new(ErrorKind::InvalidRequest, "exec in", message).with_hint("choose another name"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rt_process::Program;
    use rt_protocol::{ContainerName, Secret};

    use super::*;

    /// Returns the words of the call, without podman itself.
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
            let mut expected: Vec<String> = vec!["exec".into(), "--log-level=error".into()];
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
    fn a_terminal_is_asked_for_with_and_without_a_stdin() {
        let size = rt_protocol::TerminalSize::default();
        let request = ExecRequest::builder(["vi"]).terminal(size).build().unwrap();
        for (interactive, expected) in [(false, 2), (true, 3)] {
            let words = words(&request, interactive, &ExecMarker::fresh(), "c");
            let options = ["--interactive", "--tty", "--detach-keys="];
            assert_eq!(words[2..2 + expected], options[3 - expected..]);
            assert!(words.contains(&"TERM=xterm".into()), "{words:?}");
        }
    }

    #[test]
    fn the_marker_of_a_command_is_no_variable_of_the_caller() {
        let request = |name: &str| ExecRequest::builder(["true"]).env(name, "x").build().unwrap();
        let error = refuse_marker(&request(ExecMarker::NAME)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(refuse_marker(&request("RT_EXEC")).is_ok());
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
        let terminal = ExecRequest::builder(["vi"]).terminal(rt_protocol::TerminalSize::default());
        let terminal = terminal.secret_env("LD_PRELOAD", Secret::new("/x.so")).build().unwrap();
        let call = ProcessSpec::new(&shell);
        assert!(exec(call, &terminal, false, &ExecMarker::fresh(), "web").unwrap().stdin.is_none());
    }
}
