//! A command that does nothing, in a running container.

use rt_protocol::{ContainerRuntime, ExecRequest, Until};

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
    let request = ExecRequest::new(["true"])?;
    let until = Until::forever();
    let ours = |()| {
        for _ in 0..IN_A_ROW {
            if !live.runtime.exec(&sandbox.name, &request, &until)?.ok() {
                return Err("true is not true".into());
            }
        }
        Ok(())
    };
    let script = format!("for i in $(seq {IN_A_ROW}); do \"$podman\" exec \"$1\" true || exit; done");
    let theirs = |()| shell::run_with_podman(live, &script, [sandbox.name.as_str()]);
    let rounds = in_turns(12, || Ok(()), ours, theirs)?;
    // At most 1.05 times their time.
    let target = Target::Ratio(1.0 / 1.05);
    Ok(Row::of("podman-exec", "ten commands, and a loop of `podman exec`", Unit::Seconds, target, &rounds))
}
