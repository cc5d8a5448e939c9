//! Secrets reach the command and nobody else.

use std::time::Duration;

use rt_protocol::{ErrorKind, ExecRequest, Secret, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("secrets: a value reaches the command, newlines included", value),
    ("secrets: no command line of this machine shows the value", command_lines),
    ("secrets: a launch passes them alike", launch),
    ("secrets: a name that steers podman is refused", steering),
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
    rt_process::census::snapshot().unwrap_or_default().into_iter().any(|entry| {
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

fn steering(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    for name in ["PATH", "LD_PRELOAD", "CONTAINER_HOST", "HTTPS_PROXY", "XDG_RUNTIME_DIR"] {
        let request = ExecRequest::builder(["true"]).secret_env(name, SECRET).build()?;
        let error = sandbox.container.exec(&request, &Until::after(Duration::from_secs(30))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(error.to_string().contains(name) && !error.to_string().contains(SECRET), "{error}");
    }
    Ok(())
}
