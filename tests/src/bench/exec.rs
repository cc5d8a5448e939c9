//! A command that does nothing, in a running container, by `podman exec`.

use rt_podman::ExecPath;
use rt_protocol::{ContainerRuntime, ExecRequest, Until};

use super::bollard_session::BollardSession;
use super::rounds::in_turns;
use crate::bench::outcome::Outcome;
use crate::bench::row::{Row, Target, Unit};
use crate::bench::shell;
use crate::live::Live;
use crate::sandbox::Sandbox;

/// In a row, so that the start of the shell does not count.
const IN_A_ROW: u32 = 10;

pub(super) fn measure(live: &Live) -> Outcome<Row> {
    let sandbox = Sandbox::idle(live)?;
    let script = format!("for i in $(seq {IN_A_ROW}); do \"$podman\" exec \"$1\" true || exit; done");
    let theirs = || shell::run_with_podman(live, &script, [sandbox.name.as_str()]);
    let rounds = against(live, &sandbox, theirs)?;
    // At most 1.05 times their time.
    let target = Target::Ratio(1.0 / 1.05);
    Ok(Row::of("podman-exec", "ten commands, and a loop of `podman exec`", Unit::Seconds, target, &rounds))
}

pub(super) fn measure_bollard(live: &Live) -> Outcome<Row> {
    let sandbox = Sandbox::idle(live)?;
    let session = BollardSession::open(live)?;
    let theirs = || session.run(sandbox.name.as_str(), &["true"], IN_A_ROW);
    let rounds = against(live, &sandbox, theirs)?;
    let what = "ten commands, and ten by the crate bollard over podman's socket";
    // A service that is kept needs no start of podman for each; what ours has for that stands with
    // its limits.
    Ok(Row::of("podman-exec-bollard", what, Unit::Seconds, Target::Shown, &rounds))
}

/// The time of all, ours and theirs.
fn against(live: &Live, sandbox: &Sandbox<'_>, theirs: impl Fn() -> Outcome) -> Outcome<Vec<(f64, f64)>> {
    let runtime = live.builder().exec_path(ExecPath::Cold).build()?;
    let request = ExecRequest::new(["true"])?;
    let until = Until::forever();
    let ours = |()| {
        for _ in 0..IN_A_ROW {
            if !runtime.exec(&sandbox.name, &request, &until)?.success() {
                return Err("true is not true".into());
            }
        }
        Ok(())
    };
    in_turns(12, || Ok(()), ours, |()| theirs())
}
