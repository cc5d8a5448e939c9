//! Testing your code with mocks: calls that must be made in a certain order, once, or
//! never.
//!
//! `cargo run -p rt --features mock --example testing_with_mocks`. In a project, the
//! functions of the second half are `#[test]`s, and the dev-dependency has the feature:
//! `rt = { …, features = ["mock"] }`. If the in-memory backend is enough
//! (`testing_with_null`), use it: it needs less code and is closer to a real engine.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use rt::prelude::*;
use rt::{ErrorKind, LaunchSpec, LogOptions, PortMapping, Pull, Until};

// ----- The code under test. -----

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ATTEMPTS: u32 = 3;
const LIMIT: Duration = Duration::from_secs(60);

/// Launches a server on a port that is known in advance, for example for a configuration
/// file.
fn launch_on_free_port(
    runtime: &dyn ContainerRuntime,
    name: &str,
) -> rt::Result<(Arc<dyn Container>, u16)> {
    let mut attempt = 1;
    loop {
        let mut reservation = runtime.reserve_port(LOOPBACK)?;
        let port = reservation.port();
        let spec = LaunchSpec::builder(name, "nginx")
            .port(PortMapping::on_loopback(port, 80))
            .build()?;
        // Freed right before the engine takes it. If another process is faster, another
        // port is tried.
        reservation.close()?;
        match runtime.launch(&spec, LIMIT) {
            Ok(container) => return Ok((container, port)),
            Err(error) if error.kind() == ErrorKind::PortInUse && attempt < ATTEMPTS => {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Returns the whole log as text, and the error if it is incomplete. Lines before a
/// failure of the engine are kept.
fn collect_log(container: &dyn Container) -> rt::Result<(String, Option<rt::Error>)> {
    let mut stream = container.logs(&LogOptions::new(), &LIMIT.into())?;
    let mut text = String::new();
    for line in stream.iter(LIMIT) {
        match line {
            Ok(line) => text += &(line.text().into_owned() + "\n"),
            Err(error) => return Ok((text, Some(error))),
        }
    }
    stream.close().map(|()| (text, None))
}

// ----- Its tests. -----

use rt::mock::{
    MockContainer, MockContainerRuntime, MockPortReservation, MockPullStream, Sequence,
};
use rt::{ContainerRemoveResult, LogLine, OutputStream};

type Outcome = Result<(), Box<dyn std::error::Error>>;
type Test = fn() -> Outcome;

const TESTS: &[(&str, Test)] = &[
    (
        "the_port_is_freed_right_before_the_launch",
        the_port_is_freed_right_before_the_launch,
    ),
    ("a_port_that_was_lost_is_replaced", a_port_that_was_lost_is_replaced),
    ("another_failure_is_not_tried_again", another_failure_is_not_tried_again),
    (
        "a_log_that_breaks_off_keeps_its_beginning",
        a_log_that_breaks_off_keeps_its_beginning,
    ),
];

pub(crate) fn main() -> Outcome {
    for (name, test) in TESTS {
        test()?;
        println!("{name}: ok");
    }
    Ok(())
}

fn the_port_is_freed_right_before_the_launch() -> Outcome {
    // One sequence over several mocks: a call in the wrong order panics.
    let mut order = Sequence::new();
    let mut port = reservation_of(4001);
    port.expect_close().times(1).in_sequence(&mut order).returning(|| Ok(()));
    let mut runtime = MockContainerRuntime::new();
    runtime
        .expect_create()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_, _| Ok(container_that_starts(Ok(()))));
    runtime.expect_reserve_port().times(1).return_once(|_| Ok(Box::new(port)));

    let (_container, port) = launch_on_free_port(&runtime, "web-1")?;
    assert_eq!(port, 4001);
    // The mocks are dropped here, which reports calls that were expected and not made.
    Ok(())
}

fn a_port_that_was_lost_is_replaced() -> Outcome {
    let mut runtime = MockContainerRuntime::new();
    let mut next = 4001..;
    runtime.expect_reserve_port().times(2).returning(move |_| {
        let mut port = reservation_of(next.next().unwrap_or(u16::MAX));
        port.expect_close().times(1).returning(|| Ok(()));
        Ok(Box::new(port))
    });
    // The answer of the engine depends on the requested port.
    let asks_for = |wanted| {
        move |spec: &LaunchSpec, _: &Until| spec.ports()[0].host_port() == Some(wanted)
    };
    runtime.expect_create().withf(asks_for(4001)).times(1).returning(|_, _| {
        Ok(container_that_starts(Err(rt::Error::new(
            ErrorKind::PortInUse,
            "start",
            "4001",
        ))))
    });
    runtime
        .expect_create()
        .withf(asks_for(4002))
        .times(1)
        .returning(|_, _| Ok(container_that_starts(Ok(()))));
    // `launch` removes the container that it could not start, so the name is free for the
    // second attempt.
    runtime.expect_force_remove().times(1).returning(|names, _| {
        names.iter().cloned().map(ContainerRemoveResult::removed).collect()
    });

    assert_eq!(launch_on_free_port(&runtime, "web-1")?.1, 4002);
    Ok(())
}

fn another_failure_is_not_tried_again() -> Outcome {
    let mut runtime = MockContainerRuntime::new();
    runtime.expect_reserve_port().times(1).returning(|_| {
        let mut port = reservation_of(4001);
        port.expect_close().returning(|| Ok(()));
        Ok(Box::new(port))
    });
    runtime
        .expect_create()
        .times(1)
        .returning(|_, _| Err(rt::Error::new(ErrorKind::NoSuchImage, "create", "nginx")));
    match launch_on_free_port(&runtime, "web-1") {
        Err(error) if error.kind() == ErrorKind::NoSuchImage => Ok(()),
        other => Err(format!("the image was to be missing: {other:?}").into()),
    }
}

fn a_log_that_breaks_off_keeps_its_beginning() -> Outcome {
    let mut container = MockContainer::new();
    container.expect_logs().times(1).returning(|_, _| {
        let mut stream = MockPullStream::new();
        let mut order = Sequence::new();
        stream
            .expect_pull()
            .times(1)
            .in_sequence(&mut order)
            .returning(|_| Ok(Pull::Item(LogLine::new(OutputStream::Stdout, "up"))));
        stream.expect_pull().times(1).in_sequence(&mut order).returning(|_| {
            Err(rt::Error::new(ErrorKind::BackendFailed, "read the log of", "killed"))
        });
        Ok(Box::new(stream))
    });
    let (text, error) = collect_log(&container)?;
    assert_eq!(text, "up\n");
    assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::BackendFailed));
    Ok(())
}

fn reservation_of(port: u16) -> MockPortReservation {
    let mut reservation = MockPortReservation::new();
    reservation.expect_port().return_const(port);
    reservation
}

fn container_that_starts(answer: rt::Result<()>) -> Arc<dyn Container> {
    let mut container = MockContainer::new();
    container.expect_start().times(1).return_once(|_| answer);
    Arc::new(container)
}
