//! Makes the paths in a caller's arguments and variables absolute, because podman runs in another
//! directory.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Environment variables with a path that podman reads.
const PATH_VARIABLES: [&str; 8] = [
    "CONTAINERS_CONF",
    "CONTAINERS_CONF_OVERRIDE",
    "CONTAINERS_HELPER_BINARY_DIR",
    "CONTAINERS_REGISTRIES_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "TMPDIR",
];

/// podman's own options that take a path.
const PATH_OPTIONS: [&str; 16] = [
    "--cdi-spec-dir",
    "--cni-config-dir",
    "--config",
    "--conmon",
    "--default-mounts-file",
    "--hooks-dir",
    "--identity",
    "--imagestore",
    "--network-cmd-path",
    "--network-config-dir",
    "--registries-conf",
    "--root",
    "--runroot",
    "--runtime",
    "--tmpdir",
    "--volumepath",
];

/// Makes the paths in the arguments absolute, relative to this process's directory.
pub(crate) fn absolute_args(args: Vec<OsString>) -> Vec<OsString> {
    let mut is_path = false;
    args.into_iter()
        .map(|word| {
            let option = word.to_str().and_then(|text| text.split_once('='));
            let made = match option {
                _ if is_path => absolute(&word),
                Some((name, value)) if PATH_OPTIONS.contains(&name) => absolute(OsStr::new(value))
                    .map(|path| [OsStr::new(name), OsStr::new("="), &path].into_iter().collect()),
                // If the binary is a launcher, this may be a path to podman.
                _ if word.as_encoded_bytes().starts_with(b"./")
                    || word.as_encoded_bytes().starts_with(b"../") =>
                {
                    std::path::absolute(&word).ok().map(PathBuf::into_os_string)
                }
                _ => None,
            };
            is_path = word.to_str().is_some_and(|name| PATH_OPTIONS.contains(&name));
            made.unwrap_or(word)
        })
        .collect()
}

/// Returns the caller's variables with absolute paths, and those of this process that would mean
/// another path elsewhere.
pub(crate) fn absolute_variables(own: Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let is_path = |name: &OsStr| PATH_VARIABLES.iter().any(|known| name == *known);
    let inherited =
        PATH_VARIABLES.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    let mut changed: Vec<_> = inherited.filter_map(|(name, value)| Some((name, absolute(&value)?))).collect();
    changed.extend(own.into_iter().map(|(name, value)| {
        let made = if is_path(&name) { absolute(&value) } else { None };
        (name, made.unwrap_or(value))
    }));
    changed
}

/// Returns the absolute path for a relative one. `None` if it needs no change, for example a name
/// that is searched elsewhere, such as that of an OCI runtime.
fn absolute(path: &OsStr) -> Option<OsString> {
    if path.is_empty() || path.as_encoded_bytes().starts_with(b"/") {
        return None;
    }
    let made = std::path::absolute(path).ok()?;
    (made.exists() || path.as_encoded_bytes().contains(&b'/')).then(|| made.into_os_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_count_from_here_and_names_stay() {
        let here = std::env::current_dir().unwrap().into_os_string().into_string().unwrap();
        let made = |words: &[&str]| {
            let made = absolute_args(words.iter().map(OsString::from).collect());
            made.into_iter()
                .map(|word| word.into_string().unwrap().replace(&here, "HERE"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            made(&["--root=a/b", "--runroot", "./c", "./podman"]),
            ["--root=HERE/a/b", "--runroot", "HERE/c", "HERE/podman"]
        );
        for words in [
            &["--root", "/a", "--runtime=crun", "--log-level=info"][..],
            &["-c", "echo ./x", "--url=unix://x"],
        ] {
            assert_eq!(made(words), words);
        }
        let variables = [("CONTAINERS_CONF", "a/conf"), ("TOKEN", "a/b")]
            .map(|(name, value)| (name.into(), value.into()));
        let made = absolute_variables(variables.to_vec());
        assert!(made.contains(&("CONTAINERS_CONF".into(), format!("{here}/a/conf").into())), "{made:?}");
        assert!(made.contains(&("TOKEN".into(), "a/b".into())), "{made:?}");
    }
}
