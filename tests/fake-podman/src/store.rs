//! The state of the engine: JSON files below one directory, changed only under a lock that all
//! processes share.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::container::Container;
use crate::image::Image;
use crate::profile::Profile;

/// The engine's directory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

/// The right to read and change the state; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, and unlocked when closed")] File);

impl Store {
    /// The store that the environment names.
    pub(crate) fn from_environment() -> Result<Self, Answer> {
        let root = std::env::var_os("FAKE_PODMAN_DIR")
            .ok_or_else(|| Answer::own("FAKE_PODMAN_DIR names no directory"))?;
        Self::open(PathBuf::from(root))
    }

    pub(crate) fn open(root: PathBuf) -> Result<Self, Answer> {
        for directory in ["containers", "images", "exit-codes"] {
            fs::create_dir_all(root.join(directory))?;
        }
        Ok(Self { root })
    }

    pub(crate) fn lock(&self) -> io::Result<Lock> {
        self.lock_file(&self.root.join("lock"))
    }

    /// The lock of one container's start: two starts at once are one after the other.
    pub(crate) fn lock_start(&self, id: &str) -> io::Result<Lock> {
        self.lock_file(&self.container_dir(id).join("start-lock"))
    }

    #[expect(clippy::unused_self, reason = "a lock is the store's")]
    fn lock_file(&self, path: &Path) -> io::Result<Lock> {
        let file = File::options().create(true).append(true).open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(Lock(file))
    }

    pub(crate) fn container_dir(&self, id: &str) -> PathBuf {
        self.root.join("containers").join(id)
    }

    /// What podman calls `StaticDir`.
    pub(crate) fn static_dir(&self, id: &str) -> PathBuf {
        self.container_dir(id).join("userdata")
    }

    pub(crate) fn log_file(&self, id: &str) -> PathBuf {
        self.static_dir(id).join("ctr.log")
    }

    /// A container's root directory on the host, as it is without its mounts.
    pub(crate) fn root(&self, container: &Container) -> PathBuf {
        container.rootfs.clone().unwrap_or_else(|| self.container_dir(&container.id).join("root"))
    }

    /// The root as the container itself sees it now: with its mounts while it runs.
    pub(crate) fn current_root(&self, container: &Container) -> PathBuf {
        let state = &container.state;
        if state.status.is_alive() && state.pid > 0 {
            PathBuf::from(format!("/proc/{}/root", state.pid))
        } else {
            self.root(container)
        }
    }

    pub(crate) fn image_dir(&self, id: &str) -> PathBuf {
        self.root.join("images").join(id)
    }

    pub(crate) fn volume_dir(&self, name: &str) -> PathBuf {
        self.root.join("volumes").join(name)
    }

    pub(crate) fn event_file(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// All containers, oldest first.
    pub(crate) fn containers(&self, _: &Lock) -> io::Result<Vec<Container>> {
        let mut found: Vec<Container> = records(&self.root.join("containers"))?;
        found.sort_by(|one, other| one.created.cmp(&other.created).then_with(|| one.id.cmp(&other.id)));
        Ok(found)
    }

    pub(crate) fn images(&self, _: &Lock) -> io::Result<Vec<Image>> {
        let mut found: Vec<Image> = records(&self.root.join("images"))?;
        found.sort_by_key(|image| std::cmp::Reverse(image.created));
        Ok(found)
    }

    /// The container of this id.
    pub(crate) fn container(&self, _: &Lock, id: &str) -> io::Result<Option<Container>> {
        record(&self.container_dir(id))
    }

    pub(crate) fn save(&self, _: &Lock, container: &Container) -> io::Result<()> {
        save(&self.container_dir(&container.id), container)
    }

    pub(crate) fn save_image(&self, _: &Lock, image: &Image) -> io::Result<()> {
        save(&self.image_dir(&image.id), image)
    }

    /// Who podman takes this word for: a name, an id, or the beginning of an id.
    pub(crate) fn find(
        &self,
        lock: &Lock,
        profile: &Profile,
        word: &str,
    ) -> Result<Option<Container>, Answer> {
        let all = self.containers(lock)?;
        if let Some(found) = all.iter().find(|container| container.name == word || container.id == word) {
            return Ok(Some(found.clone()));
        }
        let mut beginning =
            all.into_iter().filter(|container| !word.is_empty() && container.id.starts_with(word));
        match (beginning.next(), beginning.next()) {
            (_, Some(_)) => Err(profile.refusal("ambiguous", &[("name", word)])),
            (found, None) => Ok(found),
        }
    }

    /// The same; absent is the refusal that most verbs have.
    pub(crate) fn require(&self, lock: &Lock, profile: &Profile, word: &str) -> Result<Container, Answer> {
        self.find(lock, profile, word)?.ok_or_else(|| profile.refusal("no-container", &[("name", word)]))
    }

    /// Keeps the exit code of a container, also past its removal.
    pub(crate) fn save_exit_code(&self, id: &str, code: i32) -> io::Result<()> {
        fs::write(self.root.join("exit-codes").join(id), code.to_string())
    }

    pub(crate) fn exit_code(&self, id: &str) -> Option<i32> {
        fs::read_to_string(self.root.join("exit-codes").join(id)).ok()?.trim().parse().ok()
    }

    /// Notes the words of a call, for tests that look what was asked.
    pub(crate) fn record_call(&self, words: &[String]) -> io::Result<()> {
        let mut line = serde_json::to_string(words)?;
        line.push('\n');
        File::options()
            .create(true)
            .append(true)
            .open(self.root.join("calls.jsonl"))?
            .write_all(line.as_bytes())
    }
}

/// 64 hexadecimal digits that nobody else has.
pub(crate) fn random_id() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16);
    Ok(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect())
}

fn records<T: DeserializeOwned>(directory: &Path) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        found.extend(record(&entry?.path())?);
    }
    Ok(found)
}

/// `None` for a directory that is being made or removed.
fn record<T: DeserializeOwned>(directory: &Path) -> io::Result<Option<T>> {
    match fs::read(directory.join("record.json")) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// In one step, so that a process that dies half-way leaves the old record.
fn save<T: Serialize>(directory: &Path, record: &T) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let fresh = directory.join("record.json.new");
    fs::write(&fresh, serde_json::to_vec(record)?)?;
    fs::rename(fresh, directory.join("record.json"))
}
