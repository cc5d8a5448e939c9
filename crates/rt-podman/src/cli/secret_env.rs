//! Passes secret variables to podman: the name in podman's argv, and the value in podman's
//! environment. If the name would affect podman itself, it goes into an env file that podman reads
//! from its stdin, or from its own descriptor if a command needs the stdin.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use rt_process::ProcessSpec;
use rt_protocol::{ContainerPath, Env, EnvName, EnvValue, Error, ErrorKind, Result, Secret, Source, User};

use super::engine::assignment;

const OPERATION: &str = "pass a secret to";

/// Names that affect podman, its helpers, a script in podman's place, or libraries of any of them.
/// In podman's own environment they would have an effect: `CONTAINER_HOST` made podman dial a
/// socket, `LD_PRELOAD` was loaded, `GLIBC_TUNABLES` was printed on stderr with its value,
/// `BASH_ENV` was run.
///
/// Sources: the names in the binaries and libraries of podman 4.3 and 5.4, conmon, crun, runc,
/// netavark, aardvark-dns, slirp4netns, pasta, fuse-overlayfs, fusermount3, catatonit, newuidmap,
/// newgidmap and iptables, and the manuals of glibc, bash and gpg. newuidmap reads settings of
/// login.defs(5), not variables. Common secrets with a similar prefix (`DOCKER_PASSWORD`,
/// `GPG_PASSPHRASE`) are not included.
const STEERING_NAMES: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "SHELL",
    "SUDO_USER",
    "SSH_AUTH_SOCK",
    // systemd.
    "NOTIFY_SOCKET",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "DISABLE_HC_SYSTEMD",
    // The C library.
    "GCONV_PATH",
    "GETCONF_DIR",
    "GMON_OUT_PREFIX",
    "HOSTALIASES",
    "LANG",
    "LANGUAGE",
    "LOCALDOMAIN",
    "LOCPATH",
    "MSGVERB",
    "NLSPATH",
    "OUTPUT_CHARSET",
    "POSIXLY_CORRECT",
    "RES_OPTIONS",
    "SEV_LEVEL",
    "TEXTDOMAIN",
    "TEXTDOMAINDIR",
    "TZ",
    "TZDIR",
    // Shells.
    "CDPATH",
    "ENV",
    "GLOBIGNORE",
    "IFS",
    "PROMPT_COMMAND",
    "PS4",
    "SHELLOPTS",
    "ZDOTDIR",
    // Registries, keys, logs.
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_TMPDIR",
    "GNUPGHOME",
    "GPG_AGENT_INFO",
    "GPG_TTY",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "RUST_LOG",
    "RUST_MIN_STACK",
    // libdevmapper, a library of podman.
    "DM_ABORT_ON_INTERNAL_ERRORS",
    "DM_DEBUG_WITH_LINE_NUMBERS",
    "DM_DEFAULT_NAME_MANGLING_MODE",
    "DM_DEV_DIR",
    "DM_DISABLE_UDEV",
    // Libraries of aardvark-dns and fusermount3.
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "FUSE_KERN_DEVICE",
    "NO_COLOR",
    "TOKIO_WORKER_THREADS",
    // Interpreters for other languages, in which a script in podman's place may be written.
    "NODE_OPTIONS",
    "NODE_PATH",
    "RUBYLIB",
    "RUBYOPT",
];
const STEERING_PREFIXES: &[&str] = &[
    // podman and its libraries.
    "BUILDAH_",
    "BUILD_REGISTRY_",
    "CNI_",
    "CONTAINER",
    "LIBPOD_",
    "PODMAN_",
    "REGISTRY_",
    "STORAGE_",
    "_CONTAINERS_",
    "_PODMAN_",
    // conmon, OCI runtimes, networks.
    "AARDVARK_",
    "CATATONIT_",
    "CONMON_",
    "CRUN_",
    "FUSE_OVERLAYFS_",
    "IP6TABLES_",
    "IPTABLES_",
    "NETAVARK_",
    "XTABLES_",
    "_FUSE_",
    "_LIBCONTAINER_",
    "_OCI_",
    // The loader, the C library, and other libraries.
    "ARGP_HELP_",
    "GLIBC_",
    "GPGME_",
    "HESIOD_",
    "HES_",
    "LC_",
    "LD_",
    "MALLOC_",
    "NIS_",
    "RESOLV_",
    "SELINUX_",
    "SSL_CERT_",
    // Go, desktops, systemd, bash.
    "BASHOPTS",
    "BASH_",
    "CGO_",
    "DBUS_",
    "GO",
    "LISTEN_",
    "PERL5",
    "PYTHON",
    "SYSTEMD_",
    "XDG_",
];
const STEERING_SUFFIXES: &[&str] = &["_PROXY"];

/// The longest line of an env file, in bytes. podman reads it with Go's `bufio.Scanner`, which
/// fails at 64 KiB.
const LONGEST_LINE: usize = 60_000;

/// The largest env file on a descriptor, in bytes: what a pipe holds for users other than root.
const LARGEST_FILE: usize = 1 << 20;

/// A call of podman with its secrets.
pub(crate) struct Passed {
    /// The spec to start.
    pub(crate) call: ProcessSpec,
    /// The env file, for podman's stdin; `None` if there is none.
    pub(crate) stdin: Option<Source<'static>>,
}

/// Collects the secrets of one call.
pub(crate) struct SecretEnv {
    lines: Vec<u8>,
    /// Whether podman's stdin is free for an env file. Without `--interactive` the command never
    /// sees it.
    stdin_is_free: bool,
}

impl SecretEnv {
    pub(crate) fn new(stdin_is_free: bool) -> Self {
        Self { lines: Vec::new(), stdin_is_free }
    }

    /// Passes the user, the directory and the variables of a command or of a launch.
    pub(crate) fn pass_settings(
        &mut self,
        mut call: ProcessSpec,
        user: Option<&User>,
        workdir: Option<&ContainerPath>,
        env: &Env,
    ) -> Result<ProcessSpec> {
        if let Some(user) = user {
            call = call.arg(format!("--user={user}"));
        }
        if let Some(workdir) = workdir {
            call = call.arg("--workdir").arg(workdir.as_os_str());
        }
        for (name, value) in env {
            call = match value {
                EnvValue::Plain(value) => call.arg("--env").arg(assignment(name.as_str(), value)),
                EnvValue::Secret(secret) => self.pass(call, name, secret)?,
            };
        }
        Ok(call)
    }

    /// Passes `--env NAME` with the value in podman's own environment. A name that affects podman
    /// goes into the env file.
    pub(crate) fn pass(&mut self, call: ProcessSpec, name: &EnvName, value: &Secret) -> Result<ProcessSpec> {
        if steers_podman(name.as_str()) {
            self.add_line(name, value.expose())?;
            return Ok(call);
        }
        Ok(call.arg("--env").arg(name.as_str()).secret_env(name.as_str(), value.clone()))
    }

    /// Completes the call. podman opens `/dev/stdin` like any file and reads the pipe to its end
    /// (measured on 4.3.1 and 5.4.2 as root, for exec and create). The same holds for a pipe on
    /// another descriptor.
    pub(crate) fn finish(self, call: ProcessSpec) -> Passed {
        if self.lines.is_empty() {
            return Passed { call, stdin: None };
        }
        if self.stdin_is_free {
            return Passed {
                call: call.arg("--env-file=/dev/stdin"),
                stdin: Some(Source::bytes(self.lines)),
            };
        }
        let file = OsString::from_vec(self.lines);
        let call =
            call.arg(format!("--env-file={}", ProcessSpec::SECRET_FILE)).secret_file(Secret::new(file));
        Passed { call, stdin: None }
    }

    fn add_line(&mut self, name: &EnvName, value: &OsStr) -> Result<()> {
        let refused = |why: &str| {
            let message = format!("a secret named {name} would steer podman itself, {why}");
            Error::new(ErrorKind::InvalidRequest, OPERATION, message)
                .with_hint("pass it under another name, or as a plain variable if it is none")
        };
        if !self.stdin_is_free && !cfg!(target_os = "linux") {
            return Err(refused("and the only private way for it is the stdin that the command needs"));
        }
        let bytes = value.as_encoded_bytes();
        if !bytes.iter().enumerate().all(|(place, byte)| is_plain(*byte, place, bytes.len())) {
            return Err(refused("and its value has characters that an env file cannot hold"));
        }
        if name.as_str().len() + 1 + bytes.len() > LONGEST_LINE {
            return Err(refused("and its value is too long for an env file"));
        }
        if !self.stdin_is_free && self.lines.len() + name.as_str().len() + bytes.len() + 2 > LARGEST_FILE {
            return Err(refused("and all such values together are too long for an env file"));
        }
        self.lines.extend_from_slice(name.as_str().as_bytes());
        self.lines.push(b'=');
        self.lines.extend_from_slice(bytes);
        self.lines.push(b'\n');
        Ok(())
    }
}

/// Returns whether every reader of env files takes this byte of a value literally. Excluded are
/// line ends and other control characters, and what some tools and versions read as a quotation
/// mark, escape, comment or variable, or trim.
fn is_plain(byte: u8, place: usize, length: usize) -> bool {
    let is_trimmed = byte == b' ' && (place == 0 || place + 1 == length);
    let is_special = matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b'#' | b'$');
    !(byte.is_ascii_control() || is_special || is_trimmed)
}

/// Returns whether podman, a helper of it or the loader reads a variable with this name. Case is
/// ignored, because curl and Go ignore it for proxies.
pub(crate) fn steers_podman(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    // The Go runtime reads GODEBUG, GOMEMLIMIT and more; GOOGLE_API_KEY and the like are common
    // secrets.
    if upper.starts_with("GOOGLE") {
        return upper.ends_with("_PROXY");
    }
    STEERING_NAMES.contains(&upper.as_str())
        || STEERING_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        || STEERING_SUFFIXES.iter().any(|suffix| upper.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use rt_process::Program;
    use rt_protocol::SourceKind;

    use super::*;

    const STEERING: &[&str] = &[
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
        "GLIBC_TUNABLES",
        "GCONV_PATH",
        "LOCPATH",
        "MALLOC_PERTURB_",
        "NLSPATH",
        "RES_OPTIONS",
        "LC_ALL",
        "BASH_ENV",
        "ENV",
        "IFS",
        "PS4",
        "SHELLOPTS",
        "XTABLES_LIBDIR",
        "DOCKER_CONFIG",
        "GNUPGHOME",
        "NETAVARK_DNS_PORT",
        "RUST_LOG",
        "_OCI_SYNCPIPE",
        "AARDVARK_NO_PROXY",
        "CATATONIT_DEBUG",
        "FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT",
        "_FUSE_COMMFD",
        "_LIBCONTAINER_LOGPIPE",
        "TOKIO_WORKER_THREADS",
        "NO_COLOR",
    ];

    fn call() -> ProcessSpec {
        ProcessSpec::new(&Program::find("/bin/sh").unwrap())
    }

    fn pass(secrets: &mut SecretEnv, name: &str, value: &str) -> Result<ProcessSpec> {
        secrets.pass(call(), &EnvName::new(name).unwrap(), &Secret::new(value))
    }

    #[test]
    fn steering_names_are_known() {
        for name in STEERING {
            assert!(steers_podman(name), "{name}");
        }
        for name in [
            "TOKEN",
            "API_KEY",
            "PGPASSWORD",
            "MY_PATH",
            "HOMEPAGE",
            "GOOGLE_API_KEY",
            "DOCKER_PASSWORD",
            "GPG_KEY",
            "ENV_KEY",
            "FUSE_KEY",
            "TOKIO_TOKEN",
        ] {
            assert!(!steers_podman(name), "{name}");
        }
    }

    #[test]
    fn a_steering_name_goes_into_the_env_file_and_nowhere_else() {
        for name in STEERING {
            let mut secrets = SecretEnv::new(true);
            let words = pass(&mut secrets, name, "http://a b:7/?c=d").unwrap();
            let passed = secrets.finish(words);
            let text = format!("{} {:?}", passed.call, passed.call);
            assert!(!text.contains(name) && !text.contains("http"), "{text}");
            assert!(passed.call.to_string().ends_with(" '--env-file=/dev/stdin'"), "{text}");
            let Some(SourceKind::Bytes(lines)) = passed.stdin.map(Source::into_kind) else { panic!("lines") };
            assert_eq!(String::from_utf8(lines).unwrap(), format!("{name}=http://a b:7/?c=d\n"));
        }
    }

    #[test]
    fn other_names_need_no_file() {
        let mut secrets = SecretEnv::new(true);
        let words = pass(&mut secrets, "TOKEN", "line\nline").unwrap();
        let passed = secrets.finish(words);
        assert!(passed.stdin.is_none());
        assert!(passed.call.to_string().ends_with(" --env TOKEN"), "{}", passed.call);
    }

    #[test]
    fn what_an_env_file_cannot_hold_is_refused_without_the_value() {
        let long = "x".repeat(LONGEST_LINE);
        for value in
            ["hunter2\n", "a\rb", " hunter2", "hunter2 ", "\"hunter2\"", "hunter2#", "$hunter2", "\\", &long]
        {
            for stdin_is_free in [true, false] {
                let error = pass(&mut SecretEnv::new(stdin_is_free), "HTTP_PROXY", value).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidRequest);
                let text = format!("{error} {error:?}");
                assert!(text.contains("HTTP_PROXY") && !text.contains("hunter2"), "{text}");
                assert!(text.len() < 1000, "{text}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn beside_a_stdin_the_env_file_has_a_descriptor_of_its_own() {
        let mut secrets = SecretEnv::new(false);
        let words = pass(&mut secrets, "HTTP_PROXY", "hunter2").unwrap();
        let passed = secrets.finish(words);
        assert!(passed.stdin.is_none());
        let text = format!("{} {:?}", passed.call, passed.call);
        assert!(!text.contains("HTTP_PROXY") && !text.contains("hunter2"), "{text}");
        assert!(passed.call.to_string().ends_with(" '--env-file=/proc/self/fd/3'"), "{text}");

        let mut secrets = SecretEnv::new(false);
        let value = "x".repeat(59_000);
        let refused = (0..20).find_map(|_| pass(&mut secrets, "HTTP_PROXY", &value).err()).unwrap();
        assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
    }
}
