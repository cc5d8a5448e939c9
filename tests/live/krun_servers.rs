//! rt-krun and SSH servers of other makes than OpenSSH.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_krun::{KrunRuntime, TcpSshTransportBuilder};
use rt_protocol::{
    Container, ContainerExt, ContainerRuntime, ErrorKind, ExecRequest, ExecRequestBuilder, ExecStdio,
    ExitOutcome, KillOutcome, RunningCommand, Signal, Sink, Source, SpawnStdio, StreamEnd, TerminalSize,
    Until,
};
use rt_tests::krun::transport_to;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::key::KeyPair;
use rt_tests::ssh_lab::other_server::{Make, OtherServer};
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::krun_commands::sh;
use crate::sleepers::{fresh_tag, sleepers};
use crate::warm_container::minute;

pub(crate) const CASES: &[Case] = &[
    ("krun servers: many commands at once on a Dropbear each get their own answer", dropbear_at_once),
    ("krun servers: a Dropbear serves streams, secrets, long commands and deadlines", dropbear_serves),
    ("krun servers: a Dropbear serves terminals and signals", dropbear_terminals),
    ("krun servers: a command that is never answered holds up no other", unanswered),
    ("krun servers: a command that is never answered is lost, though its server answers otherwise", given_up),
    ("krun servers: a command takes no channel that was closed while it stood unused", closed_unused),
    ("krun servers: one that gives no terminal, or no answer, has started nothing", no_terminal),
    ("krun servers: of packets that are too large all arrives, or the command is lost", large_packets),
    ("krun servers: a command whose server overruns the window is lost", overrun_window),
    (
        "krun servers: a server with one channel for each connection is refused at once, and with the reason",
        tinyssh,
    ),
];

struct Guest<'a> {
    container: Arc<dyn Container>,
    server: OtherServer,
    _sandbox: Sandbox<'a>,
    _keys: TempDir,
}

fn start(live: &Live, make: Make) -> Result<Guest<'_>, Problem> {
    start_with(live, make, |builder| builder)
}

fn start_with(
    live: &Live,
    make: Make,
    finish: impl FnOnce(TcpSshTransportBuilder) -> TcpSshTransportBuilder,
) -> Result<Guest<'_>, Problem> {
    if let Some(missing) = make.missing() {
        return Err(missing.into());
    }
    let keys = TempDir::new()?;
    let identity = KeyPair::generate(keys.path())?;
    let server = OtherServer::start(make, &identity)?;
    let transport = finish(transport_to(server.address(), identity.private())).build();
    let runtime = KrunRuntime::on(live.runtime.clone(), Arc::new(transport));
    let sandbox = Sandbox::idle(live)?;
    let container = runtime.container(&sandbox.name);
    Ok(Guest { container, server, _sandbox: sandbox, _keys: keys })
}

fn unanswered(live: &Live) -> Outcome {
    let guest = start(live, Make::Paramiko)?;
    let container = guest.container.as_ref();
    sh(container, "true")?.exit_ok()?;
    std::thread::scope(|scope| {
        let silent = scope.spawn(|| {
            let request = ExecRequest::new(["sh", "-c", "true rt-unanswered"])?;
            container.exec(&request, &Until::after(Duration::from_secs(12)))
        });
        // It has been asked by then.
        std::thread::sleep(Duration::from_millis(300));
        for number in 0..5 {
            let begun = Instant::now();
            let result = sh(container, &format!("echo {number}"))?;
            assert_eq!(result.stdout, format!("{number}\n").as_str());
            assert!(begun.elapsed() < Duration::from_secs(6), "{number}: {:?}", begun.elapsed());
        }
        assert!(!silent.is_finished(), "they were served after it");
        let error = silent.join().expect("no panic").unwrap_err();
        // The script that looks after it has another way.
        let looked =
            error.kill_report().is_some_and(|report| !report.to_string().contains("nobody could look"));
        assert!(error.kind() == ErrorKind::TimedOut && looked, "{error:?}");
        Ok::<_, Problem>(())
    })?;

    let begun = Instant::now();
    let result = sh(container, "true rt-closed")?;
    assert_eq!(result.outcome, ExitOutcome::Lost);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    sh(container, "true")?.exit_ok()?;
    Ok(())
}

/// The server answers each keepalive, so it never counts as silent.
fn given_up(live: &Live) -> Outcome {
    const KEEPALIVE: Duration = Duration::from_secs(2);
    let guest = start_with(live, Make::Paramiko, |builder| builder.keepalive(KEEPALIVE))?;
    let container = guest.container.as_ref();
    let begun = Instant::now();
    let result = sh(container, "true rt-unanswered")?;
    assert_eq!(result.outcome, ExitOutcome::Lost);
    let took = begun.elapsed();
    assert!(took >= 3 * KEEPALIVE && took < Duration::from_secs(20), "{took:?}");
    sh(container, "true")?.exit_ok()?;
    Ok(())
}

fn closed_unused(live: &Live) -> Outcome {
    let guest = start(live, Make::Paramiko)?;
    let container = guest.container.as_ref();
    sh(container, "true rt-impatient")?.exit_ok()?;
    for number in 0..3 {
        // The channel that was opened ahead has been closed by then.
        std::thread::sleep(Duration::from_millis(600));
        let result = sh(container, &format!("echo {number}"))?;
        assert_eq!(
            (result.outcome, result.stdout.text().as_ref()),
            (ExitOutcome::Code(0), &*format!("{number}\n"))
        );
    }
    Ok(())
}

/// libssh2 takes the beginning of a packet that is larger than it has allowed, and every call of it
/// succeeds.
fn large_packets(live: &Live) -> Outcome {
    const BYTES: usize = 1 << 20;
    // No piece of it is like another, so that a hole shows.
    let numbers: Vec<u8> = (0..).flat_map(|number: u32| number.to_be_bytes()).take(BYTES).collect();
    let guest = start(live, Make::Paramiko)?;
    let run = |size: usize, to: &str| {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let script = format!("cat {to}; : rt-packets={size}");
        let streams = ExecStdio::new(Source::bytes(numbers.clone()), Sink::borrowed(&mut stdout))
            .stderr(Sink::borrowed(&mut stderr));
        let until = Until::after(Duration::from_secs(60));
        let result =
            guest.container.exec_stdio(&ExecRequest::new(["sh", "-c", &script])?, streams, &until)?;
        let (end, bytes) =
            if to.is_empty() { (result.stdout.end, stdout) } else { (result.stderr.end, stderr) };
        let count = bytes.len();
        assert!(numbers.starts_with(&bytes), "packets of {size} {to}: {count} bytes with a hole");
        Ok::<_, Problem>((result.outcome, end, count))
    };
    for to in ["", ">&2"] {
        for size in [20_000, 32_768, 33_000, 36_000, 39_600] {
            let (outcome, end, count) = run(size, to)?;
            assert_eq!((outcome, end), (ExitOutcome::Code(0), StreamEnd::Eof), "packets of {size} {to}");
            assert_eq!(count, BYTES, "packets of {size} {to}");
        }
        // Up to 39,986 they are no larger than libssh2 takes at all.
        for size in [39_601, 39_700, 39_960, 39_980, 40_000, 65_536] {
            let (outcome, end, count) = run(size, to)?;
            assert_eq!(outcome, ExitOutcome::Lost, "packets of {size} {to}: {count} bytes, {end:?}");
            assert_ne!(end, StreamEnd::Eof, "packets of {size} {to}");
        }
    }
    Ok(())
}

/// libssh2 drops what is beyond the window, and every call of it succeeds.
fn overrun_window(live: &Live) -> Outcome {
    const BYTES: usize = 16 << 20;
    let guest = start(live, Make::Paramiko)?;
    for (window, outcome, end) in
        [(1 << 20, ExitOutcome::Code(0), StreamEnd::Eof), (2 * BYTES, ExitOutcome::Lost, StreamEnd::Stopped)]
    {
        // The window is 2 MiB.
        let (mut stdout, writer) = std::io::pipe()?;
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(2));
            std::io::copy(&mut stdout, &mut std::io::sink())
        });
        let script = format!("head -c {BYTES} /dev/zero; : rt-window={window}");
        let streams = ExecStdio::new(Source::empty(), Sink::descriptor(writer));
        let request = ExecRequest::new(["sh", "-c", &script])?;
        let until = Until::after(Duration::from_secs(60));
        let result = guest.container.exec_stdio(&request, streams, &until)?;
        let count = reader.join().expect("no panic")?;
        assert_eq!((result.outcome, result.stdout.end), (outcome, end), "{count} of {BYTES} bytes");
    }
    Ok(())
}

fn dropbear_at_once(live: &Live) -> Outcome {
    const THREADS: i32 = 6;
    const ROUNDS: i32 = 60;
    let guest = start(live, Make::Dropbear)?;
    let container = guest.container.as_ref();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let code = (thread * ROUNDS + round) % 120;
                        let result = sh(container, &format!("echo {code}; exit {code}"))?;
                        assert_eq!(result.outcome, ExitOutcome::Code(code), "{thread}, {round}");
                        assert_eq!(result.stdout, format!("{code}\n").as_str());
                    }
                    Ok::<_, Problem>(())
                })
            })
            .collect();
        calls.into_iter().try_for_each(|call| call.join().expect("no panic"))
    })
}

fn dropbear_serves(live: &Live) -> Outcome {
    let guest = start(live, Make::Dropbear)?;
    let container = guest.container.as_ref();
    let minute = || Until::after(Duration::from_secs(60));

    let bytes: Vec<u8> = (0..=250u8).cycle().take(3 << 20).collect();
    let mut stdout = Vec::new();
    let streams = ExecStdio::new(Source::bytes(bytes.clone()), Sink::borrowed(&mut stdout));
    assert!(container.exec_stdio(&ExecRequest::new(["cat"])?, streams, &minute())?.success());
    assert!(stdout == bytes, "{} bytes came back", stdout.len());

    let long = "x".repeat(20_000);
    let request = ExecRequest::builder(["sh", "-c", "printf %s,%s ${#1} \"$S\"", "sh", &long])
        .secret_env("S", "hunter2")
        .build()?;
    assert_eq!(container.exec(&request, &minute())?.stdout, "20000,hunter2");

    let missing = container.exec(&ExecRequest::new(["/no/such"])?, &minute()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::CommandNotFound, "{missing}");
    let died = sh(container, "kill -KILL $$")?;
    assert_eq!(died.outcome, ExitOutcome::Signal(String::from("KILL")));

    // While others run, so that the one that ends it finds no channel of its own there.
    std::thread::scope(|scope| {
        let other = scope.spawn(|| sh(container, "sleep 3; echo there"));
        let request = ExecRequest::new(["sh", "-c", "sleep 600 & sleep 601"])?;
        let error = container.exec(&request, &Until::after(Duration::from_secs(1))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert_eq!(error.kill_report().map(|report| &report.outcome), Some(&KillOutcome::Gone), "{error:?}");
        assert_eq!(other.join().expect("no panic")?.stdout, "there\n");
        Ok::<_, Problem>(())
    })?;
    assert!(guest.server.inside("/workspace").exists());
    Ok(())
}

fn dropbear_terminals(live: &Live) -> Outcome {
    let guest = start(live, Make::Dropbear)?;
    let spawn = |script: &str, terminal: Option<TerminalSize>| -> Result<RunningCommand, Problem> {
        let request = ExecRequest::builder(["sh", "-c", script]).secret_env("S", "hunter2");
        let request = terminal.into_iter().fold(request, ExecRequestBuilder::terminal).build()?;
        Ok(guest.container.spawn_command(&request, SpawnStdio::new().piped_stdin(), minute())?)
    };
    let expect = |command: &mut RunningCommand, text: &str| -> Outcome {
        let mut got = vec![0; text.len()];
        command.stdout.as_mut().expect("it is piped").read_exact(&mut got)?;
        assert_eq!(String::from_utf8_lossy(&got), text);
        Ok(())
    };
    let size = TerminalSize::new(33, 121)?;
    let script = "trap : INT; stty size; tty >/dev/null && echo $TERM $S; read line; echo \"<$line>\"; sleep 1000000; \
                  until [ \"$(stty size)\" = '50 200' ]; do sleep 0.05; done; exit 6";
    let mut command = spawn(script, Some(size))?;
    expect(&mut command, "33 121\r\nxterm hunter2\r\n")?;
    let mut stdin = command.stdin.take().expect("it is piped");
    stdin.write_all(b"typed\n")?;
    expect(&mut command, "typed\r\n<typed>\r\n")?;
    let tag = fresh_tag();
    // The interrupt may come before the job.
    stdin.write_all(&[3])?;
    expect(&mut command, "^C")?;
    command.resize(TerminalSize::new(50, 200)?)?;
    let limit = minute();
    while command.try_wait()?.is_none() {
        let _ = stdin.write_all(&[3]);
        limit.sleep(Duration::from_millis(50))?;
    }
    assert_eq!(command.wait(minute())?.outcome, ExitOutcome::Code(6));

    let mut held = spawn(&format!("sleep {tag} & echo held; exec sleep {tag}"), Some(size))?;
    expect(&mut held, "held\r\n")?;
    assert_eq!(held.kill().outcome, KillOutcome::Gone);
    assert!(sleepers(tag).is_empty(), "{:?} run on", sleepers(tag));

    for terminal in [None, Some(size)] {
        let script = "trap 'exit 7' USR1; printf ready; while :; do sleep 0.1; done";
        let mut command = spawn(script, terminal)?;
        expect(&mut command, "ready")?;
        command.signal(Signal::USR1)?;
        assert_eq!(command.wait(minute())?.outcome, ExitOutcome::Code(7), "{terminal:?}");
    }
    Ok(())
}

/// Paramiko refuses a terminal by itself. What it does not answer, or closes, has the word in its
/// `TERM`.
fn no_terminal(live: &Live) -> Outcome {
    let guest = start(live, Make::Paramiko)?;
    let container = guest.container.as_ref();
    sh(container, "true")?.exit_ok()?;
    let run = |term: &str, limit: u64| {
        let request = ExecRequest::builder(["touch", "/tmp/never"]).terminal(TerminalSize::default());
        let request = request.env("TERM", term).build()?;
        Ok::<_, Problem>(container.exec(&request, &Until::after(Duration::from_secs(limit))).unwrap_err())
    };
    for term in ["xterm", "rt-closed"] {
        let error = run(term, 60)?;
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{term}: {error:?}");
        assert!(error.never_started() && error.hint().is_some(), "{term}: {error:?}");
    }
    let error = run("rt-unanswered", 2)?;
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
    assert_eq!(
        error.kill_report().map(|report| &report.outcome),
        Some(&KillOutcome::NeverStarted),
        "{error:?}"
    );
    assert!(!guest.server.inside("/tmp/never").exists());
    sh(container, "true")?.exit_ok()?;
    Ok(())
}

/// Its one channel goes to the question that every connection begins with.
fn tinyssh(live: &Live) -> Outcome {
    let guest = start(live, Make::TinySsh)?;
    let minute = Until::after(Duration::from_secs(60));
    let begun = Instant::now();
    let error = guest.container.exec(&ExecRequest::new(["touch", "/tmp/ran"])?, &minute).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.never_started() && error.hint().is_some_and(|hint| hint.contains("TinySSH")), "{error:?}");
    assert!(!guest.server.inside("/tmp/ran").exists());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    Ok(())
}
