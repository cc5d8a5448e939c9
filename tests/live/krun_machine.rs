//! A sealed virtual machine, through rt-krun: its commands run in it, and what becomes of it is
//! told truly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_krun::{KrunRuntime, PodmanPortResolver, TcpSshTransport};
use rt_protocol::{Container, ErrorKind, ExecRequest, ExitOutcome, Until};
use rt_tests::krun::wait_until_reachable;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::GUEST_PORT;
use rt_tests::ssh_lab::container::{exec_beside, send_signal};
use rt_tests::ssh_lab::key::KeyPair;
use rt_tests::ssh_lab::machine::MachineFiles;
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::krun_commands::sh;

pub(crate) const CASES: &[Case] = &[
    ("krun machine: commands run in it from its first second on, and podman's beside it", boots),
    ("krun machine: one that is frozen and thawed is waited out", frozen),
    ("krun machine: a command in one that is killed is lost", killed),
    ("krun machine: one with another host key, in the same container and port, is refused", rebuilt),
];

/// A virtual machine, and what enters it.
struct Machine {
    runtime: KrunRuntime,
    files: MachineFiles,
    _keys: TempDir,
}

impl Machine {
    fn make(live: &Live) -> Result<Self, Problem> {
        let keys = TempDir::new()?;
        let identity = KeyPair::generate(keys.path())?;
        let files = MachineFiles::make(live, live.machine()?, live.sshd()?, &identity)?;
        let resolver = PodmanPortResolver::new(live.runtime.clone()).guest_port(GUEST_PORT)?;
        let transport = TcpSshTransport::builder(identity.private(), resolver).build();
        let runtime = KrunRuntime::on(live.runtime.clone(), Arc::new(transport));
        Ok(Self { runtime, files, _keys: keys })
    }
}

fn patience() -> Until {
    Until::after(Duration::from_secs(120))
}

fn boots(live: &Live) -> Outcome {
    let machine = Machine::make(live)?;
    let sandbox = Sandbox::launch(&machine.runtime, machine.files.spec(live)?)?;
    wait_until_reachable(sandbox.container.as_ref(), &patience())?;
    let inside = sh(sandbox.container.as_ref(), "uname -r; id -un; pwd")?.stdout.text().into_owned();
    assert!(inside.ends_with("-cloud-amd64\ndev\n/workspace\n"), "{inside}");
    let beside = exec_beside(live, sandbox.container.as_ref(), ["uname", "-r"])?;
    assert_ne!(beside.lines().next(), inside.lines().next());
    Ok(())
}

/// Runs a command that stays, does `this` once it runs, and gives the outcome.
fn meanwhile(
    container: &dyn Container,
    script: &str,
    this: impl FnOnce() -> Outcome,
) -> Result<rt_protocol::ExecResult, Problem> {
    let request = ExecRequest::new(["sh", "-c", &format!("touch /tmp/runs; {script}")])?;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| container.exec(&request, &patience()));
        while !sh(container, "test -e /tmp/runs")?.success() {}
        this()?;
        Ok(call.join().expect("no panic")?)
    })
}

fn frozen(live: &Live) -> Outcome {
    let machine = Machine::make(live)?;
    let sandbox = Sandbox::launch(&machine.runtime, machine.files.spec(live)?)?;
    wait_until_reachable(sandbox.container.as_ref(), &patience())?;
    let result = meanwhile(sandbox.container.as_ref(), "sleep 1; echo done", || {
        send_signal(live, sandbox.container.as_ref(), "STOP")?;
        std::thread::sleep(Duration::from_secs(3));
        send_signal(live, sandbox.container.as_ref(), "CONT")
    })?;
    assert_eq!((result.outcome, result.stdout.text().as_ref()), (ExitOutcome::Code(0), "done\n"));
    Ok(())
}

fn killed(live: &Live) -> Outcome {
    let machine = Machine::make(live)?;
    let sandbox = Sandbox::launch(&machine.runtime, machine.files.spec(live)?)?;
    wait_until_reachable(sandbox.container.as_ref(), &patience())?;
    let begun = Instant::now();
    let result = meanwhile(sandbox.container.as_ref(), "sleep 600", || {
        send_signal(live, sandbox.container.as_ref(), "KILL")
    })?;
    assert_eq!(result.outcome, ExitOutcome::Lost);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let error = sandbox.container.exec(&ExecRequest::new(["true"])?, &patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
    Ok(())
}

fn rebuilt(live: &Live) -> Outcome {
    let mut machine = Machine::make(live)?;
    let sandbox = Sandbox::launch(&machine.runtime, machine.files.spec(live)?)?;
    wait_until_reachable(sandbox.container.as_ref(), &patience())?;
    sh(sandbox.container.as_ref(), "true")?.exit_ok()?;
    machine.files.change_host_key()?;
    sandbox.container.stop(Duration::ZERO, &patience())?;
    sandbox.container.start(&patience())?;
    wait_until_reachable(sandbox.container.as_ref(), &patience())?;
    let error = sandbox.container.exec(&ExecRequest::new(["true"])?, &patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyMismatch, "{error}");
    assert!(error.never_started());
    Ok(())
}
