//! Runs the measurements and prints each row as a line of JSON: `bench [PART OF A NAME]`.

use std::process::ExitCode;

use rt_tests::bench::{BENCHES, PEAK, tell_peak};
use rt_tests::live::Live;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let filter = words.next().unwrap_or_default();
    if filter == PEAK {
        return done(PEAK, tell_peak(words));
    }
    let live = match Live::from_environment() {
        Ok(live) => live,
        Err(missing) => {
            eprintln!("bench: {}", missing.reason);
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::SUCCESS;
    for (name, measure) in BENCHES.iter().filter(|(name, _)| name.contains(&filter)) {
        eprintln!("bench: {name}");
        let measured = measure(&live).map(|row| println!("{}", row.json()));
        if measured.is_err() {
            code = done(name, measured);
        }
    }
    code
}

fn done(what: &str, outcome: rt_tests::bench::Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {what}: {error}");
            ExitCode::FAILURE
        }
    }
}
