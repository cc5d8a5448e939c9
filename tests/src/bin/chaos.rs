//! Random harm to podman and to connections, every answer compared with the truth: `chaos SECONDS
//! SEED [ssh|podman]`.

use std::process::ExitCode;
use std::time::Duration;

use rt_tests::chaos::{Part, run};
use rt_tests::live::Live;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [seconds, seed, rest @ ..] = &words[..] else {
        return failed("usage: chaos SECONDS SEED [ssh|podman]");
    };
    let (Ok(seconds), Ok(seed)) = (seconds.parse(), seed.parse()) else {
        return failed("the seconds and the seed are numbers");
    };
    let mut parts: Vec<_> =
        Part::ALL.into_iter().filter(|part| rest.is_empty() || rest.contains(&part.name().into())).collect();
    let live = match Live::from_environment() {
        Ok(live) => live,
        Err(missing) => return failed(&missing.reason),
    };
    if let Err(reason) = live.sshd() {
        eprintln!("chaos: without the part ssh: {reason}");
        parts.retain(|part| *part != Part::Ssh);
    }
    if parts.is_empty() {
        return failed("nothing is left to be done");
    }
    if run(&live, &parts, Duration::from_secs(seconds), seed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("chaos: {why}");
    ExitCode::FAILURE
}
