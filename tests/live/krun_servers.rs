//! rt-krun and SSH servers of other makes than OpenSSH.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_krun::KrunRuntime;
use rt_protocol::{
    Container, ContainerRuntime, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, KillOutcome, Sink, Source,
    StreamEnd, Until,
};
use rt_tests::krun::transport_to;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::key::KeyPair;
use rt_tests::ssh_lab::other_server::{Make, OtherServer};
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::krun_commands::sh;

pub(crate) const CASES: &[Case] = &[
    ("krun servers: many commands at once on a Dropbear each get their own answer", dropbear_at_once),
    ("krun servers: a Dropbear serves streams, secrets, long commands and deadlines", dropbear_serves),
    ("krun servers: a command that is never answered holds up no other", unanswered),
    ("krun servers: of packets that are too large all arrives, or the command is lost", large_packets),
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
    if let Some(missing) = make.missing() {
        return Err(missing.into());
    }
    let keys = TempDir::new()?;
    let identity = KeyPair::generate(keys.path())?;
    let server = OtherServer::start(make, &identity)?;
    let transport = transport_to(server.address(), identity.private()).build();
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

/// libssh2 takes the beginning of a packet that is larger than it has allowed, and says nothing of the rest.
fn large_packets(live: &Live) -> Outcome {
    const BYTES: usize = 1 << 20;
    let guest = start(live, Make::Paramiko)?;
    let run = |size: usize| {
        let mut stdout = Vec::new();
        let script = format!("head -c {BYTES} /dev/zero; : rt-packets={size}");
        let streams = ExecStdio::new(Source::empty(), Sink::borrowed(&mut stdout));
        let until = Until::after(Duration::from_secs(60));
        let result =
            guest.container.exec_stdio(&ExecRequest::new(["sh", "-c", &script])?, streams, &until)?;
        Ok::<_, Problem>((result.outcome, result.stdout.end, stdout.len()))
    };
    for size in [20_000, 32_768, 33_000, 36_000, 39_600] {
        let (outcome, end, bytes) = run(size)?;
        assert_eq!((outcome, end, bytes), (ExitOutcome::Code(0), StreamEnd::Eof, BYTES), "packets of {size}");
    }
    for size in [40_000, 65_536] {
        let (outcome, end, bytes) = run(size)?;
        assert_eq!(outcome, ExitOutcome::Lost, "packets of {size}: {bytes} bytes, {end:?}");
        assert_ne!(end, StreamEnd::Eof, "packets of {size}");
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
