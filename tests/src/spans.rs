//! Records the spans of operations, with all their fields.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A subscriber that keeps the spans of operations.
#[derive(Clone, Debug, Default)]
pub struct SpanLog(Arc<Mutex<Vec<Fields>>>);

/// The fields of one span, as text.
pub type Fields = BTreeMap<&'static str, String>;

impl SpanLog {
    /// Runs `body` on this thread with the log as its subscriber, and returns the spans of
    /// operations that it opened, in order.
    pub fn record(body: impl FnOnce()) -> Vec<Fields> {
        let log = Self::default();
        tracing::subscriber::with_default(log.clone(), body);
        log.0.lock().expect("no panic under the lock").clone()
    }
}

impl Subscriber for SpanLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "rt"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut spans = self.0.lock().expect("no panic under the lock");
        let mut fields = Fields::new();
        attributes.record(&mut Visitor(&mut fields));
        spans.push(fields);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut spans = self.0.lock().expect("no panic under the lock");
        let place = usize::try_from(id.into_u64()).expect("a place in the list");
        values.record(&mut Visitor(&mut spans[place - 1]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use rt_null::{ExecReply, NullRuntime, StdioScript};
    use rt_protocol::{
        Container, ContainerExt, ContainerName, ContainerRuntime, ContainerState, ErrorKind, ExecRequest,
        ExecStdio, ExitOutcome, Sink, Source, SpawnStdio, Until,
    };

    use super::*;

    /// The fields but the time, which is there, as `name=value`.
    fn shown(mut fields: Fields) -> String {
        let elapsed = fields.remove("elapsed_us").expect("the time");
        assert!(elapsed.parse::<u64>().is_ok(), "{elapsed}");
        fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn operations_in_memory_have_spans_too() {
        let runtime = NullRuntime::new();
        runtime.set_state("job", ContainerState::Running).unwrap();
        runtime.set_exec("job", ["/bin/make", "secret-target"], ExecReply::code(3)).unwrap();
        runtime.set_stdio("job", ["cat"], StdioScript::new().write("abc")).unwrap();
        let job = runtime.container(&ContainerName::new("job").unwrap());
        let until = Until::forever();
        let make = ExecRequest::builder(["/bin/make", "secret-target"]).env("A", "b").build().unwrap();
        let cat = ExecRequest::new(["cat"]).unwrap();
        let spans = SpanLog::record(|| {
            assert_eq!(job.exec(&make, &until).unwrap().outcome, ExitOutcome::Code(3));
            let stdio = ExecStdio::new(Source::empty(), Sink::discard());
            assert!(job.exec_stdio(&cat, stdio, &until).unwrap().success());
            let mut command = job.spawn_command(&cat, SpawnStdio::new(), &until).unwrap();
            assert!(command.wait(&until).unwrap().success());
            assert!(job.inspect(&until).unwrap().is_some());
            let absent = runtime.container(&ContainerName::new("absent").unwrap());
            assert_eq!(absent.start(&until).unwrap_err().kind(), ErrorKind::NoSuchContainer);
        });
        let exec = "container=job operation=exec in outcome=exit code";
        assert_eq!(
            spans.into_iter().map(shown).collect::<Vec<_>>(),
            [
                format!("{exec} 3 program=make stderr_bytes=0 stdout_bytes=0"),
                format!("{exec} 0 program=cat stderr_bytes=0 stdin_bytes=0 stdout_bytes=3"),
                format!("{exec} 0 program=cat stderr_bytes=0 stdin_bytes=0 stdout_bytes=3"),
                String::from("container=job operation=inspect outcome=ok"),
                String::from("container=absent operation=start outcome=no-such-container"),
            ]
        );
    }
}
