//! Which container a name stands for now, and whether `podman exec` may enter it: what is remembered between execs.
//!
//! Somebody else may remove, recreate, rename or restart the container at any time. So what is remembered is bound to the
//! container's id and to its first process, every exec goes by the id, and before each one the host is looked at: two
//! system calls, where a question to podman costs a third of an exec.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rt_process::procfs::{self, ProcessEntry};
use rt_protocol::ContainerName;
use serde_json::Value;

use crate::cli::json;
use crate::state::inspect::Inspected;

/// A container as it was when podman described it.
#[derive(Clone, Debug)]
pub(crate) struct ExecTarget {
    pub(crate) id: String,
    /// Where podman keeps the records of its execs; `None` where this host cannot see it.
    pub(crate) static_dir: Option<PathBuf>,
    /// Its first process, seen from this host.
    init: Option<ProcessEntry>,
    pid: Option<u32>,
    started_at: Option<SystemTime>,
    names: Option<NameIndex>,
}

impl ExecTarget {
    pub(crate) fn of(found: &Inspected) -> Self {
        let static_dir = found.static_dir.as_ref().map(PathBuf::from).filter(|path| path.is_dir());
        // A number of another machine's says nothing here.
        let init = static_dir.as_ref().and(found.pid).and_then(|pid| procfs::entry(pid).ok().flatten());
        let names = static_dir.as_deref().and_then(NameIndex::of);
        Self {
            id: found.info.id.to_string(),
            static_dir,
            init,
            pid: found.pid,
            started_at: found.info.started_at,
            names,
        }
    }

    /// This target again, if the container of that name is still this one, and has not been started anew. `None` where
    /// it is not, or where the host cannot tell.
    pub(crate) fn still_of(&self, name: &ContainerName) -> Option<Self> {
        if !self.init_is_alive()? {
            return None;
        }
        let names = self.names.as_ref()?.current(&self.id, name)?;
        Some(Self { names: Some(names), ..self.clone() })
    }

    /// The container's first process, while it is alive and this host can see it.
    pub(crate) fn first_process(&self) -> Option<&ProcessEntry> {
        self.init.as_ref().filter(|_| self.init_is_alive() == Some(true))
    }

    /// Whether the container's first process is alive, and not on its way to its end; `None` where the host cannot tell.
    pub(crate) fn init_is_alive(&self) -> Option<bool> {
        let init = self.init.as_ref()?;
        let now = procfs::entry(init.pid).ok()?;
        let same = now.is_some_and(|now| now.start_time == init.start_time && !now.is_zombie);
        Some(same && !procfs::is_exiting(init.pid).ok()?)
    }

    /// Whether podman describes the same run of the same container.
    pub(crate) fn is_same_run(&self, found: &Inspected) -> bool {
        found.info.id.as_str() == self.id
            && found.info.state.is_running()
            && found.info.started_at == self.started_at
            && found.pid == self.pid
    }
}

/// The file of containers/storage that says which container has which name. It is replaced whenever a container is made,
/// removed or renamed (seen on 4.3.1 and 5.4.2).
#[derive(Clone, Debug)]
struct NameIndex {
    file: PathBuf,
    version: (u64, u64, i64, i64, i64, i64, u64),
}

impl NameIndex {
    /// `<store>/<driver>-containers/containers.json`, of `<store>/<driver>-containers/<id>/userdata`.
    fn of(static_dir: &Path) -> Option<Self> {
        Self::read(static_dir.parent()?.parent()?.join("containers.json"))
    }

    fn read(file: PathBuf) -> Option<Self> {
        let metadata = fs::metadata(&file).ok()?;
        Some(Self { file, version: version(&metadata) })
    }

    /// The index as it is now, if it gives that name to that container.
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

/// What differs between two versions of a file.
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
