//! Stdio: commands whose streams are bridged. [`calls`] has whole calls and their ends, [`streams`]
//! single streams and the caller's descriptors, [`sinks`] limits, lines and copies.

pub(super) mod calls;
pub(super) mod sinks;
pub(super) mod streams;

use rt_protocol::{Capability, ExecStdio, Sink, Source, StdioResult};

use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Stdio, run).can(&[Capability::ExecStdio]).needs(&[Need::Shell]).core()
}

/// Bridges a script in the standing container.
fn bridge(context: &TestContext<'_>, script: &Script, stdio: ExecStdio<'_>) -> Result<StdioResult, Failure> {
    Ok(context.standing()?.exec_stdio(&context.request(script)?, stdio, &timeout())?)
}

/// Bridges a script with this stdin, and returns its stdout.
fn piped(
    context: &TestContext<'_>,
    script: &Script,
    stdin: Source<'_>,
) -> Result<(StdioResult, Vec<u8>), Failure> {
    let mut stdout = Vec::new();
    let result = bridge(context, script, ExecStdio::new(stdin, Sink::borrowed(&mut stdout)))?;
    Ok((result, stdout))
}
