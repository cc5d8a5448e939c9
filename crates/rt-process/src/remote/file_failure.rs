//! Why an operation on a file of a container failed, from Linux's numbers or the words of tools.

use rt_protocol::{ContainerPath, Error, ErrorKind};

/// Why an operation on a file failed, as the container reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFailure {
    kind: ErrorKind,
    reason: String,
}

/// What Linux says of an owner without a number in the user namespace (`user_namespaces(7)`).
const INVALID: &str = "Invalid argument";

/// The numbers of Linux, its words in glibc and BusyBox, those of musl where they differ, and what
/// they mean to a caller.
const REASONS: &[(i32, &str, &str, ErrorKind)] = &[
    (1, "Operation not permitted", "", ErrorKind::PermissionDenied),
    (2, "No such file or directory", "", ErrorKind::NoSuchPath),
    // A pipe without a reader, or a socket.
    (6, "No such device or address", "", ErrorKind::InvalidRequest),
    (13, "Permission denied", "", ErrorKind::PermissionDenied),
    (16, "Device or resource busy", "Resource busy", ErrorKind::BackendFailed),
    (20, "Not a directory", "", ErrorKind::NotADirectory),
    (21, "Is a directory", "", ErrorKind::IsADirectory),
    (22, INVALID, "", ErrorKind::InvalidRequest),
    (26, "Text file busy", "", ErrorKind::BackendFailed),
    (27, "File too large", "", ErrorKind::FileTooLarge),
    (28, "No space left on device", "", ErrorKind::StorageFull),
    (30, "Read-only file system", "", ErrorKind::ReadOnlyFilesystem),
    (36, "File name too long", "Filename too long", ErrorKind::InvalidRequest),
    (40, "Too many levels of symbolic links", "Symbolic link loop", ErrorKind::NoSuchPath),
    (122, "Disk quota exceeded", "Quota exceeded", ErrorKind::StorageFull),
];

impl FileFailure {
    /// Returns the meaning of an errno of Linux.
    pub fn of_errno(errno: i32) -> Self {
        let known = REASONS.iter().find(|(number, ..)| *number == errno);
        match known {
            Some((_, text, _, kind)) => Self::new(*kind, *text),
            None => Self::new(ErrorKind::BackendFailed, format!("error {errno} of the container's kernel")),
        }
    }

    /// Returns the meaning of a message of a tool, which ends with the words of its libc.
    pub fn of_message(message: &str) -> Self {
        let message = message.trim();
        let ends = |text: &str| {
            !text.is_empty() && message.to_ascii_lowercase().ends_with(&text.to_ascii_lowercase())
        };
        let known = REASONS.iter().find(|(_, text, musl, _)| ends(text) || ends(musl));
        match known {
            Some((_, text, _, kind)) => Self::new(*kind, *text),
            None => Self::new(ErrorKind::BackendFailed, message),
        }
    }

    /// Returns the failure of a file that is neither regular nor a directory.
    pub fn special() -> Self {
        Self::new(ErrorKind::InvalidRequest, "it is no regular file")
    }

    /// Returns the failure of a file that is larger than the caller's limit.
    pub fn too_large(size: Option<u64>, limit: u64) -> Self {
        let size = size.filter(|size| *size > limit);
        let reason = match size {
            Some(size) => format!("it has {size} bytes, and {limit} are allowed"),
            None => format!("it has more than the {limit} bytes that are allowed"),
        };
        Self::new(ErrorKind::FileTooLarge, reason)
    }

    /// Returns a failure of this kind.
    pub fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// Returns what a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Builds the error of an operation on this path.
    pub fn into_error(self, operation: &'static str, path: &ContainerPath) -> Error {
        let path: String = path.to_string().chars().take(200).collect();
        // The text of a kind can be that of the reason.
        let says_more = !self.kind.to_string().eq_ignore_ascii_case(&self.reason);
        let reason = if says_more { format!(": {}", self.reason) } else { String::new() };
        let error = Error::new(self.kind, operation, format!("`{path}`{reason}"));
        match self.kind {
            ErrorKind::InvalidRequest if self.reason == INVALID => {
                error.with_hint("see whether the container's user namespace has the owner")
            }
            ErrorKind::FileTooLarge => error.with_hint("allow more bytes, or copy it out"),
            ErrorKind::PermissionDenied => {
                error.with_hint("see its permissions, and the capabilities of the container")
            }
            ErrorKind::IsADirectory => error.with_hint("name a file in it"),
            ErrorKind::ReadOnlyFilesystem => error.with_hint("use a path that the container may write"),
            ErrorKind::StorageFull => error.with_hint("remove something, or use a larger file system"),
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_mean_the_same() {
        for (number, text, musl, kind) in REASONS {
            assert_eq!(FileFailure::of_errno(*number).kind(), *kind);
            for words in [text, musl].into_iter().filter(|text| !text.is_empty()) {
                let message = format!("rm: can't remove '/a: b': {words}\n");
                assert_eq!(FileFailure::of_message(&message).kind(), *kind, "{message}");
            }
        }
        assert_eq!(FileFailure::of_errno(5).kind(), ErrorKind::BackendFailed);
        assert_eq!(FileFailure::of_message("odd").kind(), ErrorKind::BackendFailed);
    }

    #[test]
    fn an_error_names_the_path_and_says_nothing_twice() {
        let path = ContainerPath::new("/a").unwrap();
        let text = |failure: FileFailure| failure.into_error("read a file of", &path).to_string();
        assert!(text(FileFailure::of_errno(20)).starts_with("read a file of: not a directory: `/a`"));
        assert!(text(FileFailure::of_errno(40)).contains("`/a`: Too many levels"));
        assert!(text(FileFailure::too_large(Some(9), 5)).contains("it has 9 bytes, and 5 are allowed"));
        assert!(text(FileFailure::too_large(Some(0), 5)).contains("more than the 5 bytes"));
    }
}
