//! The spans of operations: their fields, and what is in none of them.

use std::io::Read;
use std::time::Duration;

use rt_podman::ExecPath;
use rt_protocol::{
    Container, ContainerExt, ContainerRuntime, ErrorKind, ExecRequest, ExecStdio, KillOutcome, Sink, Source,
    SpawnStdio, Until,
};
use rt_tests::krun::LoopbackGuest;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::spans::{Fields, SpanLog};
use rt_tests::ssh_lab::loopback::Settings;

use crate::case::{Case, Outcome};
use crate::warm_container::minute;

pub(crate) const CASES: &[Case] = &[
    ("spans: each operation says how it ended, and shows no argument or variable", operations),
    ("spans: a command that runs meanwhile has one span", running_commands),
];

pub(crate) const KRUN_CASES: &[Case] = &[("spans: a command in a guest has one span", commands_in_guest)];

/// Returns the fields but the time, which is there, as `name=value`.
fn shown(mut fields: Fields) -> String {
    let elapsed = fields.remove("elapsed_us").expect("the time");
    assert!(elapsed.parse::<u64>().is_ok(), "{elapsed}");
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn operations(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let name = sandbox.name.as_str();
    for (path, word) in [(ExecPath::Cold, "cold"), (ExecPath::Warm, "warm")] {
        let runtime = live.builder().exec_path(path).build()?;
        let container = runtime.container(&sandbox.name);
        let command = |script: &str| {
            ExecRequest::builder(["/bin/sh", "-c", script, "an-argument"])
                .env("PLAIN", "a-value")
                .secret_env("TOKEN", "hunter2")
                .build()
        };
        let (captured, bridged) = (command("echo out; echo error >&2; exit 3")?, command("cat")?);
        let hanging = command("echo out; exec sleep 777")?;
        let mut stdout = Vec::new();
        let mut results = None;
        let spans = SpanLog::record(|| {
            let stdio = ExecStdio::new(Source::bytes("some input"), Sink::borrowed(&mut stdout));
            results = Some((
                container.exec(&captured, &minute()),
                container.exec_stdio(&bridged, stdio, &minute()),
                container.exec(&hanging, &Until::after(Duration::from_secs(2))),
                container.inspect(&minute()),
            ));
        });
        let (captured, bridged, hanging, inspected) = results.expect("they ran");
        assert_eq!(captured?.outcome.code(), Some(3));
        assert!(bridged?.success() && inspected?.is_some());
        assert_eq!(hanging.unwrap_err().kind(), ErrorKind::TimedOut);
        let exec = "operation=exec in";
        let expected = [
            format!(
                "container={name} {exec} outcome=exit code 3 path={word} program=sh stderr_bytes=6 stdout_bytes=4"
            ),
            format!(
                "container={name} {exec} outcome=exit code 0 path={word} program=sh stderr_bytes=0 stdin_bytes=10 \
                 stdout_bytes=10"
            ),
            format!(
                "container={name} kill=gone {exec} outcome=timed-out path={word} program=sh stderr_bytes=0 \
                 stdout_bytes=4"
            ),
            format!("container={name} operation=inspect outcome=ok"),
        ];
        assert_eq!(spans.into_iter().map(shown).collect::<Vec<_>>(), expected);
        runtime.cool_down(&minute())?;
    }
    Ok(())
}

fn running_commands(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let name = sandbox.name.as_str();
    for (path, word) in [(ExecPath::Cold, "cold"), (ExecPath::Warm, "warm")] {
        let runtime = live.builder().exec_path(path).build()?;
        let container = runtime.container(&sandbox.name);
        let command =
            |script: &str| ExecRequest::builder(["/bin/sh", "-c", script]).env("PLAIN", "a-value").build();
        let (ends, stays) = (command("echo out; exit 3")?, command("echo out; exec sleep 777")?);
        let spans = SpanLog::record(|| {
            runtime.warm_up(&sandbox.name, None, &minute()).expect("an answer");
            let spawn =
                |request, stdio| container.spawn_command(request, stdio, minute()).expect("a command");
            let piped = spawn(&ends, SpawnStdio::new()).wait(minute());
            assert_eq!(piped.expect("a result").outcome.code(), Some(3));
            let served = spawn(&ends, SpawnStdio::new().stdout(Sink::writer(std::io::sink()))).wait(minute());
            assert_eq!(served.expect("a result").stdout.bytes, 4);
            for is_killed in [true, false] {
                let mut command = spawn(&stays, SpawnStdio::new());
                let stdout = command.stdout.as_mut().expect("it is piped");
                stdout.read_exact(&mut [0; 4]).expect("it has begun");
                if is_killed {
                    assert_eq!(command.kill().outcome, KillOutcome::Gone);
                }
            }
        });
        let exec = "operation=exec in";
        // What a command has written to a pipe that it held itself, nobody has counted.
        let piped = |stdout| match path {
            ExecPath::Cold => format!("stderr_bytes=0 stdin_bytes=0 stdout_bytes={stdout}"),
            _ => String::from("stdin_bytes=0"),
        };
        let killed = format!(
            "container={name} kill=gone {exec} outcome=cancelled path={word} program=sh {}",
            piped(4)
        );
        let expected = [
            format!("container={name} operation=warm up outcome=ok"),
            format!("container={name} {exec} outcome=exit code 3 path={word} program=sh {}", piped(4)),
            format!(
                "container={name} {exec} outcome=exit code 3 path={word} program=sh stderr_bytes=0 stdin_bytes=0 \
                 stdout_bytes=4"
            ),
            killed.clone(),
            killed,
        ];
        assert_eq!(spans.into_iter().map(shown).collect::<Vec<_>>(), expected);
        runtime.cool_down(&minute())?;
    }
    Ok(())
}

fn commands_in_guest(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let name = guest.sandbox.name.as_str();
    let command = |script: &str| ExecRequest::builder(["/bin/sh", "-c", script]).build();
    let (ends, stays) = (command("echo out; exit 3")?, command("echo out; exec sleep 777")?);
    let spans = SpanLog::record(|| {
        assert_eq!(guest.container.exec(&ends, &minute()).expect("a result").outcome.code(), Some(3));
        let spawn =
            |request| guest.container.spawn_command(request, SpawnStdio::new(), minute()).expect("a command");
        assert_eq!(spawn(&ends).wait(minute()).expect("a result").outcome.code(), Some(3));
        let mut command = spawn(&stays);
        command.stdout.as_mut().expect("it is piped").read_exact(&mut [0; 4]).expect("it has begun");
    });
    let exec = "operation=exec in";
    let expected = [
        format!("container={name} {exec} outcome=exit code 3 program=sh stderr_bytes=0 stdout_bytes=4"),
        format!(
            "container={name} {exec} outcome=exit code 3 program=sh stderr_bytes=0 stdin_bytes=0 stdout_bytes=4"
        ),
        format!(
            "container={name} kill=gone {exec} outcome=cancelled program=sh stderr_bytes=0 stdin_bytes=0 \
             stdout_bytes=4"
        ),
    ];
    assert_eq!(spans.into_iter().map(shown).collect::<Vec<_>>(), expected);
    Ok(())
}
