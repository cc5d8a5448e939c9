//! What a running command costs this process and its host: the numbers of the section "Capacity" in
//! BENCHMARKS.md.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rt_null::{Fault, NullRuntime, Operation, Scope, When};
use rt_podman::ExecPath;
use rt_process::procfs;
use rt_protocol::{
    CancelToken, Container, ContainerRuntime, ContainerState, ErrorKind, ExecRequest, ExecStdio, Sink,
    Source, TerminalSize,
};
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome, Problem};
use crate::processes::command_line;
use crate::sleepers::{fresh_tag, wait_for_sleepers};
use crate::warm_container::{minute, wait_until};

pub(crate) const CASES: &[Case] =
    &[("capacity: a running command costs as many threads and descriptors as is documented", capacity)];

/// How many commands run at a time.
const COMMANDS: usize = 4;

const KINDS: [Streams; 4] =
    [Streams::Captured, Streams::Descriptors, Streams::ReaderAndWriters, Streams::Terminal];

/// How a command's streams are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Streams {
    Captured,
    /// stdin, stdout and stderr are descriptors of the caller.
    Descriptors,
    /// stdin is a reader; both outputs are writers.
    ReaderAndWriters,
    /// The same as descriptors, with a terminal for the command.
    Terminal,
}

impl Streams {
    fn request(self, words: [&str; 2]) -> rt_protocol::Result<ExecRequest> {
        let builder = ExecRequest::builder(words);
        match self {
            Self::Terminal => builder.terminal(TerminalSize::default()).build(),
            _ => builder.build(),
        }
    }
}

/// For each path and kind of streams: the threads and descriptors of one command.
const EXPECTED: &[(&str, Streams, [usize; 2])] = &[
    ("cold", Streams::Captured, [0, 7]),
    ("cold", Streams::Descriptors, [0, 8]),
    ("cold", Streams::ReaderAndWriters, [3, 8]),
    ("cold", Streams::Terminal, [0, 9]),
    ("warm", Streams::Captured, [0, 5]),
    ("warm", Streams::Descriptors, [0, 6]),
    ("warm", Streams::ReaderAndWriters, [3, 6]),
    // stderr has ended by then.
    ("warm", Streams::Terminal, [0, 5]),
    ("null", Streams::Captured, [0, 0]),
    ("null", Streams::Descriptors, [0, 6]),
    ("null", Streams::ReaderAndWriters, [3, 0]),
    ("null", Streams::Terminal, [0, 6]),
];

/// The resources of this process, and of what it has started.
#[derive(Clone, Copy, Debug)]
struct Usage {
    threads: usize,
    descriptors: usize,
    /// Private and shared memory of this process, in KiB.
    own_kib: usize,
    /// The same of podman's clients, of conmon, and of the agent's processes.
    others_kib: [usize; 3],
}

impl Usage {
    /// Whether a command of this kind is to cost that.
    fn is_of(&self, path: &'static str, streams: Streams) -> bool {
        EXPECTED.contains(&(path, streams, [self.threads, self.descriptors]))
    }

    /// Returns the cost of one command, if all but the callers' threads came since `before`.
    fn since(self, before: Self) -> Self {
        let one = |now: usize, before: usize| now.saturating_sub(before) / COMMANDS;
        let [podman, conmon, agent] = self.others_kib;
        let [podman_before, conmon_before, agent_before] = before.others_kib;
        Self {
            threads: one(self.threads, before.threads + COMMANDS),
            descriptors: one(self.descriptors, before.descriptors),
            own_kib: one(self.own_kib, before.own_kib),
            others_kib: [one(podman, podman_before), one(conmon, conmon_before), one(agent, agent_before)],
        }
    }

    /// `name` is that of the container.
    fn now(name: &str) -> Self {
        let count = |path: &str| fs::read_dir(path).map_or(0, Iterator::count);
        let mut others_kib = [0; 3];
        for entry in procfs::snapshot().unwrap_or_default() {
            let line = command_line(entry.pid);
            let kind = match entry.name.as_str() {
                "podman" if entry.parent == std::process::id() => 0,
                "conmon" if line.contains(name) => 1,
                _ if line.starts_with("/proc/self/fd/") => 2,
                _ => continue,
            };
            others_kib[kind] += proportional_kib(&entry.pid.to_string());
        }
        Self {
            threads: count("/proc/self/task"),
            // One of them is the listing itself, before and after.
            descriptors: count("/proc/self/fd"),
            own_kib: proportional_kib("self"),
            others_kib,
        }
    }
}

/// Returns the memory of a process, in KiB: `Pss` of proc(5). 0 for one that is gone.
fn proportional_kib(pid: &str) -> usize {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn capacity(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let mut seen = Vec::new();
    for (path, word) in [(ExecPath::Cold, "cold"), (ExecPath::Warm, "warm")] {
        let runtime = live.builder().exec_path(path).build()?;
        let container = runtime.container(&sandbox.name);
        container.exec(&ExecRequest::new(["true"])?, &minute())?.exit_ok()?;
        for streams in KINDS {
            let tag = fresh_tag();
            let request = streams.request(["sleep", &tag.to_string()])?;
            let ready = || wait_for_sleepers(tag, COMMANDS);
            let usage = cost(&*container, &request, streams, &ready, &|usage| usage.is_of(word, streams))?;
            seen.push((word, streams, usage));
        }
        runtime.cool_down(&minute())?;
    }
    let null = NullRuntime::new();
    null.set_state(sandbox.name.as_str(), ContainerState::Running)?;
    for operation in [Operation::Exec, Operation::ExecStdio] {
        null.inject(operation, Scope::all(), When::Every, Fault::hang());
    }
    for streams in KINDS {
        let request = streams.request(["sleep", "777"])?;
        let begun = || null.exec_calls().len() + null.stdio_calls().len();
        let before = begun();
        let ready = || wait_until("the commands hang", || begun() == before + COMMANDS);
        let is_expected = |usage: &Usage| usage.is_of("null", streams);
        let container = null.container(&sandbox.name);
        seen.push(("null", streams, cost(&*container, &request, streams, &ready, &is_expected)?));
    }
    let rows: Vec<_> = seen
        .iter()
        .map(|(path, streams, usage)| (*path, *streams, [usage.threads, usage.descriptors]))
        .collect();
    println!("of one command, in KiB the memory of this process, of podman, of conmon, of the agent:");
    for (path, streams, usage) in &seen {
        println!("{path} {streams:?}: {usage:?}");
    }
    assert_eq!(rows, EXPECTED);
    Ok(())
}

/// Returns what one of several running commands costs, without the caller's thread, and ends them.
fn cost(
    container: &dyn Container,
    request: &ExecRequest,
    streams: Streams,
    ready: &dyn Fn(),
    is_expected: &dyn Fn(&Usage) -> bool,
) -> Result<Usage, Problem> {
    let cancel = CancelToken::new();
    let until = minute().or_cancelled(&cancel);
    let (reader, _writer) = io::pipe()?;
    let (_reader, writer) = io::pipe()?;
    let run = || match streams {
        Streams::Captured => container.exec(request, &until).map(drop),
        Streams::Descriptors | Streams::Terminal => {
            let stdio = ExecStdio::new(
                Source::borrowed_descriptor(reader.as_fd()),
                Sink::borrowed_descriptor(writer.as_fd()),
            );
            let stdio = stdio.stderr(Sink::borrowed_descriptor(writer.as_fd()));
            container.exec_stdio(request, stdio, &until).map(drop)
        }
        Streams::ReaderAndWriters => {
            let stdio = ExecStdio::new(Source::reader(Silent(cancel.clone())), Sink::writer(io::sink()));
            container.exec_stdio(request, stdio.stderr(Sink::writer(io::sink())), &until).map(drop)
        }
    };
    let (before, before_leftovers) = (Usage::now(container.key().name.as_str()), Leftovers::now());
    let usage = std::thread::scope(|scope| {
        let calls = [(); COMMANDS].map(|()| scope.spawn(run));
        ready();
        // The streams of the last one may not be open yet, and what was handed over with them not
        // closed. On a busy machine that takes a while.
        let now = || Usage::now(container.key().name.as_str()).since(before);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(500)
            || begun.elapsed() < Duration::from_secs(20) && !is_expected(&now())
        {
            std::thread::sleep(Duration::from_millis(50));
        }
        let during = now();
        cancel.cancel();
        for call in calls {
            let error = call.join().expect("no panic").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        }
        Ok::<_, Problem>(during)
    })?;
    // A thread that reads for a command may end a moment after it, and is none of the next one's.
    Leftovers::check_against(&before_leftovers)?;
    Ok(usage)
}

/// A reader from which nothing comes until its call is cancelled.
struct Silent(CancelToken);

impl io::Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        while !self.0.is_cancelled() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(0)
    }
}
