//! How a secret variable travels: its name in podman's argv, its value in podman's environment.

use rt_process::ProcessSpec;
use rt_protocol::{EnvName, Error, ErrorKind, Result, Secret};

/// Names that steer podman, its helpers or the loader. In podman's own environment they would do more than travel:
/// `CONTAINER_HOST` made podman dial a socket, `LD_PRELOAD` was loaded.
const STEERING_NAMES: &[&str] = &["PATH", "HOME", "TMPDIR", "NOTIFY_SOCKET"];
const STEERING_PREFIXES: &[&str] = &[
    "LD_",
    "XDG_",
    "CONTAINER",
    "PODMAN_",
    "STORAGE_",
    "REGISTRY_",
    "GO",
    "DBUS_",
    "LISTEN_",
    "BUILDAH_",
    "NETAVARK_",
    "_CONTAINERS_",
    "SSL_CERT_",
];
const STEERING_SUFFIXES: &[&str] = &["_PROXY"];

/// Passes `-e NAME`, with the value in the environment of podman itself.
pub(crate) fn pass(call: ProcessSpec, name: &EnvName, value: &Secret) -> Result<ProcessSpec> {
    if steers_podman(name.as_str()) {
        let message = format!("a secret named {name} would steer podman itself");
        return Err(Error::new(ErrorKind::InvalidRequest, "pass a secret to", message)
            .with_hint("pass it under another name, or as a plain variable if it is none"));
    }
    Ok(call.arg("--env").arg(name.as_str()).secret_env(name.as_str(), value.clone()))
}

/// Whether podman, a helper of it or the loader reads a variable of this name. Case is ignored, as curl and Go ignore
/// it for proxies.
pub(crate) fn steers_podman(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    // The Go runtime reads GODEBUG, GOMEMLIMIT and more; GOOGLE_API_KEY and its like are everyday secrets.
    if upper.starts_with("GOOGLE") {
        return upper.ends_with("_PROXY");
    }
    STEERING_NAMES.contains(&upper.as_str())
        || STEERING_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        || STEERING_SUFFIXES.iter().any(|suffix| upper.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steering_names_are_refused() {
        for name in [
            "PATH",
            "HOME",
            "TMPDIR",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "XDG_RUNTIME_DIR",
            "CONTAINER_HOST",
            "CONTAINERS_CONF",
            "PODMAN_USERNS",
            "STORAGE_DRIVER",
            "REGISTRY_AUTH_FILE",
            "HTTP_PROXY",
            "https_proxy",
            "NO_PROXY",
            "GODEBUG",
            "GOMAXPROCS",
            "DBUS_SESSION_BUS_ADDRESS",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
        ] {
            assert!(steers_podman(name), "{name}");
        }
        for name in ["TOKEN", "API_KEY", "PGPASSWORD", "MY_PATH", "HOMEPAGE", "GOOGLE_API_KEY"] {
            assert!(!steers_podman(name), "{name}");
        }
    }
}
