//! Waiting for readiness by several conditions.

use std::time::{Duration, Instant};

use rt_protocol::{
    ContainerExt, ContainerRuntimeExt, ErrorKind, ExecRequest, Network, PartialOutput, PortMapping,
    ReadyWhen, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("ready: a log line, a command and a port, all of them", all),
    ("ready: a container that has ended fails early, with its last words", ended),
    ("ready: a deadline says what was not met", deadline),
    ("ready: a sign of an earlier run does not count", earlier_run),
    ("ready: a health check of podman's", health),
];

fn until() -> Until {
    Until::after(Duration::from_secs(30))
}

fn sign() -> ReadyWhen {
    ReadyWhen::new().log_line("the sign", |line| line == ">> ready")
}

fn all(live: &Live) -> Outcome {
    let script = "sleep 1; touch /tmp/made; echo '>> ready' >&2; sleep 0.5; nc -ll -p 8080 -e cat";
    let spec = Sandbox::spec(live)
        .network(Network::Default)
        .port(PortMapping::any_port_on_loopback(8080))
        .command(["sh", "-c", script]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let when = sign().exec(ExecRequest::new(["test", "-e", "/tmp/made"])?).tcp_port(8080);
    let ready = live.runtime.wait_until_ready(&sandbox.name, &when, until())?;
    assert_eq!(ready.lines, [">> ready"]);
    let published = sandbox.container.ports(Until::forever())?.unwrap_or_default();
    assert_eq!(ready.addresses.len(), 1);
    assert_eq!(ready.addresses[0].port(), published[0].host_port);
    assert!(ready.elapsed > Duration::from_secs(1), "{:?}", ready.elapsed);
    Ok(())
}

fn ended(live: &Live) -> Outcome {
    let script = "echo loading; echo 'no database' >&2; sleep 1; exit 3";
    for when in [sign(), ReadyWhen::new().tcp_port(80), ReadyWhen::new().exec(ExecRequest::new(["false"])?)] {
        let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
        let begun = Instant::now();
        let error = live.runtime.wait_until_ready(&sandbox.name, &when, until()).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
        assert!(error.to_string().contains("exit code 3"), "{error}");
        let Some(PartialOutput::Output { stdout, stderr }) = error.partial() else { panic!("{error:?}") };
        assert_eq!((stdout.text(), stderr.text()), ("loading\n".into(), "no database\n".into()));
    }
    Ok(())
}

fn deadline(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let when = sign().exec(ExecRequest::new(["sh", "-c", "exit 4"])?).tcp_port(80);
    // Enough for the command to answer once.
    let time = sandbox.allow(Duration::from_secs(1))?;
    let begun = Instant::now();
    let error = live.runtime.wait_until_ready(&sandbox.name, &when, Until::after(time)).unwrap_err();
    assert!(begun.elapsed() < time + Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let text = error.to_string();
    assert!(text.contains("exit code 4") && text.contains("not published"), "{text}");
    Ok(())
}

fn earlier_run(live: &Live) -> Outcome {
    let script = "if [ -e /tmp/ran ]; then echo again; sleep 777777; fi; touch /tmp/ran; echo '>> ready'";
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
    let _ = sandbox.container.wait(&until())?;
    sandbox.container.start(&until())?;
    let short = Until::after(Duration::from_secs(2));
    let error = live.runtime.wait_until_ready(&sandbox.name, &sign(), &short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let again = ReadyWhen::new().log_line("the second run", |line| line == "again");
    live.runtime.wait_until_ready(&sandbox.name, &again, until())?;
    Ok(())
}

/// podman runs health checks by timers of systemd, which a test host may not have; so the check is
/// run by hand here.
fn health(live: &Live) -> Outcome {
    let without = Sandbox::idle(live)?;
    let healthy = ReadyWhen::new().healthy();
    let error = live.runtime.wait_until_ready(&without.name, &healthy, until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    let spec = Sandbox::spec(live)
        .extra_args(["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"])
        .command(["sleep", "777777"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let short = Until::after(Duration::from_millis(500));
    let error = live.runtime.wait_until_ready(&sandbox.name, &healthy, &short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    sandbox.sh("touch /tmp/well")?.exit_ok()?;
    let check = rt_process::ProcessSpec::new(&rt_process::Program::find(&live.podman)?).args([
        "healthcheck",
        "run",
        sandbox.name.as_str(),
    ]);
    let limit = rt_protocol::OutputLimit::UNLIMITED;
    rt_process::capture(&check, rt_protocol::Source::empty(), limit, limit, &until())?;
    live.runtime.wait_until_ready(&sandbox.name, &healthy, until())?;
    Ok(())
}
