//! Runs the measurements and prints each row as a line of JSON: `bench [PART OF A NAME]`.

use std::process::ExitCode;

use rt_tests::bench::BENCHES;
use rt_tests::live::Live;

fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let live = match Live::from_environment() {
        Ok(live) => live,
        Err(missing) => {
            eprintln!("bench: {}", missing.reason);
            return ExitCode::FAILURE;
        }
    };
    let mut failed = false;
    for (name, measure) in BENCHES.iter().filter(|(name, _)| name.contains(&filter)) {
        eprintln!("bench: {name}");
        match measure(&live) {
            Ok(row) => println!("{}", row.json()),
            Err(error) => {
                eprintln!("bench: {name}: {error}");
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
