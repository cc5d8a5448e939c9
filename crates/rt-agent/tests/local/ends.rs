//! How commands begin and end: exit codes, signals, programs that cannot be started, and what a
//! command sees.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;

use rt_protocol::{
    CapturedOutput, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, OutputLimit, Sink, Source, StreamEnd,
    Until,
};

use crate::fixture::{LONG, LocalAgent, shell};

#[test]
fn every_exit_code_arrives() {
    let local = LocalAgent::start();
    for code in 0..=255 {
        let result = local.sh(&format!("echo out; echo err >&2; exit {code}"));
        assert_eq!(result.outcome, ExitOutcome::Code(code));
        assert_eq!((result.stdout, result.stderr), (whole("out\n"), whole("err\n")));
    }
}

#[test]
fn a_signal_is_a_signal_and_not_a_code() {
    let local = LocalAgent::start();
    for (number, name) in
        [(1, "HUP"), (9, "KILL"), (11, "SEGV"), (15, "TERM"), (31, "SYS"), (34, "RTMIN"), (64, "RTMIN+30")]
    {
        let result = local.sh(&format!("kill -{number} $$"));
        assert_eq!(result.outcome, ExitOutcome::Signal(name.to_owned()));
    }
    assert_eq!(local.sh("exit 137").outcome, ExitOutcome::Code(137));
}

#[test]
fn what_cannot_be_started_says_why() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let directory = home.path().to_str().unwrap().to_owned();
    let plain = file("plain", "echo no first line\n", 0o755);
    let denied = file("denied", "#!/bin/sh\n", 0o644);
    let orphan = file("orphan", "#!/nonexistent/interpreter\n", 0o755);
    for (program, kind) in [
        ("nonexistent", ErrorKind::CommandNotFound),
        ("/nonexistent/program", ErrorKind::CommandNotFound),
        ("./nonexistent", ErrorKind::CommandNotFound),
        ("/etc/passwd/program", ErrorKind::CommandNotFound),
        (&denied, ErrorKind::CommandNotExecutable),
        (&directory, ErrorKind::CommandNotExecutable),
        (&plain, ErrorKind::CommandNotExecutable),
        (&orphan, ErrorKind::CommandNotExecutable),
    ] {
        let request = ExecRequest::new([program]).unwrap();
        let error = local.exec(&request, &Until::after(LONG)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.never_started() && error.to_string().contains(program), "{error}");
    }
    for workdir in ["/nonexistent", "/etc/passwd"] {
        let request = ExecRequest::builder(["true"]).workdir(workdir).build().unwrap();
        let error = local.exec(&request, &Until::after(LONG)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadWorkdir, "{error}");
        assert!(error.never_started());
    }
    assert!(local.sh("exit 0").success());
}

#[test]
fn a_program_is_found_by_the_path_of_the_command() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let directory = |name: &str, mode: u32, text: &str| {
        let directory = home.path().join(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("tool"), text).unwrap();
        fs::set_permissions(directory.join("tool"), fs::Permissions::from_mode(mode)).unwrap();
        directory.to_str().unwrap().to_owned()
    };
    let denied = directory("denied", 0o644, "#!/bin/sh\necho denied\n");
    let good = directory("good", 0o755, "#!/bin/sh\necho good\n");
    let run = |path: &str, workdir: &str| {
        let request = ExecRequest::builder(["tool"]).env("PATH", path).workdir(workdir).build().unwrap();
        local.exec(&request, &Until::after(LONG))
    };
    assert_eq!(run(&format!("/nonexistent:/etc/passwd:{denied}:{good}"), "/").unwrap().stdout, "good\n");
    assert_eq!(run(&denied, "/").unwrap_err().kind(), ErrorKind::CommandNotExecutable);
    assert_eq!(run(&format!("/{}:{good}", "x".repeat(5000)), "/").unwrap().stdout, "good\n");
    // As execvp(3) does: the empty entry is the working directory.
    assert_eq!(run("", &good).unwrap().stdout, "good\n");
    assert_eq!(run("", "/").unwrap_err().kind(), ErrorKind::CommandNotFound);
}

#[test]
fn the_environment_is_the_agents_with_that_of_the_request() {
    let local = LocalAgent::start();
    let request = ExecRequest::builder(["env"])
        .env("BASE", "request")
        .env("EMPTY", "")
        .secret_env("SECRET", rt_protocol::Secret::new("a=b\nc"))
        .build()
        .unwrap();
    let result = local.exec(&request, &Until::after(LONG)).unwrap();
    let mut lines: Vec<_> = std::str::from_utf8(result.stdout.as_bytes()).unwrap().lines().collect();
    lines.sort_unstable();
    // The marker by which its processes are found.
    lines.retain(|line| !line.starts_with("RT_EXEC_ID="));
    assert_eq!(lines, ["BASE=request", "EMPTY=", "HOME=/root", "PATH=/usr/bin:/bin", "SECRET=a=b", "c"]);
}

#[test]
fn arguments_of_any_bytes_and_length_arrive() {
    let local = LocalAgent::start();
    let bytes: Vec<u8> = (1..=255).collect();
    let request = ExecRequest::new([
        OsString::from("printf"),
        "%s|%s".into(),
        OsString::from_vec(bytes.clone()),
        String::new().into(),
    ])
    .unwrap();
    let result = local.exec(&request, &Until::after(LONG)).unwrap();
    assert_eq!(result.stdout.as_bytes(), [&bytes[..], b"|"].concat());

    let many: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    let words = ["sh", "-c", "echo $#", "sh"].map(str::to_owned).into_iter().chain(many);
    let result = local.exec(&ExecRequest::new(words).unwrap(), &Until::after(LONG)).unwrap();
    assert_eq!(result.stdout, "100000\n");

    for length in [200_000, 3 << 20, 20 << 20] {
        let request = ExecRequest::new(["true".to_owned(), "x".repeat(length)]).unwrap();
        let error = local.exec(&request, &Until::after(LONG)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    }
}

#[test]
fn a_command_has_a_session_and_nothing_of_the_agents() {
    let local = LocalAgent::start();
    let result = local.sh("pwd; ls -C /proc/$$/fd; \
         grep -E '^(SigBlk|SigIgn|Tracer)' /proc/self/status | cut -f2; \
         cut -d' ' -f5-7 /proc/$$/stat; echo $$ $$ 0; readlink /proc/$$/fd/0");
    let text = result.stdout.text().into_owned();
    let lines: Vec<_> = text.lines().collect();
    let none = "0000000000000000";
    assert_eq!(lines[..2], ["/tmp", "0  1  2"], "{text}");
    assert_eq!(lines[2..5], ["0", none, none], "{text}");
    assert_eq!(lines[5], lines[6], "process group, session and terminal: {text}");
    assert_eq!(lines[7], "/dev/null");
}

#[test]
fn a_working_directory_is_found_by_its_path() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("made anew");
    fs::create_dir(&place).unwrap();
    let local = LocalAgent::start();
    for _ in 0..2 {
        let request = ExecRequest::builder(["sh", "-c", "ls"]).workdir(&place).build().unwrap();
        assert!(local.exec(&request, &Until::after(LONG)).unwrap().success());
        fs::remove_dir(&place).unwrap();
        fs::create_dir(&place).unwrap();
    }
}

#[test]
fn streams_are_bridged_whole_and_both_ways() {
    let local = LocalAgent::start();
    let sent: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut back = Vec::new();
    let stdio = ExecStdio::new(Source::bytes(sent.clone()), Sink::borrowed(&mut back));
    let result = local.exec_stdio(&ExecRequest::new(["cat"]).unwrap(), stdio, &Until::after(LONG)).unwrap();
    assert!(result.success());
    assert_eq!((result.stdin.bytes, result.stdin.end), (sent.len() as u64, StreamEnd::Eof));
    assert_eq!((result.stdout.bytes, result.stdout.end), (sent.len() as u64, StreamEnd::Eof));
    assert!(back == sent);

    // No output is lost of a command that reads nothing.
    for _ in 0..50 {
        let mut back = Vec::new();
        let stdio = ExecStdio::new(Source::bytes(vec![0; 300_000]), Sink::borrowed(&mut back));
        let result =
            local.exec_stdio(&shell("exec <&-; echo all of it"), stdio, &Until::after(LONG)).unwrap();
        assert_eq!(result.stdin.end, StreamEnd::ReaderGone);
        assert_eq!(back, b"all of it\n");
    }
}

#[test]
fn output_is_limited_and_a_background_child_does_not_hold_the_call() {
    let local = LocalAgent::start();
    let limit = OutputLimit::bytes(10);
    let request = ExecRequest::builder(["sh", "-c", "seq 100000"]).output_limit(limit).build().unwrap();
    let result = local.exec(&request, &Until::after(LONG)).unwrap();
    assert_eq!((result.stdout.total(), result.stdout.as_bytes().len()), (588_895, 10));

    let result = local.sh("echo here; sleep 20 & echo $!");
    assert!(result.success());
    assert_eq!(result.stdout.end(), StreamEnd::LeftOpen);
    let text = result.stdout.text().into_owned();
    let pid: u32 = text.strip_prefix("here\n").unwrap().trim().parse().unwrap();
    assert!(rt_process::procfs::entry(pid).unwrap().is_some_and(|entry| !entry.is_zombie), "it runs on");
    assert!(local.sh(&format!("kill {pid}")).success());

    let result = local.sh("yes & echo here");
    assert!(result.success() && result.stdout.end() == StreamEnd::LeftOpen);
}

fn whole(text: &str) -> CapturedOutput {
    CapturedOutput::complete(text)
}
