//! The entry of `cargo xtask`: reads the arguments, runs one command, sets the exit code. What the
//! commands do stands in the modules named after them.
#![allow(
    clippy::disallowed_methods,
    reason = "xtask is no user of the crates: it starts cargo, apt and podman itself, bounded in `child`"
)]

mod arguments;
mod bench;
mod chaos;
mod child;
mod ci;
mod conformance;
mod failure;
mod interrupt;
mod live;
mod programs;
mod report;
mod side_by_side;
mod test;
mod workspace;

use std::process::ExitCode;

use arguments::Request;
use failure::Result;
use report::Report;
use workspace::Workspace;

fn main() -> ExitCode {
    let code = match arguments::parse(std::env::args_os().skip(1)) {
        Err(wrong) => {
            eprintln!("xtask: {wrong}\n\n{}", arguments::USAGE);
            2
        }
        Ok(request) => run(request).unwrap_or_else(|failure| {
            eprintln!("xtask: {failure}");
            1
        }),
    };
    // A signal is reported as the shell would: 130 for ctrl-c.
    ExitCode::from(interrupt::exit_code().unwrap_or(code))
}

fn run(request: Request) -> Result<u8> {
    interrupt::watch()?;
    match request {
        Request::Help => {
            report::say(arguments::USAGE);
            Ok(0)
        }
        Request::Test(options) => {
            let workspace = Workspace::read()?;
            let mut report = Report::of(&options.only);
            test::run(&workspace, &options, &mut report);
            Ok(report.close("cargo xtask test"))
        }
        Request::Ci(options) => {
            let workspace = Workspace::read()?;
            let mut report = Report::new();
            ci::run(&workspace, &options, &mut report);
            Ok(report.close("cargo xtask ci"))
        }
        Request::Conformance(options) => {
            let workspace = Workspace::read()?;
            let mut report = Report::new();
            conformance::run(&workspace, &options, &mut report);
            Ok(report.close("cargo xtask conformance"))
        }
        Request::Bench(filter) => {
            let workspace = Workspace::read()?;
            let mut report = Report::new();
            report.step("bench", || bench::run(&workspace, filter.as_deref()));
            Ok(report.close("cargo xtask bench"))
        }
        Request::Chaos(options) => {
            let workspace = Workspace::read()?;
            let mut report = Report::new();
            report.step("chaos", || chaos::run(&workspace, &options));
            Ok(report.close("cargo xtask chaos"))
        }
        Request::Live(action) => live::run(action),
    }
}
