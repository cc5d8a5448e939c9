//! A round over SSH. Several threads run commands through a network that cuts, delays, drops and
//! corrupts data. The sshd renews its keys every few packets.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rt_protocol::{Container, Error, ErrorKind, ExecRequest, ExecStdio, KillOutcome, Sink, Source, Until};

use super::command::{Command, CommandResult};
use super::ledger::Ledger;
use crate::krun::LoopbackGuest;
use crate::leftovers::Leftovers;
use crate::live::Live;
use crate::ssh_lab::Result;
use crate::ssh_lab::loopback::Settings;
use crate::ssh_lab::proxy::{Cut, Direction, Fault, FaultProxy, TrafficMode};

const WORKERS: usize = 4;
const COMMANDS: usize = 6;

/// Up to 2.6 MB: more than a window and two pipes hold.
const BITS: u32 = 18;

/// Where commands leave their notes.
const NOTES: &str = "/tmp/chaos";

/// sshd's smallest is 16 bytes; some packets, some windows, and its own measure.
const REKEY_LIMITS: [&str; 4] = ["16K", "128K", "512K", "default"];

/// The keepalive interval, after which a silent guest is eventually given up.
const KEEPALIVE: Duration = Duration::from_secs(2);

/// The longest time from a deadline to the answer: eight seconds to look into a guest that does not
/// answer, two for the command's last output (as rt-krun documents), and ten for a busy machine.
const AFTER_DEADLINE: Duration = Duration::from_secs(8 + 2 + 10);

/// The time for calls after the faults have ended.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One round.
pub(super) fn round(live: &Live, seed: u64, ledger: &Ledger) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let before = Leftovers::now();
    {
        let rekey_limit = REKEY_LIMITS[rng.usize(..REKEY_LIMITS.len())];
        let (guest, proxy) = guest(live, rekey_limit)?;
        let garbled = AtomicBool::new(false);
        let open = AtomicUsize::new(WORKERS);
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (guest, garbled, open, rng) = (&guest, &garbled, &open, rng.fork());
                scope.spawn(move || {
                    work(guest, worker, rng, garbled, ledger);
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
            let mut rng = rng.fork();
            while open.load(Ordering::Relaxed) > 0 {
                thread::sleep(Duration::from_millis(rng.u64(20..600)));
                ledger.harmed(format!("over ssh: {}", harm(&guest, &proxy, &mut rng, &garbled)));
            }
        });
        heal(&guest, &proxy);
        ledger.judge("ssh, healed: exec", served(guest.container.as_ref(), ledger));
        ledger.judge("ssh, healed: commands", ended(&guest));
    }
    ledger.judge("ssh, round: leftovers", Leftovers::check_against(&before).map(|()| "none".into()));
    Ok(())
}

fn guest<'a>(live: &'a Live, rekey_limit: &'static str) -> Result<(LoopbackGuest<'a>, FaultProxy)> {
    let mut proxy = None;
    let settings = Settings { is_forgiving: true, rekey_limit, ..Settings::default() };
    let mut way = |address: SocketAddr| Ok(proxy.insert(FaultProxy::start(address)?).address());
    let guest = LoopbackGuest::start_through(
        live,
        settings,
        |sshd| way(sshd.address()),
        |builder| builder.keepalive(KEEPALIVE),
    )?;
    let notes = guest.sshd.inside(NOTES);
    fs::create_dir(&notes)?;
    fs::set_permissions(&notes, fs::Permissions::from_mode(0o777))?;
    Ok((guest, proxy.ok_or("no proxy")?))
}

fn work(guest: &LoopbackGuest<'_>, worker: usize, mut rng: Rng, garbled: &AtomicBool, ledger: &Ledger) {
    for number in 0..COMMANDS {
        let command = Command::random(&mut rng, format!("ssh-{worker}-{number}"), BITS);
        let deadline = if rng.u8(..4) == 0 {
            Duration::from_millis(rng.u64(100..3000))
        } else {
            Duration::from_secs(30)
        };
        let bridged = command.copies || rng.bool();
        let verb = if bridged { "ssh: exec_stdio" } else { "ssh: exec" };
        let begun = Instant::now();
        let what = format!("{verb} of {command:?} within {deadline:?}");
        let answer = ledger.bounded(&what, deadline + AFTER_DEADLINE, || {
            run(guest.container.as_ref(), &command, bridged, deadline)
        });
        let notes = command.notes(&guest.sshd.inside(NOTES));
        let verdict = match answer {
            Ok(ran) => command.judge(&ran, notes, &[]),
            Err(error) => command.judge_error(&error, notes).and_then(|word| {
                let was_late = begun.elapsed() >= deadline;
                right_kind(&error, was_late, garbled.load(Ordering::Relaxed))?;
                if error.kill_report().is_some_and(|report| report.outcome == KillOutcome::Gone)
                    && is_alive(guest, &command)
                {
                    return Err(format!("it is said to be gone and is not: {error:?}"));
                }
                Ok(word)
            }),
        };
        ledger.judge(verb, verdict.map_err(|fault| format!("{command:?}: {fault}")));
    }
}

/// Runs the command with captured or bridged streams.
fn run(
    container: &dyn Container,
    command: &Command,
    bridged: bool,
    deadline: Duration,
) -> rt_protocol::Result<CommandResult> {
    let (request, until) = (command.request(NOTES)?, Until::after(deadline));
    if !bridged {
        return container.exec(&request, &until).map(CommandResult::captured);
    }
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let source = if command.copies { Source::bytes(command.stdout()) } else { Source::empty() };
    let stdio = ExecStdio::new(source, Sink::borrowed(&mut stdout)).stderr(Sink::borrowed(&mut stderr));
    let result = container.exec_stdio(&request, stdio, &until)?;
    Ok(CommandResult::bridged(&result, stdout, stderr))
}

/// What may go wrong on such a network, and nothing else.
fn right_kind(error: &Error, was_late: bool, garbled: bool) -> std::result::Result<(), String> {
    match error.kind() {
        ErrorKind::Unreachable => Ok(()),
        ErrorKind::TimedOut if was_late => Ok(()),
        // A bit of the key itself, before anything is sealed.
        ErrorKind::HostKeyMismatch if garbled => Ok(()),
        _ => Err(format!("an error of a wrong kind: {error:?}")),
    }
}

fn is_alive(guest: &LoopbackGuest<'_>, command: &Command) -> bool {
    guest.sshd.processes().iter().any(|entry| {
        fs::read(format!("/proc/{}/cmdline", entry.pid)).is_ok_and(|cmdline| command.is_in(&cmdline))
    })
}

/// One change for the worse, or for the better; a word for it.
fn harm(guest: &LoopbackGuest<'_>, proxy: &FaultProxy, rng: &mut Rng, garbled: &AtomicBool) -> &'static str {
    let cut = if rng.bool() { Cut::Close } else { Cut::Reset };
    let direction = if rng.bool() { Direction::ToServer } else { Direction::ToClient };
    let after = super::random::number(rng, 4..=21);
    // Half of the silences end before the guest is given up.
    let silence = Duration::from_millis(rng.u64(50..8000));
    let silent = |traffic| {
        proxy.set(traffic);
        thread::sleep(silence);
        proxy.set(TrafficMode::Pass);
    };
    match rng.u8(..16) {
        0..=2 => {
            proxy.cut(cut);
            "a cut now"
        }
        3 | 4 => {
            proxy.set(TrafficMode::Delayed(Duration::from_millis(rng.u64(1..250))));
            "a delay"
        }
        5 => {
            silent(TrafficMode::Held);
            "held for a while"
        }
        6 => {
            silent(TrafficMode::Swallowed);
            "swallowed for a while"
        }
        7 | 8 => {
            proxy.inject(direction, after, Fault::Cut(cut));
            "a cut at some byte"
        }
        9 | 10 => {
            garbled.store(true, Ordering::Relaxed);
            proxy.inject(direction, after, Fault::Garble);
            "a bit turned at some byte"
        }
        11 => {
            proxy.inject(direction, after, Fault::Swallow);
            "swallowed from some byte on"
        }
        12 => {
            guest.sshd.kill_sessions();
            "sshd's sessions killed"
        }
        13 => {
            guest.sshd.freeze();
            thread::sleep(silence);
            guest.sshd.thaw();
            "sshd frozen for a while"
        }
        _ => {
            proxy.clear_faults();
            proxy.set(TrafficMode::Pass);
            "a rest"
        }
    }
}

fn heal(guest: &LoopbackGuest<'_>, proxy: &FaultProxy) {
    proxy.clear_faults();
    proxy.set(TrafficMode::Pass);
    // Connections that are harmed at some later byte go too.
    proxy.cut(Cut::Close);
    guest.sshd.thaw();
}

fn served(container: &dyn Container, ledger: &Ledger) -> std::result::Result<String, String> {
    let request = ExecRequest::new(["true"]).map_err(|error| error.to_string())?;
    let until = Until::after(TIMEOUT);
    match ledger.bounded("ssh: exec, healed", TIMEOUT, || container.exec(&request, &until)) {
        Ok(result) if result.success() => Ok("served".into()),
        // The one that was on its way when the last connections were cut.
        Ok(_) | Err(_) => match container.exec(&request, &until) {
            Ok(result) if result.success() => Ok("served at the second try".into()),
            answer => Err(format!("nothing is served on a network that is whole again: {answer:?}")),
        },
    }
}

/// Commands end by themselves, with or without a connection.
fn ended(guest: &LoopbackGuest<'_>) -> std::result::Result<String, String> {
    let until = Until::after(TIMEOUT);
    loop {
        let left: Vec<_> = guest
            .sshd
            .processes()
            .into_iter()
            .filter(|entry| ["sh", "seq", "cat", "sleep"].contains(&entry.name.as_str()))
            .collect();
        if left.is_empty() {
            return Ok("all have ended".into());
        }
        if until.sleep(Duration::from_millis(50)).is_err() {
            return Err(format!("still there: {left:?}"));
        }
    }
}
