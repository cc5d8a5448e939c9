//! Ends podman's clients at random moments of a call, and looks at the truth by plain podman.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rt_process::procfs;
use rt_protocol::{ErrorKind, Result, Until};
use rt_tests::live::Live;
use rustix::process::{Pid, Signal, kill_process};

use crate::case::{Outcome, Problem};
use crate::processes::find;
use crate::random::Random;

/// How long each verb is tried.
pub(crate) const TIME: Duration = Duration::from_secs(3);

pub(crate) const SIGNALS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL];

pub(crate) fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

pub(crate) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended.
        let _ = kill_process(pid, signal);
    }
}

/// Ends clients of this process at random moments.
pub(crate) struct Interrupter {
    podman: String,
    pub(crate) random: Random,
    /// How long each verb takes unharmed.
    spans: BTreeMap<&'static str, Duration>,
    /// How many clients it has met.
    met: usize,
}

impl Interrupter {
    pub(crate) fn new(live: &Live, case: &str) -> Self {
        let podman = live.podman.to_string_lossy().into_owned();
        Self { podman, random: Random::new(case), spans: BTreeMap::new(), met: 0 }
    }

    /// Ends the clients of `call`, once. The first call of a verb is left alone: it tells how long
    /// one takes.
    pub(crate) fn during<T>(&mut self, verb: &'static str, call: impl FnOnce() -> T) -> T {
        let Some(span) = self.spans.get(verb) else {
            let begun = Instant::now();
            let answer = call();
            self.spans.insert(verb, begun.elapsed());
            return answer;
        };
        let delay =
            Duration::from_micros(self.random.below(u64::try_from(span.as_micros()).unwrap_or(1).max(1)));
        let signal = self.random.pick(&SIGNALS);
        let podman = self.podman.as_str();
        let (done, is_done) = mpsc::channel::<()>();
        let (answer, met) = std::thread::scope(|scope| {
            let met = scope.spawn(move || {
                // A call that is over has no client, and nobody waits for its moment.
                if is_done.recv_timeout(delay) != Err(RecvTimeoutError::Timeout) {
                    return 0;
                }
                let clients = find(true, &[podman]);
                for pid in &clients {
                    send(*pid, signal);
                }
                clients.len()
            });
            let answer = call();
            drop(done);
            (answer, met.join().expect("no panic"))
        });
        self.met += met;
        answer
    }

    /// Repeats a step for a while, and until it has met a client.
    pub(crate) fn repeat(mut self, time: Duration, mut step: impl FnMut(&mut Self) -> Outcome) -> Outcome {
        let begun = Instant::now();
        let mut steps = 0;
        while begun.elapsed() < time || self.met == 0 && begun.elapsed() < 10 * time {
            step(&mut self)?;
            steps += 1;
        }
        println!("{steps} times, {} clients were ended", self.met);
        assert!(self.met > 0, "no client was met");
        Ok(())
    }
}

/// The answer, unless its client was interrupted; any other failure is none that a signal excuses.
pub(crate) fn unless_interrupted<T>(what: &str, answer: Result<T>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{what}: {error}");
            assert!(error.hint().is_some(), "{what}: {error}");
            None
        }
    }
}

pub(crate) fn plain_state(live: &Live, name: &str) -> String {
    live.plain(&["inspect", "--type=container", "--format={{.State.Status}}", name])
        .map_or_else(|_| String::from("absent"), |state| state.trim().to_owned())
}

pub(crate) fn main_process(live: &Live, name: &str) -> std::result::Result<procfs::ProcessEntry, Problem> {
    let pid = live.plain(&["inspect", "--format={{.State.Pid}}", name])?.trim().parse()?;
    Ok(procfs::entry(pid)?.ok_or("no main process")?)
}

pub(crate) fn is_alive(process: &procfs::ProcessEntry) -> bool {
    matches!(procfs::entry(process.pid), Ok(Some(now)) if now.start_time == process.start_time && !now.is_zombie)
}
