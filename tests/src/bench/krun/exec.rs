//! A command that does nothing, over a connection that is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rt_krun::{KrunRuntime, TcpSshTransportBuilder};
use rt_podman::ExecPath;

use super::mux_session::MuxSession;
use super::russh_session::RusshSession;
use super::ssh_config::{GUEST, SHARED_GUEST, SshConfig};
use super::ssh2_session::Ssh2Session;
use super::{TRUE, run_true, run_true_in};
use crate::bench::outcome::Outcome;
use crate::bench::rounds::in_turns;
use crate::bench::row::{Row, Target, Unit};
use crate::bench::shell;
use crate::krun::{LoopbackGuest, transport_to};
use crate::live::Live;
use crate::ssh_lab::loopback::Settings;

const ROUNDS: u32 = 16;

/// In a row, so that a start of a shell or a wake of a thread does not count.
const IN_A_ROW: u32 = 40;

/// The same for what takes a hundred times as long.
const FEW_IN_A_ROW: u32 = 4;

/// What of ours runs at once, and over how many threads.
const AT_ONCE: (u32, u32) = (200, 16);

pub(crate) fn measure_warm(live: &Live) -> Outcome<Row> {
    let guest = warm_guest(live)?;
    let channels = channels_of(live, &guest);
    let rounds = against(&guest, IN_A_ROW, || run_true(&channels, &guest.sandbox.name, IN_A_ROW))?;
    Ok(row("krun-exec-warm", "one command by an agent in the guest, and one on a channel", 2.5, &rounds))
}

pub(crate) fn measure_warm_ssh(live: &Live) -> Outcome<Row> {
    let guest = warm_guest(live)?;
    let config = SshConfig::write(&guest)?;
    let theirs = || run_ssh(&config, GUEST, FEW_IN_A_ROW);
    let rounds = against(&guest, FEW_IN_A_ROW, theirs)?;
    Ok(row("krun-exec-warm-ssh", "one command by an agent in the guest, and one `ssh`", 150.0, &rounds))
}

/// The same guest, on channels.
pub(super) fn channels_of(live: &Live, guest: &LoopbackGuest<'_>) -> KrunRuntime {
    let transport = transport_to(guest.sshd.address(), guest.identity.private());
    KrunRuntime::on(live.runtime.clone(), Arc::new(transport.exec_path(ExecPath::Cold).build()))
}

/// A guest whose commands go by an agent, or fail. All rows but those of its kind are on channels.
pub(super) fn warm_guest(live: &Live) -> Outcome<LoopbackGuest<'_>> {
    let warm = |builder: TcpSshTransportBuilder| builder.exec_path(ExecPath::Warm);
    LoopbackGuest::start_through(live, Settings::default(), |sshd| Ok(sshd.address()), warm)
}

pub(crate) fn measure_ssh(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let config = SshConfig::write(&guest)?;
    let theirs = || run_ssh(&config, GUEST, FEW_IN_A_ROW);
    let rounds = against(&guest, FEW_IN_A_ROW, theirs)?;
    Ok(row("krun-exec-ssh", "one command, and one `ssh`", 90.0, &rounds))
}

pub(crate) fn measure_control_master(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let config = SshConfig::write(&guest)?;
    let theirs = || run_ssh(&config, SHARED_GUEST, IN_A_ROW);
    let rounds = against(&guest, IN_A_ROW, theirs)?;
    Ok(row("krun-exec-controlmaster", "one command, and one `ssh` through a ControlMaster", 3.5, &rounds))
}

pub(crate) fn measure_mux(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let config = SshConfig::write(&guest)?;
    let session = MuxSession::open(&config)?;
    let rounds = against(&guest, IN_A_ROW, || session.run(TRUE, IN_A_ROW))?;
    session.close()?;
    Ok(row("krun-exec-openssh", "one command, and one by the crate openssh, native mux", 1.0 / 1.1, &rounds))
}

pub(crate) fn measure_russh(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let session = RusshSession::open(&guest)?;
    let rounds = against(&guest, IN_A_ROW, || session.run(TRUE, IN_A_ROW))?;
    Ok(row("krun-exec-russh", "one command, and one by russh, one session", 1.0 / 1.1, &rounds))
}

pub(crate) fn measure_ssh2(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let session = Ssh2Session::open(&guest)?;
    let theirs = || (0..IN_A_ROW).try_for_each(|_| session.run(TRUE));
    let rounds = against(&guest, IN_A_ROW, theirs)?;
    Ok(row("krun-exec-ssh2", "one command, and one in a bare loop over libssh2", 1.0 / 1.15, &rounds))
}

/// What of an `ssh` nobody can save who has the same guest do the same work.
pub(crate) fn measure_ssh_floor(live: &Live) -> Outcome<Row> {
    floor(live, "krun-floor-ssh", "in the place of ours a bare loop over libssh2, and one `ssh`", GUEST)
}

/// The same of one through a kept connection.
pub(crate) fn measure_control_master_floor(live: &Live) -> Outcome<Row> {
    let what = "in the place of ours a bare loop over libssh2, and one `ssh` through a ControlMaster";
    floor(live, "krun-floor-controlmaster", what, SHARED_GUEST)
}

fn floor(live: &Live, name: &'static str, what: &'static str, host: &str) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let config = SshConfig::write(&guest)?;
    let session = Ssh2Session::open(&guest)?;
    let bare = |()| (0..IN_A_ROW).try_for_each(|_| session.run(TRUE));
    let theirs = |()| run_ssh(&config, host, FEW_IN_A_ROW);
    let rounds = in_turns(ROUNDS, || Ok(()), bare, theirs)?;
    let each = |(bare, their)| (bare / f64::from(IN_A_ROW), their / f64::from(FEW_IN_A_ROW));
    let rounds: Vec<_> = rounds.into_iter().map(each).collect();
    Ok(Row::of(name, what, Unit::Seconds, Target::Shown, &rounds))
}

pub(crate) fn measure_at_once(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let (count, threads) = AT_ONCE;
    let ours = |()| run_at_once(&guest, count, threads);
    let one_by_one = |()| run_true_in(&guest, count);
    let rounds = in_turns(ROUNDS, || Ok(()), ours, one_by_one)?;
    let what = "200 commands from 16 threads, and the same one after another";
    Ok(row("krun-exec-threads", what, 1.0, &rounds))
}

fn row(name: &'static str, what: &'static str, least: f64, rounds: &[(f64, f64)]) -> Row {
    Row::of(name, what, Unit::Seconds, Target::Ratio(least), rounds)
}

/// The time of one command, ours and theirs.
fn against(
    guest: &LoopbackGuest<'_>,
    their_count: u32,
    theirs: impl Fn() -> Outcome,
) -> Outcome<Vec<(f64, f64)>> {
    let rounds = in_turns(ROUNDS, || Ok(()), |()| run_true_in(guest, IN_A_ROW), |()| theirs())?;
    let each = |(ours, their)| (ours / f64::from(IN_A_ROW), their / f64::from(their_count));
    Ok(rounds.into_iter().map(each).collect())
}

fn run_ssh(config: &SshConfig, host: &str, times: u32) -> Outcome {
    // A ControlMaster that the first of them leaves behind would hold stdout.
    let script =
        "for i in $(seq \"$3\"); do ssh -F \"$1\" -T \"$2\" \"$4\" </dev/null >/dev/null 2>&1 || exit; done";
    let config = config.path();
    shell::run(script, [config.as_os_str(), host.as_ref(), times.to_string().as_ref(), TRUE.as_ref()])
}

fn run_at_once(guest: &LoopbackGuest<'_>, count: u32, threads: u32) -> Outcome {
    let taken = AtomicU32::new(0);
    let work = || {
        while taken.fetch_add(1, Ordering::Relaxed) < count {
            run_true_in(guest, 1)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
    })
}
