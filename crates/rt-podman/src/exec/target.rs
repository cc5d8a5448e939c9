//! Which container a name means now, and whether `podman exec` may enter it: what is remembered
//! between execs.
//!
//! A container can be removed, recreated, renamed or restarted by others at any time. So what is
//! remembered is bound to the container's id and first process. Every exec uses the id, and the
//! host is checked before each one: two system calls, while a call of podman costs a third of an
//! exec.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rt_process::procfs::{self, ProcessEntry};
use rt_protocol::ContainerName;
use serde_json::Value;

use crate::cli::json;
use crate::state::inspect::Inspected;

/// A container as podman described it.
#[derive(Clone, Debug)]
pub(crate) struct ExecTarget {
    pub(crate) id: String,
    /// The directory of its exec records; `None` if this host cannot see it.
    pub(crate) static_dir: Option<PathBuf>,
    /// Its first process, seen from this host.
    init: Option<ProcessEntry>,
    /// Whether that is process 1 of a pid namespace, so that all others there end with it.
    init_ends_all: bool,
    pid: Option<u32>,
    started_at: Option<SystemTime>,
    names: Option<NameIndex>,
}

impl ExecTarget {
    pub(crate) fn of(found: &Inspected) -> Self {
        let static_dir = found.static_dir.as_ref().map(PathBuf::from).filter(|path| path.is_dir());
        // A pid on another machine says nothing here.
        let init = static_dir.as_ref().and(found.pid).and_then(|pid| procfs::entry(pid).ok().flatten());
        let names = static_dir.as_deref().and_then(NameIndex::of);
        let is_namespace_init =
            |init: &ProcessEntry| matches!(procfs::is_namespace_init(init.pid), Ok(Some(true)));
        Self {
            init_ends_all: init.as_ref().is_some_and(is_namespace_init),
            id: found.info.id.to_string(),
            static_dir,
            init,
            pid: found.pid,
            started_at: found.info.started_at,
            names,
        }
    }

    /// Returns this target if the name still means the same run of the same container. `None` if
    /// not, or if the host cannot tell.
    pub(crate) fn still_of(&self, name: &ContainerName) -> Option<Self> {
        if !self.init_is_alive()? {
            return None;
        }
        let names = self.names.as_ref()?.current(&self.id, name)?;
        Some(Self { names: Some(names), ..self.clone() })
    }

    /// Returns the container's first process, while it is alive and this host can see it.
    pub(crate) fn first_process(&self) -> Option<&ProcessEntry> {
        self.init.as_ref().filter(|_| self.init_is_alive() == Some(true))
    }

    /// Returns whether the container's first process is alive and not exiting; `None` if the host
    /// cannot tell.
    pub(crate) fn init_is_alive(&self) -> Option<bool> {
        procfs::is_running(self.init.as_ref()?).ok()
    }

    /// Returns whether this run of the container is over, as far as the host sees. A process that
    /// is hidden from this host seems to be gone.
    pub(crate) fn seems_over(&self) -> bool {
        match &self.init {
            Some(_) => self.init_is_alive() == Some(false),
            // It may have ended before it could be looked at.
            None => self.static_dir.is_some() && self.pid.is_some(),
        }
    }

    /// Returns whether every process of this run of the container has certainly ended. The kernel
    /// makes process 1 of a pid namespace a zombie when all others there are gone.
    pub(crate) fn has_ended_whole(&self) -> bool {
        let Some(init) = self.init.as_ref().filter(|_| self.init_ends_all) else { return false };
        let is_it = |now: ProcessEntry| now.start_time == init.start_time && !now.is_zombie;
        procfs::entry(init.pid).is_ok_and(|now| !now.is_some_and(is_it))
    }

    /// Returns whether podman describes the same run of the same container.
    pub(crate) fn is_same_run(&self, found: &Inspected) -> bool {
        found.info.id.as_str() == self.id
            && found.info.state.is_running()
            && found.info.started_at == self.started_at
            && found.pid == self.pid
    }
}

/// The file of containers/storage that maps names to containers. It is replaced whenever a
/// container is created, removed or renamed (seen on 4.3.1 and 5.4.2).
#[derive(Clone, Debug)]
struct NameIndex {
    file: PathBuf,
    version: (u64, u64, i64, i64, i64, i64, u64),
}

impl NameIndex {
    /// Returns `<store>/<driver>-containers/containers.json`, for
    /// `<store>/<driver>-containers/<id>/userdata`.
    fn of(static_dir: &Path) -> Option<Self> {
        Self::read(static_dir.parent()?.parent()?.join("containers.json"))
    }

    fn read(file: PathBuf) -> Option<Self> {
        let metadata = fs::metadata(&file).ok()?;
        Some(Self { file, version: version(&metadata) })
    }

    /// Returns the index as it is now, if it maps that name to that container.
    fn current(&self, id: &str, name: &ContainerName) -> Option<Self> {
        let now = Self::read(self.file.clone())?;
        if now.version == self.version {
            return Some(now);
        }
        let text = fs::read(&now.file).ok()?;
        names_of(&serde_json::from_slice(&text).ok()?, id).any(|known| known == name.as_str()).then_some(now)
    }
}

fn names_of<'a>(index: &'a Value, id: &str) -> impl Iterator<Item = &'a str> {
    let row =
        index.as_array().into_iter().flatten().find(|row| json::text(row, &["id"]).as_deref() == Some(id));
    row.into_iter().flat_map(|row| json::list(row, &["names"])).filter_map(Value::as_str)
}

/// Returns what differs between two versions of a file.
fn version(metadata: &Metadata) -> (u64, u64, i64, i64, i64, i64, u64) {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
        metadata.size(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_moved_to_another_container_is_noticed() {
        let store = tempfile::tempdir().unwrap();
        let static_dir = store.path().join("overlay-containers/aa/userdata");
        fs::create_dir_all(&static_dir).unwrap();
        let file = store.path().join("overlay-containers/containers.json");
        let write = |text: &str| {
            let new = file.with_extension("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, &file).unwrap();
        };
        let name = ContainerName::new("web").unwrap();
        assert!(NameIndex::of(&static_dir).is_none());
        write(r#"[{"id":"aa","names":["web"]}]"#);
        let index = NameIndex::of(&static_dir).unwrap();
        assert!(index.current("aa", &name).is_some());
        write(r#"[{"id":"bb","names":["db"]},{"id":"aa","names":["web"]}]"#);
        assert!(index.current("aa", &name).is_some());
        for moved in [
            r#"[{"id":"bb","names":["web"]},{"id":"aa","names":["old"]}]"#,
            r#"[{"id":"bb","names":["web"]}]"#,
            r#"[{"id":"aa","names":null}]"#,
            "broken",
        ] {
            write(moved);
            assert!(index.current("aa", &name).is_none(), "{moved}");
        }
        fs::remove_file(&file).unwrap();
        assert!(index.current("aa", &name).is_none());
    }
}
