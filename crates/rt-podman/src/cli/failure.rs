//! Classifies podman's error texts: the only classifier of this backend.
//!
//! Texts were recorded on podman 4.3.1 and 5.4.2 with crun and runc. The start of a text (the OCI
//! runtime's name and wording) varies, so only podman's own tail is matched if there is one.

use std::fmt::Write;

use rt_protocol::{ContainerName, Error, ErrorKind, ImageRef};

/// The meaning of podman's last error line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The container does not exist.
    NoSuchContainer,
    /// The container was removed during the call.
    Removed,
    /// The container is not running, or is in another state that does not allow the call.
    NotRunning,
    /// The OCI runtime already knows the container: an earlier start was interrupted.
    HalfStarted,
    /// The name belongs to another container.
    NameInUse,
    /// The image is not present and could not be pulled.
    NoSuchImage,
    /// The image's registry cannot be reached, or fails.
    RegistryUnreachable,
    /// The registry refuses access to the image.
    RegistryDenied,
    /// A container uses the image.
    ImageInUse,
    /// The image cannot be removed for another reason: it has several names, or its store is
    /// read-only.
    ImageKept,
    /// The host port is taken.
    PortInUse,
    /// A path of the request does not exist.
    NoSuchPath,
    /// The container's file system cannot be mounted at the moment.
    StorageInUse,
    /// The command does not exist in the container.
    CommandNotFound,
    /// The command cannot be executed.
    CommandNotExecutable,
    /// The workdir does not exist in the container.
    BadWorkdir,
    /// The user does not exist in the container.
    UnknownUser,
    /// The OCI runtime has no exec, as krun.
    ExecRefused,
    /// A socket was to be copied.
    Socket,
    /// The container's processes cannot be frozen.
    NoCgroup,
    /// podman is remote, and takes no OCI runtime.
    RemoteRuntime,
    /// Anything else.
    Other,
}

/// Texts and their meanings. The first match counts, so specific texts come first.
const TEXTS: &[(&str, Failure)] = &[
    ("container has already been removed", Failure::Removed),
    ("can only create exec sessions on running containers", Failure::NotRunning),
    ("the handler does not support exec", Failure::ExecRefused),
    ("unable to find user", Failure::UnknownUser),
    ("unable to find group", Failure::UnknownUser),
    ("no matching entries in passwd file", Failure::UnknownUser),
    ("no matching entries in group file", Failure::UnknownUser),
    // crun, for a container that podman considers running because its conmon was killed.
    ("` is not running", Failure::NotRunning),
    // runc, for such a one.
    ("cannot exec in a stopped container", Failure::NotRunning),
    // crun quotes the id, runc omits it.
    ("` already exists", Failure::HalfStarted),
    ("container with given ID already exists", Failure::HalfStarted),
    ("no such container", Failure::NoSuchContainer),
    ("no such object", Failure::NoSuchContainer),
    ("is already in use by", Failure::NameInUse),
    ("that name is already in use", Failure::NameInUse),
    ("image is in use by a container", Failure::ImageInUse),
    // For an id. podman has two texts, one for each way in which it finds the image.
    ("with more than one tag", Failure::ImageKept),
    ("cannot remove read-only image", Failure::ImageKept),
    ("image not known", Failure::NoSuchImage),
    ("did not resolve to an alias", Failure::NoSuchImage),
    ("address already in use", Failure::PortInUse),
    ("Address already in use", Failure::PortInUse),
    // runc and crun word a bad workdir differently, and podman adds the tail of a missing command.
    ("chdir `", Failure::BadWorkdir),
    ("chdir to", Failure::BadWorkdir),
    ("workdir \"", Failure::BadWorkdir),
    // A missing mount or CDI source has the tail of a missing command too.
    ("stat'ing file", Failure::NoSuchPath),
    ("cannot stat", Failure::NoSuchPath),
    // A limit that this process may not raise. The host is the cause, not the command, whatever
    // podman adds.
    ("setrlimit", Failure::Other),
    ("OCI runtime attempted to invoke a command that was not found", Failure::CommandNotFound),
    ("OCI permission denied", Failure::CommandNotExecutable),
    // runc on 5.4.2, exec of a directory; it has no tail.
    ("is a directory", Failure::CommandNotExecutable),
    // Says the same of the path of a copy: podman was unmounting a container that had just ended.
    ("mounting storage for container", Failure::StorageInUse),
    ("could not be found on", Failure::NoSuchPath),
    // A tar stream into a directory that does not exist or is not one; podman has one text for
    // both.
    ("destination must be a directory when copying from stdin", Failure::NoSuchPath),
    // A socket that is copied by its own name; inside a tree podman skips it.
    ("archive/tar: sockets not supported", Failure::Socket),
    // A container without a control group, and rootless ones with cgroup v1.
    ("this container does not have a cgroup", Failure::NoCgroup),
    ("stats is not supported in rootless mode without cgroups v2", Failure::NoCgroup),
    ("pause is not supported", Failure::NoCgroup),
    ("unknown flag: --runtime", Failure::RemoteRuntime),
    ("statfs ", Failure::NoSuchPath),
    ("container state improper", Failure::NotRunning),
];

/// Classifies podman's stderr. `None` if its last line is not an error of podman itself.
pub(crate) fn classify(stderr: &str) -> Option<Failure> {
    let line = error_line(stderr)?;
    // Only `cp` has this wording; the quotation mark excludes file names.
    if line.starts_with("container \"") && line.ends_with("\" does not exist") {
        return Some(Failure::NoSuchContainer);
    }
    let line = without_quoted(line);
    if let Some(failure) = registry_failure(&line) {
        return Some(failure);
    }
    let found =
        TEXTS.iter().find(|(text, _)| line.contains(text)).map_or(Failure::Other, |(_, failure)| *failure);
    let is_of_command = matches!(found, Failure::CommandNotFound | Failure::CommandNotExecutable);
    // podman adds its tail to any file that is missing or closed. runc puts `exec` before the
    // command.
    if is_of_command && line.contains("runc: ") && !line.contains("exec: \"") && !line.contains(": exec /") {
        return Some(Failure::Other);
    }
    Some(found)
}

/// Texts of a failed pull; the image's name follows each, up to a colon and a space.
const PULLS: &[&str] = &[
    "initializing source docker://",
    "initializing image from source docker://",
    "unable to copy from source docker://",
    "determining manifest MIME type for docker://",
    "pinging container registry ",
    "reading manifest ",
    "reading config blob ",
    "reading blob ",
];

/// Texts of a registry, or its token server, that refuses access to an image.
const DENIALS: &[&str] = &[
    "unauthorized",
    "authentication required",
    "invalid username/password",
    "denied:",
    "resource is denied",
    "registry 401",
    "registry 403",
    "StatusCode: 401",
    "StatusCode: 403",
];
const ABSENCES: &[&str] =
    &["manifest unknown", "name unknown", "name not known to registry", "registry 404", "StatusCode: 404"];

/// Classifies the last error of a pull; `None` if it is not one. If the registry neither denies
/// access nor lacks the image, it does not work: no connection, no DNS name, no valid certificate,
/// no answer in time, 429, 500, an incomplete answer.
fn registry_failure(line: &str) -> Option<Failure> {
    // A transfer of a layer; 4.3.1 does not name the image. If the received data cannot be stored,
    // the disk is the cause.
    if line.contains("storing blob to file") {
        return line.contains("happened during read").then_some(Failure::RegistryUnreachable);
    }
    let mut said = None;
    let mut rest = line;
    while let Some(end) = PULLS.iter().filter_map(|text| Some(rest.find(text)? + text.len())).min() {
        let after = &rest[end..];
        rest = after.find(": ").map_or("", |place| &after[place..]);
        said = Some(rest);
    }
    let said = said?;
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    // The disk is the cause, too.
    if has(&["writing blob", "adding layer", "no space left"]) {
        return None;
    }
    Some(if has(ABSENCES) {
        Failure::NoSuchImage
    } else if has(DENIALS) {
        Failure::RegistryDenied
    } else {
        Failure::RegistryUnreachable
    })
}

/// Returns podman's last message of a pull that it still retries.
pub(crate) fn pull_words(stderr: &str) -> Option<String> {
    let is_of_a_pull =
        |line: &&str| line.starts_with("Trying to pull ") || PULLS.iter().any(|text| line.contains(text));
    let line = stderr.lines().rev().find(is_of_a_pull)?;
    let from = line.find("Error: ").map_or(0, |place| place + "Error: ".len());
    Some(shown(line[from..].trim_end_matches('"')))
}

/// Removes quoted text. Names and paths are not podman's words, and a command named `chdir` must
/// not look like a bad workdir.
fn without_quoted(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut open = None;
    for character in text.chars() {
        match open {
            Some(quote) if character == quote => open = None,
            Some(_) => continue,
            None if matches!(character, '"' | '`') => open = Some(character),
            None => {}
        }
        kept.push(character);
    }
    kept
}

/// Removes a word of the caller (the command, the workdir) wherever podman or the OCI runtime
/// quotes it. Its content is not podman's, and a quotation mark in it would open or close another
/// quotation.
///
/// Only marked words are removed. crun writes them in backticks, Go in quotation marks with
/// escapes, runc after `stat`, podman after `user`. A command named `container` must not remove
/// that word from podman's own sentences.
pub(crate) fn without_word(text: String, word: &str) -> String {
    if word.is_empty() {
        return text;
    }
    let quoted = go_quoted(word);
    let marked = [
        (format!("`{word}`"), "``"),
        (format!("\"{word}\""), "\"\""),
        (quoted, "\"\""),
        (format!("stat {word}: "), "stat: "),
        (format!("user {word}: "), "user: "),
    ];
    let rest = marked.iter().fold(text.clone(), |text, (marked, rest)| text.replace(marked, rest));
    if rest != text {
        return rest;
    }
    // podman shows only the last line of crun's text: the end of the word, with its closing mark.
    let ends = word.match_indices('\n').map(|(at, _)| format!("{}`", &word[at + 1..]));
    for end in ends {
        if let Some(place) = text.find(&end) {
            let mut text = text;
            text.replace_range(place..place + end.len(), "");
            return text;
        }
    }
    text
}

/// Quotes a word as Go's `%q` does.
fn go_quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for character in word.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            control if control.is_ascii_control() => drop(write!(quoted, "\\x{:02x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns podman's own last error without its `Error: `, and the lines after it. Some errors have
/// several lines (those of pasta and `cp`), others are followed by a usage hint.
pub(crate) fn error_line(stderr: &str) -> Option<&str> {
    const PREFIX: &str = "Error: ";
    let start = match stderr.rfind("\nError: ") {
        Some(newline) => newline + 1,
        None if stderr.starts_with(PREFIX) => 0,
        None => return None,
    };
    let line = stderr[start + PREFIX.len()..].trim_end();
    // From a remote podman (4.3): the error before this line is the reason why nothing can be
    // attached to.
    if line.starts_with("read unixpacket @->") && line.ends_with("connection reset by peer") {
        return error_line(&stderr[..start]).or(Some(line));
    }
    Some(line)
}

/// Returns podman's text for a message: the error line, else everything, shortened; never empty.
pub(crate) fn shown(stderr: &str) -> String {
    const LONGEST: usize = 2000;
    let text = error_line(stderr).unwrap_or(stderr).trim();
    if text.is_empty() {
        return String::from("<no output>");
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Builds the public error of a failed launch, which may be about its GPU configuration.
pub(crate) fn launch_error(operation: &'static str, name: &ContainerName, stderr: &str) -> Error {
    match rt_gpu::check_gpu_error(stderr) {
        Err(gpu) => Error::from(gpu).during(operation).in_container(name),
        Ok(()) => classify(stderr).unwrap_or(Failure::Other).into_error(operation, name, stderr),
    }
}

impl Failure {
    /// Returns the public kind, and a hint for the caller.
    fn kind(self) -> (ErrorKind, &'static str) {
        match self {
            Self::NoSuchContainer => (ErrorKind::NoSuchContainer, "create it first"),
            Self::Removed => (ErrorKind::NoSuchContainer, "it was removed meanwhile; create it again"),
            Self::NotRunning => (ErrorKind::NotRunning, "start it first"),
            Self::HalfStarted => (ErrorKind::BackendFailed, "start it again, or remove it by force"),
            Self::NameInUse => (ErrorKind::NameInUse, "choose another name, or remove its owner"),
            Self::NoSuchImage => (ErrorKind::NoSuchImage, "pull or build the image"),
            Self::RegistryUnreachable => {
                (ErrorKind::RegistryUnreachable, "see whether the registry can be reached, and try again")
            }
            Self::RegistryDenied => {
                (ErrorKind::RegistryDenied, "log in to the registry, or check the image's name")
            }
            Self::ImageInUse => (ErrorKind::ImageInUse, "remove the containers that use it"),
            Self::ImageKept => (ErrorKind::ImageInUse, "remove its names one by one"),
            Self::PortInUse => (ErrorKind::PortInUse, "choose another port, or let podman pick one"),
            Self::NoSuchPath => (ErrorKind::NoSuchPath, "check the paths of the request"),
            Self::StorageInUse => (
                ErrorKind::BackendFailed,
                "podman may still clean up after the container; wait for its state `exited`, and repeat this",
            ),
            Self::CommandNotFound => (ErrorKind::CommandNotFound, "check the command's path and the image"),
            Self::CommandNotExecutable => {
                (ErrorKind::CommandNotExecutable, "it must be a file with execute permission")
            }
            Self::BadWorkdir => {
                (ErrorKind::BadWorkdir, "create the directory in the container, or name another")
            }
            Self::UnknownUser => {
                (ErrorKind::UnknownUser, "name a user of the container's /etc/passwd, or a number")
            }
            Self::ExecRefused => (ErrorKind::Unsupported, "a microVM is entered over SSH: use rt-krun"),
            Self::Socket => (ErrorKind::InvalidRequest, "a socket cannot be copied"),
            Self::RemoteRuntime => {
                (ErrorKind::Unsupported, "a remote podman uses the OCI runtime of its service")
            }
            Self::NoCgroup => (
                ErrorKind::Unsupported,
                "give it a control group of its own; a rootless one needs cgroups of version 2",
            ),
            Self::Other => (ErrorKind::BackendFailed, "see podman's own words"),
        }
    }

    /// Builds the public error of `operation` on a container.
    pub(crate) fn into_error(self, operation: &'static str, name: &ContainerName, stderr: &str) -> Error {
        self.error(operation, stderr).in_container(name)
    }

    /// Builds the public error of `operation` on an image.
    pub(crate) fn into_image_error(self, operation: &'static str, image: &ImageRef, stderr: &str) -> Error {
        self.error(operation, stderr).of_image(image)
    }

    /// Builds the public error of `operation`.
    pub(crate) fn error(self, operation: &'static str, stderr: &str) -> Error {
        let (kind, hint) = self.kind();
        Error::new(kind, operation, shown(stderr)).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(stderr: &str, expected: Option<Failure>) {
        assert_eq!(classify(stderr), expected, "{stderr}");
    }

    #[test]
    fn recorded_texts_of_exec() {
        check(
            "Error: no container with name or ID \"nosuch\" found: no such container",
            Some(Failure::NoSuchContainer),
        );
        check(
            "Error: can only create exec sessions on running containers: container state improper",
            Some(Failure::NotRunning),
        );
        check(
            "Error: crun: executable file `nosuchcmd` not found in $PATH: No such file or directory: OCI runtime attempted \
             to invoke a command that was not found",
            Some(Failure::CommandNotFound),
        );
        check(
            "Error: runc: exec failed: unable to start container process: exec: \"nosuchcmd\": executable file not found in \
             $PATH: OCI runtime attempted to invoke a command that was not found",
            Some(Failure::CommandNotFound),
        );
        check(
            "Error: crun: open executable: Permission denied: OCI permission denied",
            Some(Failure::CommandNotExecutable),
        );
        check(
            "Error: crun: the path `/etc` is not a regular file: Operation not permitted: OCI permission denied",
            Some(Failure::CommandNotExecutable),
        );
        check(
            "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
            Some(Failure::Other),
        );
        check(
            "Error: OCI runtime error: runc: exec failed: unable to start container process: exec: \"/etc\": is a directory",
            Some(Failure::CommandNotExecutable),
        );
        check(
            "Error: OCI runtime error: runc: exec failed: cannot exec in a stopped container",
            Some(Failure::NotRunning),
        );
        check(
            "Error: runc: exec failed: unable to start container process: exec /lost: no such file or directory: OCI runtime \
             attempted to invoke a command that was not found",
            Some(Failure::CommandNotFound),
        );
        for text in [
            "Error: unable to start container \"00\": runc: runc create failed: unable to start container process: error \
             closing exec fds: open /proc/self/fd: no such file or directory: OCI runtime attempted to invoke a command that \
             was not found",
            "Error: runc: runc create failed: unable to start container process: error during container init: error mounting \
             \"proc\" to rootfs at \"/proc\": permission denied: OCI permission denied",
        ] {
            check(text, Some(Failure::Other));
        }
        for text in [
            "Error: crun: chdir `/nosuch`: No such file or directory: OCI runtime attempted to invoke a command that was \
             not found",
            "Error: crun: chdir to `/nosuch`: No such file or directory: OCI runtime attempted to invoke a command that \
             was not found",
            "Error: workdir \"/nosuch\" does not exist on container 0123",
        ] {
            check(text, Some(Failure::BadWorkdir));
        }
        check(
            "Error: unable to find user nosuch: no matching entries in passwd file",
            Some(Failure::UnknownUser),
        );
        check("Error: container has already been removed", Some(Failure::Removed));
        check("Error: the handler does not support exec", Some(Failure::ExecRefused));
    }

    #[test]
    fn recorded_texts_of_launches() {
        check(
            "Error: creating container storage: the container name \"x-a\" is already in use by 0123. You have to remove \
             that container to be able to reuse that name: that name is already in use",
            Some(Failure::NameInUse),
        );
        check("Error: localhost/nosuch: image not known", Some(Failure::NoSuchImage));
        check(
            "Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:18180: bind: address already in use",
            Some(Failure::PortInUse),
        );
        check(
            "Error: pasta failed with exit code 1:\nFailed to bind port 18302 (Address already in use) for option '-t'\n",
            Some(Failure::PortInUse),
        );
        check(
            "Error: \"/etc/passwd/.\" could not be found on container a: mounting storage for container \
             0699: lstat /s/overlay/322d/merged: no such file or directory",
            Some(Failure::StorageInUse),
        );
        check("Error: statfs /nonexistent: no such file or directory", Some(Failure::NoSuchPath));
        check(
            "Error: crun: error stat'ing file `/x`: No such file or directory: OCI runtime attempted to invoke a command \
             that was not found",
            Some(Failure::NoSuchPath),
        );
    }

    #[test]
    fn recorded_texts_of_pulls() {
        use Failure::{NoSuchImage, RegistryDenied, RegistryUnreachable};
        // Recorded on 4.3.1, with a registry of the test itself; the names are the caller's.
        let manifest = "reading manifest latest in 127.0.0.1:40401/denied:/StatusCode";
        for (said, expected) in [
            (&*format!("{manifest}: unauthorized: authentication required"), RegistryDenied),
            ("unable to retrieve auth token: invalid username/password: unauthorized: x", RegistryDenied),
            ("Requesting bearer token: invalid status code from registry 403 (Forbidden)", RegistryDenied),
            (
                "pinging container registry 127.0.0.1:1: invalid status code from registry 403 (Forbidden)",
                RegistryDenied,
            ),
            (&format!("{manifest}: StatusCode: 403,"), RegistryDenied),
            (
                &format!("{manifest}: errors:\ndenied: requested access to the resource is denied"),
                RegistryDenied,
            ),
            (&format!("{manifest}: StatusCode: 404,"), NoSuchImage),
            (&format!("{manifest}: manifest unknown"), NoSuchImage),
            (&format!("{manifest}: name unknown: repository name not known to registry"), NoSuchImage),
            (
                &format!("{manifest}: received unexpected HTTP status: 500 Internal Server Error"),
                RegistryUnreachable,
            ),
            (&format!("{manifest}: toomanyrequests: slow down"), RegistryUnreachable),
            (&format!("{manifest}: unexpected EOF"), RegistryUnreachable),
            (
                "pinging container registry x: Get \"https://x/v2/\": dial tcp 127.0.0.1:40401: connect: connection refused",
                RegistryUnreachable,
            ),
            (
                "pinging container registry x: Get \"https://x/v2/\": dial tcp: lookup x on 10.0.0.1:53: no such host",
                RegistryUnreachable,
            ),
            (
                "pinging container registry x: Get \"https://x/v2/\": x509: certificate signed by unknown authority",
                RegistryUnreachable,
            ),
            (
                "pinging container registry x: Get \"https://x/v2/\": http: server gave HTTP response to HTTPS client",
                RegistryUnreachable,
            ),
        ] {
            check(
                &format!("Error: initializing source docker://x/denied/404:manifest: {said}"),
                Some(expected),
            );
        }
        check(
            "Error: initializing image from source docker://x/y:latest: invalid character 'g' looking for beginning of value",
            Some(RegistryUnreachable),
        );
        for from in ["", "unable to copy from source docker://x/y:latest: "] {
            let store = format!("Error: {from}writing blob: storing blob to file \"/var/tmp/1\"");
            check(&format!("{store}: no space left on device"), Some(Failure::Other));
            check(&format!("{store}: happened during read: unexpected EOF"), Some(RegistryUnreachable));
        }
    }

    #[test]
    fn the_reason_stands_before_the_loss_of_a_remote_attachment() {
        let reset = "Error: read unixpacket @->/proc/self/fd/14/attach: read: connection reset by peer\n";
        let reason = "Error: crun: executable file `x` not found in $PATH: No such file or directory: OCI runtime attempted \
                      to invoke a command that was not found\n";
        check(&format!("{reason}{reset}"), Some(Failure::CommandNotFound));
        check(reset, Some(Failure::Other));
    }

    #[test]
    fn the_last_words_of_a_pull_are_found() {
        let retried = "Trying to pull localhost/x:latest...\ntime=\"t\" level=warning msg=\"Failed, retrying in 1s ... (1/3). Error: \
            initializing source docker://localhost/x:latest: pinging container registry localhost: refused\"\n";
        let words =
            "initializing source docker://localhost/x:latest: pinging container registry localhost: refused";
        assert_eq!(pull_words(retried).as_deref(), Some(words));
        assert_eq!(pull_words("Trying to pull x:latest...\n").as_deref(), Some("Trying to pull x:latest..."));
        assert_eq!(pull_words("time=x\nError: no such container"), None);
    }

    #[test]
    fn recorded_texts_of_copies_and_removals() {
        check("Error: container \"nosuch\" does not exist", Some(Failure::NoSuchContainer));
        check(
            "Error: \"nosuch\" could not be found on the host: no such file or directory",
            Some(Failure::NoSuchPath),
        );
        check(
            "Error: no container with ID or name \"nosuch\" found: no such container",
            Some(Failure::NoSuchContainer),
        );
        check(
            "Error: image used by 0123: image is in use by a container: consider listing external containers",
            Some(Failure::ImageInUse),
        );
    }

    #[test]
    fn names_in_quotation_marks_are_not_podmans_words() {
        check(
            "Error: crun: executable file `chdir to image not known` not found in $PATH: No such file or directory: OCI \
             runtime attempted to invoke a command that was not found",
            Some(Failure::CommandNotFound),
        );
    }

    #[test]
    fn lines_of_a_word_are_not_podmans_words() {
        let tail = "not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found";
        let word = "x\nError: no such container";
        for said in [
            format!("Error: crun: executable file `{word}` {tail}"),
            format!("Error: crun: Error: no such container` {tail}"),
        ] {
            let heard = without_word(said, word);
            check(&heard, Some(Failure::CommandNotFound));
        }
        let said = String::from("Error: no such container");
        assert_eq!(without_word(said.clone(), "no such container"), said);
    }

    /// A word of the caller as it may occur in podman's own sentences.
    fn hostile_word() -> impl Strategy<Value = String> {
        let texts: Vec<String> = TEXTS.iter().map(|(text, _)| (*text).to_owned()).collect();
        let marks = [
            "`",
            "\"",
            "'",
            "\\",
            ": ",
            "Error: ",
            "\nError: ",
            "\n",
            "\t",
            "\u{7}",
            " ",
            "x",
            "/tmp/",
            "chdir to `",
        ];
        let part = prop_oneof![
            proptest::sample::select(texts),
            proptest::sample::select(marks.map(str::to_owned).to_vec()),
        ];
        proptest::collection::vec(part, 1..6)
            .prop_map(|parts| parts.concat())
            .prop_filter("a word", |word| !word.is_empty())
    }

    proptest! {
        #[test]
        fn a_word_of_the_caller_never_chooses_the_error(word in hostile_word()) {
            let quoted = go_quoted(&word);
            // Only crun's last line.
            let last = word.rsplit('\n').next().unwrap_or_default();
            for (said, expected) in [
                (format!("Error: crun: executable file `{word}` not found in $PATH: No such file or directory: OCI runtime \
                    attempted to invoke a command that was not found"), Failure::CommandNotFound),
                (format!("Error: crun: the path `{word}` exists but it is not executable: Operation not permitted: OCI \
                    permission denied"), Failure::CommandNotExecutable),
                (format!("Error: runc: runc exec failed: unable to start container process: exec: {quoted}: executable file \
                    not found in $PATH: OCI runtime attempted to invoke a command that was not found"), Failure::CommandNotFound),
                (format!("Error: runc: exec failed: unable to start container process: exec: {quoted}: stat {word}: no such \
                    file or directory: OCI runtime attempted to invoke a command that was not found"), Failure::CommandNotFound),
                (format!("Error: crun: chdir to `{word}`: No such file or directory: OCI runtime attempted to invoke a \
                    command that was not found"), Failure::BadWorkdir),
                (format!("Error: unable to find user {word}: no matching entries in passwd file"), Failure::UnknownUser),
                (String::from("Error: no container with name or ID \"x\" found: no such container"), Failure::NoSuchContainer),
                (String::from("Error: can only create exec sessions on running containers: container state improper"),
                    Failure::NotRunning),
            ] {
                prop_assert_eq!(classify(&without_word(said.clone(), &word)), Some(expected), "{}", said);
            }
            if last.len() < word.len() {
                let said = format!("Error: crun: {last}` not found in $PATH: No such file or directory: OCI runtime attempted \
                    to invoke a command that was not found");
                prop_assert_eq!(classify(&without_word(said.clone(), &word)), Some(Failure::CommandNotFound), "{}", said);
            }
        }
    }

    #[test]
    fn output_without_the_prefix_is_not_podmans() {
        check("", None);
        check("error: no such container", None);
        check("sh: Error: no such container", None);
    }

    #[test]
    fn a_usage_hint_after_the_error_does_not_hide_it() {
        check("Error: unknown flag: --x\nSee 'podman exec --help'", Some(Failure::Other));
    }

    #[test]
    fn a_launch_may_fail_over_its_gpus() {
        let name = ContainerName::new("train").unwrap();
        let stderr = "Error: unable to start container \"5d99\": setting up CDI devices: unresolvable CDI devices \
                      nvidia.com/gpu=all\n";
        let error = launch_error("start", &name, stderr);
        assert_eq!((error.kind(), error.operation()), (ErrorKind::GpuConfig, "start"));
        let gpu = error.gpu_config().unwrap();
        assert!(gpu.message().contains(stderr.trim_end()) && gpu.message().ends_with(gpu.hint()));
        assert!(error.to_string().contains("`train`") && error.hint() == Some(gpu.hint()));
        // The same tail for a missing file of a driver.
        let other = "Error: crun: error stat'ing file `/srv/data`: No such file or directory: OCI runtime attempted to \
                     invoke a command that was not found";
        assert_eq!(launch_error("start", &name, other).kind(), ErrorKind::NoSuchPath);
        assert_eq!(launch_error("start", &name, "").kind(), ErrorKind::BackendFailed);
    }

    #[test]
    fn silence_is_shown_as_such() {
        assert_eq!(shown(" \n"), "<no output>");
        assert_eq!(shown("time=x\nError: boom\n"), "boom");
    }
}
