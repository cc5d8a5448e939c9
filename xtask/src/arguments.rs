//! The command line of `cargo xtask`. What the commands do is not known here.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;
use lexopt::{Error, Parser};
use rt_protocol::InvalidValue;

use crate::chaos::ChaosOptions;
use crate::ci::options::CiOptions;
use crate::ci::part::Part;
use crate::conformance::{Backend, ConformanceOptions};
use crate::live::LiveAction;
use crate::live::live_options::PodmanVersion;
use crate::test::TestOptions;

pub(crate) const USAGE: &str = "\
Developer automation of the rt workspace.

usage: cargo xtask test [--quick | --live] [--podman-version 5|6] [--rootless] [--runc]
                        [--only STEP] [--filter TEXT]
       cargo xtask test --live --full [--only STEP] [--filter TEXT]
       cargo xtask ci [--live] [--only PART[,PART]...]
       cargo xtask conformance [--backend NAME]... [--podman-version 5|6] [--rootless] [--runc]
                        [--filter TEXT]
       cargo xtask bench [--filter TEXT]
       cargo xtask chaos [--minutes N] [--seed S] [--only ssh|podman] [--podman-version 5|6] [--rootless]
                        [--runc]
       cargo xtask live [--] COMMAND [ARGUMENT]...
       cargo xtask live up DIR | down DIR

test    unit, property and doc tests; each feature of `rt` alone, none and all together; then the live
        suite against a real podman in a store of its own, which is removed afterwards. Without a
        usable podman the live tests are reported as ignored, with the reason.
          --quick        the inner loop: one build, and of the unit, property and conformance tests those
                         that end soon; what is left out is said
          --live         require the live suite: install what is missing (Debian, as root), and fail
                         where no isolated podman can be made
          --full         with --live: the live suite alone, by hand, with each podman that can be had here,
                         with crun and runc, as the caller and rootless, by agents and by `podman exec`;
                         takes hours, prints what was counted where, and says what cannot run
          --podman-version 5
                         the live suite alone, required, with podman 5.4 in a Debian 13 tree (root; made
                         once below the target directory, 0.9 GB)
          --podman-version 6
                         the same with podman 6.1 out of Debian sid and experimental, and a cgroup v2
                         view of its own where the host has version 1
          --rootless     the live suite alone, required, as a user without root's rights: you, or for
                         root the first user with ranges in /etc/subuid; in a tree one of the tree
          --runc         the live suite alone, required, with runc in the place of crun
          --only STEP    the steps whose name contains STEP, such as `doc` or `live`
          --filter TEXT  only tests whose name contains TEXT, in every step

ci      everything that must hold before a merge. The parts, in this order:
          fmt clippy docs layering tidiness typos unused licenses api package minimal powerset test bare
          chaos
          --live         as for test
          --only PARTS   these parts only, separated by commas

conformance  the table of the conformance suite for each backend, podman in a store of its own
          --backend NAME  null, podman or krun; all without it
          --podman-version, --rootless, --runc  as for test, for podman and krun
          --filter TEXT   only cases whose name contains TEXT

bench   measurements, ours beside the simplest other way, in turns: a table, JSON and a chart in target/bench
          --filter TEXT  only measurements whose name contains TEXT

chaos   random cuts, delays and turned bits over SSH, and random signals to every process of podman's; each
        answer is compared with the truth, and a fault is a failure
          --minutes N    half an hour without it; at least one round of each part is run
          --seed S       decides what happens in which order; each round prints its own
          --only PART    ssh or podman
          --podman-version, --rootless, --runc  as for test

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

/// Reads the arguments after the program's name. The error is a sentence for the person who typed
/// them.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let Some(command) = words.first() else { return Ok(Request::Help) };
    let own = if command == "live" { &words[..words.len().min(2)] } else { &words[..] };
    if command == "help"
        || own.iter().take_while(|word| *word != "--").any(|word| word == "--help" || word == "-h")
    {
        return Ok(Request::Help);
    }
    let mut parser = Parser::from_args(&words[1..]);
    let request = match command.to_str() {
        Some("test") => test(&mut parser).map(Request::Test),
        Some("ci") => ci(&mut parser).map(Request::Ci),
        Some("conformance") => conformance(&mut parser).map(Request::Conformance),
        Some("bench") => bench(&mut parser).map(Request::Bench),
        Some("chaos") => chaos(&mut parser).map(Request::Chaos),
        Some("live") => live(words[1..].to_vec()).map(Request::Live),
        _ => return Err(format!("no command is called {:?}", command.to_string_lossy())),
    };
    request.map_err(|error| format!("{}: {error}", command.display()))
}

fn test(parser: &mut Parser) -> Result<TestOptions, Error> {
    let mut options = TestOptions::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("live") => options.live = true,
            Long("quick") => options.quick = true,
            Long("full") => options.full = true,
            Long("only") => options.only = parser.value()?.string()?,
            Long("filter") => set_filter(&mut options.filter, parser)?,
            Long("rootless") => options.live_options.rootless = true,
            Long("runc") => options.live_options.runc = true,
            Long("podman-version") => options.live_options.podman = Some(podman_version(parser)?),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.quick && (options.live || options.live_options.is_elsewhere()) {
        return Err("--quick leaves the live suite out, which the other options are about".into());
    }
    if options.full && (!options.live || options.live_options.is_elsewhere()) {
        return Err("--full is for --live, and goes to every place by itself".into());
    }
    Ok(options)
}

fn ci(parser: &mut Parser) -> Result<CiOptions, Error> {
    let mut options = CiOptions::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("live") => options.live = true,
            Long("only") => {
                let names = parser.value()?.string()?;
                let parts =
                    names.split(',').map(str::parse::<Part>).collect::<Result<Vec<_>, InvalidValue>>();
                options.only.extend(parts.map_err(|error| error.to_string())?);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(options)
}

fn conformance(parser: &mut Parser) -> Result<ConformanceOptions, Error> {
    let mut options = ConformanceOptions::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("backend") => options.backends.push(parser.value()?.parse::<Backend>()?),
            Long("filter") => set_filter(&mut options.filter, parser)?,
            Long("rootless") => options.live_options.rootless = true,
            Long("runc") => options.live_options.runc = true,
            Long("podman-version") => options.live_options.podman = Some(podman_version(parser)?),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(options)
}

fn bench(parser: &mut Parser) -> Result<Option<String>, Error> {
    let mut filter = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("filter") => set_filter(&mut filter, parser)?,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(filter)
}

fn chaos(parser: &mut Parser) -> Result<ChaosOptions, Error> {
    let mut options = ChaosOptions::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("minutes") => options.minutes = number("--minutes", parser)?,
            Long("seed") => options.seed = Some(number("--seed", parser)?),
            Long("only") => match parser.value()?.string()? {
                part if part == "ssh" || part == "podman" => options.only = Some(part),
                other => return Err(format!("--only takes ssh or podman, and not {other:?}").into()),
            },
            Long("rootless") => options.live_options.rootless = true,
            Long("runc") => options.live_options.runc = true,
            Long("podman-version") => options.live_options.podman = Some(podman_version(parser)?),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(options)
}

/// All that follows is of the command that is run.
fn live(mut words: Vec<OsString>) -> Result<LiveAction, Error> {
    let Some(first) = words.first() else { return Err("it needs a command to run".into()) };
    match first.to_str() {
        Some(verb @ ("up" | "down")) => {
            let [_, dir] = words.as_slice() else { return Err(format!("{verb} takes one directory").into()) };
            let dir = PathBuf::from(dir);
            Ok(if verb == "up" { LiveAction::Up(dir) } else { LiveAction::Down(dir) })
        }
        Some("--") if words.len() == 1 => Err("it needs a command after --".into()),
        Some("--") => Ok(LiveAction::Run(words.split_off(1))),
        Some(flag) if flag.starts_with('-') => Err(Error::UnexpectedOption(flag.to_owned())),
        _ => Ok(LiveAction::Run(words)),
    }
}

fn podman_version(parser: &mut Parser) -> Result<PodmanVersion, Error> {
    match parser.value()?.string()?.as_str() {
        "5" => Ok(PodmanVersion::Five),
        "6" => Ok(PodmanVersion::Six),
        other => {
            let only = "--podman-version brings 5 or 6 and not";
            Err(format!("{only} {other:?}; without it the machine's own is used").into())
        }
    }
}

/// A test binary would read a dash as the beginning of an option of its own.
fn set_filter(filter: &mut Option<String>, parser: &mut Parser) -> Result<(), Error> {
    let text = parser.value()?.string()?;
    if text.starts_with('-') {
        return Err(format!("--filter takes part of a test's name, and {text:?} is none").into());
    }
    match filter.replace(text) {
        None => Ok(()),
        Some(_) => Err("--filter is taken once".into()),
    }
}

fn number(option: &str, parser: &mut Parser) -> Result<u64, Error> {
    let text = parser.value()?.string()?;
    text.parse().map_err(|_| format!("{option} takes a number, and {text:?} is none").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::live_options::LiveOptions;

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
    fn the_full_matrix_is_live_and_goes_everywhere() {
        let options = TestOptions { live: true, full: true, ..TestOptions::default() };
        assert_eq!(read("test --live --full"), Ok(Request::Test(options)));
        assert!(read("test --full").is_err() && read("test --live --full --rootless").is_err());
    }

    #[test]
    fn a_filter_never_becomes_an_option_of_the_test_binary() {
        assert!(read("test --filter --ignored").is_err());
        assert!(read("test --filter").is_err());
    }

    #[test]
    fn a_place_is_named_by_its_podman_and_its_rights() {
        let of = |podman, rootless| LiveOptions { podman, rootless, runc: false };
        for (line, live_options) in [
            ("test", of(None, false)),
            ("test --podman-version 5", of(Some(PodmanVersion::Five), false)),
            ("test --rootless --podman-version=6", of(Some(PodmanVersion::Six), true)),
            ("test --runc", LiveOptions { runc: true, ..LiveOptions::default() }),
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
        let refused = read("ci --only fmt,nonsense").unwrap_err();
        assert!(refused.starts_with("ci: invalid part \"nonsense\": it must be one of fmt, "), "{refused}");
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
            live_options: LiveOptions { podman: Some(PodmanVersion::Five), ..LiveOptions::default() },
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
        for (line, said) in [
            ("tset", "no command is called \"tset\""),
            ("test --lvie", "test: invalid option '--lvie'"),
            ("test --live=yes", "test: unexpected argument for option '--live': \"yes\""),
            ("test --filter", "test: missing argument for option '--filter'"),
            ("ci x", "ci: unexpected argument \"x\""),
            ("conformance x", "conformance: unexpected argument \"x\""),
            ("chaos --minutes x", "chaos: --minutes takes a number, and \"x\" is none"),
            ("live", "live: it needs a command to run"),
            ("live --keep d", "live: invalid option '--keep'"),
        ] {
            assert_eq!(read(line), Err(said.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn the_usage_names_every_part() {
        for part in Part::ALL {
            assert!(USAGE.contains(part.as_str()), "{part:?}");
        }
    }
}
