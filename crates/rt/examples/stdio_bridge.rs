//! A Unix socket on this host, bridged to an agent in a container: each connection is one `exec_stdio`.
//!
//! `cargo run -p rt --example stdio_bridge`. Editors and tools that talk to a language server, a debugger or an agent
//! over a stream reach one in a container this way, without a port and without a network.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rt::prelude::*;
use rt::{
    CancelToken, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, LaunchSpec, Sink, Source, StdioResult, Until,
};
use rt_null::{ArgvPattern, NullRuntime, Scope};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The agent inside, which reads requests from stdin and writes answers to stdout, a line each.
const AGENT: [&str; 2] = ["agent", "--stdio"];
/// How long a conversation may last.
const TIME_LIMIT: Duration = Duration::from_secs(3600);

pub(crate) fn main() -> Outcome<()> {
    let spec = LaunchSpec::builder("agent-1", "localhost/agent").command(["sleep", "inf"]).build()?;
    let container = rehearsal()?.launch(&spec, Until::after(Duration::from_secs(60)))?;

    // Whoever can connect controls the agent. The directory is private (mode 0700), and goes with its socket at the end.
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("agent.sock");
    let listener = UnixListener::bind(&path)?;
    println!("listening on a socket in a private directory");

    let closing = CancelToken::new();
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            // Closes the socket when the client is done, and when it fails.
            let _guard = closing.cancel_on_drop();
            client(&path)
        });
        serve(&listener, &path, container.as_ref(), &closing)?;
        client.join().map_err(|_| "the client panicked")?
    })
}

/// Serves connections until `closing` is cancelled, each on a thread of its own: a call takes as long as its
/// conversation. Those that are open then are served to their ends.
fn serve(
    listener: &UnixListener,
    path: &Path,
    container: &dyn Container,
    closing: &CancelToken,
) -> Outcome<()> {
    // `accept` knows no token, so the cancel wakes it with a connection.
    let path = path.to_owned();
    let _registration = closing.on_cancel(move || drop(UnixStream::connect(path)));
    thread::scope(|scope| {
        let mut calls = Vec::new();
        for stream in listener.incoming() {
            let stream = stream?;
            if closing.is_cancelled() {
                break;
            }
            calls.push(scope.spawn(move || bridge(stream, container)));
        }
        for (call, number) in calls.into_iter().zip(1..) {
            let result = call.join().map_err(|_| "the bridge panicked")??;
            let (stdin, stdout) = (result.stdin, result.stdout);
            println!(
                "connection {number}: {}, {} bytes in ({:?}), {} bytes out ({:?})",
                result.outcome, stdin.bytes, stdin.end, stdout.bytes, stdout.end
            );
        }
        Ok(())
    })
}

/// Bridges one connection to one agent, until either side ends it.
fn bridge(stream: UnixStream, container: &dyn Container) -> rt::Result<StdioResult> {
    // Two descriptors of one socket: one is the agent's stdin, the other takes its stdout. They are polled, never read
    // ahead, and closed with the call: this is how the client learns that the agent has gone.
    let reading = stream
        .try_clone()
        .map_err(|cause| rt::Error::new(ErrorKind::System, "bridge", "").with_source(cause))?;
    let mut complaints = Vec::new();
    let stdio = ExecStdio::new(Source::descriptor(reading), Sink::descriptor(stream))
        .stderr(Sink::borrowed(&mut complaints));
    // The end of the deadline would end the agent too, in the container and not only here.
    let result = container.exec_stdio(&ExecRequest::new(AGENT)?, stdio, &Until::after(TIME_LIMIT));
    if !complaints.is_empty() {
        println!("the agent's stderr: {:?}", String::from_utf8_lossy(&complaints));
    }
    result
}

/// A program on this host that knows a socket and nothing of containers.
fn client(path: &Path) -> Outcome<()> {
    for words in [["hello", "status"], ["quit", "unheard"]] {
        let stream = UnixStream::connect(path)?;
        // A client must not hang on an agent that does not answer.
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut answers = BufReader::new(&stream).lines();
        for word in words {
            match ask(&stream, &mut answers, word)? {
                Some(answer) => println!("client: {word} -> {answer}"),
                None => println!("client: {word} -> the agent has hung up"),
            }
        }
        // Closing the stream is passed on as the end of the agent's stdin.
    }
    Ok(())
}

/// One question and its answer; `None` when the agent has hung up.
fn ask(
    mut stream: &UnixStream,
    answers: &mut impl Iterator<Item = io::Result<String>>,
    question: &str,
) -> io::Result<Option<String>> {
    // A socket says it in three ways: the end, a broken pipe, or a reset when a question was left unread.
    match writeln!(stream, "{question}").and_then(|()| answers.next().transpose()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            Ok(None)
        }
        answer => answer,
    }
}

/// What the agent answers in memory: to each line one, until `quit` or the end of its stdin.
fn rehearsal() -> rt::Result<NullRuntime> {
    let runtime = NullRuntime::new();
    runtime.on_stdio(Scope::container("agent-1")?, ArgvPattern::exact(AGENT), |_, agent| {
        while let Some(line) = agent.read_line()? {
            match line.trim_ascii() {
                b"quit" => {
                    agent.write_stderr(b"asked to leave\n")?;
                    agent.write_stdout(b"bye\n")?;
                    return Ok(ExitOutcome::Code(3));
                }
                word => agent.write_stdout(&[b"you said ", word, b"\n"].concat())?,
            }
        }
        Ok(ExitOutcome::Code(0))
    });
    Ok(runtime)
}
