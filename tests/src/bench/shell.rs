//! The other way: a shell script, as anybody would write it.

use std::ffi::OsString;
use std::time::Duration;

use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{OutputLimit, Source, Until};

use crate::bench::outcome::Outcome;
use crate::live::Live;

/// Runs a script with `$podman` and its arguments; a code other than 0 is an error.
pub(super) fn run_with_podman<I, S>(live: &Live, script: &str, args: I) -> Outcome
where
    I: IntoIterator<Item = S>,
    S: Into<OsString>,
{
    finish(spec(script, args)?.env("podman", live.podman.as_os_str()))
}

/// Runs a script with its arguments; a code other than 0 is an error.
pub(super) fn run<I, S>(script: &str, args: I) -> Outcome
where
    I: IntoIterator<Item = S>,
    S: Into<OsString>,
{
    finish(spec(script, args)?)
}

fn spec<I, S>(script: &str, args: I) -> Outcome<ProcessSpec>
where
    I: IntoIterator<Item = S>,
    S: Into<OsString>,
{
    Ok(ProcessSpec::new(&Program::find("sh")?).args(["-c", script, "sh"]).args(args))
}

fn finish(spec: ProcessSpec) -> Outcome {
    let limit = OutputLimit::bytes(4096);
    let until = Until::after(Duration::from_secs(600));
    let answer = rt_process::capture(&spec, Source::empty(), limit, limit, &until)?;
    match answer.status {
        Some(ExitStatus::Code(0)) => Ok(()),
        status => Err(format!("{spec}: {status:?}: {}", answer.stderr_capture.text()).into()),
    }
}
