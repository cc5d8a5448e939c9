//! Settings: environment, workdir and user of a command.

use rt_protocol::{Capability, Container, ErrorKind, ExecRequestBuilder, Secret};

use crate::context::inside;
use crate::ensure::{never_started, refused, same_bytes};
use crate::script::word;
use crate::timeout::timeout;
use crate::{Case, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Settings, run).needs(&[Need::Shell]).core()
}

const ENV: &[Capability] = &[Capability::ExecEnv];
const SECRET: &[Capability] = &[Capability::ExecSecretEnv];
const WORKDIR: &[Capability] = &[Capability::ExecWorkdir];
const USER: &[Capability] = &[Capability::ExecUser];

pub(super) const CASES: &[Case] = &[
    fact("settings: a variable reaches the command", variable).can(ENV),
    fact("settings: a value is not read by a shell", odd_value).can(ENV),
    fact("settings: an empty value is set and empty", empty_value).can(ENV),
    fact("settings: the last value of a name wins", last_value).can(ENV),
    fact("settings: variables end with their command", no_trace).can(ENV),
    fact("settings: the container's own variables stay beside them", own_variables).can(ENV),
    fact("settings: a value of a hundred KiB arrives whole", long_value).can(ENV),
    fact("settings: a value that is not UTF-8 arrives as it is", byte_value)
        .can(&[Capability::ExecEnv, Capability::ByteArguments]),
    fact("settings: a secret reaches the command", secret).can(SECRET),
    fact("settings: a secret of several lines arrives whole", secret_lines).can(SECRET),
    fact("settings: plain and secret variables go together", mixed)
        .can(&[Capability::ExecEnv, Capability::ExecSecretEnv]),
    fact("settings: a secret whose name steers programs arrives or is refused", steering_secret).can(SECRET),
    fact("settings: no error shows a secret", secret_error).unstarted().can(SECRET),
    fact("settings: the workdir is where the command starts", workdir).can(WORKDIR),
    fact("settings: a workdir of odd characters is taken as it is", odd_workdir)
        .can(WORKDIR)
        .needs(&[Need::Shell, Need::Files]),
    fact("settings: without a workdir every command starts in the same place", default_workdir),
    fact("settings: a workdir that is missing is an error, and the command does not run", bad_workdir)
        .unstarted()
        .can(WORKDIR),
    fact("settings: the user is who runs the command", user).can(USER),
    fact("settings: the group goes with the user", group).can(USER).needs(&[Need::Shell, Need::Groups]),
    fact("settings: a user that is not known is an error, and the command does not run", unknown_user)
        .unstarted()
        .can(USER),
];

/// Runs the script with these settings in the standing container; it must end with 0.
fn output_of(
    context: &TestContext<'_>,
    script: &Script,
    with: impl FnOnce(ExecRequestBuilder) -> ExecRequestBuilder,
) -> Result<Vec<u8>, crate::Failure> {
    let request = with(context.builder(script)).build()?;
    let result = context.standing()?.exec(&request, &timeout())?;
    ensure!(result.success(), "{script:?} ended with {}: {}", result.outcome, result.stderr)?;
    Ok(result.stdout.into_bytes())
}

fn given() -> Script {
    Script::Variable("RT_GIVEN".into())
}

fn variable(context: &TestContext<'_>) -> Verdict {
    let seen = output_of(context, &given(), |request| request.env("RT_GIVEN", "value"))?;
    same_bytes("the value", &seen, b"value")
}

fn odd_value(context: &TestContext<'_>) -> Verdict {
    let value = " a=b 'c' \"d\" $HOME `id` $(id) ; # \\ * \u{e4}\n\ttwo\n";
    let seen = output_of(context, &given(), |request| request.env("RT_GIVEN", value))?;
    same_bytes("the value", &seen, value.as_bytes())
}

fn empty_value(context: &TestContext<'_>) -> Verdict {
    let seen = output_of(context, &given(), |request| request.env("RT_GIVEN", ""))?;
    same_bytes("the value", &seen, b"")
}

fn last_value(context: &TestContext<'_>) -> Verdict {
    let seen =
        output_of(context, &given(), |request| request.env("RT_GIVEN", "first").env("RT_GIVEN", "last"))?;
    same_bytes("the value", &seen, b"last")
}

fn no_trace(context: &TestContext<'_>) -> Verdict {
    output_of(context, &given(), |request| request.env("RT_GIVEN", "value"))?;
    let seen = output_of(context, &given(), |request| request)?;
    same_bytes("the value in the next command", &seen, b"(unset)")
}

fn own_variables(context: &TestContext<'_>) -> Verdict {
    let path = Script::Variable("PATH".into());
    let own = output_of(context, &path, |request| request)?;
    ensure!(!own.is_empty() && own != b"(unset)", "commands have no PATH")?;
    let seen = output_of(context, &path, |request| request.env("RT_GIVEN", "value"))?;
    same_bytes("PATH beside another variable", &seen, &own)
}

fn long_value(context: &TestContext<'_>) -> Verdict {
    let value = "x".repeat(100 * 1024);
    let script = Script::VariableLength("RT_GIVEN".into());
    let seen = output_of(context, &script, |request| request.env("RT_GIVEN", value))?;
    same_bytes("the length of the value", &seen, b"102400")
}

fn byte_value(context: &TestContext<'_>) -> Verdict {
    let seen = output_of(context, &given(), |request| request.env("RT_GIVEN", word(b"a\xff\xc3".to_vec())))?;
    same_bytes("the value", &seen, b"a\xff\xc3")
}

fn secret(context: &TestContext<'_>) -> Verdict {
    let value = "s3cr3t $HOME 'x'";
    let seen = output_of(context, &given(), |request| request.secret_env("RT_GIVEN", value))?;
    same_bytes("the secret", &seen, value.as_bytes())
}

fn secret_lines(context: &TestContext<'_>) -> Verdict {
    let value = "-----BEGIN KEY-----\nabc\ndef=\n-----END KEY-----\n";
    let seen = output_of(context, &given(), |request| request.secret_env("RT_GIVEN", value))?;
    same_bytes("the secret", &seen, value.as_bytes())
}

fn mixed(context: &TestContext<'_>) -> Verdict {
    let with = |request: ExecRequestBuilder| request.env("RT_PLAIN", "open").secret_env("RT_GIVEN", "closed");
    same_bytes("the secret", &output_of(context, &given(), with)?, b"closed")?;
    same_bytes("the plain one", &output_of(context, &Script::Variable("RT_PLAIN".into()), with)?, b"open")
}

/// Names on which a backend's own tools or the loader would act if the value were in their
/// environment.
fn steering_secret(context: &TestContext<'_>) -> Verdict {
    for name in ["LD_PRELOAD", "CONTAINER_HOST", "HTTPS_PROXY", "HOME"] {
        let script = Script::Variable(name.into());
        let value = Secret::new("/rt/does/not/exist");
        let request = context.builder(&script).secret_env(name, value).build()?;
        match context.standing()?.exec(&request, &timeout()) {
            Ok(result) => {
                same_bytes(&format!("the secret {name}"), result.stdout.as_bytes(), b"/rt/does/not/exist")?;
            }
            Err(error) => {
                ensure!(
                    matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Unsupported),
                    "a secret {name} is answered by {error:?}"
                )?;
            }
        }
    }
    Ok(())
}

fn secret_error(context: &TestContext<'_>) -> Verdict {
    let value = format!("hidden-{}", context.token());
    let request = rt_protocol::ExecRequest::builder(["rt-no-such-command"])
        .secret_env("RT_GIVEN", value.as_str())
        .build()?;
    let error = refused(context.standing()?.exec(&request, &timeout()), ErrorKind::CommandNotFound)?;
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text} {inner} {inner:?}");
        cause = inner.source();
    }
    ensure!(!text.contains(&value), "the error shows the secret")
}

fn workdir(context: &TestContext<'_>) -> Verdict {
    for directory in ["/", context.fixture().scratch()] {
        let seen = output_of(context, &Script::Workdir, |request| request.workdir(directory))?;
        same_bytes("the workdir", &seen, directory.as_bytes())?;
    }
    Ok(())
}

fn odd_workdir(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = inside(&context.guest_dir(standing.as_ref())?, "-a b:c $d 'e");
    TestContext::text_in(standing.as_ref(), &Script::MakeDir(directory.clone()))?;
    let seen = output_of(context, &Script::Workdir, |request| request.workdir(&directory))?;
    same_bytes("the workdir", &seen, directory.as_encoded_bytes())
}

fn default_workdir(context: &TestContext<'_>) -> Verdict {
    let first = output_of(context, &Script::Workdir, |request| request)?;
    ensure!(first.starts_with(b"/"), "the workdir is {}", String::from_utf8_lossy(&first))?;
    let second = output_of(context, &Script::Workdir, |request| request)?;
    same_bytes("the workdir of the next command", &second, &first)
}

fn bad_workdir(context: &TestContext<'_>) -> Verdict {
    let request = context.builder(&Script::Exit(0)).workdir("/rt/no/such/directory").build()?;
    never_started(&refused(context.standing()?.exec(&request, &timeout()), ErrorKind::BadWorkdir)?)
}

fn user(context: &TestContext<'_>) -> Verdict {
    let (name, number) = context.fixture().user();
    let seen = output_of(context, &Script::User, |request| request.user(name))?;
    let expected = format!("{number}:");
    ensure!(seen.starts_with(expected.as_bytes()), "the user is {}", String::from_utf8_lossy(&seen))
}

fn group(context: &TestContext<'_>) -> Verdict {
    let seen = output_of(context, &Script::User, |request| request.user("1234:4321"))?;
    same_bytes("user and group", &seen, b"1234:4321")
}

fn unknown_user(context: &TestContext<'_>) -> Verdict {
    let request = context.builder(&Script::Exit(0)).user("rt-nobody-of-this-name").build()?;
    let standing: &dyn Container = &*context.standing()?;
    never_started(&refused(standing.exec(&request, &timeout()), ErrorKind::UnknownUser)?)
}
