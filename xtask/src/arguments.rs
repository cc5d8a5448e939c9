//! The command line of `cargo xtask`, read by hand: six commands with a few flags each do not earn a
//! dependency. What the commands do is not known here.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::chaos::ChaosOptions;
use crate::ci::options::CiOptions;
use crate::ci::part::Part;
use crate::conformance::{Backend, ConformanceOptions};
use crate::live::LiveAction;
use crate::live::live_options::{LiveOptions, PodmanVersion};
use crate::test::TestOptions;

pub(crate) const USAGE: &str = "\
Developer automation of the rt workspace.

usage: cargo xtask test [--quick | --live] [--podman-version 5|6] [--rootless] [--only STEP] [--filter TEXT]
       cargo xtask ci [--live] [--only PART[,PART]...]
       cargo xtask conformance [--backend NAME]... [--podman-version 5|6] [--rootless] [--filter TEXT]
       cargo xtask bench [--filter TEXT]
       cargo xtask chaos [--minutes N] [--seed S] [--only ssh|podman] [--podman-version 5|6] [--rootless]
       cargo xtask live [--] COMMAND [ARGUMENT]...
       cargo xtask live up DIR | down DIR

test    unit, property and doc tests; each feature of `rt` alone, none and all together; then the live
        suite against a real podman in a store of its own, which is removed afterwards. Without a
        usable podman the live tests are reported as ignored, with the reason.
          --quick        the inner loop: one build, and of the unit, property and conformance tests those
                         that end soon; what is left out is said
          --live         require the live suite: install what is missing (Debian, as root), and fail
                         where no isolated podman can be made
          --podman-version 5
                         the live suite alone, required, with podman 5.4 in a Debian 13 tree (root; made
                         once below the target directory, 0.9 GB)
          --podman-version 6
                         the same with podman 6.1 out of Debian sid and experimental, and a cgroup v2
                         view of its own where the host has version 1
          --rootless     the live suite alone, required, as a user without root's rights: you, or for
                         root the first user with ranges in /etc/subuid; in a tree one of the tree
          --only STEP    the steps whose name contains STEP, such as `doc` or `live`
          --filter TEXT  only tests whose name contains TEXT, in every step

ci      everything that must hold before a merge. The parts, in this order:
          fmt clippy docs layering tidiness typos unused licenses api package minimal powerset test bare
          chaos
          --live         as for test
          --only PARTS   these parts only, separated by commas

conformance  the table of the conformance suite for each backend, podman in a store of its own
          --backend NAME  null, podman or krun; all without it
          --podman-version, --rootless  as for test, for podman and krun
          --filter TEXT   only cases whose name contains TEXT

bench   measurements, ours beside the simplest other way, in turns: a table, JSON and a chart in target/bench
          --filter TEXT  only measurements whose name contains TEXT

chaos   random cuts, delays and turned bits over SSH, and random signals to every process of podman's; each
        answer is compared with the truth, and a fault is a failure
          --minutes N    half an hour without it; at least one round of each part is run
          --seed S       decides what happens in which order; each round prints its own
          --only PART    ssh or podman
          --podman-version, --rootless  as for test

live    COMMAND with a podman of its own: `cargo xtask live -- podman info`. Everything it made is
        removed when it ends.
          up DIR    make the environment in DIR, leave it, and print `export` lines for a shell
          down DIR  remove what `up` made";

/// What one invocation asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Help,
    Test(TestOptions),
    Ci(CiOptions),
    Conformance(ConformanceOptions),
    /// Only measurements whose name contains this.
    Bench(Option<String>),
    Chaos(ChaosOptions),
    Live(LiveAction),
}

/// Reads the arguments after the program's name. The error is a sentence for the person who typed them.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut arguments = arguments.into_iter();
    let Some(command) = arguments.next() else { return Ok(Request::Help) };
    let rest: Vec<OsString> = arguments.collect();
    if rest.iter().take_while(|word| *word != "--").any(|word| word == "--help" || word == "-h")
        && command != "live"
    {
        return Ok(Request::Help);
    }
    match command.to_str() {
        Some("help" | "--help" | "-h") => Ok(Request::Help),
        Some("test") => test(rest).map(Request::Test),
        Some("ci") => ci(rest).map(Request::Ci),
        Some("conformance") => conformance(rest).map(Request::Conformance),
        Some("bench") => bench(rest).map(Request::Bench),
        Some("chaos") => chaos(rest).map(Request::Chaos),
        Some("live") => live(rest),
        _ => Err(format!("no command is called {:?}", command.to_string_lossy())),
    }
}

fn test(rest: Vec<OsString>) -> Result<TestOptions, String> {
    let mut options = TestOptions::default();
    let mut rest = rest.into_iter();
    while let Some(word) = rest.next() {
        let word = text(word)?;
        if word == "--live" {
            options.live = true;
        } else if word == "--quick" {
            options.quick = true;
        } else if let Some(step) = value(&word, "--only", &mut rest)? {
            options.only = step;
        } else if take_place(&mut options.live_options, &word, &mut rest)? {
        } else if let Some(filter) = value(&word, "--filter", &mut rest)? {
            set_filter(&mut options.filter, filter)?;
        } else {
            return Err(format!("test does not know {word:?}"));
        }
    }
    if options.quick && (options.live || options.live_options.is_elsewhere()) {
        return Err("--quick leaves the live suite out, which the other options are about".into());
    }
    Ok(options)
}

fn ci(rest: Vec<OsString>) -> Result<CiOptions, String> {
    let mut options = CiOptions::default();
    let mut rest = rest.into_iter();
    while let Some(word) = rest.next() {
        let word = text(word)?;
        if word == "--live" {
            options.live = true;
        } else if let Some(parts) = value(&word, "--only", &mut rest)? {
            for name in parts.split(',') {
                let part = Part::from_name(name).ok_or_else(|| format!("ci has no part {name:?}"))?;
                options.only.push(part);
            }
        } else {
            return Err(format!("ci does not know {word:?}"));
        }
    }
    Ok(options)
}

fn conformance(rest: Vec<OsString>) -> Result<ConformanceOptions, String> {
    let mut options = ConformanceOptions::default();
    let mut rest = rest.into_iter();
    while let Some(word) = rest.next() {
        let word = text(word)?;
        if take_place(&mut options.live_options, &word, &mut rest)? {
        } else if let Some(filter) = value(&word, "--filter", &mut rest)? {
            set_filter(&mut options.filter, filter)?;
        } else if let Some(name) = value(&word, "--backend", &mut rest)? {
            let backend =
                Backend::from_name(&name).ok_or_else(|| format!("there is no backend {name:?} here"))?;
            options.backends.push(backend);
        } else {
            return Err(format!("conformance does not know {word:?}"));
        }
    }
    Ok(options)
}

fn bench(rest: Vec<OsString>) -> Result<Option<String>, String> {
    let mut filter = None;
    let mut rest = rest.into_iter();
    while let Some(word) = rest.next() {
        let word = text(word)?;
        match value(&word, "--filter", &mut rest)? {
            Some(text) => set_filter(&mut filter, text)?,
            None => return Err(format!("bench does not know {word:?}")),
        }
    }
    Ok(filter)
}

fn chaos(rest: Vec<OsString>) -> Result<ChaosOptions, String> {
    let mut options = ChaosOptions::default();
    let number = |option: &str, text: &str| {
        text.parse().map_err(|_| format!("{option} takes a number, and {text:?} is none"))
    };
    let mut rest = rest.into_iter();
    while let Some(word) = rest.next() {
        let word = text(word)?;
        if take_place(&mut options.live_options, &word, &mut rest)? {
        } else if let Some(minutes) = value(&word, "--minutes", &mut rest)? {
            options.minutes = number("--minutes", &minutes)?;
        } else if let Some(seed) = value(&word, "--seed", &mut rest)? {
            options.seed = Some(number("--seed", &seed)?);
        } else if let Some(part) = value(&word, "--only", &mut rest)? {
            if part != "ssh" && part != "podman" {
                return Err(format!("--only takes ssh or podman, and not {part:?}"));
            }
            options.only = Some(part);
        } else {
            return Err(format!("chaos does not know {word:?}"));
        }
    }
    Ok(options)
}

/// Takes a word that is about the place.
fn take_place(
    options: &mut LiveOptions,
    word: &str,
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<bool, String> {
    if word == "--rootless" {
        options.rootless = true;
        return Ok(true);
    }
    let version = value(word, "--podman-version", rest)?;
    options.podman = match version.as_deref() {
        None => return Ok(false),
        Some("5") => Some(PodmanVersion::Five),
        Some("6") => Some(PodmanVersion::Six),
        Some(other) => {
            return Err(format!(
                "--podman-version brings 5 or 6 and not {other:?}; without it the machine's own is used"
            ));
        }
    };
    Ok(true)
}

/// A test binary would read a dash as the beginning of an option of its own.
fn set_filter(filter: &mut Option<String>, text: String) -> Result<(), String> {
    if text.starts_with('-') {
        return Err(format!("--filter takes part of a test's name, and {text:?} is none"));
    }
    match filter.replace(text) {
        None => Ok(()),
        Some(_) => Err("--filter is taken once".into()),
    }
}

fn live(mut rest: Vec<OsString>) -> Result<Request, String> {
    let Some(first) = rest.first() else { return Err("live needs a command to run".into()) };
    let action = match first.to_str() {
        Some("--help" | "-h") => return Ok(Request::Help),
        Some(verb @ ("up" | "down")) => {
            let [_, dir] = rest.as_slice() else { return Err(format!("live {verb} takes one directory")) };
            let dir = PathBuf::from(dir);
            if verb == "up" { LiveAction::Up(dir) } else { LiveAction::Down(dir) }
        }
        Some("--") => {
            rest.remove(0);
            if rest.is_empty() {
                return Err("live needs a command after --".into());
            }
            LiveAction::Run(rest)
        }
        Some(flag) if flag.starts_with('-') => return Err(format!("live does not know {flag:?}")),
        _ => LiveAction::Run(rest),
    };
    Ok(Request::Live(action))
}

/// The value of `--name VALUE` or `--name=VALUE`; `None` when the word is something else.
fn value(
    word: &str,
    name: &str,
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<Option<String>, String> {
    let Some(tail) = word.strip_prefix(name) else { return Ok(None) };
    if let Some(value) = tail.strip_prefix('=') {
        return Ok(Some(value.to_owned()));
    }
    if !tail.is_empty() {
        return Ok(None);
    }
    let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
    text(value).map(Some)
}

fn text(word: OsString) -> Result<String, String> {
    word.into_string().map_err(|word| format!("{} is not UTF-8", word.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn nothing_and_help_print_the_usage() {
        for line in ["", "help", "--help", "-h", "test --help", "ci --live -h", "live --help"] {
            assert_eq!(read(line), Ok(Request::Help), "{line:?}");
        }
    }

    #[test]
    fn test_takes_live_and_a_filter() {
        let options = TestOptions { live: true, filter: Some("exec".into()), ..TestOptions::default() };
        assert_eq!(read("test --live --filter exec"), Ok(Request::Test(options.clone())));
        assert_eq!(read("test --filter=exec --live"), Ok(Request::Test(options)));
        let options = TestOptions { only: "doc".into(), ..TestOptions::default() };
        assert_eq!(read("test --only doc"), Ok(Request::Test(options)));
        assert!(read("test --filter exec --filter=logs").is_err());
    }

    #[test]
    fn quick_tests_are_not_live_ones() {
        let options = TestOptions { quick: true, ..TestOptions::default() };
        assert_eq!(read("test --quick"), Ok(Request::Test(options)));
        assert!(read("test --quick --live").is_err() && read("test --rootless --quick").is_err());
    }

    #[test]
    fn a_filter_never_becomes_an_option_of_the_test_binary() {
        assert!(read("test --filter --ignored").is_err());
        assert!(read("test --filter").is_err());
    }

    #[test]
    fn a_place_is_named_by_its_podman_and_its_rights() {
        let of = |podman, rootless| LiveOptions { podman, rootless };
        for (line, live_options) in [
            ("test", of(None, false)),
            ("test --podman-version 5", of(Some(PodmanVersion::Five), false)),
            ("test --rootless --podman-version=6", of(Some(PodmanVersion::Six), true)),
        ] {
            let options = TestOptions { live_options, ..TestOptions::default() };
            assert_eq!(read(line), Ok(Request::Test(options)), "{line}");
        }
        assert!(read("conformance --podman-version 4").is_err() && read("test --podman 5").is_err());
    }

    #[test]
    fn ci_takes_parts() {
        let options = CiOptions { live: false, only: vec![Part::Fmt, Part::Clippy] };
        assert!(
            options.wants(Part::Fmt) && !options.wants(Part::Test) && CiOptions::default().wants(Part::Test)
        );
        assert_eq!(read("ci --only fmt,clippy"), Ok(Request::Ci(options)));
        assert_eq!(read("ci --only fmt,nonsense"), Err("ci has no part \"nonsense\"".into()));
    }

    #[test]
    fn conformance_takes_backends_and_a_filter() {
        let options = ConformanceOptions {
            backends: vec![Backend::Null],
            filter: Some("exec".into()),
            ..ConformanceOptions::default()
        };
        assert_eq!(read("conformance --backend null --filter exec"), Ok(Request::Conformance(options)));
        assert_eq!(read("conformance"), Ok(Request::Conformance(ConformanceOptions::default())));
        assert!(read("conformance --backend docker").is_err());
    }

    #[test]
    fn bench_takes_a_filter() {
        assert_eq!(read("bench"), Ok(Request::Bench(None)));
        assert_eq!(read("bench --filter exec"), Ok(Request::Bench(Some("exec".into()))));
        assert!(read("bench exec").is_err());
    }

    #[test]
    fn chaos_takes_a_time_a_seed_and_a_part() {
        assert_eq!(read("chaos"), Ok(Request::Chaos(ChaosOptions::default())));
        let options = ChaosOptions {
            minutes: 1,
            seed: Some(u64::MAX),
            only: Some("ssh".into()),
            live_options: LiveOptions { podman: Some(PodmanVersion::Five), rootless: false },
        };
        let line = format!("chaos --minutes 1 --seed={} --only ssh --podman-version 5", u64::MAX);
        assert_eq!(read(&line), Ok(Request::Chaos(options)));
        assert!(read("chaos --minutes x").is_err() && read("chaos --only krun").is_err());
    }

    #[test]
    fn live_takes_a_command_as_it_stands() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect();
        let run = |line| Ok(Request::Live(LiveAction::Run(words(line))));
        assert_eq!(read("live -- podman --help"), run("podman --help"));
        assert_eq!(read("live podman ps -- x"), run("podman ps -- x"));
        assert_eq!(read("live up d"), Ok(Request::Live(LiveAction::Up("d".into()))));
        assert_eq!(read("live -- up d"), run("up d"));
        assert!(read("live").is_err() && read("live --").is_err() && read("live up").is_err());
    }

    #[test]
    fn what_is_not_known_is_said() {
        for line in ["tset", "test --lvie", "ci x", "conformance x", "live --keep d"] {
            assert!(read(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn the_usage_names_every_part() {
        for part in Part::ALL {
            assert!(USAGE.contains(part.name()), "{part:?}");
        }
    }
}
