//! Commands by an agent in a container, beside every other way to run them there.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rt_podman::{ExecPath, PodmanRuntime};
use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{ContainerRuntime, ExecRequest, OutputLimit, Source, Until};
use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

use super::bollard_session::BollardSession;
use super::rounds::{Turn, measured_in_turns};
use crate::bench::outcome::Outcome;
use crate::bench::row::{Row, Target, Unit};
use crate::live::Live;
use crate::sandbox::Sandbox;

const ROUNDS: u32 = 12;

/// In a row, so that the wake of a processor does not count.
const IN_A_ROW: u32 = 200;

/// The same for what takes a hundred times as long.
const FEW_IN_A_ROW: u32 = 5;

/// What runs at once, and over how many threads.
const AT_ONCE: (u32, u32) = (800, 16);

/// The program of every command here.
const BUSYBOX: &str = "/bin/busybox";

pub(super) fn measure(live: &Live) -> Outcome<Row> {
    let warm = WarmContainer::start(live)?;
    let theirs = || podman_exec(live, &warm.sandbox, FEW_IN_A_ROW);
    let rounds = warm.against(FEW_IN_A_ROW, theirs)?;
    Ok(row("podman-exec-warm", "one command by an agent, and one `podman exec`", 100.0, &rounds))
}

pub(super) fn measure_socket(live: &Live) -> Outcome<Row> {
    let warm = WarmContainer::start(live)?;
    let session = BollardSession::open(live)?;
    let theirs = || session.run(warm.sandbox.name.as_str(), &[BUSYBOX, "true"], FEW_IN_A_ROW);
    let rounds = warm.against(FEW_IN_A_ROW, theirs)?;
    let what = "one command by an agent, and one by the crate bollard over podman's socket";
    Ok(row("podman-exec-warm-socket", what, 50.0, &rounds))
}

pub(super) fn measure_fork(live: &Live) -> Outcome<Row> {
    let warm = WarmContainer::start(live)?;
    let local = ProcessSpec::new(&Program::find(&live.busybox)?).arg("true");
    let theirs = || (0..IN_A_ROW).try_for_each(|_| run_locally(&local));
    let rounds = warm.against(IN_A_ROW, theirs)?;
    let what = "one command by an agent, and one fork and exec of the same program on the host";
    Ok(row("podman-exec-warm-fork", what, 1.0 / 1.3, &rounds))
}

/// By a runtime that has never heard of the container.
pub(super) fn measure_first(live: &Live) -> Outcome<Row> {
    let sandbox = Sandbox::idle(live)?;
    let rounds = measured_in_turns(ROUNDS, |turn| {
        let runtime = warm_runtime(live)?;
        timed(1, || match turn {
            Turn::Ours => run_true(&runtime, &sandbox, 1),
            Turn::Theirs => podman_exec(live, &sandbox, 1),
        })
    })?;
    let what = "the first command, which starts the agent, and one `podman exec`";
    Ok(row("podman-exec-warm-first", what, 1.0, &rounds))
}

pub(super) fn measure_threads(live: &Live) -> Outcome<Row> {
    let warm = WarmContainer::start(live)?;
    let (count, threads) = AT_ONCE;
    let rounds = measured_in_turns(ROUNDS, |turn| match turn {
        Turn::Ours => timed(count, || warm.run_at_once(count, threads)),
        Turn::Theirs => timed(count, || warm.run(count)),
    })?;
    let what = "one of 800 commands from 16 threads, and of the same one after another";
    Ok(row("podman-exec-warm-threads", what, 1.0, &rounds))
}

pub(super) fn measure_cpu(live: &Live) -> Outcome<Row> {
    let warm = WarmContainer::start(live)?;
    let of_each = |count: u32, run: &dyn Fn() -> Outcome| {
        let before = cpu_time()?;
        run()?;
        Ok((cpu_time()? - before) / f64::from(count))
    };
    let rounds = measured_in_turns(ROUNDS, |turn| match turn {
        Turn::Ours => of_each(IN_A_ROW, &|| warm.run(IN_A_ROW)),
        Turn::Theirs => of_each(FEW_IN_A_ROW, &|| podman_exec(live, &warm.sandbox, FEW_IN_A_ROW)),
    })?;
    let what =
        "one command by an agent, and one `podman exec`; CPU time of the host program and its children";
    Ok(Row::of("podman-exec-warm-cpu", what, Unit::Seconds, Target::Shown, &rounds))
}

fn row(name: &'static str, what: &'static str, least: f64, rounds: &[(f64, f64)]) -> Row {
    Row::of(name, what, Unit::Seconds, Target::Ratio(least), rounds)
}

/// A runtime that takes the warm path, or fails.
pub(super) fn warm_runtime(live: &Live) -> Outcome<PodmanRuntime> {
    Ok(live.builder().exec_path(ExecPath::Warm).build()?)
}

/// A container, and a runtime that keeps an agent in it.
struct WarmContainer<'a> {
    runtime: PodmanRuntime,
    sandbox: Sandbox<'a>,
}

impl<'a> WarmContainer<'a> {
    fn start(live: &'a Live) -> Outcome<Self> {
        Ok(Self { runtime: warm_runtime(live)?, sandbox: Sandbox::idle(live)? })
    }

    fn run(&self, count: u32) -> Outcome {
        run_true(&self.runtime, &self.sandbox, count)
    }

    fn run_at_once(&self, count: u32, threads: u32) -> Outcome {
        let taken = AtomicU32::new(0);
        let work = || {
            while taken.fetch_add(1, Ordering::Relaxed) < count {
                self.run(1)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
        })
    }

    /// The time of one command, ours and theirs.
    fn against(&self, their_count: u32, theirs: impl Fn() -> Outcome) -> Outcome<Vec<(f64, f64)>> {
        measured_in_turns(ROUNDS, |turn| match turn {
            Turn::Ours => timed(IN_A_ROW, || self.run(IN_A_ROW)),
            Turn::Theirs => timed(their_count, &theirs),
        })
    }
}

/// The time of one of `count` commands.
fn timed(count: u32, run: impl FnOnce() -> Outcome) -> Outcome<f64> {
    let begin = Instant::now();
    run()?;
    Ok(begin.elapsed().as_secs_f64() / f64::from(count))
}

fn run_true(runtime: &PodmanRuntime, sandbox: &Sandbox<'_>, count: u32) -> Outcome {
    let request = ExecRequest::new([BUSYBOX, "true"])?;
    let until = minute();
    for _ in 0..count {
        if !runtime.exec(&sandbox.name, &request, &until)?.success() {
            return Err("true is not true".into());
        }
    }
    Ok(())
}

fn podman_exec(live: &Live, sandbox: &Sandbox<'_>, count: u32) -> Outcome {
    let words = ["exec", sandbox.name.as_str(), BUSYBOX, "true"];
    let spec = ProcessSpec::new(&Program::find(&live.podman)?).args(words);
    (0..count).try_for_each(|_| run_locally(&spec))
}

fn run_locally(spec: &ProcessSpec) -> Outcome {
    let limit = OutputLimit::bytes(4096);
    let answer = rt_process::capture(spec, Source::empty(), limit, limit, &minute())?;
    match answer.status {
        Some(ExitStatus::Code(0)) => Ok(()),
        status => Err(format!("{spec}: {status:?}: {}", answer.stderr_capture.text()).into()),
    }
}

pub(super) fn minute() -> Until {
    Until::after(Duration::from_secs(60))
}

/// What this process and the children that it has reaped have used, in seconds: of itself by its
/// clock, of them by `cutime` and `cstime` of proc(5).
fn cpu_time() -> Outcome<f64> {
    let own = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))?;
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in brackets may hold spaces; field 3 comes after it, and these are fields 16 and 17.
    let (_, fields) = stat.rsplit_once(") ").ok_or("no name in stat")?;
    let ticks = fields.split(' ').skip(13).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a hundred")]
    Ok(own.as_secs_f64() + f64::from(ticks) / clock_ticks_per_second() as f64)
}
