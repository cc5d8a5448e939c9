//! A wrapper with its tests: it stands in front of any backend, and notes each command in
//! an audit. The suite for backends shows that it changes nothing else.
//!
//! `cargo run -p rt --example testing_a_wrapper`. In a project the functions at the end
//! are `#[test]`s; `rt-conformance` and `rt-null` with the feature `conformance` are
//! dev-dependencies.

use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rt::prelude::*;
use rt::{
    Argv, Capabilities, CommandControl, CommandStreams, ContainerInfo, ContainerKey,
    ContainerName, ExecRequest, ExecResult, ExecStdio, LaunchSpec, Result, RuntimeId,
    SpawnStdio, StdioResult, Until,
};

// ----- The wrapper. -----

/// The programs of all commands, in order. Arguments may contain secrets.
#[derive(Clone, Default)]
struct Audit(Arc<Mutex<Vec<String>>>);

/// Short: it is a part of each handle.
impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}

impl Audit {
    fn note(&self, key: &ContainerKey, argv: &Argv) {
        let entry = format!("{}: {}", key.name, argv.program().display());
        self.0.lock().expect("nobody panics with it").push(entry);
    }
}

#[derive(Debug)]
struct AuditedRuntime(Arc<dyn ContainerRuntime>, Audit);

impl ContainerRuntime for AuditedRuntime {
    fn id(&self) -> &RuntimeId {
        self.0.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        Arc::new(AuditedContainer(self.0.container(name), self.1.clone()))
    }

    fn inner(&self) -> Option<&dyn ContainerRuntime> {
        // Whatever is not here is asked of it.
        Some(&*self.0)
    }
}

#[derive(Debug)]
struct AuditedContainer(Arc<dyn Container>, Audit);

impl Container for AuditedContainer {
    fn key(&self) -> &ContainerKey {
        self.0.key()
    }

    fn inner(&self) -> Option<&dyn Container> {
        Some(&*self.0)
    }

    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
        self.0.inspect(until)
    }

    // The ways to run a command are never inherited: here are all of them.

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        self.1.note(self.key(), request.argv());
        self.0.exec(request, until)
    }

    fn exec_stdio(
        &self,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        until: &Until,
    ) -> Result<StdioResult> {
        self.1.note(self.key(), request.argv());
        self.0.exec_stdio(request, stdio, until)
    }

    fn spawn(
        &self,
        request: &ExecRequest,
        streams: &mut CommandStreams,
        until: &Until,
    ) -> Result<Box<dyn CommandControl>> {
        // A backend without this way gets `exec_stdio` next.
        let command = self.0.spawn(request, streams, until)?;
        self.1.note(self.key(), request.argv());
        Ok(command)
    }

    fn login_command(
        &self,
        command: Option<&Argv>,
        until: &Until,
    ) -> Result<Vec<OsString>> {
        let words = self.0.login_command(command, until)?;
        self.1.note(self.key(), command.unwrap_or(&Argv::new(["(login)"])?));
        Ok(words)
    }
}

// ----- Its tests. -----

use rt_conformance::{Case, Group, Suite};
use rt_null::NullRuntime;
use rt_null::conformance::NullFixture;

type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn main() -> Outcome {
    each_command_is_noted_once()?;
    it_behaves_as_the_backend_behind_it()
}

fn each_command_is_noted_once() -> Outcome {
    let audit = Audit::default();
    let runtime = AuditedRuntime(Arc::new(NullRuntime::new()), audit.clone());
    let job =
        runtime.launch(&LaunchSpec::builder("job", "localhost/image").build()?, LIMIT)?;
    runtime.exec_in("job", ["make", "hunter2"], LIMIT)?.exit_ok()?;
    let request = ExecRequest::new(["cat"])?;
    job.exec_stdio(&request, ExecStdio::default(), &LIMIT.into())?.exit_ok()?;
    job.spawn_command(&request, SpawnStdio::new(), LIMIT)?.wait(LIMIT)?.exit_ok()?;
    assert_eq!(
        *audit.0.lock().expect("unpoisoned"),
        ["job: make", "job: cat", "job: cat"]
    );
    Ok(())
}

fn it_behaves_as_the_backend_behind_it() -> Outcome {
    let fixture = NullFixture::wrapped_by(|null| {
        Arc::new(AuditedRuntime(Arc::new(null), Audit::default()))
    });
    // What a wrapper can break. `run_all` has the rest.
    let wanted = |case: &Case| {
        use Group::{Claims, Exec, Identity, Spawn, Stdio, Wrappers};
        matches!(case.group(), Claims | Exec | Identity | Spawn | Stdio | Wrappers)
    };
    let runtime = fixture.runtime();
    let report = Suite::new(&runtime, &fixture).run(&wanted, &mut |_, _| {});
    println!(
        "{} facts hold, {} cannot be decided here",
        report.passed(),
        report.skipped()
    );
    if report.ok() { Ok(()) } else { Err(report.to_string().into()) }
}
