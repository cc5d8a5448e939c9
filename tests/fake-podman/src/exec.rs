//! `podman exec`: the client, which moves bytes and waits. The command itself is the session's, see
//! [`crate::session`].

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::{Container, Status};
use crate::fault::{self, Fault};
use crate::guest::{Process, ProcessUser};
use crate::inside::{self, Unknown};
use crate::session;
use crate::store::random_id;
use crate::supervisor::no_program;
use crate::{creation, event, spawn};

pub(crate) fn exec(call: &Call) -> Reply {
    let [name, command @ ..] = &call.words.operands[..] else {
        return Err(call.profile.refusal("exec-nothing", &[]));
    };
    if call.words.has("tty") {
        return Err(Answer::own("it has no terminals: exec --tty"));
    }
    let container = call.store.require(&call.store.lock()?, &call.profile, name)?;
    if command.is_empty() {
        return Err(call.profile.refusal("exec-no-command", &[]));
    }
    if container.oci_runtime == "krun" {
        return Err(call.profile.refusal("exec-krun", &[]));
    }
    if container.state.status != Status::Running {
        return Err(call.profile.refusal("exec-not-running", &[]));
    }
    command_in(call, &container, command)
}

/// Runs a command in a running container.
pub(crate) fn command_in(call: &Call, container: &Container, command: &[String]) -> Reply {
    // Signals to the client never reach the command; what they do to the client differs from
    // version to version.
    let on_term =
        if call.faults.has(&Fault::TermExitsZero) { 0 } else { call.profile.code("exec-ends-on-term-with") };
    fault::end_on(fault::TERM, on_term)?;
    fault::end_on(fault::INT, call.profile.code("exec-ends-on-int-with"))?;

    let session = random_id()?;
    let prepared = describe(call, container, command);
    if prepared.is_err() && !call.profile.has("unfound-command-leaks-session") {
        return Err(prepared.err().unwrap_or_default());
    }
    add_session(call, &container.id, &session)?;
    let process = prepared?;
    let directory = call.store.static_dir(&container.id).join(&session);
    write_process(&directory, &process)?;
    if call.words.has("detach") {
        begin(call, &container.id, &session)?.wait()?;
        return Ok(Answer::out(format!("{session}\n")));
    }
    let code = run(call, &container.id, &session);
    let known = remove_session(call, &container.id, &session, code.as_ref().ok().copied())?;
    let code = code?;
    if !known && call.profile.has("removed-under-exec") {
        return Err(call.profile.refusal("exec-removed", &[]));
    }
    Ok(Answer::code(code))
}

/// The command, or podman's words why there is none.
fn describe(call: &Call, container: &Container, command: &[String]) -> Result<Process, Answer> {
    let root = call.store.current_root(container);
    let words = &call.words;
    let user = words.value("user").unwrap_or(&container.user);
    let owner = inside::owner(&root, user).map_err(|unknown| match unknown {
        Unknown::User(user) => call.profile.refusal("exec-user", &[("user", &user)]),
        Unknown::Group(user) => call.profile.refusal("exec-group", &[("user", &user)]),
    })?;
    let workdir = words.value("workdir").unwrap_or(&container.workdir);
    if !inside::is_directory(&root, workdir) {
        return Err(call.profile.refusal("exec-workdir", &[("path", workdir)]));
    }
    let mut env = container.env.clone();
    env.entry(String::from("HOME")).or_insert(owner.home);
    env.extend(creation::given_variables(call)?);
    let path = env.get("PATH").cloned().unwrap_or_default();
    let program = inside::program(&root, workdir, &path, &command[0])
        .map_err(|why| no_program(&call.profile, why, &command[0]))?;
    Ok(Process {
        terminal: false,
        user: ProcessUser { uid: owner.uid, gid: owner.gid },
        args: command.to_vec(),
        env: env.into_iter().map(|(name, value)| format!("{name}={value}")).collect(),
        cwd: workdir.to_owned(),
        program,
    })
}

/// The file that rt-podman finds the session by; whole from the moment it has its name.
fn write_process(directory: &Path, process: &Process) -> Result<(), Answer> {
    fs::create_dir_all(directory.join("exit"))?;
    let fresh = directory.join("new");
    fs::write(&fresh, serde_json::to_vec(process)?)?;
    fs::rename(fresh, directory.join("exec-process-1"))?;
    Ok(())
}

fn add_session(call: &Call, id: &str, session: &str) -> Result<(), Answer> {
    let lock = call.store.lock()?;
    let mut container = call
        .store
        .container(&lock, id)?
        .ok_or_else(|| call.profile.refusal("no-container", &[("name", id)]))?;
    container.state.sessions.push(session.to_owned());
    Ok(call.store.save(&lock, &container)?)
}

/// Cleans up after a command. Returns whether its container still exists. A client that was killed
/// does not clean up: the session's files disappear with the command, and its id stays until the
/// container stops (seen on 4.3.1).
fn remove_session(call: &Call, id: &str, session: &str, code: Option<u8>) -> Result<bool, Answer> {
    let lock = call.store.lock()?;
    let Some(mut container) = call.store.container(&lock, id)? else { return Ok(false) };
    container.state.sessions.retain(|known| known != session);
    call.store.save(&lock, &container)?;
    match fs::remove_dir_all(call.store.static_dir(id).join(session)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    if let Some(code) = code {
        // The session has noted it, too: podman's log has it twice, of the client and of the
        // clean-up process.
        event::record(&call.store, &lock, &container, "exec_died", Some(code.into()))?;
    }
    Ok(true)
}

fn run(call: &Call, id: &str, session: &str) -> Result<u8, Answer> {
    let mut child = begin(call, id, session)?;
    // Not the child itself: the streams end with the session.
    pump(&mut child);
    child.wait()?;
    // Without one somebody has killed the session. podman knows no better than that.
    let code = call.store.exit_code(session).unwrap_or(137);
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Starts the session of a command. The child is gone as soon as that has been done.
fn begin(call: &Call, id: &str, session: &str) -> Result<Child, Answer> {
    let interactive = call.words.has("interactive");
    let stream = || if call.words.has("detach") { Stdio::null() } else { Stdio::piped() };
    let directory = call.store.static_dir(id).join(session);
    let child = spawn::own("@conmon", [])?
        .args(session::words(id, session, &directory, call.faults.slow_conmon()))
        .stdin(if interactive { Stdio::piped() } else { Stdio::null() })
        .stdout(stream())
        .stderr(stream())
        .spawn()?;
    Ok(child)
}

/// Moves bytes until both output streams have ended. stdin is left alone then: nobody knows whether
/// more will come.
fn pump(child: &mut Child) {
    if let Some(mut stdin) = child.stdin.take() {
        // Detached: it may stand in a read for ever.
        std::thread::spawn(move || feed(&mut stdin));
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        if let Some(mut stderr) = stderr {
            scope.spawn(move || drain(&mut stderr, &mut io::stderr()));
        }
        if let Some(mut stdout) = stdout {
            drain(&mut stdout, &mut io::stdout());
        }
    });
}

/// What one read takes.
const PIECE: usize = 32 << 10;

/// Passes stdin on until it ends or nobody takes it any more.
fn feed(to: &mut impl Write) {
    let mut buffer = vec![0; PIECE];
    let mut stdin = io::stdin().lock();
    while let Ok(count @ 1..) = stdin.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// Passes output on as it comes. A target that has gone swallows the rest: the command is not to
/// notice.
fn drain(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = vec![0; PIECE];
    let mut open = true;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        open = open && to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_ok();
    }
}
