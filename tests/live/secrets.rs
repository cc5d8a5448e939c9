//! Secrets reach the command and nobody else.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rt_protocol::{ErrorKind, ExecRequest, Secret, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("secrets: a value reaches the command, newlines included", value),
    ("secrets: no command line of this machine shows the value", command_lines),
    ("secrets: a launch passes them alike", launch),
    ("secrets: names that steer podman travel all the same, and steer nothing", steering),
    ("secrets: no name makes a script that stands for podman do anything", wrapper_script),
    ("secrets: names that steer podman travel beside a bridged stdin too", beside_stdin),
    ("secrets: a name that steers podman is refused where there is no private way", no_way),
];

const SECRET: &str = "hunter2-6f1c";

fn value(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let secret = format!("{SECRET}\nsecond = line ");
    let request = ExecRequest::builder(["sh", "-c", "printf %s \"$TOKEN\""])
        .secret_env("TOKEN", Secret::new(&secret))
        .build()?;
    let result = sandbox.container.exec(&request, &Until::after(Duration::from_secs(30)))?;
    assert_eq!(result.stdout, secret.as_str());
    Ok(())
}

/// Whether any process of this machine has the value in its argv.
fn is_shown() -> bool {
    rt_process::procfs::snapshot().unwrap_or_default().into_iter().any(|entry| {
        std::fs::read(format!("/proc/{}/cmdline", entry.pid))
            .is_ok_and(|words| words.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()))
    })
}

fn command_lines(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let request = ExecRequest::builder(["sh", "-c", "echo $TOKEN; sleep 2; exit 9"])
        .secret_env("TOKEN", SECRET)
        .build()?;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| sandbox.container.exec(&request, &Until::after(Duration::from_secs(1))));
        while !call.is_finished() {
            assert!(!is_shown());
        }
        let error = call.join().expect("no panic").expect_err("a timeout");
        // The command printed it itself, so the partial output has it; the text must not.
        assert!(!error.to_string().contains(SECRET), "{error}");
    });
    Ok(())
}

fn launch(live: &Live) -> Outcome {
    let spec = Sandbox::spec(live).secret_env("TOKEN", SECRET).command(["sleep", "777777"]);
    assert!(!format!("{spec:?}").contains(SECRET));
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    assert_eq!(sandbox.sh("printf %s \"$TOKEN\"")?.stdout, SECRET);
    assert!(!is_shown());
    Ok(())
}

/// Each of them would break podman, or be taken by it, in its own environment.
const STEERING: [&str; 20] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "CONTAINER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "PODMAN_USERNS",
    "STORAGE_DRIVER",
    "REGISTRY_AUTH_FILE",
    "HTTP_PROXY",
    "https_proxy",
    "NO_PROXY",
    "GODEBUG",
    "DBUS_SESSION_BUS_ADDRESS",
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
];

/// Of each step by itself: together they take longer on a busy host.
fn until() -> Until {
    Until::after(Duration::from_secs(30))
}

fn steering(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    for name in STEERING {
        let value = format!("tcp://{SECRET} of:{name}=x");
        // The loader and the shell of the container read some of them, so nothing but the list is
        // asked for.
        let request = ExecRequest::builder(["/bin/busybox", "env"]).secret_env(name, &*value).build()?;
        let result = sandbox.container.exec(&request, &until())?;
        let expected = format!("{name}={value}");
        assert!(result.stdout.text().lines().any(|found| found == expected), "{name}: {:?}", result.stdout);
        let stdio = rt_protocol::ExecStdio::new(rt_protocol::Source::empty(), rt_protocol::Sink::discard());
        let bridged = sandbox.container.exec_stdio(&request, stdio, &until())?;
        assert!(bridged.success() && bridged.stdout.bytes > expected.len() as u64, "{bridged:?}");
        assert_eq!(bridged.stdin, rt_protocol::StreamReport::default());
    }
    let mut spec = Sandbox::spec(live).command(["/bin/busybox", "env"]);
    for name in STEERING {
        spec = spec.secret_env(name, format!("v-{name}").as_str());
    }
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let _ = sandbox.container.wait(&until())?;
    let mut log = sandbox.container.logs(&rt_protocol::LogOptions::new(), &Until::forever())?;
    let mut lines = Vec::new();
    while let rt_protocol::Pull::Item(line) = log.pull(&until())? {
        lines.push(line.text().into_owned());
    }
    for name in STEERING {
        assert!(lines.contains(&format!("{name}=v-{name}")), "{name} in {lines:?}");
    }
    Ok(())
}

fn wrapper_script(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let (wrapper, code, sign) =
        (directory.path().join("podman"), directory.path().join("code"), directory.path().join("sign"));
    std::fs::write(&wrapper, format!("#!/bin/bash\nexec '{}' \"$@\"\n", live.podman.display()))?;
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
    std::fs::write(&code, format!("echo ran >'{}'\n", sign.display()))?;
    let runtime = live.builder().binary(&wrapper).build()?;
    let sandbox = Sandbox::launch(&runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let code = code.to_str().ok_or("a path")?;
    let names = [
        ("BASH_ENV", code),
        ("ENV", code),
        ("GLIBC_TUNABLES", SECRET),
        ("LC_ALL", SECRET),
        ("MALLOC_TRACE", SECRET),
        ("GODEBUG", SECRET),
    ];
    for (name, value) in names {
        let until = Until::after(Duration::from_secs(30));
        let request = ExecRequest::builder(["sh", "-c", &format!("printf %s \"${name}\"")]);
        let plain = sandbox.container.exec(&request.clone().env(name, value).build()?, &until)?;
        let request = request.secret_env(name, Secret::new(value)).build()?;
        let result = sandbox.container.exec(&request, &until)?;
        assert_eq!(result.stdout, value, "{name}");
        // The shell in the container may complain of it, nobody else.
        assert_eq!(result.stderr, plain.stderr, "{name}");
        assert!(!sign.exists(), "{name}");
    }
    Ok(())
}

fn no_way(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let until = Until::after(Duration::from_secs(30));
    for name in ["PATH", "LD_PRELOAD", "CONTAINER_HOST", "HTTPS_PROXY", "XDG_RUNTIME_DIR"] {
        let two_lines = format!("{SECRET}\nPATH=/evil");
        let request = ExecRequest::builder(["true"]).secret_env(name, two_lines.as_str()).build()?;
        let error = sandbox.container.exec(&request, &until).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(error.to_string().contains(name) && !error.to_string().contains(SECRET), "{error}");
        let stdio =
            rt_protocol::ExecStdio::new(rt_protocol::Source::bytes("x"), rt_protocol::Sink::discard());
        let error = sandbox.container.exec_stdio(&request, stdio, &until).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(error.to_string().contains(name) && !error.to_string().contains(SECRET), "{error}");
    }
    Ok(())
}

fn beside_stdin(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let until = Until::after(Duration::from_secs(30));
    // Every other name takes any value, in the same request.
    let odd = format!("{SECRET}\n\"a'b\" $(id) ${{HOME}} #c \\ ");
    let input = "line\n".repeat(50_000);
    for name in [
        "PATH",
        "LD_PRELOAD",
        "CONTAINER_HOST",
        "https_proxy",
        "NOTIFY_SOCKET",
        "BASH_ENV",
        "GLIBC_TUNABLES",
        "IFS",
    ] {
        let value = format!("tcp://{SECRET} of:{name}=x");
        let script =
            "/bin/busybox tr '\\0' '\\n' </proc/$$/environ; printf '%s|' \"$RT_ODD\"; /bin/busybox wc -c";
        let request = ExecRequest::builder(["/bin/busybox", "sh", "-c", script])
            .secret_env(name, &*value)
            .secret_env("RT_ODD", odd.as_str())
            .build()?;
        let (mut reader, writer) = std::io::pipe()?;
        let stdio = rt_protocol::ExecStdio::new(
            rt_protocol::Source::bytes(input.as_str()),
            rt_protocol::Sink::writer(writer),
        );
        let result = std::thread::scope(|scope| {
            let call = scope.spawn(|| sandbox.container.exec_stdio(&request, stdio, &until));
            while !call.is_finished() {
                assert!(!is_shown(), "{name}");
            }
            call.join().expect("no panic")
        })?;
        let mut output = String::new();
        std::io::Read::read_to_string(&mut reader, &mut output)?;
        assert!(result.success(), "{name}: {result:?}");
        assert_eq!(result.stdin.bytes, input.len() as u64, "{name}");
        assert!(output.lines().any(|line| line == format!("{name}={value}")), "{name}: {output}");
        assert!(output.contains(&format!("{odd}|")), "{name}: {output}");
        assert!(output.ends_with(&format!("{}\n", input.len())), "{name}: {output}");
    }
    Ok(())
}
