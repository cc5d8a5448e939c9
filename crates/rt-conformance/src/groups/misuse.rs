//! Misuse: unusual calls that must do no harm, and values that must be rejected.

use std::time::Duration;

use rt_protocol::{
    Argv, Capability, ContainerExt, ContainerName, ContainerPath, ContainerRuntimeExt, ContainerState, Env,
    ErrorKind, ExecRequest, ImageRef, LaunchSpec, NamePrefix, PortMapping, Secret, User,
};

use crate::ensure::{all_removed, ensure_refused};
use crate::required::{MAKE, RUN};
use crate::threads::joined;
use crate::timeout::timeout;
use crate::{Case, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Misuse, run)
}

pub(super) const CASES: &[Case] = &[
    fact("misuse: no name is an option, a path or a shell word", names).core(),
    fact("misuse: no image reference is an option or a transport", images).core(),
    fact("misuse: a command without words is refused", empty_argv).core(),
    fact("misuse: a word, a value or a path with NUL is refused", nul).core(),
    fact("misuse: names of variables are names", variables).core(),
    fact("misuse: a path in a container is absolute", relative_paths).core(),
    fact("misuse: a launch is checked when it is described", launches).core(),
    fact("misuse: by name, a name that is refused is an invalid request", refused_name).core(),
    fact("misuse: a handle whose container is gone says so", stale_handle).can(MAKE),
    fact("misuse: a handle reaches the next container of its name", reused_name)
        .can(RUN)
        .needs(&[Need::Shell]),
    fact("misuse: dropping a handle ends nothing", dropped_handle).can(RUN),
    fact("misuse: a container that is removed twice at once is gone", removed_at_once).can(MAKE),
    fact("misuse: of two that make one name at once, one is told", created_at_once).can(MAKE),
    fact("misuse: a panic of the caller's sink passes through or is an error", panicking_sink)
        .can(&[Capability::ExecStdio])
        .needs(&[Need::Shell])
        .core(),
];

fn names(_: &TestContext<'_>) -> Verdict {
    for bad in
        ["", "-a", "--help", ".", "..", "../x", "a b", "a/b", "a:b", "a;b", "$a", "a\nb", "a\0", "na\u{ef}ve"]
    {
        ensure!(ContainerName::new(bad).is_err(), "the container name {bad:?} passed")?;
        ensure!(NamePrefix::new(bad).is_err(), "the prefix {bad:?} passed")?;
    }
    for bad in ["", "-a", ":", "a:", ":b", "a:-b", "a b", "a\n", "a:b:c"] {
        ensure!(User::new(bad).is_err(), "the user {bad:?} passed")?;
    }
    for good in ["a", "A-1_b.c", "0", "422c"] {
        ensure!(ContainerName::new(good).is_ok(), "the container name {good:?} did not pass")?;
    }
    Ok(())
}

fn images(_: &TestContext<'_>) -> Verdict {
    for bad in ["", "-a", "dir:/etc", "docker://x", "docker-archive:/x", "a b", "a\n", "/a", "a//b", "a:b/c"]
    {
        ensure!(ImageRef::new(bad).is_err(), "the image reference {bad:?} passed")?;
    }
    Ok(())
}

fn empty_argv(_: &TestContext<'_>) -> Verdict {
    ensure!(ExecRequest::new(Vec::<String>::new()).is_err(), "a command without words passed")?;
    ensure!(ExecRequest::new([""]).is_err(), "a command with an empty first word passed")?;
    let late = ExecRequest::builder(Vec::<String>::new()).env("A", "b").build();
    ensure_refused(late, ErrorKind::InvalidRequest)
}

fn nul(_: &TestContext<'_>) -> Verdict {
    ensure!(Argv::new(["echo", "a\0b"]).is_err(), "a word with NUL passed")?;
    ensure!(Env::default().set("A", "b\0").is_err(), "a value with NUL passed")?;
    let secret = Env::default().set_secret("A", Secret::new("s3cr3t\0"));
    ensure!(
        secret.as_ref().is_err_and(|refused| !format!("{refused} {refused:?}").contains("s3cr3t")),
        "a secret with NUL passed, or is shown: {secret:?}"
    )?;
    ensure!(ContainerPath::new("/a\0").is_err(), "a path with NUL passed")
}

fn variables(_: &TestContext<'_>) -> Verdict {
    for bad in ["", "1A", "A B", "A=B", "A-B", "-e", "A;id", "\u{c4}", "A\n"] {
        ensure!(Env::default().set(bad, "x").is_err(), "the variable {bad:?} passed")?;
    }
    Ok(())
}

fn relative_paths(_: &TestContext<'_>) -> Verdict {
    for bad in ["", "a", "./a", "../a", "~"] {
        ensure!(ContainerPath::new(bad).is_err(), "the path {bad:?} passed")?;
        ensure_refused(ExecRequest::builder(["true"]).workdir(bad).build(), ErrorKind::InvalidRequest)?;
    }
    Ok(())
}

fn launches(_: &TestContext<'_>) -> Verdict {
    let of = || LaunchSpec::builder("a", "b");
    for bad in [
        of().port(PortMapping::any_port_on_loopback(0)),
        of().memory(0),
        of().milli_cpus(0),
        of().label("", "x"),
        of().label("a=b", "x"),
        of().env("A B", "x"),
        of().workdir("relative"),
        of().user("-x"),
        of().command(Vec::<String>::new()),
        LaunchSpec::builder("-a", "b"),
        LaunchSpec::builder("a", "dir:/etc"),
    ] {
        ensure_refused(bad.build(), ErrorKind::InvalidRequest)?;
    }
    Ok(())
}

fn refused_name(context: &TestContext<'_>) -> Verdict {
    ensure_refused(context.runtime().exec_in("-a", ["true"], timeout()), ErrorKind::InvalidRequest)?;
    ensure_refused(context.runtime().exec_in("a", Vec::<String>::new(), timeout()), ErrorKind::InvalidRequest)
}

fn stale_handle(context: &TestContext<'_>) -> Verdict {
    let container = context.created(&Script::Stand)?;
    context.remove(container.as_ref())?;
    ensure_eq!(container.state(timeout())?, None, "the state of what was removed")?;
    let answer = container.exec(&context.request(&Script::Exit(0))?, &timeout());
    ensure_refused(answer, ErrorKind::NoSuchContainer)
}

fn reused_name(context: &TestContext<'_>) -> Verdict {
    let first = context.created(&Script::Stand)?;
    let (name, id) = (first.key().name.clone(), first.id(timeout())?);
    all_removed(context.runtime().force_remove(std::slice::from_ref(&name), &timeout()))?;
    context.start(context.created_as(&name, &Script::Stand)?.as_ref())?;
    ensure!(first.id(timeout())? != id, "the next container of the name has the id of the first")?;
    ensure_eq!(
        TestContext::text_in(first.as_ref(), &Script::print("next"))?,
        "next",
        "a command through the old handle"
    )
}

fn dropped_handle(context: &TestContext<'_>) -> Verdict {
    let name = context.started(&Script::Stand)?.key().name.clone();
    ensure!(
        context.runtime().container(&name).running(timeout())?,
        "it does not run after its handles were dropped"
    )
}

fn removed_at_once(context: &TestContext<'_>) -> Verdict {
    let container = context.created(&Script::Stand)?;
    let name = container.key().name.clone();
    let remove = || context.runtime().force_remove(std::slice::from_ref(&name), &timeout());
    let results = std::thread::scope(|scope| {
        let other = scope.spawn(remove);
        let mut results = remove();
        results.extend(joined(other));
        results
    });
    ensure!(results.iter().all(|result| result.removed), "the results are {results:?}")?;
    ensure_eq!(container.state(timeout())?, None, "the state afterwards")
}

fn created_at_once(context: &TestContext<'_>) -> Verdict {
    let name = context.name()?;
    let spec = context.launch_spec(&name).command(Script::Stand.argv()).build()?;
    context.fixture().before_start(&spec);
    let create = || context.runtime().create(&spec, &timeout()).map(|_| ());
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(create);
        (create(), joined(other))
    });
    ensure!(one.is_ok() != other.is_ok(), "the two answers are {one:?} and {other:?}")?;
    ensure_refused(one.and(other), ErrorKind::NameInUse)?;
    ensure_eq!(
        context.runtime().container(&name).state(timeout())?,
        Some(ContainerState::Created),
        "the state afterwards"
    )
}

/// Panics at the first byte.
struct Panicking;

impl std::io::Write for Panicking {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        // Prints nothing for an intended panic.
        std::panic::resume_unwind(Box::new("the suite's own panic"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn panicking_sink(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let request = context.request(&Script::Hold { shape: crate::Shape::Alone, token: context.token() })?;
    let begin = std::time::Instant::now();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut sink = Panicking;
        let stdio =
            rt_protocol::ExecStdio::new(rt_protocol::Source::empty(), rt_protocol::Sink::borrowed(&mut sink));
        standing.exec_stdio(&request, stdio, &timeout())
    }));
    if let Ok(answer) = caught {
        ensure_refused(answer, ErrorKind::SinkFailed)?;
    }
    ensure!(begin.elapsed() < Duration::from_secs(15), "the call was held for {:?}", begin.elapsed())
}
