//! The spans of operations where podman fails: how they end, and what is in none of them.

#![allow(clippy::unwrap_used, reason = "the panic of a test is its report")]

#[path = "stage/engine.rs"]
mod engine;

use rt_protocol::{Container, ContainerFilter, ContainerName, ContainerRuntime, ExecRequest};
use rt_tests::spans::SpanLog;

use engine::{Engine, patience};

#[test]
fn a_failed_operation_has_a_span_with_the_kind_of_its_error() {
    let engine = Engine::new("4.3.1");
    engine.created("c");
    let runtime = engine.runtime();
    let container = runtime.container(&ContainerName::new("c").unwrap());
    let absent = runtime.container(&ContainerName::new("nosuch").unwrap());
    let request = ExecRequest::new(["/opt/hunter2/tool", "hunter2"]).unwrap();
    let spans = SpanLog::record(|| {
        container.exec(&request, &patience()).unwrap_err();
        absent.start(&patience()).unwrap_err();
        runtime.list(&ContainerFilter::all(), &patience()).unwrap();
    });
    let seen: Vec<_> = spans
        .into_iter()
        .map(|mut fields| {
            assert!(fields.remove("elapsed_us").is_some());
            fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(
        seen,
        [
            "container=c operation=exec in outcome=not-running path=cold program=tool",
            "container=nosuch operation=start outcome=no-such-container",
            "operation=list containers outcome=ok",
        ]
    );
}
