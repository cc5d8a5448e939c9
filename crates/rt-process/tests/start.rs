//! How starting a process can fail, and that no text shows a secret.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_process::{ExitStatus, Finished, ProcessError, ProcessSpec, Program, capture};
use rt_protocol::{OutputLimit, Secret, Source, Until};

fn run(spec: &ProcessSpec) -> Result<Finished, ProcessError> {
    let all = OutputLimit::UNLIMITED;
    capture(spec, Source::empty(), all, all, &Until::after(Duration::from_secs(20)))
}

fn sh(script: &str) -> ProcessSpec {
    ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", script])
}

/// A file with execute permission. Started only after a pause if needed: while another test's fork
/// holds the file open for writing, the kernel refuses to execute it (ETXTBSY).
fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("script");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn run_file(path: &Path) -> Result<Finished, ProcessError> {
    loop {
        match run(&ProcessSpec::new(&Program::find(path).unwrap())) {
            Err(ProcessError::Spawn { source, .. }) if source.raw_os_error() == Some(26) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

#[test]
fn a_missing_interpreter_or_foreign_format_is_not_executable() {
    let directory = tempfile::tempdir().unwrap();
    for text in ["#!/no/such/interpreter\n", "\u{1}\u{2}\u{3}", "echo no interpreter named\n"] {
        let path = script(directory.path(), text);
        match run_file(&path) {
            Err(ProcessError::NotExecutable { path: named, source: Some(_) }) => assert_eq!(named, path),
            other => panic!("{text:?}: {other:?}"),
        }
    }
}

#[test]
fn a_permission_that_is_lost_after_the_search_is_not_executable() {
    let directory = tempfile::tempdir().unwrap();
    let path = script(directory.path(), "#!/bin/sh\n");
    let spec = ProcessSpec::new(&Program::find(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(run(&spec), Err(ProcessError::NotExecutable { source: Some(_), .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(run(&spec), Err(ProcessError::NotFound { .. })));
}

#[test]
fn too_long_a_command_is_an_error_of_its_own() {
    let huge = "x".repeat(200 * 1024);
    match run(&sh("true").arg(huge).arg("hunter2")) {
        Err(error @ ProcessError::TooLong { arguments: 4, .. }) => {
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_nul_is_refused_and_not_shown() {
    match run(&sh("true").secret_arg(&Secret::new("hunter2\0"))) {
        Err(error @ ProcessError::Spawn { .. }) => {
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_directory_that_cannot_be_entered_is_an_error_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let file = script(directory.path(), "");
    for path in [missing, file] {
        match run(&sh("true").current_dir(&path)) {
            Err(ProcessError::WorkingDirectory { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
    }
    let there = run(&sh("pwd -P").current_dir(directory.path())).unwrap();
    let real = directory.path().canonicalize().unwrap();
    assert_eq!(there.stdout_capture.text().trim_end(), real.to_str().unwrap());
}

#[test]
fn the_environment_is_ours_with_the_changes_in_their_order() {
    let spec = sh("echo $A-$B-$C-${PATH:+path}").env("A", "1").env("B", "2").env_remove("B");
    assert_eq!(run(&spec).unwrap().stdout_capture, "1---path\n");
    let spec = sh("echo $A-$B").env("A", "1").env_clear().secret_env("B", Secret::new("2"));
    assert_eq!(run(&spec).unwrap().stdout_capture, "-2\n");
}

#[test]
fn secret_arguments_arrive_and_are_shown_nowhere() {
    let spec = sh("printf %s \"$1\"").arg("sh").secret_arg(&Secret::new("hunter2"));
    assert!(!format!("{spec} {spec:?}").contains("hunter2"));
    assert_eq!(run(&spec).unwrap().stdout_capture, "hunter2");
}

#[cfg(target_os = "linux")]
#[test]
fn a_secret_file_is_read_once_and_changes_nothing_else() {
    let text = "a 'b' \"$c\"\n#\n";
    let script = "cat \"$0\"; cat; printf '%s,' $$ \"$PWD\" \"$A\" \"$@\"; cat \"$0\"";
    let spec = sh(script)
        .args([ProcessSpec::SECRET_FILE, "x y", "", "$(id)"])
        .env("A", "1\n2")
        .current_dir("/")
        .secret_file(Secret::new(text));
    assert!(!format!("{spec} {spec:?}").contains("'b'"));
    let all = OutputLimit::UNLIMITED;
    let until = Until::after(Duration::from_secs(20));
    let finished = capture(&spec, Source::bytes("stdin\n"), all, all, &until).unwrap();
    let pid = finished.pid.unwrap();
    assert_eq!(finished.stderr_capture, "");
    assert_eq!(finished.stdout_capture, format!("{text}stdin\n{pid},/,1\n2,x y,,$(id),").as_str());
}

#[cfg(target_os = "linux")]
#[test]
fn other_processes_do_not_get_the_secret_file() {
    let listing = sh("for fd in /proc/$$/fd/*; do if test -p $fd; then echo $fd | cut -d/ -f5; fi; done");
    let before = run(&listing).unwrap().stdout_capture.text().into_owned();
    std::thread::scope(|scope| {
        let with = scope.spawn(|| {
            for _ in 0..40 {
                let spec = sh("cat /proc/self/fd/3").secret_file(Secret::new("hunter2"));
                assert_eq!(run(&spec).unwrap().stdout_capture, "hunter2");
            }
        });
        while !with.is_finished() {
            assert_eq!(run(&listing).unwrap().stdout_capture, before.as_str());
        }
        with.join().unwrap();
    });
}

#[test]
fn refusals_are_the_same_with_a_secret_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = script(directory.path(), "#!/bin/sh\n");
    let spec = ProcessSpec::new(&Program::find(&path).unwrap()).secret_file(Secret::new("hunter2"));
    let long = spec.clone().arg("x".repeat(200_000));
    assert!(matches!(run(&long), Err(ProcessError::TooLong { program, .. }) if program == path));
    let nowhere = spec.clone().current_dir("/no/such/directory");
    assert!(matches!(run(&nowhere), Err(ProcessError::WorkingDirectory { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(run(&spec), Err(ProcessError::NotFound { program }) if program == path));
}

#[test]
fn it_leads_a_group_of_its_own_with_signals_as_they_should_be() {
    let finished = run(&sh("echo $$; cut -d' ' -f5 /proc/$$/stat; kill -PIPE $$; echo survived")).unwrap();
    let text = finished.stdout_capture.text().into_owned();
    let pid = finished.pid.unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(text, format!("{pid}\n{pid}\n"));
    }
    // SIGPIPE is ignored here, but not in the child.
    assert_eq!(finished.status, Some(ExitStatus::Signal(13)));
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_that_ignores_sigchld_starts_nothing() {
    const IGNORING: &str = "RT_TEST_IGNORES_SIGCHLD";
    if std::env::var_os(IGNORING).is_some() {
        let error = run(&sh("exit 3")).unwrap_err();
        assert!(matches!(error, ProcessError::SigchldIgnored { .. }), "{error:?}");
        return;
    }
    // Runs itself again, started with SIGCHLD ignored.
    let this = std::env::current_exe().unwrap();
    let name = "a_program_that_ignores_sigchld_starts_nothing";
    let again = ProcessSpec::new(&Program::find("env").unwrap())
        .args(["--ignore-signal=CHLD"])
        .args([this.as_os_str(), "--exact".as_ref(), name.as_ref()])
        .env(IGNORING, "1");
    let finished = run(&again).unwrap();
    assert!(finished.stdout_capture.text().contains("1 passed"), "{}", finished.stdout_capture);
}

#[test]
fn a_stolen_exit_status_is_lost_and_never_another_ones() {
    const REAPING: &str = "RT_TEST_REAPS_CHILDREN";
    if std::env::var_os(REAPING).is_some() {
        std::thread::spawn(|| {
            loop {
                if rustix::process::wait(rustix::process::WaitOptions::empty()).is_err() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        for _ in 0..20 {
            let status = run(&sh("exit 3")).unwrap().status;
            assert!(matches!(status, None | Some(ExitStatus::Code(3))), "{status:?}");
        }
        return;
    }
    let this = std::env::current_exe().unwrap();
    let name = "a_stolen_exit_status_is_lost_and_never_another_ones";
    let again = ProcessSpec::new(&Program::find(this).unwrap()).args(["--exact", name]).env(REAPING, "1");
    let finished = run(&again).unwrap();
    assert!(finished.stdout_capture.text().contains("1 passed"), "{}", finished.stdout_capture);
}
