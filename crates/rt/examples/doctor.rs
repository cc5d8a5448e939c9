//! Checks this host for containers and microVMs, and says how to fix what is wrong.
//!
//! `cargo run -p rt --example doctor -- [--json] [IDENTITY]`. The cargo features decide
//! what is checked: `--features krun,gpu` adds microVMs and GPUs. The exit code is 1 if
//! there is a problem.

use std::process::ExitCode;
use std::time::Duration;

use rt::{Diagnosis, DoctorOptions, Until, Verdict};

fn main() -> ExitCode {
    let (json, identity): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word == "--json");
    // This takes about a second, so say what is going on.
    eprintln!("looking at this host, by running a container too…");
    let diagnosis = examine(identity.first().map(String::as_str));
    if json.is_empty() {
        println!("{diagnosis}");
    } else {
        println!("{}", diagnosis.to_json());
    }
    ExitCode::from(u8::from(diagnosis.worst() == Verdict::Problem))
}

/// Returns all findings, within half a minute.
pub(crate) fn examine(identity: Option<&str>) -> Diagnosis {
    let options = DoctorOptions::new().until(Until::after(Duration::from_secs(30)));
    rt::doctor(&match identity {
        Some(file) => options.identity(file),
        None => options,
    })
}
