//! The redaction's tables of options, held against this podman's own help.

use std::time::Duration;

use rt_gpu::podman_option_takes_value;
use rt_process::{ProcessSpec, Program};
use rt_protocol::{OutputLimit, Source, Until};
use rt_tests::live::Live;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] =
    &[("redaction: every option of podman's help takes a value where the tables say so", tables)];

fn tables(live: &Live) -> Outcome {
    let mut disputed = Vec::new();
    for (verb, least) in
        [("", 20), ("create", 100), ("run", 100), ("exec", 10), ("build", 80), ("update", 15), ("login", 7)]
    {
        let help = help(live, verb)?;
        let options: Vec<_> = help.lines().filter_map(option).collect();
        assert!(options.len() >= least, "{verb}: {options:?}");
        for (names, takes_value) in options {
            for name in names {
                let known = podman_option_takes_value(verb, name);
                if known != Some(takes_value) {
                    disputed.push(format!("{verb} {name}: help {takes_value}, the tables {known:?}"));
                }
            }
        }
    }
    assert_eq!(disputed, [""; 0]);
    Ok(())
}

fn help(live: &Live, verb: &str) -> Result<String, crate::case::Problem> {
    let words = [verb, "--help"].into_iter().filter(|word| !word.is_empty());
    let call = ProcessSpec::new(&Program::find(&live.podman)?).args(words);
    let limit = OutputLimit::UNLIMITED;
    let until = Until::after(Duration::from_secs(30));
    let answer = rt_process::capture(&call, Source::empty(), limit, limit, &until)?;
    Ok(answer.stdout_capture.text().into_owned())
}

/// A line such as ` -e, --env stringArray Set …`: the names, and whether a value follows. `[=…]` in
/// the value's place means that it must stand in the same word.
fn option(line: &str) -> Option<(Vec<&str>, bool)> {
    let text = line.trim_start();
    if !text.starts_with('-') || line.len() - text.len() > 6 {
        return None;
    }
    let column = text.split("   ").next()?;
    let (names, value) = match column.find("--") {
        Some(long) => {
            let end = column[long..].find(' ').map_or(column.len(), |blank| long + blank);
            (&column[..end], column[end..].trim())
        }
        None => return None,
    };
    Some((names.split(", ").collect(), !value.is_empty() && !value.contains("[=")))
}
