//! Who logs in to a guest, and what takes the command there: login shells that run none, start-up
//! files, names of keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rt_krun::KrunTransport;
use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{
    Argv, Container, Error, ErrorKind, ExecRequest, ExecResult, ExitOutcome, OutputLimit, Source, StreamEnd,
    Until,
};
use rt_tests::krun::{LoopbackGuest, transport_to};
use rt_tests::live::Live;
use rt_tests::ssh_lab::loopback::Settings;
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::krun_commands::sh;

pub(crate) const CASES: &[Case] = &[
    (
        "krun faults: a login shell that runs no command is told, and no answer is made of its end",
        other_shells,
    ),
    ("krun faults: an sshd that runs a command of its own is told, and nothing else is run", forced),
    ("krun faults: a login shell that never answers holds nobody beyond the deadline", stuck),
    ("krun faults: a user without a login shell is refused, and the hint says so", no_shell),
    ("krun: what start-up files say and leave behind does not keep a command out", noisy),
    ("krun: a death by a signal that sshd has no name for is told as an unknown one", nameless_signal),
    ("krun: a login finds its identity whatever its path looks like", odd_path),
];

/// Another user of the guest.
fn add_user(guest: &LoopbackGuest<'_>, name: &str, number: u32, shell: &str) -> Result<(), Problem> {
    let home = guest.sshd.inside(&format!("/home/{name}"));
    fs::create_dir(&home)?;
    std::os::unix::fs::chown(&home, Some(number), Some(number))?;
    let path = guest.sshd.inside("/etc/passwd");
    let line = format!("{name}:x:{number}:{number}::/home/{name}:{shell}\n");
    Ok(fs::write(&path, fs::read_to_string(&path)? + &line)?)
}

fn exec_as(
    guest: &LoopbackGuest<'_>,
    user: &str,
    script: &str,
    limit: Duration,
) -> Result<ExecResult, Error> {
    let request = ExecRequest::builder(["sh", "-c", script]).user(user).workdir("/").build()?;
    guest.container.exec(&request, &Until::after(limit))
}

const LIMIT: Duration = Duration::from_secs(30);

fn other_shells(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings { is_forgiving: true, ..Settings::default() })?;
    fs::write(guest.sshd.inside("/etc/exits"), "#!/bin/sh\necho gone away\nexit 0\n")?;
    fs::write(guest.sshd.inside("/etc/repeats"), "#!/bin/sh\necho \"$2\"; echo \"$2\" >&2\n")?;
    fs::write(guest.sshd.inside("/etc/talks"), "#!/bin/sh\nyes talk\n")?;
    for script in ["/etc/exits", "/etc/repeats", "/etc/talks"] {
        fs::set_permissions(guest.sshd.inside(script), fs::Permissions::from_mode(0o755))?;
    }
    let shells = [
        ("/bin/true", "exit code 0 and said nothing"),
        ("/bin/false", "exit code 1 and said nothing"),
        ("/etc/exits", "exit code 0 and said \"gone away\""),
        ("/etc/repeats", "exit code 0 and said \"rt_line="),
        ("/etc/talks", "more than 64 KiB, first \"talk\\ntalk\\n"),
    ];
    for (number, (shell, expected)) in (2000..).zip(shells) {
        let user = format!("u{number}");
        add_user(&guest, &user, number, shell)?;
        // The second time nothing is remembered that would let it pass.
        for _ in 0..2 {
            let error = exec_as(&guest, &user, "true", LIMIT).expect_err(shell);
            assert_eq!(error.kind(), ErrorKind::BackendFailed, "{shell}: {error}");
            assert!(error.never_started(), "{shell}: {error:?}");
            let text = error.to_string();
            assert!(
                text.contains(&format!("login shell of user `{user}`")) && text.contains(expected),
                "{text}"
            );
            assert!(text.contains("ForceCommand") && text.len() < 700, "{text}");
        }
    }
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}

fn forced(live: &Live) -> Outcome {
    let mut guest = LoopbackGuest::start(live, Settings::default())?;
    let path = guest.sshd.inside("/etc/ssh/sshd_config");
    let config = fs::read_to_string(&path)?;
    fs::write(&path, format!("{config}ForceCommand echo forced\n"))?;
    guest.sshd.restart(Settings::default())?;
    let error = exec_as(&guest, "dev", "touch /tmp/never", LIMIT).unwrap_err();
    assert!(error.never_started(), "{error:?}");
    assert!(error.to_string().contains("said \"forced\""), "{error}");
    assert!(!guest.sshd.inside("/tmp/never").exists());

    // One that hands on what it is given is no obstacle.
    fs::write(&path, format!("{config}ForceCommand eval \"$SSH_ORIGINAL_COMMAND\"\n"))?;
    guest.sshd.restart(Settings { max_sessions: 1, ..Settings::default() })?;
    for number in 0..3 {
        let result = exec_as(&guest, "dev", &format!("echo {number}; exit {number}"), LIMIT)?;
        assert_eq!(
            (result.outcome, result.stdout.text().as_ref()),
            (ExitOutcome::Code(number), &*format!("{number}\n"))
        );
    }
    Ok(())
}

fn stuck(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start_through(
        live,
        Settings { is_forgiving: true, ..Settings::default() },
        |sshd| Ok(sshd.address()),
        |builder| builder.connect_limit(Duration::from_secs(3)),
    )?;
    add_user(&guest, "stuck", 2000, "/etc/sleeps")?;
    fs::write(guest.sshd.inside("/etc/sleeps"), "#!/bin/sh\nexec sleep 600\n")?;
    fs::set_permissions(guest.sshd.inside("/etc/sleeps"), fs::Permissions::from_mode(0o755))?;
    for (limit, kind) in [(1, ErrorKind::TimedOut), (30, ErrorKind::Unreachable)] {
        let begun = Instant::now();
        let error = exec_as(&guest, "stuck", "true", Duration::from_secs(limit)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.never_started(), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(limit.min(3) + 3), "{:?}", begun.elapsed());
    }
    Ok(())
}

fn no_shell(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings { is_forgiving: true, ..Settings::default() })?;
    add_user(&guest, "shellless", 2000, "/no/such/shell")?;
    let error = exec_as(&guest, "shellless", "true", LIMIT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationRefused, "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("login shell does not exist")), "{error}");
    Ok(())
}

fn noisy(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings { max_sessions: 1, ..Settings::default() })?;
    // A child of its own holds the outputs open, as an agent that is started at login does.
    let shell = "#!/bin/sh\nprintf noise; echo more >&2\nsleep 600 &\n. /etc/begun\nexec sh \"$@\"\n";
    fs::write(guest.sshd.inside("/etc/begun"), "")?;
    fs::write(guest.sshd.inside("/etc/noisy"), shell)?;
    fs::set_permissions(guest.sshd.inside("/etc/noisy"), fs::Permissions::from_mode(0o755))?;
    add_user(&guest, "noisy", 2000, "/etc/noisy")?;
    for number in 0..3 {
        let result = exec_as(&guest, "noisy", &format!("echo {number}; exit 5"), LIMIT)?;
        assert_eq!(
            (result.outcome, result.stdout.text().as_ref(), result.stderr.text().as_ref()),
            (ExitOutcome::Code(5), &*format!("{number}\n"), "")
        );
        assert_eq!(result.stdout.end(), StreamEnd::LeftOpen);
    }

    // The same child behind a shell that does not answer: nobody waits for it.
    guest.runtime.transport().forget(&guest.sandbox.name);
    fs::write(guest.sshd.inside("/etc/begun"), "exit 0")?;
    let begun = Instant::now();
    let error = exec_as(&guest, "noisy", "true", LIMIT).unwrap_err();
    assert!(error.to_string().contains("exit code 0 and said \"more\""), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    Ok(())
}

fn nameless_signal(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    for (signal, expected) in [("KILL", "KILL"), ("XCPU", "unknown")] {
        let result = sh(guest.container.as_ref(), &format!("kill -{signal} $$; sleep 1"))?;
        assert_eq!(result.outcome, ExitOutcome::Signal(String::from(expected)));
    }
    Ok(())
}

fn odd_path(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let directory = TempDir::new()?;
    for name in ["a b", "%h", "%%", "$HOME", "'q\"b\\", "#c"] {
        let file = directory.path().join(name).join("key");
        fs::create_dir(file.with_file_name(""))?;
        fs::copy(guest.identity.private(), &file)?;
        let transport = transport_to(guest.sshd.address(), &file).build();
        let argv = transport.login_command(
            &guest.container,
            Some(&Argv::new(["echo", "in"])?),
            &Until::forever(),
        )?;
        let (program, arguments) = argv.split_first().ok_or("no command")?;
        let spec = ProcessSpec::new(&Program::find(program)?).args(arguments);
        let limit = OutputLimit::UNLIMITED;
        let said = rt_process::capture(&spec, Source::empty(), limit, limit, &Until::after(LIMIT))?;
        assert_eq!(said.status, Some(ExitStatus::Code(0)), "{name}: {}", said.stderr_capture);
        assert_eq!(said.stdout_capture, "in\r\n", "{name}");
    }
    let file = directory.path().join("${HOME}");
    fs::copy(guest.identity.private(), &file)?;
    let transport = transport_to(guest.sshd.address(), &file).build();
    let error = transport.login_command(&guest.container, None, &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadIdentity, "{error}");
    assert!(transport.exec(&guest.container, &ExecRequest::new(["true"])?, &Until::after(LIMIT))?.success());
    Ok(())
}
