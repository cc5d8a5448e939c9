//! The entry of `cargo xtask`: reads the arguments, runs one command, sets the exit code. What the
//! commands do stands in the modules named after them.

mod arguments;
mod bench;
mod chaos;
mod child;
mod ci;
mod conformance;
mod failure;
mod interrupt;
mod live;
mod matrix;
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
        Request::Test(options) => reported("test", Report::of(&options.only), |workspace, report| {
            // Not in `test`, from which the matrix takes the programs.
            let run = if options.full { matrix::run } else { test::run };
            run(workspace, &options, report);
        }),
        Request::Ci(options) => reported("ci", Report::new(), |workspace, report| {
            ci::run(workspace, &options, report);
        }),
        Request::Conformance(options) => reported("conformance", Report::new(), |workspace, report| {
            conformance::run(workspace, &options, report);
        }),
        Request::Bench(filter) => reported("bench", Report::new(), |workspace, report| {
            report.step("bench", || bench::run(workspace, filter.as_deref()));
        }),
        Request::Chaos(options) => reported("chaos", Report::new(), |workspace, report| {
            report.step("chaos", || chaos::run(workspace, &options));
        }),
        Request::Live(action) => live::run(action),
    }
}

/// Does the work of a command, and prints its report.
fn reported(command: &str, mut report: Report, work: impl FnOnce(&Workspace, &mut Report)) -> Result<u8> {
    work(&Workspace::read()?, &mut report);
    Ok(report.close(&format!("cargo xtask {command}")))
}
