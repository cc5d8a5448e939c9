//! A Unix socket on this host that is bridged to an agent in a container: each connection
//! is one `exec_stdio`.
//!
//! `cargo run -p rt --example stdio_bridge`. Editors and tools use such a stream to talk
//! to a language server, a debugger or an agent in a container, without a port or a
//! network.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rt::prelude::*;
use rt::{
    CancelToken, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, LaunchSpec, Sink,
    Source, StdioResult, Until,
};
use rt_null::{ArgvPattern, NullRuntime, Scope};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The agent in the container. It reads requests from stdin and writes answers to stdout,
/// a line each.
const AGENT: [&str; 2] = ["agent", "--stdio"];
/// The time limit of a conversation.
const TIME_LIMIT: Duration = Duration::from_secs(3600);

pub(crate) fn main() -> Outcome<()> {
    let spec = LaunchSpec::builder("agent-1", "localhost/agent")
        .command(["sleep", "inf"])
        .build()?;
    let container = rehearsal()?.launch(&spec, Until::after(Duration::from_secs(60)))?;

    // Any program that can connect controls the agent. So the directory is private (mode
    // 0700). It is removed with its socket at the end.
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

/// Serves connections until `closing` is cancelled. Each has a thread of its own, since a
/// call takes as long as its conversation. Connections that are open then are served to
/// their end.
fn serve(
    listener: &UnixListener,
    path: &Path,
    container: &dyn Container,
    closing: &CancelToken,
) -> Outcome<()> {
    // `accept` takes no token, so the cancel wakes it with a connection.
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
    // Two descriptors of one socket: one is the agent's stdin, the other takes its
    // stdout. They are polled, never read ahead, and closed at the end of the call. So
    // the client notices when the agent is gone.
    let reading = stream.try_clone().map_err(|cause| {
        rt::Error::new(ErrorKind::System, "bridge", "").with_source(cause)
    })?;
    let mut complaints = Vec::new();
    let stdio = ExecStdio::new(Source::descriptor(reading), Sink::descriptor(stream))
        .stderr(Sink::borrowed(&mut complaints));
    // The deadline would end the agent in the container too, not only this call.
    let result =
        container.exec_stdio(&ExecRequest::new(AGENT)?, stdio, &Until::after(TIME_LIMIT));
    if !complaints.is_empty() {
        println!("the agent's stderr: {:?}", String::from_utf8_lossy(&complaints));
    }
    result
}

/// A program on this host that uses a socket and knows nothing about containers.
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
        // Closing the stream ends the agent's stdin.
    }
    Ok(())
}

/// Asks one question and returns the answer; `None` if the agent has hung up.
fn ask(
    mut stream: &UnixStream,
    answers: &mut impl Iterator<Item = io::Result<String>>,
    question: &str,
) -> io::Result<Option<String>> {
    // A socket reports this in three ways: the end, a broken pipe, or a reset if a
    // question was left unread.
    match writeln!(stream, "{question}").and_then(|()| answers.next().transpose()) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Ok(None)
        }
        answer => answer,
    }
}

/// The agent in memory: answers each line, until `quit` or the end of its stdin.
fn rehearsal() -> rt::Result<NullRuntime> {
    let runtime = NullRuntime::new();
    runtime.on_stdio(
        Scope::container("agent-1")?,
        ArgvPattern::exact(AGENT),
        |_, agent| {
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
        },
    );
    Ok(runtime)
}
