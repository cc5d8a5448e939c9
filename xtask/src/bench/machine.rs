//! What the numbers were measured on: without it they say little.

use std::fs;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::child::Task;
use crate::programs;

/// Names and what is known, in the order in which people ask.
pub(super) fn describe() -> Vec<(&'static str, String)> {
    let cores = available_parallelism().map_or_else(|_| "unknown".into(), |count| count.to_string());
    let cpus = read("/proc/cpuinfo");
    let virtual_machine =
        field(&cpus, "flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let kind = if virtual_machine { "a virtual machine" } else { "no virtual machine that says so" };
    vec![
        ("cores", format!("{cores}, {}, {kind}", field(&cpus, "model name").unwrap_or("unknown"))),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().into()),
        ("OpenSSH", version("ssh", "-V")),
        ("compiler", version("rustc", "--version")),
        ("load at the beginning", load()),
    ]
}

/// How many processes wanted to run, over the last minute, five and fifteen.
pub(super) fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first field of this name in `/proc/cpuinfo`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// ssh says it on standard error.
fn version(program: &str, flag: &str) -> String {
    let Some(path) = programs::find(program) else { return "none".into() };
    match Task::new(path).args([flag]).limit(Duration::from_secs(10)).captured() {
        Ok(answer) => {
            let text = if answer.stdout.is_empty() { answer.stderr } else { answer.stdout };
            text.lines().next().unwrap_or_default().into()
        }
        Err(failure) => failure.one_line(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nflags\t\t: fpu hypervisor\n";
        assert_eq!(
            (field(text, "model name"), field(text, "flags")),
            (Some("A CPU @ 2 GHz"), Some("fpu hypervisor"))
        );
        assert_eq!(field(text, "model"), None);
    }
}
