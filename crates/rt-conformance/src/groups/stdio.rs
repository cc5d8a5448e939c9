//! Stdio: commands whose streams are bridged. Whole calls and their ends stand in [`calls`], single streams and the
//! caller's descriptors in [`streams`].

pub(super) mod calls;
pub(super) mod streams;

use rt_protocol::{Capability, ExecStdio, Sink, Source, StdioResult};

use crate::case::{Case, Group, Need};
use crate::lab::patience;
use crate::{Failure, Lab, Script, Verdict};

const fn fact(name: &'static str, run: fn(&Lab<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Stdio, run).can(&[Capability::ExecStdio]).needs(&[Need::Shell]).core()
}

/// Bridges a script in the standing container.
fn bridge(lab: &Lab<'_>, script: &Script, stdio: ExecStdio<'_>) -> Result<StdioResult, Failure> {
    Ok(lab.standing()?.exec_stdio(&lab.request(script)?, stdio, &patience())?)
}

/// Bridges a script with these bytes as stdin, and gives what came out of stdout.
fn piped(lab: &Lab<'_>, script: &Script, stdin: &[u8]) -> Result<(StdioResult, Vec<u8>), Failure> {
    let mut stdout = Vec::new();
    let result = bridge(lab, script, ExecStdio::new(Source::bytes(stdin), Sink::borrowed(&mut stdout)))?;
    Ok((result, stdout))
}
