//! The contents of a log's lines, and how long a pull of one takes. podman is a shell script here,
//! which prints what podman 4.3.1 was seen to print; the live suite shows the same of podman
//! itself.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::time::{Duration, Instant};

use rt_podman::PodmanRuntime;
use rt_protocol::{
    ContainerName, ContainerRuntime, ErrorKind, LogLine, LogOptions, OutputStream, Pull, PullStream, Until,
};

/// The log of a container `web`; the script is run with podman's arguments.
fn log(script: &str, options: &LogOptions) -> Box<dyn PullStream<LogLine>> {
    let podman =
        PodmanRuntime::builder().binary("sh").global_arg("-c").global_arg(script).global_arg("podman");
    podman
        .build()
        .unwrap()
        .container(&ContainerName::new("web").unwrap())
        .logs(options, &Until::forever())
        .unwrap()
}

fn lines(script: &str, options: &LogOptions) -> Vec<LogLine> {
    let (mut stream, mut lines) = (log(script, options), Vec::new());
    while let Pull::Item(line) = stream.pull(&Until::after(Duration::from_secs(20))).unwrap() {
        lines.push(line);
    }
    lines
}

fn texts(lines: &[LogLine]) -> Vec<String> {
    lines.iter().map(|line| line.text().into_owned()).collect()
}

/// What podman says of `web` and prints of it: it has ended, and had a terminal. Its log file
/// cannot be read.
const AT_A_TERMINAL: &str = r#"
case "$*" in
*inspect*) echo '[{"Id":"0123456789abcdef","Name":"web","State":{"Status":"exited"},"Config":{"Tty":true}}]';;
*) printf 'READY\r\ntwo\r\r\nlast';;
esac"#;

#[test]
fn lines_of_a_terminal_end_where_their_text_does() {
    for options in [LogOptions::new(), LogOptions::new().max_line_bytes(5)] {
        let found = lines(AT_A_TERMINAL, &options);
        assert_eq!(texts(&found), ["READY", "two\r", "last"]);
        assert!(found.iter().all(|line| line.omitted == 0), "{found:?}");
    }
}

/// Four lines: one in parts, one whose own text looks like parts, an empty one, an unterminated one
/// in two parts; and one on stderr.
const PIECES: &str = r#"
case "$*" in
*--timestamps*)
    t=2026-11-21T20:23:51
    printf "$t.000000001Z ab$t.000000002Z cd$t.000000003Z e\n$t.000000003Z x2026-11-21T20:23:51.000000009Z y\n"
    printf "$t.000000004Z wrong\n" >&2
    printf "$t.000000005Z \n$t.000000006Z la$t.000000007Z st";;
*) printf "abcde\nx2026-11-21T20:23:51.000000009Z y\n\nlast"; echo wrong >&2;;
esac"#;

#[test]
fn lines_with_times_hold_what_they_hold_without() {
    for options in [LogOptions::new(), LogOptions::new().follow()] {
        let mut found = lines(PIECES, &options.timestamps());
        found.sort_by_key(|line| line.timestamp);
        assert_eq!(texts(&found), ["abcde", "x2026-11-21T20:23:51.000000009Z y", "wrong", "", "last"]);
        let nanoseconds: Vec<u32> = found
            .iter()
            .map(|line| line.timestamp.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos())
            .collect();
        assert_eq!(nanoseconds, [1, 3, 4, 5, 6]);
    }
    let errors = lines(PIECES, &LogOptions::new().timestamps().only(OutputStream::Stderr));
    assert_eq!(texts(&errors), ["wrong"]);
}

#[test]
fn the_bound_of_a_line_counts_its_own_bytes() {
    for options in [LogOptions::new(), LogOptions::new().tail(9)] {
        for (bound, kept) in [(0, ""), (1, "a"), (4, "abcd"), (5, "abcde"), (6, "abcde"), (35, "abcde")] {
            let options = options.clone().timestamps().max_line_bytes(bound);
            let found = lines(PIECES, &options);
            let first = found.iter().find(|line| line.stream == OutputStream::Stdout).unwrap();
            assert_eq!(String::from_utf8_lossy(&first.bytes), kept, "{options:?}");
            assert_eq!(first.omitted, 5 - kept.len() as u64, "{options:?}");
            assert!(found.iter().all(|line| line.timestamp.is_some()), "{options:?}");
        }
    }
}

#[test]
fn with_a_tail_the_times_that_could_be_podmans_are_taken_out() {
    let found = lines(PIECES, &LogOptions::new().timestamps().tail(9).only(OutputStream::Stdout));
    // The second line is the one case that podman's output does not distinguish.
    assert_eq!(texts(&found), ["abcde", "xy", "", "last"]);
}

#[test]
fn a_line_of_the_first_reader_alone_has_no_time() {
    let fewer =
        r#"case "$*" in *--timestamps*) echo "2026-11-21T20:23:51.000000001Z a";; *) echo a; echo b;; esac"#;
    let found = lines(fewer, &LogOptions::new().timestamps());
    assert_eq!(texts(&found), ["a", "b"]);
    assert!(found[0].timestamp.is_some() && found[1].timestamp.is_none());
    let others =
        r#"case "$*" in *--timestamps*) echo "2026-11-21T20:23:51.000000001Z b";; *) echo a; echo b;; esac"#;
    let found = lines(others, &LogOptions::new().timestamps());
    assert_eq!(texts(&found), ["a", "b"]);
    assert!(found.iter().all(|line| line.timestamp.is_none()));
}

#[test]
fn a_second_reader_that_fails_is_an_error() {
    let gone = r#"case "$*" in
        *--timestamps*) echo 'Error: no container with name or ID "web" found: no such container' >&2; exit 125;;
        *) echo a;;
    esac"#;
    let error = log(gone, &LogOptions::new().timestamps()).pull(&Until::after(Duration::from_secs(20)));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NoSuchContainer);
}

#[test]
fn what_podmans_follower_leaves_out_is_told_at_the_end() {
    let follower = |said: &str, log: &str| {
        format!(
            r#"{NOT_KNOWN} case "$*" in *--follow*) printf "{said}"; echo e >&2;; *) printf "{log}"; echo e >&2;; esac"#
        )
    };
    let follow = LogOptions::new().follow().only(OutputStream::Stdout);
    for (said, log) in [(r"a\nb\n", r"a\nb\n"), ("", ""), (r"a\n", r"a\nb\nc\n"), ("", r"a\n")] {
        let whole: Vec<_> = log.split_terminator(r"\n").map(str::to_owned).collect();
        assert_eq!(texts(&lines(&follower(said, log), &follow)), whole, "{said:?} of {log:?}");
    }
    for (said, whole, options) in [
        (r"a\nc\n", r"a\nb\nc\n", follow.clone()),
        (r"a\nb\n", r"b\n", follow.clone()),
        (r"a\nb\n", "", follow.clone()),
        (r"a\nc\n", r"b\nc\n", follow.clone().tail(5)),
        ("", r"c\n", follow.clone().tail(5)),
    ] {
        let mut stream = log(&follower(said, whole), &options);
        let error = loop {
            match stream.pull(&Until::after(Duration::from_secs(20))) {
                Ok(Pull::Item(_)) => {}
                Ok(other) => panic!("{other:?} for {said:?} of {whole:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Incomplete, "{error}");
        assert_eq!(stream.pull(&Until::forever()).unwrap(), Pull::End);
    }
}

#[test]
fn a_pull_that_waits_for_a_time_ends_with_its_limit() {
    let late = r#"case "$*" in
        *--timestamps*) sleep 0.5; echo "2026-11-21T20:23:51.000000001Z a";;
        *) echo a;;
    esac"#;
    let (line, idle) = patiently(late, &LogOptions::new().timestamps());
    assert!(line.timestamp.is_some() && line.bytes == b"a" && idle > 5, "{line:?} after {idle} pulls");
}

#[test]
fn a_pull_ends_while_podmans_own_error_is_sought() {
    let (line, idle) = patiently(
        &format!("{NOT_KNOWN} echo 'Error: theirs' >&2; exec sleep 1000"),
        &LogOptions::new().follow(),
    );
    assert!(line.bytes == b"Error: theirs" && idle > 5, "{line:?} after {idle} pulls");
    // Even if the log continues without a pause.
    let (line, _) = patiently(
        &format!("{NOT_KNOWN} echo 'Error: theirs' >&2; exec yes 2>/dev/null"),
        &LogOptions::new().follow().only(OutputStream::Stderr),
    );
    assert_eq!(line.bytes, b"Error: theirs");
}

/// podman does not report the container's log driver.
const NOT_KNOWN: &str = r#"case "$*" in *inspect*) exit 125;; esac;"#;

/// The first line, by pulls of 10 ms of which none takes much longer, and how many were idle.
fn patiently(script: &str, options: &LogOptions) -> (LogLine, usize) {
    let mut stream = log(script, options);
    for idle in 0..2000 {
        let begun = Instant::now();
        let pulled = stream.pull(&Until::after(Duration::from_millis(10))).unwrap();
        assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
        match pulled {
            Pull::Item(line) => return (line, idle),
            Pull::Pending => {}
            Pull::End => panic!("no line"),
        }
    }
    panic!("no line in 20 s")
}
