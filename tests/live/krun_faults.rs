//! What goes wrong between rt-krun and a guest: every failure is told truly, within a bound, and
//! the next command is served.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rt_krun::{HostKeyPolicy, KrunRuntime};
use rt_protocol::{
    Container, ContainerRuntime, Error, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, Sink, Source,
    StdioResult, Until,
};
use rt_tests::krun::{LoopbackGuest, transport_to};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::impostor::{Behaviour, Impostor};
use rt_tests::ssh_lab::key::KeyPair;
use rt_tests::ssh_lab::loopback::Settings;
use rt_tests::ssh_lab::proxy::{Cut, Direction, Fault, FaultProxy, TrafficMode};
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::krun_commands::sh;

pub(crate) const CASES: &[Case] = &[
    ("krun faults: a command whose sshd is killed is lost, and the next one is served", killed),
    ("krun faults: an sshd that is frozen for a while is waited out", frozen_for_a_while),
    ("krun faults: an sshd that stays frozen is found within the stated bound", frozen_for_good),
    ("krun faults: a frozen sshd does not hold a deadline", frozen_with_deadline),
    ("krun faults: an sshd with another host key is refused with an error of its own", other_host_key),
    ("krun faults: a session that died unseen is replaced, and the command runs once", died_unseen),
    (
        "krun faults: an sshd that refuses channels is told, and one that takes a single one serves many",
        channels,
    ),
    ("krun faults: who is not authorised is told so, and nothing else is tried", not_authorised),
    ("krun faults: an identity that is no key is an error before anything is sent", bad_identity),
    ("krun faults: whoever is no SSH server is told, and never waited for beyond the deadline", impostors),
    ("krun faults: an sshd that turns a connection away is told in its own words", turned_away),
    (
        "krun faults: a key exchange that is cut or garbled anywhere is an error or a whole answer",
        broken_handshakes,
    ),
    (
        "krun faults: a connection that is swallowed in the middle of a command is lost within the stated bound",
        swallowed,
    ),
    (
        "krun faults: connections that are cut under load give whole answers, lost ones or errors, and nothing else",
        cut_under_load,
    ),
    ("krun faults: a slow connection answers slowly and whole", slow),
];

/// A guest that is entered through a proxy.
fn proxied(live: &Live) -> Result<(LoopbackGuest<'_>, FaultProxy), Problem> {
    let mut proxy = None;
    let guest = LoopbackGuest::start_through(
        live,
        // What the proxy does to connections is not to be held against the next ones.
        Settings { is_forgiving: true, ..Settings::default() },
        |sshd| Ok(proxy.insert(FaultProxy::start(sshd.address())?).address()),
        |builder| builder.keepalive(KEEPALIVE),
    )?;
    Ok((guest, proxy.ok_or("no proxy")?))
}

fn exec(container: &dyn Container, script: &str, limit: Duration) -> Result<rt_protocol::ExecResult, Error> {
    container.exec(&ExecRequest::new(["sh", "-c", script])?, &Until::after(limit))
}

const LONG: Duration = Duration::from_secs(120);

/// What is set here, so that the bound is a matter of seconds.
const KEEPALIVE: Duration = Duration::from_secs(2);

/// How long a guest may be silent then, as the transport says, and a little for this machine.
const SILENCE_BOUND: Duration = Duration::from_secs(3 * KEEPALIVE.as_secs() + 3);

/// Runs a command that stays, and does `this` once its first line, `began`, has arrived. Returns
/// the answer, the other lines, and how long it took from then on.
fn meanwhile(
    guest: &LoopbackGuest<'_>,
    script: &str,
    this: impl FnOnce(),
) -> (Result<StdioResult, Error>, Vec<String>, Duration) {
    let (sender, lines) = mpsc::channel();
    std::thread::scope(|scope| {
        let script = format!("echo began; {script}");
        let container = guest.container.as_ref();
        let call = scope.spawn(move || {
            let sink = Sink::lines(100, move |line| drop(sender.send(line.text().into_owned())));
            let request = ExecRequest::new(["sh", "-c", &script])?;
            container.exec_stdio(&request, ExecStdio::new(Source::empty(), sink), &Until::after(LONG))
        });
        assert_eq!(lines.recv_timeout(Duration::from_secs(60)).as_deref(), Ok("began"));
        let begun = Instant::now();
        this();
        (call.join().expect("no panic"), lines.iter().collect(), begun.elapsed())
    })
}

fn killed(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    for _ in 0..3 {
        let (answer, _, took) = meanwhile(&guest, "sleep 600", || guest.sshd.kill_sessions());
        assert_eq!(answer?.outcome, ExitOutcome::Lost);
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert!(sh(guest.container.as_ref(), "true")?.success());
    }
    Ok(())
}

fn frozen_for_a_while(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let (answer, lines, _) = meanwhile(&guest, "sleep 1; echo done", || {
        guest.sshd.freeze();
        std::thread::sleep(Duration::from_secs(3));
        guest.sshd.thaw();
    });
    assert_eq!((answer?.outcome, lines.join("\n").as_str()), (ExitOutcome::Code(0), "done"));
    Ok(())
}

fn frozen_for_good(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start_through(
        live,
        Settings::default(),
        |sshd| Ok(sshd.address()),
        |builder| builder.keepalive(KEEPALIVE),
    )?;
    let (answer, _, took) = meanwhile(&guest, "sleep 600", || guest.sshd.freeze());
    assert_eq!(answer?.outcome, ExitOutcome::Lost);
    assert!(took < SILENCE_BOUND, "{took:?}");
    guest.sshd.thaw();
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}

fn frozen_with_deadline(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    sh(guest.container.as_ref(), "true")?.exit_ok()?;
    guest.sshd.freeze();
    let begun = Instant::now();
    let error =
        exec(guest.container.as_ref(), "echo never > /tmp/never", Duration::from_secs(1)).unwrap_err();
    // The deadline, eight seconds for a look into a guest that does not answer, and two for the
    // command's last words.
    assert!(begun.elapsed() < Duration::from_secs(13), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.kill_report().is_some(), "{error:?}");
    guest.sshd.thaw();
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}

fn other_host_key(live: &Live) -> Outcome {
    let mut guest = LoopbackGuest::start(live, Settings::default())?;
    sh(guest.container.as_ref(), "true")?.exit_ok()?;
    guest.sshd.change_host_key()?;
    guest.sshd.restart(Settings::default())?;
    for _ in 0..2 {
        let error = sh_error(&guest, "touch /tmp/never");
        assert_eq!(error.kind(), ErrorKind::HostKeyMismatch, "{error}");
        assert!(error.never_started());
    }
    assert!(!guest.sshd.inside("/tmp/never").exists());
    assert_eq!(guest.sshd.log()?.matches("Accepted publickey").count(), 1);

    // Nothing was there before the first contact, so nothing has changed.
    let wrong = format!("SHA256:{}", "A".repeat(43));
    let transport = transport_to(guest.sshd.address(), guest.identity.private())
        .host_key_policy(HostKeyPolicy::fingerprint(&wrong)?)
        .build();
    let runtime = KrunRuntime::on(live.runtime.clone(), Arc::new(transport));
    let error = exec(runtime.container(&guest.sandbox.name).as_ref(), "true", LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyMismatch, "{error}");
    assert!(error.never_started(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&format!("and {wrong} was expected")) && !text.contains("change"), "{text}");
    Ok(())
}

/// What a command answers that must fail.
fn sh_error(guest: &LoopbackGuest<'_>, script: &str) -> Error {
    exec(guest.container.as_ref(), script, LONG).expect_err("an error")
}

fn died_unseen(live: &Live) -> Outcome {
    let mut guest = LoopbackGuest::start(live, Settings::default())?;
    for round in 1..=3 {
        sh(guest.container.as_ref(), "true")?.exit_ok()?;
        match round {
            1 => {
                guest.sshd.kill_sessions();
                // A killed process is gone a moment later, and its connection with it.
                let patience = Until::after(Duration::from_secs(10));
                while !guest.sshd.sessions().is_empty() {
                    patience.sleep(Duration::from_millis(5)).map_err(|_| "the sessions stay")?;
                }
            }
            _ => guest.sshd.restart(Settings::default())?,
        }
        assert!(sh(guest.container.as_ref(), "echo ran >> /tmp/count")?.success());
        assert_eq!(fs::read_to_string(guest.sshd.inside("/tmp/count"))?, "ran\n".repeat(round));
    }
    Ok(())
}

fn channels(live: &Live) -> Outcome {
    let mut guest = LoopbackGuest::start(live, Settings { max_sessions: 0, ..Settings::default() })?;
    let error = sh_error(&guest, "touch /tmp/never");
    assert!(error.never_started(), "{error:?}");
    assert!(!guest.sshd.inside("/tmp/never").exists());

    guest.sshd.restart(Settings { max_sessions: 1, ..Settings::default() })?;
    let container = guest.container.as_ref();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6)
            .map(|number| scope.spawn(move || sh(container, &format!("sleep 0.3; echo {number}"))))
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.join().expect("no panic")?.stdout, format!("{number}\n").as_str());
        }
        Ok(())
    })
}

fn not_authorised(live: &Live) -> Outcome {
    let settings = Settings { log_level: "VERBOSE", is_forgiving: true, ..Settings::default() };
    let mut guest = LoopbackGuest::start(live, settings)?;
    guest.sshd.authorize(&[])?;
    let error = sh_error(&guest, "true");
    assert_eq!(error.kind(), ErrorKind::AuthenticationRefused, "{error}");
    assert!(error.never_started());
    // One that allows a single attempt refuses it by ending the connection.
    let config = guest.sshd.inside("/etc/ssh/sshd_config");
    let text = fs::read_to_string(&config)?;
    fs::write(&config, format!("{text}MaxAuthTries 1\n"))?;
    guest.sshd.restart(settings)?;
    guest.runtime.transport().forget(&guest.sandbox.name);
    let error = sh_error(&guest, "true");
    assert_eq!(error.kind(), ErrorKind::AuthenticationRefused, "{error}");
    assert!(error.never_started());
    let log = guest.sshd.log()?;
    assert!(!log.contains("password") && !log.contains("keyboard"), "{log}");
    guest.sshd.authorize(&[&guest.identity])?;
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}

fn bad_identity(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings { log_level: "VERBOSE", ..Settings::default() })?;
    let directory = TempDir::new()?;
    let proxy = FaultProxy::start(guest.sshd.address())?;
    let missing = directory.path().join("missing");
    let malformed = directory.path().join("malformed");
    let text = fs::read_to_string(guest.identity.private())?;
    fs::write(&malformed, text.replace('A', "B"))?;
    let public = guest.identity.private().with_extension("pub");
    for file in [&missing, &malformed, &public, &directory.path().to_owned()] {
        let transport = transport_to(proxy.address(), file).build();
        let runtime = KrunRuntime::on(live.runtime.clone(), Arc::new(transport));
        let error = exec(runtime.container(&guest.sandbox.name).as_ref(), "true", LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadIdentity, "{}: {error}", file.display());
    }
    assert_eq!(proxy.seen().accepted, 0);
    Ok(())
}

/// A handle on an idle container whose SSH server is whatever listens there.
fn entered(live: &Live, sandbox: &Sandbox<'_>, address: SocketAddr, key: &KeyPair) -> Arc<dyn Container> {
    let transport = transport_to(address, key.private()).build();
    KrunRuntime::on(live.runtime.clone(), Arc::new(transport)).container(&sandbox.name)
}

fn impostors(live: &Live) -> Outcome {
    let keys = TempDir::new()?;
    let key = KeyPair::generate(keys.path())?;
    let sandbox = Sandbox::idle(live)?;
    for behaviour in [
        Behaviour::Silent,
        Behaviour::Garbage,
        Behaviour::EndlessLines,
        Behaviour::TurnsAway,
        Behaviour::Stuck,
        Behaviour::HangsUp,
        Behaviour::HugePacket,
        Behaviour::Floods,
    ] {
        let impostor = Impostor::start(behaviour)?;
        let container = entered(live, &sandbox, impostor.address(), &key);
        let never_ends = matches!(behaviour, Behaviour::EndlessLines | Behaviour::Floods);
        // Who never ends is given up for what comes, which takes a busy machine longer, and not by
        // the deadline.
        let deadline = if never_ends { LONG } else { Duration::from_secs(3) };
        let begun = Instant::now();
        let error = exec(container.as_ref(), "true", deadline).unwrap_err();
        assert!(begun.elapsed() < deadline + Duration::from_secs(2), "{behaviour:?}: {:?}", begun.elapsed());
        let expected = [ErrorKind::TimedOut, ErrorKind::Unreachable];
        assert!(expected.contains(&error.kind()), "{behaviour:?}: {error}");
        assert!(error.never_started(), "{behaviour:?}: {error:?}");
        // Nor is it listened to afterwards.
        if never_ends {
            assert!(
                error.kind() == ErrorKind::Unreachable && error.to_string().contains("never ends"),
                "{error}"
            );
            assert_eq!(connections_of_this_process()?, 0, "{behaviour:?}");
        }
        if behaviour == Behaviour::TurnsAway {
            assert!(error.hint().is_some_and(|hint| hint.contains("PerSourcePenalties")), "{error}");
        }
    }
    Ok(())
}

/// How many threads of this process serve connections, once those that end have ended.
fn connections_of_this_process() -> Result<usize, Problem> {
    let count = || -> Result<usize, Problem> {
        let mut count = 0;
        for thread in fs::read_dir("/proc/self/task")? {
            let name = fs::read_to_string(thread?.path().join("comm")).unwrap_or_default();
            count += usize::from(name.trim_end() == "rt-krun-ssh");
        }
        Ok(count)
    };
    let patience = Until::after(Duration::from_secs(2));
    while count()? > 0 && patience.sleep(Duration::from_millis(10)).is_ok() {}
    count()
}

fn turned_away(live: &Live) -> Outcome {
    let settings = Settings { max_startups: "1:100:1", ..Settings::default() };
    let guest = LoopbackGuest::start(live, settings)?;
    // Somebody who takes the only place, and does not log in.
    let mut stranger = TcpStream::connect(guest.sshd.address())?;
    stranger.read_exact(&mut [0; 4])?;
    let attempt = || exec(guest.container.as_ref(), "true", Duration::from_secs(10));
    let error = attempt().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.never_started());
    let text = error.to_string();
    let words = ["Exceeded MaxStartups", "Not allowed at this time"];
    assert!(words.iter().any(|words| text.contains(&format!("said {words:?}"))), "{text}");
    assert!(text.contains("MaxStartups)") && text.contains("PerSourcePenalties"), "{text}");
    drop(stranger);
    let patience = Until::after(Duration::from_secs(20));
    while let Err(error) = attempt() {
        assert!(error.kind() == ErrorKind::Unreachable && error.never_started(), "{error}");
        patience.sleep(Duration::from_millis(50)).map_err(|_| "its place is never given back")?;
    }
    Ok(())
}

fn broken_handshakes(live: &Live) -> Outcome {
    let (guest, proxy) = proxied(live)?;
    // A handshake with its login is some three KiB each way. The login itself is looked at more
    // closely: libssh2 has one number for a key that is refused and for a connection that breaks
    // off.
    for direction in [Direction::ToServer, Direction::ToClient] {
        for after in (0..3600).step_by(180).chain((1500..2400).step_by(20)) {
            for harm in [Fault::Cut(Cut::Close), Fault::Cut(Cut::Reset), Fault::Garble] {
                proxy.clear_faults();
                proxy.inject(direction, after, harm);
                // A connection of its own.
                guest.runtime.transport().forget(&guest.sandbox.name);
                let begun = Instant::now();
                match exec(guest.container.as_ref(), "echo whole", Duration::from_secs(10)) {
                    Ok(result) => {
                        let whole = result.success() && result.stdout == "whole\n";
                        assert!(
                            whole || result.outcome == ExitOutcome::Lost,
                            "{direction:?} {after} {harm:?}: {result:?}"
                        );
                    }
                    Err(error) => {
                        // A garbled host key is another one. Nothing that breaks off is worth
                        // another identity.
                        let is_expected = match error.kind() {
                            ErrorKind::Unreachable => true,
                            ErrorKind::TimedOut | ErrorKind::HostKeyMismatch => harm == Fault::Garble,
                            _ => false,
                        };
                        assert!(
                            is_expected && error.never_started(),
                            "{direction:?} {after} {harm:?}: {error:?}"
                        );
                    }
                }
                assert!(begun.elapsed() < Duration::from_secs(15), "{direction:?} {after} {harm:?}");
            }
        }
    }
    proxy.clear_faults();
    guest.runtime.transport().forget(&guest.sandbox.name);
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}

fn swallowed(live: &Live) -> Outcome {
    let (guest, proxy) = proxied(live)?;
    let (answer, _, took) = meanwhile(&guest, "sleep 600", || proxy.set(TrafficMode::Swallowed));
    assert_eq!(answer?.outcome, ExitOutcome::Lost);
    assert!(took < SILENCE_BOUND, "{took:?}");
    proxy.set(TrafficMode::Pass);
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}

fn cut_under_load(live: &Live) -> Outcome {
    const THREADS: usize = 8;
    let (guest, proxy) = proxied(live)?;
    sh(guest.container.as_ref(), "true")?.exit_ok()?;
    let over = AtomicBool::new(false);
    let (whole, lost) = std::thread::scope(|scope| {
        let container = guest.container.as_ref();
        let over = &over;
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                scope.spawn(move || {
                    let (mut whole, mut lost) = (0, 0);
                    for number in 0.. {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        // Its output is far more than a packet.
                        let script = format!("yes {worker}-{number} | head -n 20000; exit 7");
                        match exec(container, &script, LONG) {
                            Ok(result) if result.outcome == ExitOutcome::Lost => lost += 1,
                            Ok(result) => {
                                assert_eq!(result.outcome, ExitOutcome::Code(7));
                                let expected = format!("{worker}-{number}\n").repeat(20_000);
                                assert!(
                                    result.stdout == expected.as_str(),
                                    "{} bytes",
                                    result.stdout.total()
                                );
                                whole += 1;
                            }
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
                                lost += 1;
                            }
                        }
                    }
                    (whole, lost)
                })
            })
            .collect();
        for round in 0..20 {
            let seen = proxy.seen().to_client;
            assert!(proxy.wait_until(|now| now.to_client > seen + 300_000));
            proxy.cut(if round % 2 == 0 { Cut::Reset } else { Cut::Close });
        }
        over.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    assert!(whole > 0 && lost > 0, "{whole} whole, {lost} lost");
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}

fn slow(live: &Live) -> Outcome {
    let (guest, proxy) = proxied(live)?;
    proxy.set(TrafficMode::Delayed(Duration::from_millis(100)));
    let result = sh(guest.container.as_ref(), "head -c 3000000 /dev/zero; exit 5")?;
    assert_eq!((result.outcome, result.stdout.total()), (ExitOutcome::Code(5), 3_000_000));
    Ok(())
}
