//! The mocks as a downstream test uses them: what they answer, what they refuse, and what they
//! derive.

use std::io::Read;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rt::mock::{
    MockContainer, MockContainerRuntime, MockImage, MockPortReservation, MockPullStream,
    Sequence, predicate,
};
use rt::prelude::*;
use rt::{
    Argv, CapturedOutput, ContainerInfo, ContainerKey, ContainerName, ContainerPath,
    ContainerRemoveResult, ContainerState, ErrorKind, Event, EventAction, EventOptions,
    ExecRequest, ExecResult, ExecStdio, ExitOutcome, ImageInfo, ImageRef, LaunchSpec,
    LogLine, LogOptions, NamePrefix, OutputStream, Pull, Readiness, Result, RuntimeId,
    Sink, SinkKind, Source, StdioResult, StreamEnd, StreamReport, Until,
};

const LIMIT: Duration = Duration::from_secs(60);

fn name(text: &str) -> ContainerName {
    ContainerName::new(text).expect("a well-formed name")
}

fn said(stdout: &str) -> ExecResult {
    ExecResult::new(
        ExitOutcome::Code(0),
        CapturedOutput::complete(stdout),
        CapturedOutput::default(),
        Duration::ZERO,
    )
}

/// What a panic said.
fn panic_of<T>(action: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(action)).err().expect("it was to panic");
    let text = payload.downcast_ref::<String>().map(String::as_str);
    // A message without arguments is a constant.
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_call_that_nobody_expects_panics_and_names_the_method() {
    let container = MockContainer::new();
    assert!(
        panic_of(|| container.inspect(&Until::forever()))
            .contains("MockContainer::inspect")
    );
    let runtime: Arc<dyn ContainerRuntime> = Arc::new(MockContainerRuntime::new());
    assert!(
        panic_of(|| runtime.exec_in("a", ["true"], LIMIT))
            .contains("MockContainerRuntime::exec")
    );
}

#[test]
fn an_expectation_that_is_not_met_panics_when_the_mock_goes() {
    let mut container = MockContainer::new();
    container.expect_start().times(1).returning(|_| Ok(()));
    assert!(panic_of(|| drop(container)).contains("MockContainer::start"));
}

#[test]
fn references_are_answered_by_constants() {
    let mut container = MockContainer::new();
    container
        .expect_key()
        .return_const(ContainerKey::new(RuntimeId::new("mock"), name("a")));
    let mut runtime = MockContainerRuntime::new();
    runtime.expect_id().return_const(RuntimeId::new("mock"));
    assert_eq!(container.key().runtime, *runtime.id());

    let mut image = MockImage::new();
    image.expect_reference().return_const(ImageRef::new("alpine:3").unwrap());
    image.expect_repository().return_const(Some("alpine"));
    image.expect_tag().return_const(None);
    assert_eq!(
        (image.reference().to_string().as_str(), image.repository(), image.tag()),
        ("alpine:3", Some("alpine"), None)
    );
}

#[test]
fn a_launch_is_undone_when_the_start_fails() {
    let mut order = Sequence::new();
    let mut runtime = MockContainerRuntime::new();
    runtime
        .expect_create()
        .withf(|spec, _| spec.name().as_str() == "a")
        .times(1)
        .in_sequence(&mut order)
        .returning(|_, _| {
            let mut container = MockContainer::new();
            container.expect_start().times(1).returning(|_| {
                Err(rt::Error::new(ErrorKind::PortInUse, "start", "8080"))
            });
            Ok(Arc::new(container))
        });
    runtime.expect_force_remove().times(1).in_sequence(&mut order).returning(
        |names, _| names.iter().cloned().map(ContainerRemoveResult::removed).collect(),
    );

    let spec = LaunchSpec::builder("a", "alpine").build().unwrap();
    let error = runtime.launch(&spec, Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PortInUse);
}

#[test]
fn streams_of_the_caller_reach_the_mock() {
    let mut container = MockContainer::new();
    container.expect_exec_stdio().times(1).returning(|_, stdio, _| {
        let SinkKind::Borrowed(writer) = stdio.stdout.into_kind() else {
            panic!("another sink")
        };
        writer.write_all(b"pong").unwrap();
        let (stdin, stdout) =
            (StreamReport::new(4, StreamEnd::Eof), StreamReport::new(4, StreamEnd::Eof));
        Ok(StdioResult::new(
            ExitOutcome::Code(0),
            stdin,
            stdout,
            StreamReport::default(),
            Duration::ZERO,
        ))
    });
    container.expect_copy_in_tar().times(1).returning(|tar, _, _| {
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes).map(drop).map_err(|cause| {
            rt::Error::new(ErrorKind::SourceFailed, "copy into", "").with_source(cause)
        })
    });
    container.expect_copy_out_tar().times(1).returning(|_, tar, _| {
        tar.write_all(b"archive").unwrap();
        Ok(())
    });
    container.expect_stream_initial_logs().times(1).returning(|ready, echo, _| {
        writeln!(echo, "up").unwrap();
        Ok(if ready("up") { Readiness::Ready("up".to_owned()) } else { Readiness::Ended })
    });

    // All of these borrow from the test: nothing of a call needs to be `'static`.
    let (mut answer, mut packed, mut echo, mut seen) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let bytes = b"tar".to_vec();
    let request = ExecRequest::new(["agent"]).unwrap();
    let stdio = ExecStdio::new(Source::bytes("ping"), Sink::borrowed(&mut answer));
    assert!(container.exec_stdio(&request, stdio, &Until::forever()).unwrap().success());
    let place = ContainerPath::new("/srv").unwrap();
    let mut reader = bytes.as_slice().take(2);
    container.copy_in_tar(&mut reader, &place, &Until::forever()).unwrap();
    container.copy_out_tar(&place, &mut packed, &Until::forever()).unwrap();
    let mut ready = |line: &str| {
        seen.push(line.to_owned());
        true
    };
    assert!(
        container
            .stream_initial_logs(&mut ready, &mut echo, &Until::forever())
            .unwrap()
            .is_ready()
    );
    assert_eq!(
        (answer, packed, echo),
        (b"pong".to_vec(), b"archive".to_vec(), b"up\n".to_vec())
    );
    assert_eq!((seen, reader.limit()), (vec!["up".to_owned()], 0));
}

#[test]
fn arguments_are_matched_by_predicates() {
    let mut container = MockContainer::new();
    let shell = Argv::new(["sh", "-l"]).unwrap();
    let expected = shell.clone();
    container
        .expect_login_command()
        .withf(move |command, _| *command == Some(&expected))
        .returning(|_, _| Ok(vec!["podman".into()]));
    container
        .expect_stop()
        .with(predicate::eq(Duration::from_secs(5)), predicate::always())
        .times(1)
        .returning(|_, _| Ok(()));

    assert_eq!(
        container.login_command(Some(&shell), &Until::forever()).unwrap(),
        ["podman"]
    );
    assert!(
        panic_of(|| container.login_command(None, &Until::forever()))
            .contains("login_command")
    );
    container.stop(Duration::from_secs(5), &Until::forever()).unwrap();
}

#[test]
fn mocked_streams_and_reservations_are_handed_out_in_boxes() {
    let mut container = MockContainer::new();
    container.expect_logs().times(1).returning(|_, _| {
        let mut stream = MockPullStream::new();
        stream
            .expect_pull()
            .times(1)
            .returning(|_| Ok(Pull::Item(LogLine::new(OutputStream::Stdout, "up"))));
        stream.expect_pull().returning(|_| Ok(Pull::End));
        stream.expect_close().returning(|| Ok(()));
        Ok(Box::new(stream))
    });
    let mut log = container.logs(&LogOptions::new(), &Until::forever()).unwrap();
    assert!(
        matches!(log.pull(&Until::forever()), Ok(Pull::Item(line)) if line.text() == "up")
    );
    assert_eq!(log.pull(&Until::forever()).unwrap(), Pull::End);
    log.close().unwrap();

    let mut runtime = MockContainerRuntime::new();
    runtime.expect_events().times(1).returning(|_, _| {
        let mut stream = MockPullStream::new();
        let event = Event::new(name("a"), EventAction::Died, std::time::UNIX_EPOCH);
        stream.expect_pull().return_once(move |_| Ok(Pull::Item(event)));
        Ok(Box::new(stream))
    });
    runtime.expect_reserve_port().times(1).returning(|host| {
        let mut port = MockPortReservation::new();
        port.expect_address().return_const(SocketAddr::new(host, 4242));
        port.expect_port().return_const(4242_u16);
        port.expect_close().times(1).returning(|| Ok(()));
        Ok(Box::new(port))
    });
    let mut events = runtime.events(&EventOptions::new(), &Until::forever()).unwrap();
    let Pull::Item(event) = events.pull(&Until::forever()).unwrap() else {
        panic!("no event")
    };
    assert_eq!(event.action, EventAction::Died);
    let mut port = runtime.reserve_port([127, 0, 0, 1].into()).unwrap();
    assert_eq!(port.address().port(), port.port());
    port.close().unwrap();
}

#[test]
fn extension_methods_are_answered_from_what_they_project() -> Result<()> {
    let mut runtime = MockContainerRuntime::new();
    runtime.expect_list().returning(|_, _| {
        Ok(vec![ContainerInfo::new(name("job-1"), "1".parse()?, ContainerState::Running)])
    });
    runtime.expect_exec().returning(|_, _, _| Ok(said("hello")));
    runtime.expect_container().returning(|_| {
        let mut container = MockContainer::new();
        container.expect_inspect().returning(|_| Ok(None));
        Arc::new(container)
    });

    let family = NamePrefix::new("job")?;
    assert_eq!(runtime.states(&family, LIMIT)?[&name("job-1")], ContainerState::Running);
    assert_eq!(runtime.exec_in("job-1", ["echo", "hello"], LIMIT)?.stdout, "hello");
    let found = runtime.containers_with_prefix(&family, LIMIT)?;
    assert_eq!(
        (found.len(), found[0].running(LIMIT)?, found[0].id(LIMIT)?),
        (1, false, None)
    );

    let mut image = MockImage::new();
    image.expect_inspect().returning(|_| Ok(Some(ImageInfo::new("sha256:1".parse()?))));
    assert_eq!(
        (image.exists(LIMIT)?, image.id(LIMIT)?),
        (true, Some("sha256:1".parse()?))
    );
    Ok(())
}
