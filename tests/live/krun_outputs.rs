//! Output of commands in a sealed guest: it arrives whole, or its end says that it may not be.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_protocol::{
    Container, ContainerExt, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, Sink, Source, SpawnStdio,
    StreamEnd, Until,
};
use rt_tests::krun::LoopbackGuest;
use rt_tests::live::Live;
use rt_tests::ssh_lab::loopback::Settings;
use rt_tests::ssh_lab::proxy::{FaultProxy, TrafficMode};

use crate::case::{Case, Outcome, Problem};
use crate::krun_commands::sh;

pub(crate) const CASES: &[Case] = &[
    ("krun outputs: they are whole while keys are renewed", renewed_keys),
    ("krun outputs: ten at once are whole while keys are renewed", ten_at_once),
    ("krun outputs: they are whole on a slow network", slow_network),
    ("krun outputs: those that a child holds open say so", held_open),
    ("krun outputs: a byte of stderr does not wait for the next one", single_byte),
    ("krun outputs: what start-up files print is no part of them", startup_files),
];

/// New keys so often that several renewals fall into every output here.
const RENEWING: Settings = Settings {
    max_sessions: 10,
    max_startups: "10:30:100",
    rekey_limit: "512K",
    is_forgiving: true,
    log_level: "INFO",
};

/// Numbers of one width on both outputs, from two processes.
fn flood(first: u32, count: u32) -> String {
    let last = first + count - 1;
    format!("seq {first} {last} >&2 & seq {first} {last}; wait; exit 7")
}

fn flood_bytes(first: u32, count: u32) -> Vec<u8> {
    (first..first + count).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

/// Captured, then bridged: every byte, and the end of both outputs.
fn check_whole(container: &dyn Container, first: u32, count: u32) -> Outcome {
    let expected = flood_bytes(first, count);
    let script = flood(first, count);
    let result = sh(container, &script)?;
    for output in [&result.stdout, &result.stderr] {
        assert_eq!((output.total(), output.end()), (expected.len() as u64, StreamEnd::Eof));
        assert!(output.as_bytes() == expected);
    }
    assert_eq!(result.outcome, ExitOutcome::Code(7));

    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let stdio =
        ExecStdio::new(Source::empty(), Sink::borrowed(&mut stdout)).stderr(Sink::borrowed(&mut stderr));
    let request = ExecRequest::new(["sh", "-c", &script])?;
    let result = container.exec_stdio(&request, stdio, &Until::after(Duration::from_secs(120)))?;
    assert_eq!((result.stdout.bytes, result.stdout.end), (expected.len() as u64, StreamEnd::Eof));
    assert_eq!((result.stderr.bytes, result.stderr.end), (expected.len() as u64, StreamEnd::Eof));
    assert_eq!(result.outcome, ExitOutcome::Code(7));
    assert!(stdout == expected && stderr == expected);
    Ok(())
}

fn renewed_keys(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, RENEWING)?;
    let result = sh(guest.container.as_ref(), "seq 1 320000")?;
    assert_eq!((result.stdout.total(), result.stdout.end()), (2_128_895, StreamEnd::Eof));
    for _ in 0..3 {
        check_whole(guest.container.as_ref(), 1_000_000, 200_000)?;
    }
    Ok(())
}

fn ten_at_once(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, RENEWING)?;
    let container = guest.container.as_ref();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (1..=10)
            .map(|number| scope.spawn(move || check_whole(container, number * 1_000_000, 60_000)))
            .collect();
        for call in calls {
            call.join().expect("no panic")?;
        }
        Ok(())
    })
}

fn slow_network(live: &Live) -> Outcome {
    let mut proxy = None;
    let guest = LoopbackGuest::start_through(
        live,
        Settings { is_forgiving: true, ..Settings::default() },
        |sshd| {
            let proxy = proxy.insert(FaultProxy::start(sshd.address())?);
            proxy.set(TrafficMode::Paced(2_000_000));
            Ok(proxy.address())
        },
        |builder| builder,
    )?;
    check_whole(guest.container.as_ref(), 1_000_000, 400_000)?;
    drop(proxy);
    Ok(())
}

fn held_open(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let container: &Arc<dyn Container> = &guest.container;
    let timed = |script: &str| -> Result<_, Problem> {
        let begun = Instant::now();
        let result = sh(container.as_ref(), script)?;
        assert_eq!(result.outcome, ExitOutcome::Code(3));
        Ok((result, begun.elapsed()))
    };
    let much = "seq 1000000 1199999";
    let expected = flood_bytes(1_000_000, 200_000);
    // A child that says nothing, one that says a little now and then, one that never stops.
    let silent = format!("sleep 600 & {much}; exit 3");
    let thin = format!("(sleep 1; while echo x; do sleep 0.03; done) & {much}; exit 3");
    let loud = format!("{much}; yes & exit 3");
    for (script, most) in [(&silent, 5), (&thin, 15), (&loud, 20)] {
        let (result, took) = timed(script)?;
        assert!(result.stdout.as_bytes().starts_with(&expected), "{script}: {} bytes", result.stdout.total());
        assert_eq!(result.stdout.end(), StreamEnd::LeftOpen, "{script}");
        assert!(took < Duration::from_secs(most), "{script}: {took:?}");
    }
    // Whose own output ends is not told of another's.
    let (result, _) = timed("echo out; exit 3")?;
    assert_eq!((result.stdout.end(), result.stderr.end()), (StreamEnd::Eof, StreamEnd::Eof));
    Ok(())
}

/// The report of a failure before the command begins with it.
fn single_byte(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let request = ExecRequest::new(["sh", "-c", "printf r >&2; cat; printf t- >&2"])?;
    let until = Until::after(Duration::from_secs(60));
    let mut command =
        guest.container.spawn_command(&request, SpawnStdio::new().piped_stdin(), until.clone())?;
    let mut stderr = command.stderr.take().ok_or("it is piped")?;
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let mut byte = [0];
        while stderr.read(&mut byte)? == 1 {
            text.push(byte[0].into());
            // Nobody listens any more after the first one.
            let _ = sender.send(byte[0]);
        }
        Ok::<_, std::io::Error>(text)
    });
    assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(b'r'));
    assert_eq!(command.wait(until)?.outcome, ExitOutcome::Code(0));
    assert_eq!(reader.join().expect("no panic")?, "rt-");
    Ok(())
}

/// What prints on the streams of a command before it begins.
fn startup_files(live: &Live) -> Outcome {
    let noise = "printf 'out\\nrt-'; printf 'err\\nrt-' >&2";
    let loud = format!("{noise}; set -xv; trap 'echo trap' DEBUG; head -c 30000 /dev/zero");
    let mut guest = LoopbackGuest::start(live, RENEWING)?;
    let (passwd, config) = (guest.sshd.inside("/etc/passwd"), guest.sshd.inside("/etc/ssh/sshd_config"));
    let (users, options) = (fs::read_to_string(&passwd)?, fs::read_to_string(&config)?);
    let rc = guest.sshd.inside("/home/dev/.ssh/rc");
    fs::create_dir_all(guest.sshd.inside("/home/dev/.ssh"))?;
    fs::set_permissions(guest.sshd.inside("/home/dev/.ssh"), fs::Permissions::from_mode(0o755))?;
    fs::write(guest.sshd.inside("/home/dev/.bashrc"), &loud)?;

    // sshd's own script, with dash; bash's start-up file; a command in the place of ours that runs
    // it.
    fs::write(&rc, noise)?;
    check_noise(&guest)?;
    fs::remove_file(&rc)?;
    fs::write(&passwd, users.replace("/home/dev:/bin/sh", "/home/dev:/bin/bash"))?;
    guest.sshd.restart(RENEWING)?;
    check_noise(&guest)?;
    let forced = format!("ForceCommand {noise}; exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n");
    fs::write(&config, format!("{options}{forced}"))?;
    guest.sshd.restart(RENEWING)?;
    check_noise(&guest)?;

    // One that ends before the command begins: its code is not the command's.
    fs::write(&config, &options)?;
    guest.sshd.restart(RENEWING)?;
    let _ = sh(guest.container.as_ref(), "true")?;
    fs::write(guest.sshd.inside("/home/dev/.bashrc"), "exit 5")?;
    let error = sh(guest.container.as_ref(), "touch /tmp/never").unwrap_err();
    let error = error.downcast_ref::<rt_protocol::Error>().ok_or("an error of the contract")?;
    assert!(error.never_started() && error.kind() == ErrorKind::BackendFailed, "{error:?}");
    assert!(!guest.sshd.inside("/tmp/never").exists());
    Ok(())
}

/// Outputs, a protocol over stdio, and failures before the command.
fn check_noise(guest: &LoopbackGuest<'_>) -> Outcome {
    let container = guest.container.as_ref();
    let until = Until::after(Duration::from_secs(60));
    for _ in 0..3 {
        let result = sh(container, "printf '\\nout'; printf err >&2; exit 4")?;
        assert_eq!((&*result.stdout.text(), &*result.stderr.text()), ("\nout", "err"));
        assert_eq!(result.outcome, ExitOutcome::Code(4));
    }
    let mut answer = Vec::new();
    let stdio = ExecStdio::new(Source::bytes("ping"), Sink::borrowed(&mut answer));
    let result = container.exec_stdio(&ExecRequest::new(["cat"])?, stdio, &until)?;
    assert_eq!((result.stdin.bytes, result.stdout.bytes, result.stderr.bytes), (4, 4, 0));
    assert_eq!(answer, b"ping");

    let refused = |request: ExecRequest| container.exec(&request, &until).unwrap_err().kind();
    assert_eq!(refused(ExecRequest::new(["no-such-command"])?), ErrorKind::CommandNotFound);
    assert_eq!(refused(ExecRequest::builder(["true"]).workdir("/no/such").build()?), ErrorKind::BadWorkdir);
    Ok(())
}
