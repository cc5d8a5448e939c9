//! Secrets recorded and replayed: never written, and restored.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

#[path = "fixture/recording.rs"]
mod recording;

use std::io::Read;

use recording::{recorded, seen};
use rt_null::{ArgvPattern, ExecReply, NullRuntime, Scope};
use rt_protocol::{
    ContainerName, ContainerRuntime, ContainerRuntimeExt, ContainerState, ErrorKind, ExecRequest, ExecStdio,
    ExitOutcome, LaunchSpec, LogOptions, OutputLimit, Pull, Result, Secret, Sink, Source, Until,
};
use rt_record::Replay;

#[test]
fn no_spelling_of_a_secret_is_written() {
    const TOKEN: &str = "hunter2-\u{e9}\"x";
    const KEY: &str = "-----BEGIN\nMIIabcdef\n-----END\n";
    let program = |runtime: &dyn ContainerRuntime, token: &str, key: &str| -> Result<String> {
        let forever = Until::forever();
        let spec =
            LaunchSpec::builder("job", "alpine").secret_env("KEY", key).label("note", format!("has {key}"));
        let job = runtime.launch(&spec.build()?, &forever)?;
        let request = ExecRequest::builder(["login", &format!("--token={token}")])
            .secret_env("TOKEN", token)
            .env("COPY", format!("<{token}>"))
            .output_limit(OutputLimit::bytes(24));
        let mut all = seen(job.exec(&request.clone().build()?, &forever).map(|result| result.stderr));
        let quiet = request.output_limit(OutputLimit::UNLIMITED).build()?;
        all += &seen(job.exec(&quiet, &forever).map(|result| (result.stdout, result.stderr)));
        let mut log = job.logs(&LogOptions::new(), &Until::forever())?;
        while let Pull::Item(line) = log.pull(&forever)? {
            all += &line.text();
        }
        all += &seen(job.exec(&ExecRequest::new(["fail"])?, &forever));
        Ok(all)
    };

    let runtime = NullRuntime::new();
    runtime.set_logs("job", format!("{KEY}also {TOKEN}").lines().map(str::to_owned).collect()).unwrap();
    runtime.on_exec(Scope::all(), ArgvPattern::program("login"), |call| {
        let token = call.env().get("TOKEN").unwrap().expose().to_str().unwrap().to_owned();
        let mut bytes = vec![0xff];
        bytes.extend_from_slice(token.as_bytes());
        ExecReply::stdout(format!("{token} and {KEY}")).with_stderr(bytes)
    });
    runtime.on_exec(Scope::all(), ArgvPattern::program("fail"), |_| {
        ExecReply::error(ErrorKind::BadWorkdir, format!("refused {TOKEN}"))
    });
    let (recorder, paper) = recorded(&runtime);
    // The log learns it late, but before it is read.
    let before = program(&recorder, TOKEN, KEY).unwrap();
    recorder.finish().unwrap();
    assert!(before.contains("hunter2"));

    let file = paper.bytes();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let json = serde_json::to_string(TOKEN).unwrap();
    for secret in [
        TOKEN,
        "hunter2",
        "nter2",
        json.trim_matches('"'),
        "MIIabcdef",
        "-----BEGIN",
        "-----END",
        &hex("hunter2"),
        &hex(KEY),
    ] {
        assert!(
            !file.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret}\n{}",
            paper.text()
        );
    }

    assert_eq!(program(&paper.replay(), TOKEN, KEY).unwrap(), before);
    let other = program(&paper.replay(), "other", KEY).unwrap();
    assert!(other.contains("other and") && !other.contains("hunter2"), "{other}");
    // Without the name, it is another request.
    let error = runtime_without_token(&paper.replay()).unwrap_err();
    assert!(error.message().contains("expected next") && !error.message().contains("hunter2"), "{error}");
}

fn runtime_without_token(replay: &Replay) -> Result<()> {
    let request =
        ExecRequest::builder(["login", "--token=hunter2"]).secret_env("OTHER", "hunter2").build()?;
    replay.exec(&ContainerName::new("job").unwrap(), &request, &Until::forever()).map(drop)
}

#[test]
fn a_secret_that_is_no_variable_can_be_named() {
    let runtime = NullRuntime::new();
    runtime.set_state("job", ContainerState::Running).unwrap();
    runtime.set_exec("job", ["show"], ExecReply::stdout("it is hunter2")).unwrap();
    let (recorder, paper) = recorded(&runtime);
    recorder.secret("PASSWORD", &Secret::new("hunter2"));
    let _ = recorder.exec_in("job", ["show"], Until::forever()).unwrap();
    assert!(!paper.text().contains("hunter2"));
    assert_eq!(
        paper.replay().exec_in("job", ["show"], Until::forever()).unwrap().stdout,
        "it is <secret PASSWORD>"
    );
    let replay = paper.replay();
    replay.secret("PASSWORD", &Secret::new("x"));
    assert_eq!(replay.exec_in("job", ["show"], Until::forever()).unwrap().stdout, "it is x");
}

#[test]
fn a_secret_in_the_streams_is_not_written_however_it_is_cut() {
    let runtime = NullRuntime::new();
    runtime.set_state("job", ContainerState::Running).unwrap();
    runtime.on_stdio(Scope::all(), ArgvPattern::program("login"), |_, peer| {
        let mut byte = [0];
        peer.write_stdout(b"password: ")?;
        while peer.read(&mut byte)? == 1 {
            // An echo, byte by byte.
            peer.write_stderr(&byte)?;
        }
        Ok(ExitOutcome::Code(0))
    });
    let login = |runtime: &dyn ContainerRuntime, secret: &str| -> Result<Vec<u8>> {
        let request = ExecRequest::builder(["login"]).secret_env("PASSWORD", secret).build()?;
        let mut echo = Vec::new();
        let source = Source::bytes(format!("{secret}\n"));
        let stdio = ExecStdio::new(source, Sink::discard()).stderr(Sink::borrowed(&mut echo));
        let _ = runtime.exec_stdio(&ContainerName::new("job")?, &request, stdio, &Until::forever())?;
        Ok(echo)
    };
    let (recorder, paper) = recorded(&runtime);
    assert_eq!(login(&recorder, "hunter2").unwrap(), b"hunter2\n");
    let text = String::from_utf8(paper.bytes()).unwrap();
    assert!(text.contains(r#"{"in":{"parts":[{"secret":"PASSWORD"},"\n"]}}"#), "{text}");
    for piece in ["hunter2", r#""h""#, r#""2""#] {
        assert!(!text.contains(piece), "{text}");
    }
    assert_eq!(login(&paper.replay(), "hunter2").unwrap(), b"hunter2\n");
    assert_eq!(login(&paper.replay(), "another").unwrap(), b"another\n");

    // Other bytes in its place are reported without being shown.
    let request = ExecRequest::builder(["login"]).secret_env("PASSWORD", "hunter2").build().unwrap();
    let stdio = ExecStdio::new(Source::bytes("hunter1\n"), Sink::discard()).stderr(Sink::writer(Vec::new()));
    let name = ContainerName::new("job").unwrap();
    let error = paper.replay().exec_stdio(&name, &request, stdio, &Until::forever()).unwrap_err();
    assert!(error.message().contains("expected \"<secret PASSWORD>\\n\""), "{error}");
}
