//! Tracing events: their documented fields, and no argument, variable or secret in any of them.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};

use rt_process::{LineStream, ProcessSpec, Program, capture};
use rt_protocol::{OutputLimit, Secret, Source, Until};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Records every event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("rt_process")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        assert_eq!(event.metadata().target(), "rt_process");
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{}={value:?};", field.name()).unwrap();
    }
}

#[test]
fn a_run_is_told_by_program_count_and_number_alone() {
    let shell = Program::find("sh").unwrap();
    let spec = ProcessSpec::new(&shell)
        .args(["-c", "exit 3", "sh", "plain-argument"])
        .secret_arg(&Secret::new("hunter2"))
        .env("NAME", "plain-value")
        .secret_env("TOKEN", Secret::new("swordfish"));
    let log = Log::default();
    let pid = tracing::subscriber::with_default(log.clone(), || {
        let limit = OutputLimit::UNLIMITED;
        let finished = capture(&spec, Source::bytes("input"), limit, limit, &Until::forever()).unwrap();
        let sleep = ProcessSpec::new(&shell).args(["-c", "exec sleep 1000"]);
        drop(LineStream::spawn(&sleep, 100).unwrap());
        finished.pid.unwrap()
    });
    let events = log.0.lock().unwrap().clone();
    let path = shell.path().display();
    assert_eq!(
        events[..2],
        [
            (Level::DEBUG, format!("message=process started;program={path};arguments=5;pid={pid};")),
            (Level::DEBUG, format!("message=process ended;pid={pid};status=exit code 3;")),
        ]
    );
    let told = format!("{events:?}");
    for word in ["hunter2", "swordfish", "plain", "input", "NAME"] {
        assert!(!told.contains(word), "{told}");
    }
    assert!(events.iter().any(|(_, text)| text.contains("without close")), "{told}");
}
