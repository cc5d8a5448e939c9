//! Random sequences of operations give the same answers in a replay.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

#[path = "fixture/recording.rs"]
mod recording;

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::time::Duration;

use proptest::prelude::*;
use recording::recorded;
use rt_null::{ArgvPattern, ExecReply, Fault, NullRuntime, Operation, Scope, When};
use rt_protocol::{
    ContainerExt, ContainerFilter, ContainerName, ContainerRuntime, ContainerRuntimeExt, EventOptions,
    ExecRequest, ExecStdio, ExitOutcome, Image, ImageExt, ImageFilter, ImageRef, LaunchSpec, LogOptions,
    NamePrefix, OutputLimit, Result, Sink, Source, Until,
};

#[derive(Clone, Debug)]
enum Op {
    Create(u8, Option<String>),
    Start(u8),
    Stop(u8, u8),
    Wait(u8),
    Remove(Vec<u8>),
    Facts(u8),
    Bulk,
    Exec { name: u8, output: Vec<u8>, limit: Option<usize>, secret: String, fails: u8 },
    Bridge { name: u8, input: Vec<u8>, source: u8 },
    Log(u8, u8),
    Events(u8),
    Images(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let name = 0u8..3;
    let bytes = || proptest::collection::vec(prop_oneof![Just(b's'), Just(b'e'), any::<u8>()], 0..40);
    let exec = (name.clone(), bytes(), proptest::option::of(0usize..20), "s?e?|[a-z]{3}", 0u8..5);
    prop_oneof![
        (name.clone(), proptest::option::of("s?e?")).prop_map(|(name, secret)| Op::Create(name, secret)),
        name.clone().prop_map(Op::Start),
        (name.clone(), 0u8..3).prop_map(|(name, grace)| Op::Stop(name, grace)),
        name.clone().prop_map(Op::Wait),
        proptest::collection::vec(name.clone(), 0..3).prop_map(Op::Remove),
        name.clone().prop_map(Op::Facts),
        Just(Op::Bulk),
        exec.prop_map(|(name, output, limit, secret, fails)| Op::Exec { name, output, limit, secret, fails }),
        (name.clone(), bytes(), 0u8..4).prop_map(|(name, input, source)| Op::Bridge { name, input, source }),
        (name.clone(), 0u8..3).prop_map(|(name, pulls)| Op::Log(name, pulls)),
        (0u8..4).prop_map(Op::Events),
        name.prop_map(Op::Images),
    ]
}

/// Everything visible of an answer.
fn seen<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!(
                "{error} {:?}",
                (error.kind(), error.missing(), error.kill_report(), error.partial(), cause)
            )
        }
    }
}

fn name(number: u8) -> ContainerName {
    ContainerName::new(format!("p-{number}")).unwrap()
}

fn forever() -> Until {
    Until::forever()
}

/// Makes one step of the program, and returns what it sees.
fn step(runtime: &dyn ContainerRuntime, op: &Op) -> String {
    let handle = |number: &u8| runtime.container(&name(*number));
    let soon = || Until::after(Duration::from_millis(1));
    match op {
        Op::Create(number, secret) => {
            let mut spec = LaunchSpec::builder(name(*number).as_str(), "alpine");
            if let Some(secret) = secret {
                spec = spec.secret_env("S", secret.as_str());
            }
            seen(runtime.create(&spec.build().unwrap(), &forever()).map(|made| made.key().clone()))
        }
        Op::Start(number) => seen(handle(number).start(&forever())),
        Op::Stop(number, grace) => {
            seen(handle(number).stop(Duration::from_secs((*grace).into()), &forever()))
        }
        Op::Wait(number) => seen(handle(number).wait(&soon())),
        Op::Remove(numbers) => {
            let names: Vec<_> = numbers.iter().map(|number| name(*number)).collect();
            format!("{:?}", runtime.force_remove(&names, &forever()))
        }
        Op::Facts(number) => {
            let one = handle(number);
            seen(one.inspect(&Until::forever()))
                + &seen(one.state(Until::forever()))
                + &seen(one.running(Until::forever()))
                + &seen(one.rw_size(&Until::forever()))
        }
        Op::Bulk => {
            let prefix = NamePrefix::new("p").unwrap();
            let family = runtime.containers_with_prefix(&prefix, Until::forever());
            seen(runtime.list(&ContainerFilter::all(), &Until::forever()))
                + &seen(runtime.states(&prefix, Until::forever()))
                + &seen(runtime.rw_sizes(&prefix, &Until::forever()))
                + &seen(family.map(|all| all.iter().map(|one| one.key().clone()).collect::<Vec<_>>()))
        }
        Op::Exec { name: number, output, limit, secret, fails } => {
            let words = [&b"say"[..], &[*fails], output].map(|word| {
                // A word holds no NUL byte; the script undoes it.
                std::os::unix::ffi::OsStringExt::from_vec(
                    word.iter().flat_map(|byte| [b'x', *byte | 1]).collect(),
                )
            });
            let words: Vec<std::ffi::OsString> = words.into();
            let mut request = ExecRequest::builder([vec!["say".into()], words].concat())
                .secret_env("S", secret.as_str())
                .env("T", "se");
            if let Some(limit) = limit {
                request = request.output_limit(OutputLimit::bytes(*limit));
            }
            seen(handle(number).exec(&request.build().unwrap(), &soon()))
        }
        Op::Bridge { name: number, input, source } => {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let source = match source {
                0 => Source::bytes(input.clone()),
                1 => Source::reader(io::Cursor::new(input.clone())),
                2 => {
                    let (near, mut far) = io::pipe().unwrap();
                    far.write_all(input).unwrap();
                    Source::descriptor(near)
                }
                _ => Source::empty(),
            };
            let stdio = ExecStdio::new(source, Sink::borrowed(&mut out)).stderr(Sink::borrowed(&mut err));
            let request = ExecRequest::builder(["cat"]).secret_env("S", "se").build().unwrap();
            let answer = runtime.exec_stdio(&name(*number), &request, stdio, &forever());
            seen(answer) + &format!("{out:?} {err:?}")
        }
        Op::Log(number, pulls) => match handle(number).logs(&LogOptions::new().follow(), &Until::forever()) {
            Ok(mut log) => (0..*pulls).map(|_| seen(log.pull(&soon()))).collect(),
            Err(error) => error.to_string(),
        },
        Op::Events(pulls) => {
            let since = std::time::SystemTime::UNIX_EPOCH;
            let mut events = runtime.events(&EventOptions::new().since(since), &Until::forever()).unwrap();
            (0..*pulls).map(|_| seen(events.pull(&soon()))).collect::<String>() + &seen(events.close())
        }
        Op::Images(number) => {
            let facts = |image: &dyn Image| {
                seen(image.inspect(&Until::forever())) + &seen(image.exists(Until::forever()))
            };
            let found = runtime.images(&ImageFilter::all(), &Until::forever());
            let of = handle(number).image(&Until::forever()).unwrap().map(|image| facts(&*image));
            seen(found.map(|all| all.iter().map(|one| facts(&**one)).collect::<Vec<_>>()))
                + &format!("{of:?}")
                + &facts(&*runtime.image(&ImageRef::new("alpine").unwrap()))
        }
    }
}

fn scripted() -> NullRuntime {
    let runtime = NullRuntime::new();
    runtime.clock().skip_waits(true);
    runtime.on_exec(Scope::all(), ArgvPattern::program("say"), |call| {
        let output = call.argv().words()[3].as_encoded_bytes();
        match call.argv().words()[2].as_encoded_bytes().last() {
            Some(1) => ExecReply::code(1).with_stderr(output),
            Some(3) => ExecReply::hang().with_stdout(output),
            _ => ExecReply::stdout(output)
                .with_stderr(call.env().get("S").unwrap().expose().as_encoded_bytes()),
        }
    });
    runtime.on_stdio(Scope::all(), ArgvPattern::program("cat"), |_, peer| {
        let mut chunk = [0; 3];
        for _ in 0..8 {
            match peer.read(&mut chunk)? {
                0 => return Ok(ExitOutcome::Code(0)),
                count if chunk[0] < 128 => peer.write_stdout(&chunk[..count])?,
                count => peer.write_stderr(&chunk[..count])?,
            }
        }
        Ok(ExitOutcome::Signal("PIPE".into()))
    });
    runtime.inject(Operation::Exec, Scope::all(), When::Nth(3), Fault::disconnect_after(5));
    runtime
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_replay_answers_as_the_runtime_did(ops in proptest::collection::vec(op(), 0..30)) {
        let (recorder, paper) = recorded(&scripted());
        let before: Vec<String> = ops.iter().map(|op| step(&recorder, op)).collect();
        recorder.finish().unwrap();
        let replay = paper.replay();
        replay.clock().skip_waits(true);
        for (op, before) in ops.iter().zip(before) {
            prop_assert_eq!(step(&replay, op), before, "{:?}", op);
        }
        prop_assert!(replay.finish().is_ok(), "{:?}", replay.finish());
    }
}
