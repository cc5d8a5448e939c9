//! From the words of the command line to the answer: which podman, which verb, and what goes wrong.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::fault::Faults;
use crate::flags;
use crate::profile::Profile;
use crate::store::Store;
use crate::{
    copy, creation, description, event, exec, health, images, import, lifecycle, listing, log, removal, start,
};

pub(crate) fn run(line: &[String]) -> ExitCode {
    let answer = answer(line).unwrap_or_else(|refusal| refusal);
    // A reader that has gone is no reason to panic.
    let _ = io::stderr().write_all(answer.stderr.as_bytes());
    let _ = io::stdout().write_all(&answer.stdout).and_then(|()| io::stdout().flush());
    ExitCode::from(answer.code)
}

fn answer(line: &[String]) -> Reply {
    let profile = Profile::from_environment()?;
    let global = flags::read(&profile, "", line)?;
    if global.has("version") {
        let version = &profile.answer("version")["Client"]["Version"];
        return Ok(Answer::out(format!("podman version {}\n", version.as_str().unwrap_or_default())));
    }
    let oci_runtime = global.value("runtime").unwrap_or("crun").to_owned();
    if !matches!(oci_runtime.as_str(), "crun" | "runc" | "krun") {
        return Err(profile.refusal("no-runtime", &[("name", &oci_runtime)]));
    }
    let (verb, rest) = verb(&global.operands)
        .ok_or_else(|| profile.refusal("unknown-command", &[("verb", &global.operands.join(" "))]))?;
    let store = Store::from_environment()?;
    store.record_call(line)?;
    let faults = Faults::from_environment(verb)?;
    if let Some(answer) = faults.before(verb, line)? {
        return Ok(answer);
    }
    let words = flags::read(&profile, verb, rest)?;
    let call = Call { profile, store, words, faults, oci_runtime, line: line.to_vec() };
    let answer = dispatch(&call, verb).unwrap_or_else(|refusal| refusal);
    Ok(call.faults.after(answer, line))
}

/// Returns the verb that the first words mean, and the words after it. Each verb has one name here,
/// even if podman has aliases.
fn verb(words: &[String]) -> Option<(&'static str, &[String])> {
    /// Words, and the verb that they mean.
    const VERBS: &[(&str, &str)] = &[
        ("exec", "exec"),
        ("run", "run"),
        ("create", "create"),
        ("start", "start"),
        ("stop", "stop"),
        ("kill", "kill"),
        ("pause", "pause"),
        ("unpause", "unpause"),
        ("stats", "stats"),
        ("wait", "wait"),
        ("rm", "rm"),
        ("ps", "ps"),
        ("container ls", "ps"),
        ("container rm", "rm"),
        ("container inspect", "container inspect"),
        ("container exists", "container exists"),
        ("healthcheck run", "healthcheck run"),
        ("logs", "logs"),
        ("cp", "cp"),
        ("port", "port"),
        ("import", "import"),
        ("images", "images"),
        ("image ls", "images"),
        ("image inspect", "image inspect"),
        ("image history", "image history"),
        ("history", "image history"),
        ("image rm", "image rm"),
        ("rmi", "image rm"),
        ("image exists", "image exists"),
        ("tag", "tag"),
        ("events", "events"),
        ("info", "info"),
        ("version", "version"),
    ];
    VERBS.iter().find_map(|(names, verb)| {
        let mut rest = words.iter();
        let all = names.split(' ').all(|name| rest.next().is_some_and(|word| word == name));
        all.then_some((*verb, rest.as_slice()))
    })
}

fn dispatch(call: &Call, verb: &str) -> Reply {
    match verb {
        "exec" => exec::exec(call),
        "run" => start::run(call),
        "create" => creation::create(call),
        "start" => start::start(call),
        "stop" => lifecycle::stop(call),
        "kill" => lifecycle::kill(call),
        "pause" => lifecycle::pause(call),
        "unpause" => lifecycle::unpause(call),
        "stats" => description::stats(call),
        "wait" => lifecycle::wait(call),
        "rm" => removal::rm(call),
        "ps" => listing::ps(call),
        "container inspect" => description::container_inspect(call),
        "container exists" => description::container_exists(call),
        "healthcheck run" => health::run(call),
        "logs" => log::logs(call),
        "cp" => copy::cp(call),
        "port" => description::port(call),
        "import" => import::import(call),
        "images" => images::list(call),
        "image inspect" => images::inspect(call),
        "image history" => images::history(call),
        "image rm" => images::rm(call),
        "image exists" => images::exists(call),
        "tag" => images::tag(call),
        "events" => event::events(call),
        "info" => description::info(call),
        "version" => Ok(description::version(call)),
        _ => Err(Answer::own(format!("it does not play {verb:?}"))),
    }
}
