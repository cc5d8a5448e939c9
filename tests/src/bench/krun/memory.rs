//! The peak of memory while bytes are moved, in processes of their own: what one measurement has
//! freed would be there for the next one.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rt_krun::KrunRuntime;
use rt_podman::PodmanRuntime;
use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{ContainerName, OutputLimit, Source, Until};

use super::stdio;
use crate::bench::outcome::Outcome;
use crate::bench::rounds::{Turn, measured_in_turns};
use crate::bench::row::{Row, Target, Unit};
use crate::krun::{LoopbackGuest, transport_to};
use crate::live::Live;
use crate::ssh_lab::loopback::Settings;

/// The first word of this program when it is such a process.
pub const PEAK: &str = "--peak";

const ROUNDS: u32 = 3;

pub(crate) fn measure_out(live: &Live) -> Outcome<Row> {
    let rounds = measure(live, "out")?;
    Ok(row("krun-memory-out", "the peak over 1 GiB of stdout, and of an idle process", &rounds))
}

pub(crate) fn measure_in(live: &Live) -> Outcome<Row> {
    let rounds = measure(live, "in")?;
    Ok(row("krun-memory-in", "the peak over 512 MiB of stdin, and of an idle process", &rounds))
}

fn row(name: &'static str, what: &'static str, rounds: &[(f64, f64)]) -> Row {
    Row::of(name, what, Unit::Mebibytes, Target::Excess(16.0), rounds)
}

fn measure(live: &Live, direction: &str) -> Outcome<Vec<(f64, f64)>> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    measured_in_turns(ROUNDS, |turn| {
        peak_of_process(live, &guest, if turn == Turn::Ours { direction } else { "idle" })
    })
}

fn peak_of_process(live: &Live, guest: &LoopbackGuest<'_>, direction: &str) -> Outcome<f64> {
    let spec = ProcessSpec::new(&Program::find(env::current_exe()?)?)
        .args([PEAK, direction])
        .arg(&live.podman)
        .arg(guest.sandbox.name.as_str())
        .arg(guest.sshd.address().to_string())
        .arg(guest.identity.private());
    let limit = OutputLimit::bytes(4096);
    let until = Until::after(Duration::from_secs(600));
    let answer = rt_process::capture(&spec, Source::empty(), limit, limit, &until)?;
    if answer.status != Some(ExitStatus::Code(0)) {
        return Err(format!("{spec}: {}", answer.stderr_capture.text()).into());
    }
    Ok(answer.stdout_capture.text().trim().parse()?)
}

/// What such a process does, with the words behind [`PEAK`]: it moves bytes or not, and says its
/// peak in MiB.
///
/// # Errors
/// When it cannot.
pub fn tell_peak(words: impl IntoIterator<Item = String>) -> Outcome {
    let words: Vec<String> = words.into_iter().collect();
    let [direction, podman, name, address, identity] = words.as_slice() else {
        return Err(format!("{PEAK} takes five words").into());
    };
    let transport = transport_to(address.parse::<SocketAddr>()?, &PathBuf::from(identity)).build();
    let podman = PodmanRuntime::builder().binary(podman).build()?;
    let runtime = KrunRuntime::on(podman, Arc::new(transport));
    let name = ContainerName::new(name)?;
    match direction.as_str() {
        "out" => stdio::read(&runtime, &name)?,
        "in" => stdio::write(&runtime, &name, &stdio::input()?)?,
        _ => {}
    }
    println!("{}", peak()?);
    Ok(())
}

/// The most memory that this process ever had, in MiB: `VmHWM` of proc(5), in KiB there.
fn peak() -> Outcome<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let number: f64 = line.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(number / 1024.0)
}
