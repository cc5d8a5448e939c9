//! Pulls by `podman pull`. What podman prints meanwhile is read in `pull/progress_line`.

mod auth_json;
mod blob_directory;
pub(crate) mod progress_line;

use std::ffi::OsString;
use std::path::Path;

use rt_process::{Finished, LineStream, ProcessSpec};
use rt_protocol::{
    Capture, Error, ErrorKind, ImageId, ImageRef, OutputStream, Pull, PullOptions, PullProgress,
    RegistryAuth, Result, StreamEnd, Until,
};

use crate::cli::answer::interrupted;
use crate::cli::engine::{ANSWER_LIMIT, COMPLAINT_LIMIT, Engine, process_error, stopped};
use blob_directory::BlobDirectory;

const OPERATION: &str = "pull";

/// The longest line that is read as progress. podman's lines have a digest or a name, and an error
/// may quote a page that a registry has sent.
const LONGEST_LINE: usize = 64 << 10;

/// Pulls an image. `blobs` is the directory in which podman stores unfinished transfers, if it is
/// known.
pub(crate) fn pull(
    engine: &Engine,
    blobs: Option<&Path>,
    reference: &ImageRef,
    options: &PullOptions,
    progress: &mut dyn FnMut(PullProgress),
    until: &Until,
) -> Result<ImageId> {
    let of_image = |error: Error| error.of_image(reference);
    options.check_for(reference)?;
    until.check().map_err(|stop| of_image(Error::stopped(stop, OPERATION)))?;
    // Removed last, when podman has ended.
    let blobs = blobs.and_then(BlobDirectory::create);
    let mut args = vec![OsString::from("pull")];
    if options.insecure {
        args.push(OsString::from("--tls-verify=false"));
    }
    let mut secret = None;
    match &options.auth {
        None => {}
        Some(RegistryAuth::File(path)) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            // podman takes a missing file for one without logins.
            if let Err(cause) = std::fs::metadata(&path) {
                let error = Error::new(ErrorKind::NoSuchPath, OPERATION, "the auth file cannot be read");
                return Err(of_image(error.with_hint("check its path").with_source(cause)));
            }
            args.push(["--authfile=".as_ref(), path.as_os_str()].into_iter().collect());
        }
        Some(RegistryAuth::Credentials(credentials)) => {
            secret = reference.registry().map(|registry| auth_json::auth_json(registry, credentials));
            args.push(OsString::from(format!("--authfile={}", ProcessSpec::SECRET_FILE)));
        }
        Some(_) => {
            let error = Error::new(ErrorKind::InvalidRequest, OPERATION, "an unknown kind of login");
            return Err(of_image(error));
        }
    }
    args.extend(["--", reference.as_str()].map(OsString::from));
    let mut call = engine.call(args);
    if let Some(secret) = secret {
        call = call.secret_file_to_reread(secret);
    }
    if let Some(blobs) = &blobs {
        call = call.env("TMPDIR", blobs.path());
    }
    let mut lines = LineStream::spawn(&call.spec, LONGEST_LINE)
        .map_err(|error| of_image(process_error(OPERATION, error)))?;
    let (mut stdout, mut stderr) = (Capture::new(ANSWER_LIMIT), Capture::new(COMPLAINT_LIMIT));
    loop {
        match lines.pull(until).map_err(|error| of_image(process_error(OPERATION, error)))? {
            Pull::Item(line) => {
                let capture = if line.stream == OutputStream::Stdout { &mut stdout } else { &mut stderr };
                capture.push(&line.bytes);
                capture.push(b"\n");
                if line.stream == OutputStream::Stderr
                    && let Some(step) = progress_line::step(&String::from_utf8_lossy(&line.bytes))
                {
                    progress(step);
                }
            }
            Pull::Pending => {
                let Err(stop) = until.check() else { continue };
                lines.close();
                let said = stderr.finish(StreamEnd::Stopped);
                return Err(of_image(stopped(stop, OPERATION, &said.text())));
            }
            Pull::End => break,
        }
    }
    let mut finished = Finished::default();
    finished.status = lines.status();
    finished.stdout_capture = stdout.finish(StreamEnd::Eof);
    finished.stderr_capture = stderr.finish(StreamEnd::Eof);
    let answer = call.answer(OPERATION, finished).map_err(of_image)?;
    let id = answer.printed().map_err(of_image)?.map_err(|refusal| refusal.of_image(OPERATION, reference))?;
    image_id(&id).map_err(of_image)
}

/// Returns the id, which podman prints once the image is complete. The only proof of that: podman
/// 4.3 exits with 0 when a signal ends it.
fn image_id(stdout: &str) -> Result<ImageId> {
    let id = stdout.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id && let Ok(id) = ImageId::new(id) {
        return Ok(id);
    }
    Err(interrupted(OPERATION, "podman ended with exit code 0 and named no image"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use rt_protocol::{RegistryCredentials, RuntimeId, TimeLimits};

    use super::*;

    const ID: &str = "b89015d34d700b9f2390ae280cb3255f7be71377bc0b5e2244032268df2530c5";

    /// A pull by a shell that imitates podman with `script`.
    fn played(
        script: &str,
        blobs: Option<&Path>,
        options: &PullOptions,
        until: &Until,
    ) -> (Result<ImageId>, Vec<PullProgress>) {
        let args = vec!["-c".into(), script.into(), "podman".into()];
        let id = RuntimeId::new("test");
        let engine = Engine::new(id, OsStr::new("sh"), args, Vec::new(), TimeLimits::DEFAULT).unwrap();
        let image = ImageRef::new("registry.example/app:1").unwrap();
        let mut steps = Vec::new();
        let answer = pull(&engine, blobs, &image, options, &mut |step| steps.push(step), until);
        (answer, steps)
    }

    fn answer(script: &str) -> Result<ImageId> {
        played(script, None, &PullOptions::new(), &Until::after(Duration::from_secs(20))).0
    }

    #[test]
    fn only_a_printed_id_is_a_success() {
        assert_eq!(answer(&format!("echo {ID}")).unwrap().as_str(), ID);
        assert_eq!(answer(&format!("echo 'a line'; echo {ID}; echo")).unwrap().as_str(), ID);
        for script in [
            "exit 0",
            "echo 0123",
            "echo 'Trying to pull x...' >&2",
            "kill -KILL $$",
            &format!("echo {ID}; echo 'time=\"x\" level=info msg=\"Received shutdown signal' >&2"),
        ] {
            let error = answer(script).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{script}: {error}");
            assert!(error.to_string().contains("registry.example/app:1"), "{error}");
        }
        // The registry's answer decides, whatever was printed before.
        let denied = "echo 'Error: initializing source docker://x: reading manifest 1 in x: unauthorized' >&2; exit 125";
        assert_eq!(answer(denied).unwrap_err().kind(), ErrorKind::RegistryDenied);
    }

    #[test]
    fn a_deadline_says_what_was_tried_and_keeps_no_layer() {
        let place = tempfile::tempdir().unwrap();
        let script =
            "echo 'Trying to pull registry.example/app:1...' >&2; echo much >$TMPDIR/layer; exec sleep 1000";
        let until = Until::after(Duration::from_millis(300));
        let (answer, steps) = played(script, Some(place.path()), &PullOptions::new(), &until);
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.message().contains("Trying to pull registry.example/app:1"), "{error}");
        assert_eq!(steps.len(), 1);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn layers_go_where_only_their_owner_reads_them() {
        let place = tempfile::tempdir().unwrap();
        let directory = BlobDirectory::create(place.path()).unwrap();
        assert_eq!(std::fs::metadata(directory.path()).unwrap().permissions().mode() & 0o777, 0o700);
        drop(directory);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        assert!(BlobDirectory::create(&place.path().join("absent")).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn credentials_can_be_read_again_and_are_no_argument() {
        let options =
            PullOptions::new().credentials(RegistryCredentials::new("ci", "hunter2").unwrap()).insecure();
        // The login is base64 of `ci:hunter2`.
        let script = format!(
            "case \"$*\" in *hunter2*|*Y2k6*) exit 9 ;; *--tls-verify=false*' -- registry.example/app:1') ;; *) exit 8 ;; esac
             for time in 1 2; do grep -q '\"registry.example\":.*Y2k6aHVudGVyMg==' /proc/self/fd/3 || exit 7; done; echo {ID}"
        );
        let until = Until::after(Duration::from_secs(20));
        assert_eq!(played(&script, None, &options, &until).0.unwrap().as_str(), ID);
    }
}
