//! Terminals in a sealed guest: what its shells, its sshd and its start-up files do to them.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use rt_protocol::{
    Container, ContainerExt, ErrorKind, ExecRequest, ExecRequestBuilder, ExecStdio, ExitOutcome, Secret,
    Sink, Source, SpawnStdio, StreamEnd, TerminalSize,
};
use rt_tests::krun::LoopbackGuest;
use rt_tests::live::Live;
use rt_tests::ssh_lab::loopback::Settings;

use crate::case::{Case, Outcome, Problem};
use crate::krun_commands::sh;
use crate::sleepers::{fresh_tag, sleepers};
use crate::warm_container::{minute, wait_until};

pub(crate) const CASES: &[Case] = &[
    ("krun terminals: variables and long commands reach every shell unseen and unchanged", shells),
    ("krun terminals: start-up files print nothing into them, and read nothing that is typed", startup_files),
    ("krun terminals: a failure before the command is told as without one", failures),
    ("krun terminals: a guest that gives none says why", refusals),
    ("krun terminals: long output is whole while keys are renewed, whoever holds them open", long_output),
    ("krun terminals: a command whose connection is cut is lost, and gone", cut),
];

fn builder(script: &str) -> Result<ExecRequestBuilder, Problem> {
    Ok(ExecRequest::builder(["/bin/sh", "-c", script]).terminal(TerminalSize::new(33, 121)?))
}

fn screen(container: &dyn Container, request: ExecRequestBuilder) -> Result<String, Problem> {
    let result = container.exec(&request.build()?, &minute())?;
    assert!(result.success() && result.stderr.is_empty(), "{result:?}");
    Ok(result.stdout.text().into_owned())
}

fn shells(live: &Live) -> Outcome {
    // Every byte but NUL, twice, and a line that is longer than a terminal takes.
    let bytes: Vec<u8> = (1..=255u8).chain((1..=255).rev()).chain([b'x'; 9000]).collect();
    let secret = || Secret::new(OsString::from_vec(bytes.clone()));
    let expected = bytes.iter().map(|byte| format!(" {byte:02x}")).collect::<Vec<_>>().concat();
    let show = "printf %s \"$S\" | od -An -v -tx1 | tr -d '\\n'";
    let mut guest = LoopbackGuest::start(live, Settings { is_forgiving: true, ..Settings::default() })?;
    let passwd = guest.sshd.inside("/etc/passwd");
    let users = fs::read_to_string(&passwd)?;
    symlink(&live.busybox, guest.sshd.inside("/ash"))?;
    for shell in ["/bin/sh", "/bin/bash", "/ash"] {
        fs::write(&passwd, users.replace("/home/dev:/bin/sh", &format!("/home/dev:{shell}")))?;
        guest.sshd.restart(Settings { is_forgiving: true, ..Settings::default() })?;
        let container = guest.container.as_ref();
        // The connection that was kept is at its end.
        let _ = sh(container, "true");
        assert_eq!(sh(container, "printf %s \"$SHELL\"")?.stdout, shell);

        let shown = screen(container, builder(show)?.secret_env("S", secret()))?;
        assert_eq!(shown, expected, "{shell}");
        let long = "y z".repeat(10_000);
        let request = ExecRequest::builder(["/bin/sh", "-c", "printf %s,%s ${#1} \"$S\"", "sh", &long]);
        let request = request.terminal(TerminalSize::default()).secret_env("S", "one\ntwo");
        assert_eq!(screen(container, request)?, "30000,one\r\ntwo", "{shell}");
        // It is the terminal of somebody who logs in.
        let modes = "stty -a | tr ';' '\\n' | grep -owE -- '-?(icanon|isig|iexten|echo|echoe|icrnl|ixon|opost|onlcr)|33|121'";
        let modes = screen(container, builder(&format!("{modes} | sort | tr '\\n' ' '"))?)?;
        assert_eq!(modes, "121 33 echo echoe icanon icrnl iexten isig ixon onlcr opost ", "{shell}");
        // The script's own name is not among its variables.
        assert_eq!(screen(container, builder("env | grep -c '^rt_' | tr -d '\\n'")?)?, "0", "{shell}");
    }
    Ok(())
}

fn startup_files(live: &Live) -> Outcome {
    let noise = "printf 'out\\nrt-'; printf 'err\\nrt-' >&2; read -t 0.5 -n 1 eaten; export EATEN=\"$eaten\"; set -xv";
    let settings = || Settings { is_forgiving: true, ..Settings::default() };
    let mut guest = LoopbackGuest::start(live, settings())?;
    let passwd = guest.sshd.inside("/etc/passwd");
    let users = fs::read_to_string(&passwd)?;
    fs::write(&passwd, users.replace("/home/dev:/bin/sh", "/home/dev:/bin/bash"))?;
    fs::write(guest.sshd.inside("/home/dev/.bashrc"), noise)?;
    guest.sshd.restart(settings())?;
    let container = guest.container.as_ref();
    for _ in 0..3 {
        let script = "IFS= read -r line; printf '<%s|%s|%s>' \"$line\" \"$EATEN\" \"$S\"; exit 4";
        let request = builder(script)?.secret_env("S", "hunter2").build()?;
        let mut screen = Vec::new();
        let stdio = ExecStdio::new(Source::bytes("typed\n"), Sink::borrowed(&mut screen));
        let result = container.exec_stdio(&request, stdio, &minute())?;
        assert_eq!(result.outcome.code(), Some(4));
        assert_eq!(result.stdin.bytes, 6);
        assert_eq!(String::from_utf8_lossy(&screen), "typed\r\n<typed||hunter2>");
    }
    Ok(())
}

fn failures(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let refused = |request: ExecRequestBuilder| {
        let request = request.terminal(TerminalSize::default()).build().expect("a request");
        let error = guest.container.exec(&request, &minute()).unwrap_err();
        assert!(error.never_started(), "{error:?}");
        error.kind()
    };
    assert_eq!(refused(ExecRequest::builder(["no-such-command"])), ErrorKind::CommandNotFound);
    assert_eq!(refused(ExecRequest::builder(["/etc/passwd"])), ErrorKind::CommandNotExecutable);
    assert_eq!(refused(ExecRequest::builder(["true"]).workdir("/no/such")), ErrorKind::BadWorkdir);
    // A command that only says the same.
    let request = builder("echo 'sh: 1: exec: x: not found'; exit 127")?.build()?;
    assert_eq!(guest.container.exec(&request, &minute())?.outcome.code(), Some(127));
    Ok(())
}

fn long_output(live: &Live) -> Outcome {
    let settings = Settings { rekey_limit: "512K", is_forgiving: true, ..Settings::default() };
    let guest = LoopbackGuest::start(live, settings)?;
    let expected: String =
        (1_000_000..1_200_000).flat_map(|number| [number.to_string(), "\r\n".into()]).collect();
    // A child that ignores the hang-up holds the terminal open; OpenSSH closes it nevertheless.
    for start in ["", "(trap '' HUP; sleep 600) & "].repeat(3) {
        let begun = Instant::now();
        let script = format!("{start}seq 1000000 1199999; exit 3");
        let result = guest.container.exec(&builder(&script)?.build()?, &minute())?;
        assert_eq!((result.outcome.code(), result.stdout.end()), (Some(3), StreamEnd::Eof), "{script}");
        assert!(result.stdout == expected.as_str(), "{} of {} bytes", result.stdout.total(), expected.len());
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
        // More than a window, for a reader that comes when the command waits for it or has ended.
        let (mut stdout, sink) = std::io::pipe()?;
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(2));
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes)
        });
        let script = format!("{start}seq 1000000 1199999; seq 1000000 1199999; exit 3");
        let stdio = ExecStdio::new(Source::empty(), Sink::descriptor(sink));
        let result = guest.container.exec_stdio(&builder(&script)?.build()?, stdio, &minute())?;
        assert_eq!((result.outcome.code(), result.stdout.end), (Some(3), StreamEnd::Eof), "{script}");
        let bytes = reader.join().expect("no panic")?;
        assert!(bytes == expected.repeat(2).as_bytes(), "{} of {} bytes", bytes.len(), 2 * expected.len());
    }
    Ok(())
}

fn cut(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings { is_forgiving: true, ..Settings::default() })?;
    let tag = fresh_tag();
    let request = builder(&format!("echo held; exec sleep {tag}"))?.build()?;
    let stdio = SpawnStdio::new().piped_stdin();
    let mut command = guest.container.spawn_command(&request, stdio, minute())?;
    let mut begin = [0; 6];
    command.stdout.as_mut().ok_or("it is piped")?.read_exact(&mut begin)?;
    assert_eq!(&begin, b"held\r\n");
    guest.sshd.kill_sessions();
    let result = command.wait(minute())?;
    assert_eq!((result.outcome, result.stdout.end), (ExitOutcome::Lost, StreamEnd::Stopped));
    command.resize(TerminalSize::default())?;
    // Its terminal has hung up.
    wait_until("the command is gone", || sleepers(tag).is_empty());
    Ok(())
}

fn refusals(live: &Live) -> Outcome {
    let mut guest = LoopbackGuest::start(live, Settings::default())?;
    let config = guest.sshd.inside("/etc/ssh/sshd_config");
    let options = fs::read_to_string(&config)?;
    // Its sshd gives none; or its shell finds no stty.
    for (option, word) in [("PermitTTY no", "PermitTTY"), ("SetEnv PATH=/nowhere", "stty")] {
        fs::write(&config, format!("{options}{option}\n"))?;
        guest.sshd.restart(Settings::default())?;
        let container = guest.container.as_ref();
        // The connection that was kept is at its end.
        let _ = sh(container, "true");
        let begun = Instant::now();
        let request = builder("touch /tmp/never")?.secret_env("S", "hunter2").build()?;
        let error = container.exec(&request, &minute()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert!(error.never_started() && error.hint().is_some_and(|hint| hint.contains(word)), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(!guest.sshd.inside("/tmp/never").exists());
        // Commands without one run.
        let plain = ExecRequest::new(["/bin/sh", "-c", "printf ran"])?;
        assert_eq!(container.exec(&plain, &minute())?.stdout, "ran");
    }
    Ok(())
}
