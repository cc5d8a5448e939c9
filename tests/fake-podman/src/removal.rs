//! `podman rm`.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::Container;
use crate::store::{Lock, Store};
use crate::{event, lifecycle};

pub(crate) fn rm(call: &Call) -> Reply {
    let words = &call.words;
    let (force, ignore) = (words.has("force"), words.has("ignore"));
    if words.value("time").is_some() && !force {
        return Err(call.profile.refusal("rm-time-without-force", &[]));
    }
    let named = if words.has("all") { all_names(call)? } else { words.operands.clone() };
    if named.is_empty() && !words.has("all") {
        return Err(call.profile.refusal("rm-nothing", &[]));
    }
    let mut targets: Vec<(String, Container)> = Vec::new();
    let lock = call.store.lock()?;
    for word in named {
        match call.store.find(&lock, &call.profile, &word)? {
            Some(container) => targets.push((word, container)),
            None if ignore => {}
            // The trap of 4.3: no word, no failure, and nobody is removed.
            None if force && call.profile.has("forced-rm-stops-at-the-missing") => {
                return Ok(Answer::silent());
            }
            None if force => {}
            None => return Err(call.profile.refusal("rm-no-container", &[("name", &word)])),
        }
    }
    drop(lock);
    let mut answer = Answer::silent();
    let mut done: Vec<String> = Vec::new();
    for (word, container) in targets {
        if done.contains(&container.id) {
            if call.profile.has("rm-names-the-doubled-twice") {
                answer.stdout.extend(format!("{word}\n").into_bytes());
            }
            continue;
        }
        done.push(container.id.clone());
        match remove(call, &container, force) {
            Ok(warning) => {
                answer.stderr.push_str(&warning);
                answer.stdout.extend(format!("{word}\n").into_bytes());
            }
            Err(refusal) => {
                answer.stderr.push_str(&refusal.stderr);
                answer.code = refusal.code;
            }
        }
    }
    Ok(answer)
}

fn all_names(call: &Call) -> Result<Vec<String>, Answer> {
    let all = call.store.containers(&call.store.lock()?)?;
    Ok(all.into_iter().map(|container| container.name).collect())
}

fn remove(call: &Call, container: &Container, force: bool) -> Result<String, Answer> {
    let mut warning = String::new();
    if container.state.status.is_alive() {
        if !force {
            return Err(call.profile.refusal("rm-running", &[("id", &container.id)]));
        }
        // A paused process takes no TERM; podman kills it.
        if let (crate::container::Status::Paused, Some(pid)) =
            (container.state.status, Pid::from_raw(container.state.pid))
        {
            kill_process(pid, Signal::KILL)?;
            lifecycle::wait_for_exit(call, &container.id)?;
        } else {
            let grace = call.words.value("time").and_then(|time| time.parse().ok()).unwrap_or(10);
            warning = lifecycle::stop_one(call, &container.id, Duration::from_secs(grace))?;
        }
    }
    delete(call, &container.id)?;
    Ok(warning)
}

/// Removes a container that does not run.
pub(crate) fn delete(call: &Call, id: &str) -> Result<(), Answer> {
    let lock = call.store.lock()?;
    match call.store.container(&lock, id)? {
        Some(container) => Ok(remove_files(&call.store, &lock, &container)?),
        None => Ok(()),
    }
}

/// Its record goes first: from then on it is gone, whatever becomes of its files.
pub(crate) fn remove_files(store: &Store, lock: &Lock, container: &Container) -> io::Result<()> {
    let directory = store.container_dir(&container.id);
    fs::remove_file(directory.join("record.json"))?;
    let code = (container.state.finished > 0).then_some(container.state.exit_code);
    event::record(store, lock, container, "remove", code)?;
    match fs::remove_dir_all(&directory) {
        // A client or a supervisor may just be writing its last file.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => fs::remove_dir_all(&directory),
        done => done,
    }
}
