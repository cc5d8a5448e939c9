//! One GiB through a command's stdout, and through its stdin.

use std::fs::File;
use std::time::Duration;

use rt_podman::ExecPath;
use rt_protocol::{ContainerRuntime, ExecRequest, ExecStdio, Sink, Source, Until};

use super::rounds::in_turns;
use crate::bench::outcome::Outcome;
use crate::bench::pipe;
use crate::bench::row::{Row, Target, Unit};
use crate::bench::shell;
use crate::live::Live;
use crate::sandbox::Sandbox;

const BYTES: u64 = 1 << 30;
/// Writes [`BYTES`] in blocks, so that the way is measured. BusyBox's `head -c` copies byte by byte
/// and takes longer for them than the way by an agent.
const WRITE: [&str; 4] = ["dd", "if=/dev/zero", "bs=65536", "count=16384"];
const ROUNDS: u32 = 5;

/// A shell pipe keeps this part of our throughput at most.
const TARGET: Target = Target::Ratio(0.95);

pub(super) fn measure_out(live: &Live) -> Outcome<Row> {
    let rounds = out_by(live, ExecPath::Cold)?;
    let what = "1 GiB of stdout, and `podman exec | cat`";
    Ok(Row::of("podman-stdio-out", what, Unit::Seconds, TARGET, &rounds))
}

pub(super) fn measure_out_warm(live: &Live) -> Outcome<Row> {
    let rounds = out_by(live, ExecPath::Warm)?;
    let what = "1 GiB of stdout of a command by an agent, and `podman exec | cat`";
    Ok(Row::of("podman-stdio-out-warm", what, Unit::Seconds, Target::Ratio(5.0), &rounds))
}

fn out_by(live: &Live, path: ExecPath) -> Outcome<Vec<(f64, f64)>> {
    let runtime = live.builder().exec_path(path).build()?;
    let sandbox = Sandbox::idle(live)?;
    let request = ExecRequest::new(WRITE)?;
    let ours = |()| {
        // Into a pipe that somebody reads, as `cat` does for them.
        let (writer, emptying) = pipe::emptied()?;
        let stdio = ExecStdio::new(Source::empty(), Sink::descriptor(writer));
        let result = runtime.exec_stdio(&sandbox.name, &request, stdio, &minutes())?;
        all(result.success(), emptying.bytes()?)
    };
    let script = format!("\"$podman\" exec \"$1\" {} | cat >/dev/null", WRITE.join(" "));
    let theirs = |()| shell::run_with_podman(live, &script, [sandbox.name.as_str()]);
    in_turns(ROUNDS, || Ok(()), ours, theirs)
}

/// What of the shell pipe nobody can keep who looks at the bytes on their way, and so stands
/// between podman and the reader.
pub(super) fn measure_out_floor(live: &Live) -> Outcome<Row> {
    let sandbox = Sandbox::idle(live)?;
    let with = |readers: &'static str| {
        let script = format!("\"$podman\" exec \"$1\" {} | {readers} >/dev/null", WRITE.join(" "));
        let name = sandbox.name.clone();
        move |()| shell::run_with_podman(live, &script, [name.as_str()])
    };
    let rounds = in_turns(ROUNDS, || Ok(()), with("cat | cat"), with("cat"))?;
    let what = "in the place of ours `podman exec | cat | cat`, and `podman exec | cat`";
    Ok(Row::of("podman-floor-out", what, Unit::Seconds, Target::Shown, &rounds))
}

pub(super) fn measure_in(live: &Live) -> Outcome<Row> {
    let runtime = live.builder().exec_path(ExecPath::Cold).build()?;
    let sandbox = Sandbox::idle(live)?;
    let request = ExecRequest::new(["sh", "-c", "cat >/dev/null"])?;
    // Without blocks on the disk: what is measured is the way, not the disk.
    let file = tempfile::NamedTempFile::new()?;
    file.as_file().set_len(BYTES)?;
    let ours = |()| {
        let stdio = ExecStdio::new(Source::descriptor(File::open(file.path())?), Sink::discard());
        let result = runtime.exec_stdio(&sandbox.name, &request, stdio, &minutes())?;
        all(result.success(), result.stdin.bytes)
    };
    let script = "cat \"$2\" | \"$podman\" exec -i \"$1\" sh -c 'cat >/dev/null'";
    let theirs =
        |()| shell::run_with_podman(live, script, [sandbox.name.as_str().as_ref(), file.path().as_os_str()]);
    let rounds = in_turns(ROUNDS, || Ok(()), ours, theirs)?;
    let what = "1 GiB of stdin, and `cat | podman exec -i`";
    Ok(Row::of("podman-stdio-in", what, Unit::Seconds, TARGET, &rounds))
}

fn minutes() -> Until {
    Until::after(Duration::from_secs(600))
}

fn all(ok: bool, bytes: u64) -> Outcome {
    if ok && bytes == BYTES { Ok(()) } else { Err(format!("{bytes} bytes of {BYTES} were moved").into()) }
}
