//! What is right and wrong with this host for containers and microVMs, and what to do about it.
//!
//! `cargo run -p rt --example doctor -- [--json] [IDENTITY]`. The features of the build say what is looked at: with
//! `--features krun,gpu` also microVMs and GPUs. The exit code is 1 when there is a problem.

use std::process::ExitCode;
use std::time::Duration;

use rt::{Diagnosis, DoctorOptions, Until, Verdict};

fn main() -> ExitCode {
    let (json, identity): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word == "--json");
    // It takes a second or so, in which a person should know what is going on.
    eprintln!("looking at this host, by running a container too…");
    let diagnosis = examine(identity.first().map(String::as_str));
    if json.is_empty() {
        println!("{diagnosis}");
    } else {
        println!("{}", diagnosis.to_json());
    }
    ExitCode::from(u8::from(diagnosis.worst() == Verdict::Problem))
}

/// All findings, within half a minute.
pub(crate) fn examine(identity: Option<&str>) -> Diagnosis {
    let options = DoctorOptions::new().until(Until::after(Duration::from_secs(30)));
    rt::doctor(&match identity {
        Some(file) => options.identity(file),
        None => options,
    })
}
