//! A terminal of a container in a browser: an axum WebSocket, bridged to a command.
//!
//! `cargo run -p rt --features tokio --example web_terminal -- CONTAINER` serves a shell
//! in a running container of podman. Without a container, it plays both sides once, on
//! null.
//!
//! A binary message is what is typed, or shown. A text message is the terminal's new
//! size, as in `24x80`. What you copy is [`router`] and what it calls.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use rt::prelude::*;
use rt::tokio::{AsyncContainer, AsyncRuntime};
use rt::{ContainerName, ExecRequest, ExitOutcome, SpawnStdio, TerminalSize};
use rt_null::{ArgvPattern, NullRuntime, Scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;

/// How long the engine may take.
const ENGINE_LIMIT: Duration = Duration::from_secs(60);
/// The largest message of output, in bytes.
const CHUNK: usize = 16 << 10;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    match std::env::args().nth(1) {
        Some(container) => executor()?.block_on(serve(&ContainerName::new(container)?)),
        None => rehearse(),
    }
}

/// Plays both sides once.
pub(crate) fn rehearse() -> Result<(), Failure> {
    executor()?.block_on(play_client())
}

fn executor() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Serves the shell of a container until SIGINT.
async fn serve(container: &ContainerName) -> Result<(), Failure> {
    let podman: Arc<dyn ContainerRuntime> = rt::open(rt::Backend::Podman)?;
    let runtime = AsyncRuntime::builder(podman).on_orphan(|it| println!("{it}")).build();
    // Who can connect can run commands: nobody beyond this machine.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("ws://{}/terminal", listener.local_addr()?);
    let served = axum::serve(listener, router(runtime.container(container)));
    tokio::select! {
        ended = served => ended?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    // Dropped sessions have ended their shells.
    runtime.idle().await;
    Ok(())
}

fn router(container: AsyncContainer) -> Router {
    Router::new().route("/terminal", any(open)).with_state(container)
}

async fn open(
    State(container): State<AsyncContainer>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !is_own_page(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade.on_upgrade(|mut socket| async move {
        let (code, reason) = match bridge(&mut socket, &container).await {
            Ok(Some(outcome)) => (close_code::NORMAL, outcome.to_string()),
            Ok(None) => (close_code::NORMAL, String::new()),
            Err(failure) => {
                println!("a session failed: {failure}");
                (close_code::ERROR, String::from("the session failed"))
            }
        };
        let end = CloseFrame { code, reason: reason.into() };
        // A client that has left is told nothing.
        let _ = socket.send(Message::Close(Some(end))).await;
    })
}

/// Browsers let every page connect, even to this machine alone, and say where it is from.
fn is_own_page(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    headers.get(header::ORIGIN).is_none_or(|origin| {
        let page = origin.as_bytes().split(|byte| *byte == b'/').next_back();
        page == host
    })
}

/// Bridges a WebSocket to a shell, and returns how the shell ended; `None` if the client
/// left before. Dropping the shell ends it.
async fn bridge(
    socket: &mut WebSocket,
    container: &AsyncContainer,
) -> Result<Option<ExitOutcome>, Failure> {
    let request =
        ExecRequest::builder(["sh"]).terminal(TerminalSize::default()).build()?;
    let streams = SpawnStdio::new().piped_stdin();
    let mut shell = container.spawn(&request, streams, ENGINE_LIMIT).await?;
    let mut stdin = shell.stdin.take().expect("it is piped");
    let mut stdout = shell.stdout.take().expect("it is piped");
    let (mut to_client, mut from_client) = socket.split();
    // Side by side: a shell that is not read would take no more of what is typed.
    let shown = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            match stdout.read(&mut buffer).await? {
                0 => return Ok::<_, Failure>(()),
                count => {
                    let bytes = buffer[..count].to_vec();
                    to_client.send(Message::Binary(bytes.into())).await?;
                }
            }
        }
    };
    let typed = async {
        while let Some(message) = from_client.next().await.transpose()? {
            match message {
                Message::Binary(bytes) => stdin.write_all(&bytes).await?,
                Message::Text(size) => shell.resize(parse_size(&size)?).await?,
                Message::Close(_) => break,
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
        Ok::<_, Failure>(())
    };
    tokio::select! {
        shown = shown => shown?,
        typed = typed => return typed.map(|()| None),
    }
    Ok(Some(shell.wait(ENGINE_LIMIT).await?.outcome))
}

/// `ROWSxCOLUMNS`.
fn parse_size(text: &str) -> Result<TerminalSize, Failure> {
    let (rows, columns) = text.split_once('x').ok_or("a size is like 24x80")?;
    Ok(TerminalSize::new(rows.parse()?, columns.parse()?)?)
}

/// Plays a client that types, resizes, and leaves; and a page that may not connect.
async fn play_client() -> Result<(), Failure> {
    let runtime = AsyncRuntime::new(Arc::new(rehearsal()?));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = format!("ws://{}/terminal", listener.local_addr()?);
    let container = runtime.container(&ContainerName::new("box")?);
    let server = tokio::spawn(axum::serve(listener, router(container)).into_future());

    let (mut client, _) = tokio_tungstenite::connect_async(&address).await?;
    client.send(tungstenite::Message::binary(b"hello\n".as_slice())).await?;
    client.send(tungstenite::Message::text("30x100")).await?;
    let mut shown = String::new();
    while let Some(message) = client.next().await.transpose()? {
        match message {
            tungstenite::Message::Binary(bytes) => {
                shown.push_str(&String::from_utf8_lossy(&bytes));
            }
            tungstenite::Message::Close(Some(end)) => {
                println!(
                    "{}and the shell ended: {}",
                    shown.replace('\r', ""),
                    end.reason
                );
            }
            _ => {}
        }
    }
    assert!(shown.contains("30x100"), "the size did not arrive: {shown:?}");

    let request = tungstenite::ClientRequestBuilder::new(address.parse()?)
        .with_header("Origin", "http://elsewhere.example");
    let refused = tokio_tungstenite::connect_async(request).await;
    println!("another page: {}", refused.expect_err("it was let in"));

    server.abort();
    runtime.idle().await;
    Ok(())
}

/// A runtime that plays the shell, in place of podman.
fn rehearsal() -> Result<NullRuntime, Failure> {
    let runtime = NullRuntime::new();
    runtime.set_state("box", rt::ContainerState::Running)?;
    runtime.on_stdio(Scope::all(), ArgvPattern::program("sh"), |_, peer| {
        let line = peer.read_line()?.unwrap_or_default();
        peer.write_stdout(&[b"you typed ", line.as_slice()].concat())?;
        let size = peer.wait_for_resize()?;
        let size = format!("now {}x{}\r\n", size.rows(), size.columns());
        peer.write_stdout(size.as_bytes())?;
        Ok(ExitOutcome::Code(0))
    });
    Ok(runtime)
}
