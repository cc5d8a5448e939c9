//! Measures a command against a local fork and exec of the same program, alternating:
//! `cargo test -p rt-agent --release --test pace -- --ignored --nocapture`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what a test has not got is its failure")]

/// How the agent is reached: see `fixture`.
const IS_MULTIPLEXED: bool = false;

use std::time::{Duration, Instant};

use rt_process::{ProcessSpec, Program, capture};
use rt_protocol::{ExecRequest, OutputLimit, Source, Until};

use fixture::LocalAgent;

#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "local/fixture.rs"]
mod fixture;

#[test]
#[ignore = "measures, and says nothing of right and wrong"]
fn a_command_beside_a_local_process() {
    const ROUNDS: usize = 2000;
    let local = LocalAgent::start();
    let request = ExecRequest::new(["/bin/true"]).unwrap();
    let spec = ProcessSpec::new(&Program::find("true").unwrap());
    let timed = |times: &mut Vec<Duration>, run: &dyn Fn()| {
        let begun = Instant::now();
        run();
        times.push(begun.elapsed());
    };
    let (mut warm, mut process) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        timed(&mut warm, &|| assert!(local.exec(&request, &Until::forever()).unwrap().success()));
        timed(&mut process, &|| {
            let limit = OutputLimit::UNLIMITED;
            let finished = capture(&spec, Source::empty(), limit, limit, &Until::forever()).unwrap();
            assert!(finished.status.unwrap().success());
        });
    }
    for (name, times) in [("agent", &mut warm), ("local fork and exec", &mut process)] {
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100];
        println!("{name}: median {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
    }
}
