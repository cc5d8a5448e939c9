//! Measures a file of 1 KiB that is written from memory and read into memory by an agent, compared
//! with `podman cp`.

use std::fs;
use std::time::Instant;

use rt_podman::PodmanRuntime;
use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{ContainerPath, ContainerRuntime, FileOptions, OutputLimit, Source, Until};

use super::rounds::{Turn, measured_in_turns};
use super::warm::{minute, warm_runtime};
use crate::bench::outcome::Outcome;
use crate::bench::row::{Row, Target, Unit};
use crate::live::Live;
use crate::sandbox::Sandbox;

const ROUNDS: u32 = 12;

/// How many files are written or read in a row.
const OURS: u32 = 200;
const THEIRS: u32 = 3;

/// How many times faster than `podman cp` it has to be.
const LEAST: f64 = 50.0;

/// The size of the file, in bytes.
const SIZE: usize = 1024;

pub(super) fn measure_write(live: &Live) -> Outcome<Row> {
    let what = "a file of 1 KiB written from memory by an agent, and one copied in by `podman cp`";
    measure(live, "podman-file-write-warm", what, true)
}

pub(super) fn measure_read(live: &Live) -> Outcome<Row> {
    let what = "a file of 1 KiB read into memory by an agent, and one copied out by `podman cp`";
    measure(live, "podman-file-read-warm", what, false)
}

fn measure(live: &Live, name: &'static str, what: &'static str, writes: bool) -> Outcome<Row> {
    let (runtime, sandbox) = (warm_runtime(live)?, Sandbox::idle(live)?);
    let home = tempfile::tempdir()?;
    let ours = home.path().join("file");
    fs::write(&ours, [7; SIZE])?;
    let (here, there) = (ours.display().to_string(), format!("{}:/tmp/file", sandbox.name));
    let words = if writes { [here, there] } else { [there, here] };
    let copy = ProcessSpec::new(&Program::find(&live.podman)?).arg("cp").args(words);
    write(&runtime, &sandbox, &minute())?;
    let rounds = measured_in_turns(ROUNDS, |turn| {
        let begun = Instant::now();
        let count = match turn {
            Turn::Ours if writes => {
                (0..OURS).try_for_each(|_| write(&runtime, &sandbox, &minute())).map(|()| OURS)
            }
            Turn::Ours => (0..OURS).try_for_each(|_| read(&runtime, &sandbox, &minute())).map(|()| OURS),
            Turn::Theirs => (0..THEIRS).try_for_each(|_| run(&copy)).map(|()| THEIRS),
        };
        let count = count?;
        Ok(begun.elapsed().as_secs_f64() / f64::from(count))
    })?;
    Ok(Row::of(name, what, Unit::Seconds, Target::Ratio(LEAST), &rounds))
}

fn write(runtime: &PodmanRuntime, sandbox: &Sandbox<'_>, until: &Until) -> Outcome {
    let path = ContainerPath::new("/tmp/file")?;
    Ok(runtime.container(&sandbox.name).write_file(&path, &[7; SIZE], &FileOptions::new(), until)?)
}

fn read(runtime: &PodmanRuntime, sandbox: &Sandbox<'_>, until: &Until) -> Outcome {
    let path = ContainerPath::new("/tmp/file")?;
    let bytes = runtime.container(&sandbox.name).read_file(&path, SIZE as u64, until)?;
    if bytes.len() == SIZE { Ok(()) } else { Err("it has another size".into()) }
}

fn run(spec: &ProcessSpec) -> Outcome {
    let limit = OutputLimit::bytes(4096);
    let answer = rt_process::capture(spec, Source::empty(), limit, limit, &minute())?;
    match answer.status {
        Some(ExitStatus::Code(0)) => Ok(()),
        status => Err(format!("{spec}: {status:?}: {}", answer.stderr_capture.text()).into()),
    }
}
