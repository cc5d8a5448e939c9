//! Limits: how much of an output is kept.

use std::fs;
use std::time::Instant;

use rt_protocol::{Capability, ExecRequestBuilder, ExecResult, ExitOutcome, OutputLimit, Until};

use crate::ensure::same_bytes;
use crate::script::pattern;
use crate::timeout::{TIMEOUT, timeout};
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Limits, run).can(&[Capability::OutputLimits]).needs(&[Need::Shell]).core()
}

pub(super) const CASES: &[Case] = &[
    fact("limits: below the limit nothing is cut", below),
    fact("limits: at the limit nothing is cut", at),
    fact("limits: one byte over the limit is one byte omitted", over),
    fact("limits: head and tail are those of the stream", head_and_tail),
    fact("limits: a limit of nothing keeps nothing and counts all", nothing),
    fact("limits: each stream has its own limit", each_stream),
    fact("limits: a cut is no error, and the code stays", code_stays),
    fact("limits: a long stream under a limit needs little memory", memory)
        .needs(&[Need::Shell, Need::Streaming]),
];

fn flood(
    context: &TestContext<'_>,
    script: &Script,
    with: impl FnOnce(ExecRequestBuilder) -> ExecRequestBuilder,
) -> Result<ExecResult, Failure> {
    let request = with(context.builder(script)).build()?;
    Ok(context.standing()?.exec(&request, &timeout())?)
}

fn stdout(bytes: u64) -> Script {
    Script::Flood { stdout: bytes, stderr: 0, code: 0 }
}

fn below(context: &TestContext<'_>) -> Verdict {
    let result = flood(context, &stdout(999), |request| request.output_limit(OutputLimit::bytes(1000)))?;
    ensure!(!result.stdout.is_truncated(), "999 of 1000 bytes were cut: {:?}", result.stdout)?;
    same_bytes("stdout", result.stdout.as_bytes(), &pattern(999))
}

fn at(context: &TestContext<'_>) -> Verdict {
    let result = flood(context, &stdout(1000), |request| request.output_limit(OutputLimit::bytes(1000)))?;
    ensure!(!result.stdout.is_truncated(), "1000 of 1000 bytes were cut: {:?}", result.stdout)?;
    same_bytes("stdout", result.stdout.as_bytes(), &pattern(1000))
}

fn over(context: &TestContext<'_>) -> Verdict {
    let result = flood(context, &stdout(1001), |request| request.output_limit(OutputLimit::bytes(1000)))?;
    ensure_eq!((result.stdout.total(), result.stdout.omitted()), (1001, 1), "total and omitted bytes")?;
    let all = pattern(1001);
    same_bytes("the head", result.stdout.head(), &all[..500])?;
    same_bytes("the tail", result.stdout.tail(), &all[501..])
}

fn head_and_tail(context: &TestContext<'_>) -> Verdict {
    let limit = OutputLimit::head_and_tail(10, 3000);
    let result = flood(context, &stdout(300_000), |request| request.output_limit(limit))?;
    let all = pattern(300_000);
    ensure_eq!(result.stdout.total(), 300_000, "the total")?;
    same_bytes("the head", result.stdout.head(), &all[..10])?;
    same_bytes("the tail", result.stdout.tail(), &all[297_000..])
}

fn nothing(context: &TestContext<'_>) -> Verdict {
    let result = flood(context, &stdout(5000), |request| request.output_limit(OutputLimit::bytes(0)))?;
    ensure_eq!((result.stdout.as_bytes().len(), result.stdout.total()), (0, 5000), "kept and total bytes")
}

fn each_stream(context: &TestContext<'_>) -> Verdict {
    let script = Script::Flood { stdout: 5000, stderr: 4000, code: 0 };
    let limit = OutputLimit::head_and_tail(100, 0);
    let result = flood(context, &script, |request| request.stdout_limit(limit))?;
    ensure_eq!(
        (result.stdout.as_bytes().len(), result.stdout.total()),
        (100, 5000),
        "kept and total of stdout"
    )?;
    same_bytes("stderr", result.stderr.as_bytes(), &pattern(4000))?;
    let result = flood(context, &script, |request| request.stderr_limit(limit))?;
    same_bytes("stdout", result.stdout.as_bytes(), &pattern(5000))?;
    ensure_eq!(
        (result.stderr.as_bytes().len(), result.stderr.total()),
        (100, 4000),
        "kept and total of stderr"
    )
}

fn code_stays(context: &TestContext<'_>) -> Verdict {
    let script = Script::Flood { stdout: 5000, stderr: 0, code: 5 };
    let result = flood(context, &script, |request| request.output_limit(OutputLimit::bytes(10)))?;
    ensure_eq!(result.outcome, ExitOutcome::Code(5), "the outcome")?;
    ensure!(result.stdout.is_truncated(), "nothing was cut")
}

fn memory(context: &TestContext<'_>) -> Verdict {
    let Some(before) = resident_kib() else { return Err(Failure::skip("this system does not tell memory")) };
    let size = 64 << 20;
    let limit = OutputLimit::bytes(64 << 10);
    // An emulated guest on a busy host needs more than a minute for the whole output. A sixteenth
    // is enough.
    let began = Instant::now();
    let sample = flood(context, &Script::Zeros(size / 16), |request| request.output_limit(limit))?;
    ensure_eq!(sample.stdout.total(), size / 16, "the total of a sixteenth")?;
    let until = Until::after(TIMEOUT.max(began.elapsed() * 16 * 4));
    // Zeros, because an emulated guest prints numbered lines slowly, and this case is not about the
    // guest.
    let request = context.builder(&Script::Zeros(size)).output_limit(limit).build()?;
    let result = context.standing()?.exec(&request, &until)?;
    ensure_eq!(result.stdout.total(), size, "the total")?;
    let peak = resident_kib().unwrap_or_default();
    ensure!(peak < before + (32 << 10), "{} KiB more than before", peak.saturating_sub(before))
}

/// Returns the highest resident memory of this process so far (proc(5), `VmHWM`), in KiB.
fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
