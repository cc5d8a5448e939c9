//! A sandbox service: clients send code, which runs in a container of its own, without a
//! network, with limits on memory, time and output. The output is streamed to the client.
//!
//! `cargo run -p rt --example sandbox_service`. What you copy is [`Service`].

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use rt::prelude::*;
use rt::{
    CancelToken, ExecRequest, ExecStdio, LaunchSpec, Network, OutputLimit, Result, Sink,
    Source, StdioResult, Until,
};
use rt_null::{ArgvPattern, NullRuntime, Scope};

/// How long the code of a client may run.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// How long the engine may take.
const ENGINE_LIMIT: Duration = Duration::from_secs(60);
/// How much output a client gets. More is counted, and not sent.
const OUTPUT_LIMIT: OutputLimit = OutputLimit::bytes(64 * 1024);
/// A longer line is sent in pieces.
const LINE_BYTES: usize = 4096;

/// The sessions of all clients.
struct Service {
    runtime: Arc<dyn ContainerRuntime>,
}

impl Service {
    /// Makes a session. If this program dies, its container ends and is removed.
    fn open(&self, session: &str) -> Result<()> {
        let spec = LaunchSpec::builder(session, "docker.io/library/python:3-slim")
            .command(["sleep", "3600"])
            .network(Network::None)
            .memory(256 << 20)
            .extra_args(["--rm", "--pids-limit=64", "--cap-drop=all"])
            .build()?;
        self.runtime.launch(&spec, ENGINE_LIMIT)?;
        Ok(())
    }

    /// Runs code, and streams what it prints. `stop` ends it, for a client that has gone.
    fn run(
        &self,
        session: &str,
        code: &str,
        client: &Sender<String>,
        stop: &CancelToken,
    ) -> Result<StdioResult> {
        let request =
            ExecRequest::builder(["python3", "-"]).output_limit(OUTPUT_LIMIT).build()?;
        // A client that has gone gets nothing; its token ends the code.
        let out = |line: rt::Line| drop(client.send(line.text().into_owned()));
        let err = |line: rt::Line| drop(client.send(format!("! {}", line.text())));
        let stdio = ExecStdio::new(Source::bytes(code), Sink::lines(LINE_BYTES, out))
            .stderr(Sink::lines(LINE_BYTES, err));
        let until = Until::after(TIME_LIMIT).or_cancelled(stop);
        self.runtime.exec_stdio(&session.try_into()?, &request, stdio, &until)
    }

    /// Removes a session, and all that it runs.
    fn close(&self, session: &str) -> Result<()> {
        let names = [session.try_into()?];
        for removed in self.runtime.force_remove(&names, &ENGINE_LIMIT.into()) {
            removed.error.map_or(Ok(()), Err)?;
        }
        Ok(())
    }
}

pub(crate) fn main() -> Result<()> {
    let service = Service { runtime: Arc::new(rehearsal()) };
    service.open("session-1")?;
    for code in ["print(6 * 7)", "1 / 0", "while True: pass"] {
        println!("> {code}");
        let (client, received) = channel();
        let stop = CancelToken::new();
        let answer = thread::scope(|scope| {
            let running = scope.spawn(|| service.run("session-1", code, &client, &stop));
            // The client of the third one has heard enough.
            if code.starts_with("while") {
                stop.cancel();
            }
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        for line in received.try_iter() {
            println!("  {line}");
        }
        match answer {
            Ok(result) => println!("  ({}, {:?})", result.outcome, result.elapsed),
            // It says what became of the code, and whether anything of it is left.
            Err(error) => println!("  ({error})"),
        }
    }
    service.close("session-1")
}

/// A runtime that plays the interpreter, in place of podman.
fn rehearsal() -> NullRuntime {
    use std::io::Read;
    let runtime = NullRuntime::new();
    let python = ArgvPattern::program("python3");
    runtime.on_stdio(Scope::all(), python, |_, peer| {
        let mut code = String::new();
        peer.read_to_string(&mut code)?;
        match code.as_str() {
            "print(6 * 7)" => peer.write_stdout(b"42\n")?,
            "1 / 0" => {
                peer.write_stderr(b"ZeroDivisionError: division by zero\n")?;
                return Ok(rt::ExitOutcome::Code(1));
            }
            _ => return peer.hang(),
        }
        Ok(rt::ExitOutcome::Code(0))
    });
    runtime
}
