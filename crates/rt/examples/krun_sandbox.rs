//! A sandbox for code that nobody trusts: a microVM, whose kernel is its own. Only the
//! way in differs from a container.
//!
//! `cargo run -p rt --features krun --example krun_sandbox`. It runs on the in-memory
//! backend and a transport that plays the guest. On a host with krun, the transport is a
//! `TcpSshTransport` (see the crate `rt-krun`). Copy [`open`] and [`try_out`].

use std::sync::Arc;
use std::time::Duration;

use rt::krun::{FakeKrunTransport, FakeReply, KrunLaunchExt, KrunRuntime};
use rt::prelude::*;
use rt::{
    Argv, ContainerName, Error, ErrorKind, ExecRequest, ExitOutcome, LaunchSpec,
    OutputLimit, Result, Until,
};
use rt_null::NullRuntime;

/// How long the machine may take to boot.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// How long one command may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Makes a machine that ends, and is removed, if this program dies.
fn open(runtime: &KrunRuntime, name: &str) -> Result<Arc<dyn Container>> {
    let spec = LaunchSpec::builder(name, "localhost/guest")
        .ssh_port(2222)
        .authorized_keys("/home/me/.ssh/guest.pub", "/etc/ssh/authorized_keys")?
        .memory(512 << 20)
        .command(["guest-init", "--for", "1h"])
        .extra_args(["--rm"])
        .build()?;
    let until = Until::after(BOOT_LIMIT);
    let machine = runtime.launch(&spec, &until)?;
    // The machine runs before its sshd does.
    runtime.transport().wait_until_reachable(&machine, &until)?;
    Ok(machine)
}

/// What is known of a program after it was tried out.
enum Verdict {
    /// It ran to its end, and the machine can be used again.
    Ended(ExitOutcome, String),
    /// Nobody knows what it has done. The machine must go.
    Spoiled(String),
}

/// Tries out a program that nobody trusts. An error is one of the host.
fn try_out(machine: &dyn Container, program: &str) -> Result<Verdict> {
    let request = ExecRequest::builder([program])
        .workdir("/tmp")
        .output_limit(OutputLimit::head_and_tail(2000, 2000))
        .build()?;
    match machine.exec(&request, &Until::after(TIME_LIMIT)) {
        // The guest did not say how it ended: it may still run.
        Ok(result) if result.outcome == ExitOutcome::Lost => {
            Ok(Verdict::Spoiled(String::from("the guest was lost")))
        }
        // What it prints is the guest's word.
        Ok(result) => {
            Ok(Verdict::Ended(result.outcome, result.stdout.text().into_owned()))
        }
        // A guest may say of a command that was ended what it likes.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::TimedOut
                    | ErrorKind::Unreachable
                    | ErrorKind::HostKeyMismatch
                    | ErrorKind::AuthenticationRefused
            ) =>
        {
            Ok(Verdict::Spoiled(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn main() -> Result<()> {
    let runtime = rehearsal()?;
    let mut machine = open(&runtime, "vm-1")?;
    for program in ["./polite", "./crasher", "./key-changer", "./polite"] {
        match try_out(machine.as_ref(), program)? {
            Verdict::Ended(outcome, output) => {
                println!("{program}: {outcome}: {output:?}");
            }
            Verdict::Spoiled(reason) => {
                println!("{program}: {reason}; the next one gets a new machine");
                let names = [machine.key().name.clone()];
                for removed in runtime.force_remove(&names, &Until::after(BOOT_LIMIT)) {
                    removed.error.map_or(Ok(()), Err)?;
                }
                machine = open(&runtime, "vm-1")?;
            }
        }
    }
    Ok(())
}

/// A runtime that plays podman and the guest.
fn rehearsal() -> Result<KrunRuntime> {
    let transport = Arc::new(FakeKrunTransport::new());
    let name = ContainerName::new("vm-1")?;
    let changed =
        Error::new(ErrorKind::HostKeyMismatch, "connect to", "it shows another key");
    for (program, reply) in [
        ("./polite", FakeReply::code(0).with_stdout("hello\n")),
        ("./crasher", FakeReply::outcome(ExitOutcome::Lost)),
        ("./key-changer", FakeReply::error(changed.in_container(&name))),
    ] {
        transport.reply(&name, &Argv::new([program])?, reply);
    }
    Ok(KrunRuntime::over(Arc::new(NullRuntime::new()), transport))
}
