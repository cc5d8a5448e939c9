//! podman's failure texts, turned into meaning: the one classifier of this backend.
//!
//! Texts were recorded on podman 4.3.1 and 5.4.2 with crun and runc. What comes before podman's own tail (the name of
//! the OCI runtime, its wording) varies, so only the tail is matched wherever there is one.

use std::fmt::Write;

use rt_protocol::{ContainerName, Error, ErrorKind, ImageRef};

/// What podman's last error line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The container does not exist.
    NoSuchContainer,
    /// The container went away while podman was at it.
    Removed,
    /// The container does not run, or is in another state that forbids it.
    NotRunning,
    /// The OCI runtime knows the container already: somebody's earlier start was ended on its way.
    HalfStarted,
    /// The name belongs to another container.
    NameInUse,
    /// The image is not here and could not be had.
    NoSuchImage,
    /// The registry of the image cannot be reached, or fails.
    RegistryUnreachable,
    /// The registry refuses to hand out the image.
    RegistryDenied,
    /// A container uses the image.
    ImageInUse,
    /// The image stays for another reason: it has several names, or its store is only read.
    ImageKept,
    /// The host port is taken.
    PortInUse,
    /// A path of the request does not exist.
    NoSuchPath,
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
    /// Anything else.
    Other,
}

/// Texts and what they mean; the first that matches counts, so the more specific stand first.
const TEXTS: &[(&str, Failure)] = &[
    ("container has already been removed", Failure::Removed),
    ("can only create exec sessions on running containers", Failure::NotRunning),
    ("the handler does not support exec", Failure::ExecRefused),
    ("unable to find user", Failure::UnknownUser),
    ("unable to find group", Failure::UnknownUser),
    ("no matching entries in passwd file", Failure::UnknownUser),
    ("no matching entries in group file", Failure::UnknownUser),
    // crun, of a container that podman takes for running because its conmon was killed.
    ("` is not running", Failure::NotRunning),
    // crun quotes the id, runc leaves it out.
    ("` already exists", Failure::HalfStarted),
    ("container with given ID already exists", Failure::HalfStarted),
    ("no such container", Failure::NoSuchContainer),
    ("no such object", Failure::NoSuchContainer),
    ("is already in use by", Failure::NameInUse),
    ("that name is already in use", Failure::NameInUse),
    ("image is in use by a container", Failure::ImageInUse),
    // Of an id; podman words it twice, once for each way in which it looked for the image.
    ("with more than one tag", Failure::ImageKept),
    ("cannot remove read-only image", Failure::ImageKept),
    ("image not known", Failure::NoSuchImage),
    ("did not resolve to an alias", Failure::NoSuchImage),
    ("address already in use", Failure::PortInUse),
    ("Address already in use", Failure::PortInUse),
    // runc and crun word a bad workdir differently, and podman adds the tail of a missing command to it.
    ("chdir `", Failure::BadWorkdir),
    ("chdir to", Failure::BadWorkdir),
    ("workdir \"", Failure::BadWorkdir),
    // A mount or CDI source that is missing carries the tail of a missing command too.
    ("stat'ing file", Failure::NoSuchPath),
    ("cannot stat", Failure::NoSuchPath),
    // A limit that this process may not raise: of the host's doing, and not the command's, whatever podman adds to it.
    ("setrlimit", Failure::Other),
    ("OCI runtime attempted to invoke a command that was not found", Failure::CommandNotFound),
    ("OCI permission denied", Failure::CommandNotExecutable),
    // runc on 5.4.2, exec of a directory; it has no tail.
    ("is a directory", Failure::CommandNotExecutable),
    ("could not be found on", Failure::NoSuchPath),
    // A tar stream into a directory that is not there, or is none; podman has one text for both.
    ("destination must be a directory when copying from stdin", Failure::NoSuchPath),
    // A socket that is copied by its own name; in a tree podman skips it.
    ("archive/tar: sockets not supported", Failure::Socket),
    ("statfs ", Failure::NoSuchPath),
    ("container state improper", Failure::NotRunning),
];

/// What podman's stderr says. `None` when its last line is not an error of podman's own.
pub(crate) fn classify(stderr: &str) -> Option<Failure> {
    let line = error_line(stderr)?;
    // `cp` alone words it so; the quotation mark keeps file names out.
    if line.starts_with("container \"") && line.ends_with("\" does not exist") {
        return Some(Failure::NoSuchContainer);
    }
    let line = without_quoted(line);
    if let Some(failure) = registry_failure(&line) {
        return Some(failure);
    }
    Some(TEXTS.iter().find(|(text, _)| line.contains(text)).map_or(Failure::Other, |(_, failure)| *failure))
}

/// Texts of a pull that failed; words of the caller's follow each, up to a colon and a blank.
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

/// What a registry or the server of its tokens says that does not hand out an image.
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

/// What the last error of a pull says of the registry, if it is one. Whatever is neither a denial nor an absence is a
/// registry that does not do its work: no connection, no name, no valid certificate, no time, 429, 500, half an answer.
fn registry_failure(line: &str) -> Option<Failure> {
    // A transfer of a layer; 4.3.1 does not say of which image. What came may not have been kept: that is the disk's doing.
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
    // The disk's doing again.
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

/// What podman said last of a pull that it still tries.
pub(crate) fn pull_words(stderr: &str) -> Option<String> {
    let is_of_a_pull =
        |line: &&str| line.starts_with("Trying to pull ") || PULLS.iter().any(|text| line.contains(text));
    let line = stderr.lines().rev().find(is_of_a_pull)?;
    let from = line.find("Error: ").map_or(0, |place| place + "Error: ".len());
    Some(shown(line[from..].trim_end_matches('"')))
}

/// The text with what stands between quotation marks left out: names and paths are not podman's words, and a command
/// called `chdir` must not look like a bad workdir.
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

/// The text without a word of the caller's, such as the command or the workdir, wherever podman or the OCI runtime
/// shows it: what it says is not podman's, and a quotation mark in it would open or close another.
///
/// Only where it is marked as a word: crun writes it in backticks, Go in quotation marks with escapes, runc behind `stat`,
/// podman behind `user`. A command called `container` must not take that word out of podman's own sentences.
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
    // podman shows the last line alone of what crun says: the end of the word, with the mark that closes it.
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

/// As Go's `%q` writes it.
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

/// podman's own last error without its `Error: `, with the lines that follow it: some errors have several (pasta's,
/// those of `cp`), others are followed by a usage hint.
pub(crate) fn error_line(stderr: &str) -> Option<&str> {
    const PREFIX: &str = "Error: ";
    let start = match stderr.rfind("\nError: ") {
        Some(newline) => newline + 1,
        None if stderr.starts_with(PREFIX) => 0,
        None => return None,
    };
    let line = stderr[start + PREFIX.len()..].trim_end();
    // Of a remote podman (4.3): the error before it is the reason why nobody is there to attach to.
    if line.starts_with("read unixpacket @->") && line.ends_with("connection reset by peer") {
        return error_line(&stderr[..start]).or(Some(line));
    }
    Some(line)
}

/// What podman wrote, for a message: the error line, else everything, shortened; never empty.
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

/// The public error of a launch that failed: as any other's, or over its GPU configuration.
pub(crate) fn launch_error(operation: &'static str, name: &ContainerName, stderr: &str) -> Error {
    match rt_gpu::check_gpu_error(stderr) {
        Err(gpu) => Error::from(gpu).during(operation).in_container(name),
        Ok(()) => classify(stderr).unwrap_or(Failure::Other).into_error(operation, name, stderr),
    }
}

impl Failure {
    /// The public kind, and what the caller can do.
    fn kind(self) -> (ErrorKind, Option<&'static str>) {
        match self {
            Self::NoSuchContainer => (ErrorKind::NoSuchContainer, Some("create it first")),
            Self::Removed => (ErrorKind::NoSuchContainer, Some("it was removed meanwhile; create it again")),
            Self::NotRunning => (ErrorKind::NotRunning, Some("start it first")),
            Self::HalfStarted => (ErrorKind::BackendFailed, Some("start it again, or remove it by force")),
            Self::NameInUse => (ErrorKind::NameInUse, Some("choose another name, or remove its owner")),
            Self::NoSuchImage => (ErrorKind::NoSuchImage, Some("pull or build the image")),
            Self::RegistryUnreachable => (
                ErrorKind::RegistryUnreachable,
                Some("see whether the registry can be reached, and try again"),
            ),
            Self::RegistryDenied => {
                (ErrorKind::RegistryDenied, Some("log in to the registry, or check the image's name"))
            }
            Self::ImageInUse => (ErrorKind::ImageInUse, Some("remove the containers that use it")),
            Self::ImageKept => (ErrorKind::ImageInUse, Some("remove its names one by one")),
            Self::PortInUse => (ErrorKind::PortInUse, Some("choose another port, or let podman pick one")),
            Self::NoSuchPath => (ErrorKind::NoSuchPath, Some("check the paths of the request")),
            Self::CommandNotFound => {
                (ErrorKind::CommandNotFound, Some("check the command's path and the image"))
            }
            Self::CommandNotExecutable => {
                (ErrorKind::CommandNotExecutable, Some("it must be a file with execute permission"))
            }
            Self::BadWorkdir => {
                (ErrorKind::BadWorkdir, Some("create the directory in the container, or name another"))
            }
            Self::UnknownUser => {
                (ErrorKind::UnknownUser, Some("name a user of the container's /etc/passwd, or a number"))
            }
            Self::ExecRefused => (ErrorKind::Unsupported, Some("a microVM is entered over SSH: use rt-krun")),
            Self::Socket => (ErrorKind::InvalidRequest, Some("a socket cannot be copied")),
            Self::Other => (ErrorKind::BackendFailed, Some("see podman's own words")),
        }
    }

    /// The public error of `operation` on a container.
    pub(crate) fn into_error(self, operation: &'static str, name: &ContainerName, stderr: &str) -> Error {
        self.error(operation, stderr).in_container(name)
    }

    /// The public error of `operation` on an image.
    pub(crate) fn into_image_error(self, operation: &'static str, image: &ImageRef, stderr: &str) -> Error {
        self.error(operation, stderr).of_image(image)
    }

    /// The public error of `operation`.
    pub(crate) fn error(self, operation: &'static str, stderr: &str) -> Error {
        let (kind, hint) = self.kind();
        let error = Error::new(kind, operation, shown(stderr));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
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
        // Recorded on 4.3.1, with a registry of the test's own; the names are the caller's.
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

    /// What stands in the middle of podman's own sentences as a word of the caller's.
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
            // crun's last line alone.
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
        // The same tail as a file of a driver that is gone.
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
