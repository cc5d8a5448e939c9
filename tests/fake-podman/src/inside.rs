//! What stands below a container's root: paths, users and programs, without ever leaving it by a
//! link.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// The path on the host of `path` in the container: links are followed below `root`, and what is
/// missing stays as it is.
pub(crate) fn locate(root: &Path, path: &Path) -> PathBuf {
    /// As many links as Linux follows.
    const MOST_LINKS: usize = 40;
    let mut links = 0;
    let mut below = PathBuf::new();
    let mut rest: Vec<PathBuf> = components(path);
    while let Some(next) = rest.pop() {
        if next == Path::new("..") {
            below.pop();
            continue;
        }
        below.push(&next);
        let Ok(target) = fs::read_link(root.join(&below)) else { continue };
        links += 1;
        if links > MOST_LINKS {
            break;
        }
        if target.is_absolute() {
            below = PathBuf::new();
        } else {
            below.pop();
        }
        rest.extend(components(&target));
    }
    root.join(below)
}

/// The same, but the last name is not followed when it is a link.
pub(crate) fn locate_last(root: &Path, path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => locate(root, parent).join(name),
        _ => locate(root, path),
    }
}

/// The names of a path, last first.
fn components(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            _ => None,
        })
        .collect()
}

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: String,
}

/// Which half of `USER[:GROUP]` is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    User(String),
    Group(String),
}

/// The numbers of `USER[:GROUP]`, by the container's own files. A number needs no entry.
pub(crate) fn owner(root: &Path, text: &str) -> Result<Owner, Unknown> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = if user.is_empty() { "0" } else { user };
    let line = entry(root, "etc/passwd", user);
    let field = |at: usize| line.as_ref().and_then(|fields| fields.get(at));
    let number = |at: usize| field(at).and_then(|text| text.parse().ok());
    let uid = number(2).or_else(|| user.parse().ok()).ok_or_else(|| Unknown::User(user.to_owned()))?;
    let gid = match group {
        None => number(3).unwrap_or(0),
        Some(group) => entry(root, "etc/group", group)
            .and_then(|fields| fields.get(2)?.parse().ok())
            .or_else(|| group.parse().ok())
            .ok_or_else(|| Unknown::Group(group.to_owned()))?,
    };
    let default_home = if uid == 0 { "/root" } else { "/" };
    let home = field(5).cloned().unwrap_or_else(|| default_home.to_owned());
    Ok(Owner { uid, gid, home })
}

/// The fields of the line with this name or number.
fn entry(root: &Path, file: &str, key: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(locate(root, Path::new(file))).ok()?;
    let number: Option<u32> = key.parse().ok();
    text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>()).find(|fields| {
        fields.first().is_some_and(|name| name == key)
            || number.is_some() && fields.get(2).and_then(|id| id.parse().ok()) == number
    })
}

/// Why a program cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoProgram {
    NotOnPath,
    NotThere,
    NotExecutable,
    Directory,
}

/// The path in the container of the program that `word` names.
pub(crate) fn program(root: &Path, workdir: &str, path: &str, word: &str) -> Result<PathBuf, NoProgram> {
    let check = |path: &Path| match fs::metadata(locate(root, path)) {
        Err(_) => Err(NoProgram::NotThere),
        Ok(known) if known.is_dir() => Err(NoProgram::Directory),
        Ok(known) if known.permissions().mode() & 0o111 == 0 => Err(NoProgram::NotExecutable),
        Ok(_) => Ok(path.to_path_buf()),
    };
    if word.contains('/') {
        return check(&Path::new(workdir).join(word));
    }
    if word.is_empty() {
        return Err(NoProgram::NotOnPath);
    }
    path.split(':')
        .find_map(|directory| check(&Path::new(directory).join(word)).ok())
        .ok_or(NoProgram::NotOnPath)
}

/// Whether a directory is there.
pub(crate) fn is_directory(root: &Path, path: &str) -> bool {
    locate(root, Path::new(path)).is_dir()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out_of_the_root() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("etc/deep")).unwrap();
        symlink("/etc", root.join("absolute")).unwrap();
        symlink("../../../../etc", root.join("etc/deep/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for path in ["/absolute/x", "/etc/deep/up/x", "/../etc/x", "etc/./deep/../x"] {
            assert_eq!(locate(root, Path::new(path)), root.join("etc/x"), "{path}");
        }
        assert!(locate(root, Path::new("/loop/x")).starts_with(root));
    }

    #[test]
    fn owners_and_programs_are_those_of_the_container() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\ndev:x:1000:100:dev:/tmp:/bin/sh\n",
        )
        .unwrap();
        fs::write(root.join("etc/group"), "staff:x:50:\n").unwrap();
        let of = |text: &str| owner(root, text).map(|owner| (owner.uid, owner.gid, owner.home));
        assert_eq!(of(""), Ok((0, 0, String::from("/root"))));
        assert_eq!(of("dev"), Ok((1000, 100, String::from("/tmp"))));
        assert_eq!(of("1000:staff"), Ok((1000, 50, String::from("/tmp"))));
        assert_eq!(of("4242"), Ok((4242, 0, String::from("/"))));
        assert_eq!(of("nosuch"), Err(Unknown::User(String::from("nosuch"))));
        assert_eq!(of("dev:nosuch"), Err(Unknown::Group(String::from("nosuch"))));
        assert_eq!(program(root, "/", "/etc", "passwd"), Err(NoProgram::NotOnPath));
        assert_eq!(program(root, "/etc", "", "./passwd"), Err(NoProgram::NotExecutable));
        assert_eq!(program(root, "/", "", "/etc"), Err(NoProgram::Directory));
        assert_eq!(program(root, "/", "", "/x"), Err(NoProgram::NotThere));
    }
}
