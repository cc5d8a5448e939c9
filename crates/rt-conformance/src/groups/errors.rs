//! Errors: the kind for the caller, the text for people, and the results of a failing engine.

use std::net::IpAddr;
use std::sync::Arc;

use rt_protocol::{
    Capability, Container, ContainerExt, ContainerFilter, ContainerRuntime, ContainerRuntimeExt, ErrorKind,
    ExecRequest, ImageExt, ImageFilter, LogOptions,
};

use crate::context::inside;
use crate::ensure::{expect_error_of, never_started, refused};
use crate::required::{MAKE, STOP};
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Errors, run)
}

const SHELL: &[Need] = &[Need::Shell];
const BROKEN: &[Need] = &[Need::BrokenEngine];

pub(super) const CASES: &[Case] = &[
    fact("errors: a command in an absent container never started", exec_absent).core(),
    fact("errors: a command in an unstarted container never started", exec_created).can(MAKE),
    fact("errors: a command in a stopped container never started", exec_stopped).can(STOP),
    fact("errors: bridged, the absent and the stopped answer alike", stdio_absent)
        .can(MAKE)
        .can(&[Capability::ExecStdio]),
    fact("errors: words are not split, and a blank in the program is told", blanks_in_the_program)
        .unstarted()
        .needs(SHELL),
    fact("errors: a command that is not on the PATH is not found", not_on_path)
        .unstarted()
        .needs(SHELL)
        .core(),
    fact("errors: a command by a path that is not there is not found", not_at_path)
        .unstarted()
        .needs(SHELL)
        .core(),
    fact("errors: a file without execute permission is not executable", not_executable)
        .unstarted()
        .needs(&[Need::Shell, Need::Files])
        .core(),
    fact("errors: a directory is not executable", directory).unstarted().needs(SHELL).core(),
    fact("errors: a first word that looks like an option is a command", option_program)
        .unstarted()
        .needs(SHELL)
        .core(),
    fact("errors: a first word with an equals sign is a command", assignment_program)
        .unstarted()
        .needs(SHELL)
        .core(),
    fact("errors: the text names operation and container", text).unstarted().needs(SHELL).core(),
    fact("errors: a refusal says what to do", hint).core(),
    fact("errors: an engine that fails is not an absent container", broken_inspect).needs(BROKEN).core(),
    fact("errors: an engine that fails is not an empty listing", broken_list)
        .can(&[Capability::List])
        .needs(BROKEN),
    fact("errors: an engine that fails has no images, and says so", broken_images)
        .can(&[Capability::Images])
        .needs(BROKEN),
    fact("errors: an engine that fails runs nothing, and says so", broken_exec).needs(BROKEN).core(),
    fact("errors: an engine that fails removes nothing, and says so of each", broken_remove)
        .can(&[Capability::ForceRemove])
        .needs(BROKEN),
    fact("errors: an engine that fails has no log, and says so", broken_logs)
        .can(&[Capability::Logs])
        .needs(BROKEN),
];

fn starts_nothing(context: &TestContext<'_>, container: &dyn Container, kind: ErrorKind) -> Verdict {
    let answer = container.exec(&context.request(&Script::Exit(0))?, &timeout());
    never_started(&refused(answer, kind)?)
}

fn exec_absent(context: &TestContext<'_>) -> Verdict {
    starts_nothing(context, context.missing_container()?.as_ref(), ErrorKind::NoSuchContainer)
}

fn exec_created(context: &TestContext<'_>) -> Verdict {
    starts_nothing(context, context.created(&Script::Stand)?.as_ref(), ErrorKind::NotRunning)
}

fn exec_stopped(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    container.stop(std::time::Duration::ZERO, &timeout())?;
    starts_nothing(context, container.as_ref(), ErrorKind::NotRunning)
}

fn stdio_absent(context: &TestContext<'_>) -> Verdict {
    let made = context.created(&Script::Stand)?;
    let request = context.request(&Script::Cat)?;
    for (container, kind) in
        [(context.missing_container()?, ErrorKind::NoSuchContainer), (made, ErrorKind::NotRunning)]
    {
        let answer = container.exec_stdio(&request, rt_protocol::ExecStdio::default(), &timeout());
        never_started(&refused(answer, kind)?)?;
    }
    Ok(())
}

fn program(context: &TestContext<'_>, argv: &[&str], kind: ErrorKind) -> Verdict {
    let answer = context.standing()?.exec(&ExecRequest::new(argv.iter().copied())?, &timeout());
    let error = refused(answer, kind)?;
    ensure!(error.to_string().contains(argv[0]), "the error does not name the program: {error}")?;
    never_started(&error)
}

fn blanks_in_the_program(context: &TestContext<'_>) -> Verdict {
    let request = ExecRequest::new(["rt-no-such-command -l"])?;
    let error = refused(context.standing()?.exec(&request, &timeout()), ErrorKind::CommandNotFound)?;
    ensure!(
        error.hint().is_some_and(|hint| hint.contains("not split")),
        "nothing is said of the blank: {error}"
    )?;
    ensure!(
        error.to_string().contains("rt-no-such-command -l"),
        "the error does not name the program: {error}"
    )
}

fn not_on_path(context: &TestContext<'_>) -> Verdict {
    program(context, &["rt-no-such-command", "argument"], ErrorKind::CommandNotFound)
}

fn not_at_path(context: &TestContext<'_>) -> Verdict {
    program(context, &["/rt/no/such/command"], ErrorKind::CommandNotFound)
}

fn not_executable(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let path = inside(&context.guest_dir(standing.as_ref())?, "plain");
    TestContext::write_file(standing.as_ref(), path.clone(), b"exit 0\n")?;
    let answer = standing.exec(&ExecRequest::new([path.clone()])?, &timeout());
    let error = refused(answer, ErrorKind::CommandNotExecutable)?;
    let shown = path.to_string_lossy();
    ensure!(error.to_string().contains(&*shown), "the error does not name the file: {error}")?;
    never_started(&error)
}

fn directory(context: &TestContext<'_>) -> Verdict {
    program(context, &["/"], ErrorKind::CommandNotExecutable)
}

fn option_program(context: &TestContext<'_>) -> Verdict {
    for word in ["--help", "-x", "--"] {
        program(context, &[word, "true"], ErrorKind::CommandNotFound)?;
    }
    Ok(())
}

fn assignment_program(context: &TestContext<'_>) -> Verdict {
    program(context, &["RT_GIVEN=value", "true"], ErrorKind::CommandNotFound)
}

fn text(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let answer = standing.exec(&ExecRequest::new(["rt-no-such-command"])?, &timeout());
    let error = refused(answer, ErrorKind::CommandNotFound)?;
    let name = standing.key().name.to_string();
    ensure!(
        error.subject().is_some_and(|subject| subject.contains(&name)),
        "the subject is {:?}",
        error.subject()
    )?;
    ensure!(!error.operation().is_empty(), "the operation is empty")?;
    let text = error.to_string();
    ensure!(text.contains(&name) && text.contains(error.operation()), "the text is {text}")?;
    ensure!(!text.ends_with('.') && !text.contains('\n'), "the text is no one-line fragment: {text:?}")
}

fn hint(context: &TestContext<'_>) -> Verdict {
    let error = refused(
        context.missing_container()?.exec(&context.request(&Script::Exit(0))?, &timeout()),
        ErrorKind::NoSuchContainer,
    )?;
    ensure!(error.hint().is_some_and(|hint| !hint.is_empty()), "there is no hint in: {error}")
}

fn broken(context: &TestContext<'_>) -> Result<Arc<dyn ContainerRuntime>, Failure> {
    context
        .fixture()
        .broken()
        .ok_or_else(|| Failure::skip("the fixture has no runtime whose engine cannot be asked"))
}

fn broken_container(context: &TestContext<'_>) -> Result<Arc<dyn Container>, Failure> {
    Ok(broken(context)?.container(&context.missing_container()?.key().name))
}

/// The kinds that say that the engine did not answer.
const COULD_NOT_ASK: &[ErrorKind] = &[
    ErrorKind::BackendMissing,
    ErrorKind::BackendNotExecutable,
    ErrorKind::BackendUnresponsive,
    ErrorKind::BackendInterrupted,
    ErrorKind::BackendFailed,
    ErrorKind::InvalidResponse,
    ErrorKind::Unreachable,
    ErrorKind::System,
];

fn broken_inspect(context: &TestContext<'_>) -> Verdict {
    let container = broken_container(context)?;
    expect_error_of(container.inspect(&timeout()), COULD_NOT_ASK)?;
    expect_error_of(container.state(timeout()), COULD_NOT_ASK)?;
    expect_error_of(container.running(timeout()), COULD_NOT_ASK)?;
    Ok(())
}

fn broken_list(context: &TestContext<'_>) -> Verdict {
    let (runtime, family) = (broken(context)?, context.family()?);
    expect_error_of(runtime.list(&ContainerFilter::all(), &timeout()), COULD_NOT_ASK)?;
    expect_error_of(runtime.containers_with_prefix(&family, timeout()), COULD_NOT_ASK)?;
    expect_error_of(runtime.states(&family, timeout()), COULD_NOT_ASK)?;
    if context.can(Capability::RwSize) {
        expect_error_of(runtime.rw_sizes(&family, &timeout()), COULD_NOT_ASK)?;
    }
    Ok(())
}

fn broken_images(context: &TestContext<'_>) -> Verdict {
    let runtime = broken(context)?;
    expect_error_of(runtime.images(&ImageFilter::all(), &timeout()), COULD_NOT_ASK)?;
    expect_error_of(runtime.image(context.fixture().image()).exists(timeout()), COULD_NOT_ASK)?;
    Ok(())
}

fn broken_exec(context: &TestContext<'_>) -> Verdict {
    let error = expect_error_of(
        broken_container(context)?.exec(&context.request(&Script::Exit(0))?, &timeout()),
        COULD_NOT_ASK,
    )?;
    ensure!(error.kill_report().is_none_or(|report| report.killed == 0), "a command was killed: {error:?}")
}

fn broken_remove(context: &TestContext<'_>) -> Verdict {
    let names = [context.unused_name()?, context.unused_name()?];
    let results = broken(context)?.force_remove(&names, &timeout());
    ensure_eq!(
        results.iter().map(|result| &result.name).collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>(),
        "the names"
    )?;
    for result in results {
        ensure!(!result.removed && result.error.is_some(), "a result is {result:?}")?;
    }
    // What needs no engine still works.
    if context.can(Capability::ReservePort) {
        let mut reservation = broken(context)?.reserve_port(IpAddr::from([127, 0, 0, 1]))?;
        reservation.close()?;
    }
    Ok(())
}

fn broken_logs(context: &TestContext<'_>) -> Verdict {
    let answer = broken_container(context)?
        .logs(&LogOptions::new(), &timeout())
        .and_then(|mut stream| stream.pull(&timeout()));
    expect_error_of(answer, COULD_NOT_ASK)?;
    Ok(())
}
