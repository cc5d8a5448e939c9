//! Stdio: commands whose streams are bridged. [`calls`] has whole calls and their ends, [`streams`]
//! single streams and the caller's descriptors.

pub(super) mod calls;
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

/// Bridges a script with these bytes as stdin, and returns its stdout.
fn piped(
    context: &TestContext<'_>,
    script: &Script,
    stdin: &[u8],
) -> Result<(StdioResult, Vec<u8>), Failure> {
    let mut stdout = Vec::new();
    let result = bridge(context, script, ExecStdio::new(Source::bytes(stdin), Sink::borrowed(&mut stdout)))?;
    Ok((result, stdout))
}
