//! Logs and readiness. Followers of a log stand in `log_followers`.

use std::time::{Duration, Instant, SystemTime};

use rt_protocol::{ErrorKind, LogOptions, OutputStream, Pull, Readiness, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};
use crate::log_followers::without_files;

pub(crate) const CASES: &[Case] = &[
    ("logs: both streams, tagged, the unterminated last line included", both_streams),
    ("logs: one stream alone, and an absent container is still an error", one_stream),
    ("logs: tail, timestamps and a bound for lines", options),
    ("logs: a follower gets lines as they are written, and ends with the container", follow),
    ("logs: with times lines are those without, and no time is in them", lines_with_times),
    ("logs: with times the bound of a line counts its own bytes", bound_with_times),
    ("logs: a follower with times gets what was written bit by bit in one line", follow_with_times),
    ("logs: a flood on both streams loses nothing", flood),
    ("logs: a line that looks like podman's own error is a line", looks_like_an_error),
    ("logs: a pull ends with its limit while a line is told from podman's own error", limit_while_held),
    ("logs: a tail of more lines than podman can count is the whole log", endless_tail),
    ("logs: lines of a terminal end where their text does", terminal),
    ("logs: closing ends the reader, twice is fine", close),
    ("readiness: the sign is seen, and only whole lines are offered", ready),
    ("readiness: a deadline and an ended log are two answers", not_ready),
    ("readiness: a panic of the callback leaves nothing behind", panics),
];

pub(crate) fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

pub(crate) fn lines(
    sandbox: &Sandbox<'_>,
    options: &LogOptions,
) -> rt_protocol::Result<Vec<rt_protocol::LogLine>> {
    let mut log = sandbox.container.logs(options, &Until::forever())?;
    let mut lines = Vec::new();
    while let Pull::Item(line) = log.pull(&until())? {
        lines.push(line);
    }
    Ok(lines)
}

pub(crate) fn ended<'a>(live: &'a Live, script: &str) -> rt_protocol::Result<Sandbox<'a>> {
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
    let _ = sandbox.container.wait(&until())?;
    Ok(sandbox)
}

fn both_streams(live: &Live) -> Outcome {
    let sandbox = ended(live, r"echo out1; echo err1 >&2; printf 'bad \377 byte\n'; printf last")?;
    let found = lines(&sandbox, &LogOptions::new())?;
    let of =
        |stream| found.iter().filter(move |line| line.stream == stream).map(|line| line.text().into_owned());
    assert_eq!(of(OutputStream::Stdout).collect::<Vec<_>>(), ["out1", "bad \u{fffd} byte", "last"]);
    assert_eq!(of(OutputStream::Stderr).collect::<Vec<_>>(), ["err1"]);
    Ok(())
}

fn one_stream(live: &Live) -> Outcome {
    let script =
        "for i in 1 2 3; do echo out$i; echo err$i >&2; done; echo 'Error: theirs' >&2; yes | head -n 20000";
    let sandbox = ended(live, script)?;
    let errors = lines(&sandbox, &LogOptions::new().only(OutputStream::Stderr))?;
    let texts: Vec<_> = errors.iter().map(|line| line.text().into_owned()).collect();
    assert_eq!(texts, ["err1", "err2", "err3", "Error: theirs"]);
    let outputs = lines(&sandbox, &LogOptions::new().only(OutputStream::Stdout))?;
    assert_eq!(outputs.len(), 20_003);
    assert!(outputs.iter().all(|line| line.stream == OutputStream::Stdout));
    let container = sandbox.container.clone();
    drop(sandbox);
    let error = container
        .logs(&LogOptions::new().only(OutputStream::Stdout), &Until::forever())?
        .pull(&until())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchContainer, "{error}");
    Ok(())
}

fn options(live: &Live) -> Outcome {
    let sandbox =
        ended(live, "for i in 1 2 3 4 5; do echo line$i; done; head -c 100000 /dev/zero | tr '\\0' x; echo")?;
    let bounded = lines(&sandbox, &LogOptions::new().max_line_bytes(1000))?;
    assert_eq!(bounded.len(), 6, "{bounded:?}");
    assert_eq!((bounded[5].bytes.len(), bounded[5].omitted), (1000, 99_000));
    let short = ended(live, "echo a; echo b >&2; echo c")?;
    let mut tail: Vec<_> =
        lines(&short, &LogOptions::new().tail(2))?.iter().map(|line| line.text().into_owned()).collect();
    tail.sort();
    assert_eq!(tail, ["b", "c"]);
    assert!(lines(&short, &LogOptions::new().tail(0))?.is_empty());
    let timed = lines(&sandbox, &LogOptions::new().timestamps())?;
    assert_eq!(timed[0].text(), "line1");
    assert!(timed[0].timestamp.is_some_and(|time| time < SystemTime::now()));
    assert!(
        lines(&sandbox, &LogOptions::new().since(SystemTime::now() + Duration::from_secs(60)))?.is_empty()
    );
    Ok(())
}

fn follow(live: &Live) -> Outcome {
    let script = "echo first; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo second; echo third >&2";
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
    let mut log = sandbox.container.logs(&LogOptions::new().follow(), &Until::forever())?;
    let Pull::Item(first) = log.pull(&until())? else { panic!("no line") };
    assert_eq!(first.text(), "first");
    assert_eq!(log.pull(&Until::after(Duration::from_millis(300)))?, Pull::Pending);
    // The container may end before the command does, and take it along.
    let _ = sandbox.sh("touch /tmp/go")?;
    let mut rest = Vec::new();
    while let Pull::Item(line) = log.pull(&until())? {
        rest.push(line.text().into_owned());
    }
    rest.sort();
    assert_eq!(rest, ["second", "third"]);
    assert_eq!(log.pull(&until())?, Pull::End);
    Ok(())
}

/// Lines that podman keeps in pieces: of 40,000 bytes, written bit by bit, unterminated. And one
/// with a time of podman's form in it, of a moment between the writing and the reading.
const PIECES: &str = "head -c 40000 /dev/zero | tr '\\0' z; echo; printf a; sleep 0.3; echo b; echo err >&2; echo; \
    echo \"next: $(date -u -d @$(($(date +%s) + 1)) +%Y-%m-%dT%H:%M:%S).000000000Z x\"; printf la; sleep 0.1; printf st";

fn lines_with_times(live: &Live) -> Outcome {
    let sandbox = ended(live, PIECES)?;
    std::thread::sleep(Duration::from_secs(2));
    let of = |options: &LogOptions, stream| -> rt_protocol::Result<Vec<_>> {
        Ok(lines(&sandbox, options)?.into_iter().filter(|line| line.stream == stream).collect())
    };
    for options in [LogOptions::new(), LogOptions::new().follow()] {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let (plain, timed) = (of(&options, stream)?, of(&options.clone().timestamps(), stream)?);
            let bytes = |lines: &[rt_protocol::LogLine]| {
                lines.iter().map(|line| line.bytes.clone()).collect::<Vec<_>>()
            };
            assert_eq!(bytes(&timed), bytes(&plain));
            assert!(timed.is_sorted_by_key(|line| line.timestamp), "{timed:?}");
            assert!(timed.iter().all(|line| line.timestamp.is_some_and(|at| at < SystemTime::now())));
        }
    }
    let found = of(&LogOptions::new().timestamps(), OutputStream::Stdout)?;
    assert_eq!(found.iter().map(|line| line.bytes.len()).collect::<Vec<_>>(), [40_000, 2, 0, 38, 4]);
    assert!(found[0].bytes.iter().all(|byte| *byte == b'z'));
    // With a tail podman 4.3 hands pieces to other lines, but no time is left in them.
    let tail = lines(&sandbox, &LogOptions::new().timestamps().tail(100))?;
    let own = tail.iter().filter(|line| line.text().contains("Z ")).count();
    assert!(own <= 1 && tail.iter().all(|line| line.timestamp.is_some()), "{tail:?}");
    Ok(())
}

fn bound_with_times(live: &Live) -> Outcome {
    let sandbox = ended(live, "echo hello; head -c 40000 /dev/zero | tr '\\0' z; echo")?;
    for (bound, kept) in [(5, 5), (35, 5), (2, 2), (0, 0)] {
        let found = lines(&sandbox, &LogOptions::new().timestamps().max_line_bytes(bound))?;
        assert_eq!(found[0].bytes, &b"hello"[..kept], "{found:?}");
        assert_eq!(found[0].omitted, 5 - kept as u64);
        assert_eq!((found[1].bytes.len(), found[1].omitted), (bound, 40_000 - bound as u64));
        assert!(found.iter().all(|line| line.timestamp.is_some()), "{found:?}");
    }
    Ok(())
}

fn follow_with_times(live: &Live) -> Outcome {
    let script = "echo first; while [ ! -e /tmp/go ]; do sleep 0.1; done; printf a; sleep 0.3; printf b; sleep 0.3; \
        echo c; head -c 40000 /dev/zero | tr '\\0' z; echo";
    for options in [LogOptions::new(), LogOptions::new().tail(5)] {
        let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
        let mut log = sandbox.container.logs(&options.follow().timestamps(), &Until::forever())?;
        let Pull::Item(first) = log.pull(&until())? else { panic!("no line") };
        assert!(first.text() == "first" && first.timestamp.is_some(), "{first:?}");
        assert_eq!(log.pull(&Until::after(Duration::from_millis(300)))?, Pull::Pending);
        sandbox.sh("touch /tmp/go")?.exit_ok()?;
        let mut rest = Vec::new();
        while let Pull::Item(line) = log.pull(&until())? {
            assert!(line.timestamp.is_some(), "{line:?}");
            rest.push(line.text().into_owned());
        }
        assert_eq!(rest, ["abc".to_owned(), "z".repeat(40_000)]);
    }
    Ok(())
}

fn flood(live: &Live) -> Outcome {
    let sandbox = ended(live, "seq 1 20000 & seq 1 20000 >&2; wait")?;
    let found = lines(&sandbox, &LogOptions::new())?;
    for stream in [OutputStream::Stdout, OutputStream::Stderr] {
        let numbers: Vec<u32> = found
            .iter()
            .filter(|line| line.stream == stream)
            .map(|line| line.text().parse())
            .collect::<Result<_, _>>()?;
        assert!(numbers.iter().copied().eq(1..=20_000), "{stream:?}: {} lines", numbers.len());
    }
    Ok(())
}

fn terminal(live: &Live) -> Outcome {
    let script = "echo READY; printf 'two\\r\\n'; printf last; while [ ! -e /tmp/go ]; do sleep 0.1; done";
    let spec = Sandbox::spec(live).extra_args(["--tty"]).command(["sh", "-c", script]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let when = rt_protocol::ReadyWhen::new().log_line("READY", |line| line == "READY");
    when.wait(sandbox.container.as_ref(), until())?;
    let mut log = sandbox.container.logs(&LogOptions::new().follow().max_line_bytes(5), &Until::forever())?;
    let mut followed = Vec::new();
    while followed.len() < 2 {
        let Pull::Item(item) = log.pull(&until())? else { panic!("no line") };
        followed.push(item);
    }
    let _ = sandbox.sh("touch /tmp/go")?;
    while let Pull::Item(line) = log.pull(&until())? {
        followed.push(line);
    }
    for found in [followed, lines(&sandbox, &LogOptions::new().max_line_bytes(5))?] {
        let texts: Vec<_> = found.iter().map(|line| line.text()).collect();
        assert_eq!(texts, ["READY", "two\r", "last"]);
    }
    let timed = lines(&sandbox, &LogOptions::new().timestamps())?;
    assert!(timed[0].text() == "READY" && timed[0].timestamp.is_some(), "{timed:?}");
    Ok(())
}

fn looks_like_an_error(live: &Live) -> Outcome {
    let sandbox = ended(live, "echo 'Error: no such container' >&2; echo 'Error: last' >&2")?;
    let found = lines(&sandbox, &LogOptions::new())?;
    let texts: Vec<_> = found.iter().map(|line| line.text()).collect();
    assert_eq!(texts, ["Error: no such container", "Error: last"]);
    Ok(())
}

fn limit_while_held(live: &Live) -> Outcome {
    let script = "echo 'Error: theirs' >&2; sleep 1000";
    let directory = tempfile::tempdir()?;
    // podman reads it.
    let runtime = without_files(live, &directory)?;
    let sandbox = Sandbox::launch(&runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
    let mut log = sandbox.container.logs(&LogOptions::new().follow(), &Until::forever())?;
    let begun = Instant::now();
    let mut pulls = 0;
    // A pull that waited for podman's exit would return the line. Others may be long on a busy
    // machine.
    let (told, took) = loop {
        let pull = Instant::now();
        let pulled = log.pull(&Until::after(Duration::from_millis(10)))?;
        pulls += 1;
        match pulled {
            Pull::Item(item) => break (item, pull.elapsed()),
            Pull::Pending => assert!(begun.elapsed() < Duration::from_secs(30), "no line"),
            Pull::End => panic!("no line"),
        }
    };
    assert_eq!(told.text(), "Error: theirs");
    assert!(took < Duration::from_millis(240), "of {pulls} pulls of 10 ms the last one took {took:?}");
    Ok(())
}

fn endless_tail(live: &Live) -> Outcome {
    let sandbox = ended(live, "echo a; echo b >&2; printf c")?;
    for count in [1 << 27, (1 << 27) + 1, 1 << 32, i64::MAX as u64, u64::MAX] {
        let found = lines(&sandbox, &LogOptions::new().tail(count))?;
        let bytes: usize = found.iter().map(|line| line.bytes.len()).sum();
        assert_eq!(bytes, 3, "with a tail of {count}: {found:?}");
    }
    Ok(())
}

fn close(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let mut log = sandbox.container.logs(&LogOptions::new().follow(), &Until::forever())?;
    log.close()?;
    log.close()?;
    assert_eq!(log.pull(&until())?, Pull::End);
    drop(sandbox.container.logs(&LogOptions::new().follow(), &Until::forever())?);
    Ok(())
}

fn ready(live: &Live) -> Outcome {
    let script = "printf '>> init '; sleep 0.3; echo complete; echo more; sleep 1000";
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
    let mut echo = Vec::new();
    let mut offered = Vec::new();
    let mut sign = |line: &str| {
        offered.push(line.to_owned());
        line == ">> init complete"
    };
    let readiness = sandbox.container.stream_initial_logs(&mut sign, &mut echo, &until())?;
    assert_eq!(readiness, Readiness::Ready(">> init complete".into()));
    assert_eq!(offered, [">> init complete"]);
    assert_eq!(echo, b">> init complete\n");
    Ok(())
}

fn not_ready(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let begun = Instant::now();
    let short = Until::after(Duration::from_millis(700));
    let readiness = sandbox.container.stream_initial_logs(&mut |_| false, &mut std::io::sink(), &short)?;
    assert_eq!(readiness, Readiness::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(4));
    let sandbox = ended(live, "echo a; echo b")?;
    let mut seen = Vec::new();
    let mut never = |line: &str| {
        seen.push(line.to_owned());
        false
    };
    let readiness = sandbox.container.stream_initial_logs(&mut never, &mut std::io::sink(), &until())?;
    assert_eq!(readiness, Readiness::Ended);
    assert_eq!(seen, ["a", "b"]);
    let absent = rt_protocol::ContainerRuntime::container(
        &live.runtime,
        &rt_protocol::ContainerName::new("rtt-absent")?,
    );
    let error = absent.stream_initial_logs(&mut |_| false, &mut std::io::sink(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchContainer, "{error}");
    Ok(())
}

fn panics(live: &Live) -> Outcome {
    let sandbox =
        Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", "echo a; sleep 1000"]))?;
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sandbox.container.stream_initial_logs(
            // A panic whose message would stand in the output of the suite as if it were a failure
            // is none of it.
            &mut |_| std::panic::resume_unwind(Box::new("a callback's own")),
            &mut std::io::sink(),
            &until(),
        )
    }));
    assert!(caught.is_err());
    Ok(())
}
