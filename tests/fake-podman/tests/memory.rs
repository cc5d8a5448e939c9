//! A gigabyte of output, from podman itself and from a command, in bounded memory. Alone in its
//! process, which it measures.

#![allow(clippy::unwrap_used, reason = "the panic of a test is its report")]

#[path = "stage/engine.rs"]
mod engine;

use std::fs;

use rt_protocol::{
    Container, ContainerFilter, ContainerRuntime, ErrorKind, ExecRequest, ExitOutcome, OutputLimit, Until,
};

use engine::{Engine, patience};

/// The most memory that this process ever had, in KiB. proc(5).
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_gigabyte_of_output_does_not_become_a_gigabyte_of_memory() {
    const GIGABYTE: u64 = 1 << 30;
    let engine = Engine::new("4.3.1");
    engine.created("c");
    // What a command writes, as far as the caller wants it. The microVM question comes first and
    // has an answer.
    let runtime = engine.faulty("exec:huge-output");
    let request = ExecRequest::builder(["true"]).output_limit(OutputLimit::bytes(64 << 10)).build().unwrap();
    let container = runtime.container(&rt_protocol::ContainerName::new("c").unwrap());
    let result = container.exec(&request, &patience()).unwrap();
    // Nobody has seen a command return that code.
    assert_eq!(result.outcome, ExitOutcome::Lost);
    assert_eq!((result.stdout.as_bytes().len(), result.stdout.total()), (64 << 10, GIGABYTE));
    assert!(peak() < 100 << 10, "the peak is {} KiB", peak());
    // What podman answers: it is kept up to 256 MiB, which no listing reaches, and then refused.
    let error = engine.faulty("huge-output").list(&ContainerFilter::all(), &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{error}");
    assert!(error.to_string().contains(&GIGABYTE.to_string()), "{error}");
    assert!(peak() < 640 << 10, "the peak is {} KiB", peak());
}
