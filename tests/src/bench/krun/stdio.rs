//! One GiB from a command, and half of that into one.

use std::fs::File;
use std::time::Duration;

use rt_protocol::{ContainerName, ContainerRuntime, ExecRequest, ExecStdio, Sink, Source, Until};
use tempfile::NamedTempFile;

use super::exec::{channels_of, warm_guest};
use super::ssh_config::{GUEST, SshConfig};
use super::ssh2_session::Ssh2Session;
use crate::bench::outcome::Outcome;
use crate::bench::pipe;
use crate::bench::rounds::in_turns;
use crate::bench::row::{Row, Target, Unit};
use crate::bench::shell;
use crate::krun::LoopbackGuest;
use crate::live::Live;
use crate::ssh_lab::loopback::Settings;

const OUT: u64 = 1 << 30;
const IN: u64 = 512 << 20;
const ROUNDS: u32 = 5;

/// libssh2 alone keeps this part of our throughput at most.
const AGAINST_LIBSSH2: Target = Target::Ratio(0.95);

/// An agent keeps this part of a channel's throughput at least.
const AGAINST_CHANNEL: Target = Target::Ratio(0.8);

/// What reads everything.
const READER: &str = "cat >/dev/null";

pub(crate) fn measure_out_warm(live: &Live) -> Outcome<Row> {
    let guest = warm_guest(live)?;
    let channels = channels_of(live, &guest);
    let ours = |()| read(&guest.runtime, &guest.sandbox.name);
    let rounds = in_turns(ROUNDS, || Ok(()), ours, |()| read(&channels, &guest.sandbox.name))?;
    let what = "1 GiB of stdout into a pipe by an agent in the guest, and on a channel";
    Ok(Row::of("krun-stdio-out-warm", what, Unit::Seconds, AGAINST_CHANNEL, &rounds))
}

pub(crate) fn measure_in_warm(live: &Live) -> Outcome<Row> {
    let guest = warm_guest(live)?;
    let channels = channels_of(live, &guest);
    let file = input()?;
    let ours = |()| write(&guest.runtime, &guest.sandbox.name, &file);
    let rounds = in_turns(ROUNDS, || Ok(()), ours, |()| write(&channels, &guest.sandbox.name, &file))?;
    let what = "512 MiB of stdin from a file by an agent in the guest, and on a channel";
    Ok(Row::of("krun-stdio-in-warm", what, Unit::Seconds, AGAINST_CHANNEL, &rounds))
}

pub(crate) fn measure_out_ssh2(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let session = Ssh2Session::open(&guest)?;
    let theirs = |()| {
        let (mut writer, emptying) = pipe::emptied()?;
        session.read(&format!("cd /workspace && exec head -c {OUT} /dev/zero"), &mut writer)?;
        drop(writer);
        all(emptying.bytes()?, OUT)
    };
    let rounds = in_turns(ROUNDS, || Ok(()), |()| read(&guest.runtime, &guest.sandbox.name), theirs)?;
    let what = "1 GiB of stdout into a pipe, and a bare loop over libssh2";
    Ok(Row::of("krun-stdio-out-ssh2", what, Unit::Seconds, AGAINST_LIBSSH2, &rounds))
}

pub(crate) fn measure_out_ssh(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let config = SshConfig::write(&guest)?;
    let script =
        format!("ssh -F \"$1\" -T {GUEST} 'exec head -c {OUT} /dev/zero' </dev/null | cat >/dev/null");
    let theirs = |()| shell::run(&script, [config.path()]);
    let rounds = in_turns(ROUNDS, || Ok(()), |()| read(&guest.runtime, &guest.sandbox.name), theirs)?;
    let what = "1 GiB of stdout into a pipe, and `ssh | cat`, its default cipher";
    Ok(Row::of("krun-stdio-out-ssh", what, Unit::Seconds, Target::Shown, &rounds))
}

pub(crate) fn measure_in_ssh2(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let session = Ssh2Session::open(&guest)?;
    let file = input()?;
    let theirs = |()| {
        let mut source = File::open(file.path())?;
        session.write(&format!("cd /workspace && exec sh -c '{READER}'"), &mut source)
    };
    let ours = |()| write(&guest.runtime, &guest.sandbox.name, &file);
    let rounds = in_turns(ROUNDS, || Ok(()), ours, theirs)?;
    let what = "512 MiB of stdin from a file, and a bare loop over libssh2";
    Ok(Row::of("krun-stdio-in-ssh2", what, Unit::Seconds, AGAINST_LIBSSH2, &rounds))
}

pub(crate) fn measure_in_ssh(live: &Live) -> Outcome<Row> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let config = SshConfig::write(&guest)?;
    let file = input()?;
    let script = format!("ssh -F \"$1\" -T {GUEST} '{READER}' <\"$2\"");
    let theirs = |()| shell::run(&script, [config.path(), file.path().to_owned()]);
    let ours = |()| write(&guest.runtime, &guest.sandbox.name, &file);
    let rounds = in_turns(ROUNDS, || Ok(()), ours, theirs)?;
    let what = "512 MiB of stdin from a file, and `ssh`, its default cipher";
    Ok(Row::of("krun-stdio-in-ssh", what, Unit::Seconds, Target::Shown, &rounds))
}

/// Ours, out.
pub(super) fn read(runtime: &dyn ContainerRuntime, name: &ContainerName) -> Outcome {
    let request = ExecRequest::new(["head", "-c", &OUT.to_string(), "/dev/zero"])?;
    let (writer, emptying) = pipe::emptied()?;
    let stdio = ExecStdio::new(Source::empty(), Sink::descriptor(writer));
    let result = runtime.exec_stdio(name, &request, stdio, &minutes())?;
    let bytes = emptying.bytes()?;
    if result.success() { all(bytes, OUT) } else { Err("the command failed".into()) }
}

/// Ours, in.
pub(super) fn write(runtime: &dyn ContainerRuntime, name: &ContainerName, file: &NamedTempFile) -> Outcome {
    let request = ExecRequest::new(["sh", "-c", READER])?;
    let stdio = ExecStdio::new(Source::descriptor(File::open(file.path())?), Sink::discard());
    let result = runtime.exec_stdio(name, &request, stdio, &minutes())?;
    if result.success() { all(result.stdin.bytes, IN) } else { Err("the command failed".into()) }
}

/// Without blocks on the disk: what is measured is the way, not the disk.
pub(super) fn input() -> Outcome<NamedTempFile> {
    let file = NamedTempFile::new()?;
    file.as_file().set_len(IN)?;
    Ok(file)
}

fn minutes() -> Until {
    Until::after(Duration::from_secs(600))
}

fn all(bytes: u64, wanted: u64) -> Outcome {
    if bytes == wanted { Ok(()) } else { Err(format!("{bytes} bytes of {wanted} were moved").into()) }
}
