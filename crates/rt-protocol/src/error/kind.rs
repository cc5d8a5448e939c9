//! The kinds of errors.

use crate::word_enum;

word_enum! {
    /// The kind of an [`Error`](crate::Error), by what the caller can do.
    ///
    /// `Display` is the text in messages. [`as_str`](Self::as_str) is a stable name for logs,
    /// metrics and configurations, which `FromStr` parses:
    ///
    /// ```
    /// use rt_protocol::ErrorKind;
    ///
    /// assert_eq!(ErrorKind::NoSuchContainer.as_str(), "no-such-container");
    /// assert_eq!("timed-out".parse(), Ok(ErrorKind::TimedOut));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ErrorKind: "kind of error" {
        /// A value was rejected before anything started. Correct it.
        InvalidRequest = "invalid-request" => "invalid request",
        /// This backend does not support it, and started nothing.
        /// [`Error::missing`](crate::Error::missing) lists what it lacks. Use another backend.
        Unsupported = "unsupported" => "unsupported",
        /// The engine's program was not found. Install it, or configure its path.
        BackendMissing = "backend-missing" => "the engine's program is missing",
        /// The engine's program cannot be executed. Correct its permissions or its format.
        BackendNotExecutable = "backend-not-executable" => "the engine's program cannot be executed",
        /// The engine did not answer within the limit of the runtime. Check the engine. The result
        /// of the request is unknown.
        BackendUnresponsive = "backend-unresponsive" => "the engine does not answer",
        /// The engine's answer cannot be read. Report a bug, with the text.
        InvalidResponse = "invalid-response" => "the engine's answer cannot be read",
        /// The engine's program was ended from outside, by a signal or a shutdown of its service,
        /// before it reported success. All, part or none of the work may be done. Check the state,
        /// then try again.
        BackendInterrupted = "backend-interrupted" => "the engine's program was interrupted",
        /// The engine failed for a reason without a kind of its own. The message quotes it.
        BackendFailed = "backend-failed" => "the engine failed",
        /// The container does not exist. Create it.
        NoSuchContainer = "no-such-container" => "no such container",
        /// The container exists and is not running. Start it.
        NotRunning = "not-running" => "not running",
        /// The container is paused. Unpause it.
        Paused = "paused" => "paused",
        /// The container is stopping. Wait until it has stopped, or remove it by force.
        Stopping = "stopping" => "stopping",
        /// The name is in use. Choose another, or remove the container that has it.
        NameInUse = "name-in-use" => "the name is in use",
        /// The image exists neither here nor in the registry, if that was asked. Pull or build it.
        NoSuchImage = "no-such-image" => "no such image",
        /// The registry cannot be reached, or fails to serve the image. Try again later. Whether it
        /// has the image is unknown.
        RegistryUnreachable = "registry-unreachable" => "the registry cannot be reached",
        /// The registry denies access to the image. Log in, or request access. Some registries also
        /// report this for images that they do not have.
        RegistryDenied = "registry-denied" => "the registry denies access",
        /// A container uses the image. Remove that first.
        ImageInUse = "image-in-use" => "the image is in use",
        /// The port is in use on the host. Choose another, or let the engine choose.
        PortInUse = "port-in-use" => "the port is in use",
        /// A file or directory of the request does not exist.
        NoSuchPath = "no-such-path" => "no such path",
        /// A directory is where a file must be. Name a file in it.
        IsADirectory = "is-a-directory" => "is a directory",
        /// Something else is where a directory must be. Correct the path.
        NotADirectory = "not-a-directory" => "not a directory",
        /// The file is larger than the caller, the file system or a limit of the container allows.
        FileTooLarge = "file-too-large" => "the file is too large",
        /// The user of the operation may not do this to the file. Change its permissions or owner,
        /// or the capabilities of the container.
        PermissionDenied = "permission-denied" => "permission denied",
        /// The file system is mounted read-only. Write to another one.
        ReadOnlyFilesystem = "read-only-filesystem" => "read-only file system",
        /// The file system or a quota has no space left. Remove something.
        StorageFull = "storage-full" => "no space is left",
        /// The command does not exist in the container. It did not run.
        CommandNotFound = "command-not-found" => "command not found",
        /// The command exists and cannot be executed. It did not run.
        CommandNotExecutable = "command-not-executable" => "the command cannot be executed",
        /// The working directory does not exist in the container. The command did not run.
        BadWorkdir = "bad-workdir" => "bad workdir",
        /// The user does not exist in the container. The command did not run.
        UnknownUser = "unknown-user" => "unknown user",
        /// The command ran, and ended with a non-zero exit code or by a signal.
        /// [`Error::outcome`](crate::Error::outcome) has the code, and
        /// [`Error::partial`](crate::Error::partial) the output.
        ///
        /// Only `exit_ok` returns it ([`ExecResult::exit_ok`](crate::ExecResult::exit_ok)). Without
        /// that, a non-zero exit code is a result.
        CommandFailed = "command-failed" => "the command failed",
        /// No exit status of the command was received
        /// ([`ExitOutcome::Lost`](crate::ExitOutcome::Lost)). Check what the command did before you
        /// repeat it. Only `exit_ok` returns it.
        CommandLost = "command-lost" => "the command was lost",
        /// The GPU configuration is wrong. [`Error::gpu_config`](crate::Error::gpu_config) has the
        /// message and the hint.
        GpuConfig = "gpu-config" => "bad GPU configuration",
        /// What was delivered is correct, but some of it may be missing. Whether it is cannot be
        /// determined.
        Incomplete = "incomplete" => "incomplete",
        /// The caller's deadline passed. [`Error::kill_report`](crate::Error::kill_report) says
        /// what is left of the command.
        TimedOut = "timed-out" => "timed out",
        /// The caller cancelled. [`Error::kill_report`](crate::Error::kill_report) says what is
        /// left of the command.
        Cancelled = "cancelled" => "cancelled",
        /// The caller's stdin source failed, and the command was ended.
        SourceFailed = "source-failed" => "the stdin source failed",
        /// The caller's output sink failed, and the command was ended.
        SinkFailed = "sink-failed" => "an output sink failed",
        /// The guest cannot be reached. Start it, or wait until it is ready.
        Unreachable = "unreachable" => "cannot be reached",
        /// The guest showed another host key than expected. Another machine may be answering.
        HostKeyMismatch = "host-key-mismatch" => "not the expected host key",
        /// The identity (key file) is missing, unreadable, encrypted or malformed. Nothing was
        /// sent.
        BadIdentity = "bad-identity" => "bad identity",
        /// The guest rejected the identity.
        AuthenticationRefused = "authentication-refused" => "authentication refused",
        /// The backend is not compiled in. [`Error::hint`](crate::Error::hint) names the feature.
        FeatureDisabled = "feature-disabled" => "not compiled in",
        /// The operating system refused something on this side: a pipe, a thread, a process.
        System = "system" => "the system refused",
    }
}
