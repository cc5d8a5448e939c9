//! The other way: podman in a shell script, as anybody would write it.

use std::time::Duration;

use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{OutputLimit, Source, Until};

use super::Outcome;
use crate::live::Live;

/// Runs a script with `$podman` and its arguments; a code other than 0 is an error.
pub(super) fn run<I, S>(live: &Live, script: &str, args: I) -> Outcome
where
    I: IntoIterator<Item = S>,
    S: Into<std::ffi::OsString>,
{
    let spec = ProcessSpec::new(&Program::find("sh")?)
        .args(["-c", script, "sh"])
        .args(args)
        .env("podman", live.podman.as_os_str());
    let limit = OutputLimit::bytes(4096);
    let until = Until::after(Duration::from_secs(600));
    let answer = rt_process::capture(&spec, Source::empty(), limit, limit, &until)?;
    match answer.status {
        Some(ExitStatus::Code(0)) => Ok(()),
        status => Err(format!("`{script}`: {status:?}: {}", answer.stderr_capture.text()).into()),
    }
}
