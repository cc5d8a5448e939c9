//! Pauses and unpauses a container.
//!
//! podman's client freezes the processes, and then writes the state down. If it is ended in
//! between, the container is frozen and podman considers it running, or the reverse. So the state
//! is looked at after every answer, and the freezer too where this host sees it.

use rt_protocol::{ContainerState, Error, ErrorKind, Result, Until};

use crate::cli::answer::{Answer, Refusal};
use crate::cli::failure::Failure;
use crate::state::improper_state;
use crate::state::inspect::Inspected;
use crate::state::main_process::MainProcess;
use crate::state::target::Target;

/// One of the two verbs.
#[derive(Clone, Copy)]
struct Verb {
    /// podman's word, and the operation of errors.
    word: &'static str,
    /// Whether the container is frozen afterwards.
    freezes: bool,
}

const PAUSE: Verb = Verb { word: "pause", freezes: true };
const UNPAUSE: Verb = Verb { word: "unpause", freezes: false };

/// Freezes the container. No effect if it is paused.
pub(crate) fn pause(container: &Target, until: &Until) -> Result<()> {
    run(container, PAUSE, until)
}

/// Lets the container run on. No effect if it runs.
pub(crate) fn unpause(container: &Target, until: &Until) -> Result<()> {
    run(container, UNPAUSE, until)
}

fn run(container: &Target, verb: Verb, until: &Until) -> Result<()> {
    let with_container = |error: Error| error.in_container(container.name());
    let target = container.id_or_name(until)?;
    match ask(container, verb, &target, until).and_then(Answer::printed) {
        Ok(Err(refusal)) if refusal.failure() == Failure::NoSuchContainer => {
            Err(refusal.of_container(verb.word, container.name()))
        }
        Ok(answer) => {
            let limit = container.engine().limits.read;
            let found = container.inspect_as(verb.word, limit, false, until)?;
            let is_over = found.as_ref().is_none_or(|found| found.info.state.has_exited());
            if is_over && !verb.freezes && answer.is_ok() {
                // It ran on, and has ended since.
                return Ok(());
            }
            let Some(found) = found else {
                return Err(container.no_such(verb.word));
            };
            match Frozen::of(&found) {
                frozen if frozen.is_settled(verb) => Ok(()),
                // An earlier call was interrupted.
                Frozen::Unwritten | Frozen::Unthawed => complete(container, verb, &found, until),
                _ => Err(match answer {
                    Err(refusal) => refused(container, verb, &found, &refusal),
                    Ok(_) if is_over => improper_state::of_found(container, verb.word, &found),
                    Ok(_) => {
                        let message =
                            format!("podman answered with success, and its state is {}", found.info.state);
                        with_container(Error::new(ErrorKind::BackendFailed, verb.word, message))
                            .with_hint("see whether somebody else pauses it; if not, ask again")
                    }
                }),
            }
        }
        Err(error) => settle(container, verb, error).map_err(with_container),
    }
}

fn ask(container: &Target, verb: Verb, target: &str, until: &Until) -> Result<Answer> {
    container.engine().ask_within(
        verb.word,
        container.engine().limits.start,
        until,
        [verb.word, "--", target],
    )
}

/// What podman and the host say about the processes of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frozen {
    Yes,
    No,
    /// They are frozen, and podman considers the container running.
    Unwritten,
    /// They run, and podman considers the container paused.
    Unthawed,
    /// The container neither runs nor is paused.
    Neither,
}

impl Frozen {
    fn of(found: &Inspected) -> Self {
        // If the host does not see the freezer, podman's word counts.
        let frozen = main_process(found).as_ref().and_then(MainProcess::freezer);
        match (&found.info.state, frozen) {
            (ContainerState::Paused, Some(false)) => Self::Unthawed,
            (ContainerState::Paused, _) => Self::Yes,
            (ContainerState::Running, Some(true)) => Self::Unwritten,
            (ContainerState::Running, _) if !found.is_abandoned() => Self::No,
            _ => Self::Neither,
        }
    }

    fn is_settled(self, verb: Verb) -> bool {
        self == if verb.freezes { Self::Yes } else { Self::No }
    }
}

fn main_process(found: &Inspected) -> Option<MainProcess> {
    MainProcess::find(found.info.id.as_str(), found.pid?)
}

/// Builds the error for podman's refusal, by the state of the container.
fn refused(container: &Target, verb: Verb, found: &Inspected, refusal: &Refusal) -> Error {
    match found.info.state {
        ContainerState::Running | ContainerState::Paused if !found.is_abandoned() => {
            match refusal.failure() {
                // The state has changed since.
                Failure::NotRunning => improper_state::of_found(container, verb.word, found),
                _ => refusal.of_container(verb.word, container.name()),
            }
        }
        _ => improper_state::of_found(container, verb.word, found),
    }
}

/// Does what an interrupted call has left half done.
fn complete(container: &Target, verb: Verb, found: &Inspected, until: &Until) -> Result<()> {
    let mut is_aligned = false;
    loop {
        // podman only thaws what it considers paused, and only freezes what it considers running.
        let steps: &[Verb] = match (Frozen::of(found), verb.freezes) {
            (Frozen::Yes, true) | (Frozen::No, false) => &[],
            (Frozen::Unwritten, false) => &[PAUSE, UNPAUSE],
            (Frozen::Unthawed, true) => &[UNPAUSE, PAUSE],
            // Of what has ended meanwhile, podman says so.
            (_, true) => &[PAUSE],
            (_, false) => &[UNPAUSE],
        };
        match take(container, steps, found, until)? {
            None => return Ok(()),
            Some((0, _)) if !is_aligned && align(found) => is_aligned = true,
            Some((_, refusal)) => return Err(refusal.of_container(verb.word, container.name())),
        }
    }
}

/// Takes the steps. Returns podman's refusal of one, with the step's number.
fn take(
    container: &Target,
    steps: &[Verb],
    found: &Inspected,
    until: &Until,
) -> Result<Option<(usize, Refusal)>> {
    for (number, step) in steps.iter().enumerate() {
        let answer = ask(container, *step, found.info.id.as_str(), until).and_then(Answer::printed);
        if let Err(refusal) = answer.map_err(|error| error.in_container(container.name()))? {
            return Ok(Some((number, refusal)));
        }
    }
    Ok(None)
}

/// Brings the processes to what podman considers them to be: runc freezes nothing that is frozen,
/// and resumes nothing that runs. Returns false if this process has no right to.
fn align(found: &Inspected) -> bool {
    let is_paused = found.info.state == ContainerState::Paused;
    main_process(found).is_some_and(|process| process.set_frozen(is_paused).is_ok())
}

/// Finds the result of a call whose client has proved nothing, and leaves nothing half done.
fn settle(container: &Target, verb: Verb, error: Error) -> Result<()> {
    let Ok(Some(found)) = container.inspect_within(container.engine().limits.read) else {
        return Err(error);
    };
    let until = Until::after(container.engine().limits.read);
    let is_interrupted = error.kind() == ErrorKind::BackendInterrupted;
    match Frozen::of(&found) {
        frozen if is_interrupted && frozen.is_settled(verb) => Ok(()),
        Frozen::Unwritten | Frozen::Unthawed if is_interrupted => {
            complete(container, verb, &found, &until).map_err(|_| error)
        }
        // Undone, because the caller's time is over.
        Frozen::Unwritten => complete(container, UNPAUSE, &found, &until).and(Err(error)),
        Frozen::Unthawed => complete(container, PAUSE, &found, &until).and(Err(error)),
        _ => Err(error),
    }
}
