//! Recognises launches that failed because of their GPU configuration, by the engine's own words.

use rt_protocol::GpuConfigError;

/// What is wrong with the GPU configuration of a failed launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GpuFailure {
    /// The OCI runtime cannot keep the groups of the user, as `--group-add keep-groups` requires;
    /// crun can.
    KeepGroups,
    /// NVIDIA's container toolkit failed inside its hook.
    NvidiaToolkit,
    /// A CDI spec is missing, unusable, or names files that a driver update removed.
    CdiSpec,
}

impl GpuFailure {
    /// Classifies the stderr of a failed launch; `None` if the failure is not about GPUs.
    ///
    /// Only the engine's own words count. Ignored are texts in double quotation marks or backticks
    /// (names of images, containers and files), paths, and the engine's log lines. Covers the texts
    /// of podman 4.3 and 5.4 with crun, runc and NVIDIA's toolkit.
    pub fn recognise(stderr: &str) -> Option<Self> {
        if !stderr.lines().any(is_engine_error) {
            return None;
        }
        let lines = || {
            // The container's id and name stand before the cause.
            stderr.lines().filter(|line| !line.starts_with("time=\"") && !is_image_error(line))
        };
        let any = |is: fn(&str) -> bool| lines().any(is);
        if any(mentions_keep_groups) {
            Some(Self::KeepGroups)
        } else if any(is_toolkit_error) {
            Some(Self::NvidiaToolkit)
        } else if any(mentions_cdi) || any(misses_driver_file) {
            Some(Self::CdiSpec)
        } else {
            None
        }
    }

    /// Returns what to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::KeepGroups => {
                "keeping the user's groups needs crun: install it and make it podman's OCI runtime (`--runtime crun`)"
            }
            Self::NvidiaToolkit => {
                "see that `nvidia-smi` works on the host; a rootless podman also needs `no-cgroups = true` in \
                 /etc/nvidia-container-runtime/config.toml"
            }
            Self::CdiSpec => {
                "the CDI spec is missing or older than the driver; generate it anew: `nvidia-ctk cdi generate \
                 --output=/etc/cdi/nvidia.yaml`, `amd-ctk cdi generate --output=/etc/cdi/amd.json`, or Intel's \
                 `intel-cdi-specs-generator gpu`"
            }
        }
    }
}

/// Checks whether a launch failed because of its GPU configuration, by the engine's `stderr`.
/// Returns `Ok` for every other text.
///
/// # Errors
/// The [`GpuConfigError`], with `stderr` and a hint, for a text that [`GpuFailure::recognise`]
/// classifies.
///
/// ```
/// let stderr = "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all";
/// let error = rt_gpu::check_gpu_error(stderr).unwrap_err();
/// assert!(error.message().contains(stderr));
/// assert!(error.hint().contains("nvidia-ctk cdi generate"));
///
/// assert!(rt_gpu::check_gpu_error("Error: localhost/CDI: image not known").is_ok());
/// ```
pub fn check_gpu_error(stderr: &str) -> Result<(), GpuConfigError> {
    match GpuFailure::recognise(stderr) {
        Some(failure) => Err(GpuConfigError::new(stderr, failure.hint())),
        None => Ok(()),
    }
}

/// Programs of NVIDIA's toolkit that run as hooks of an OCI runtime.
const TOOLKIT_PROGRAMS: [&str; 3] =
    ["nvidia-container-cli", "nvidia-container-runtime-hook", "nvidia-container-toolkit"];

/// The CDI kinds of GPUs.
const CDI_KINDS: [&str; 3] = ["nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu"];

/// Returns whether this line is an engine's error: `Error:` at its beginning or behind the name of
/// a program or a time (Docker: `Error response from daemon:`). Without that word, the line must
/// begin like one of the engine's own errors, since some callers strip the word.
fn is_engine_error(line: &str) -> bool {
    const ERROR_PREFIXES: [&str; 9] = [
        "setting up cdi devices: ",
        "unable to start container ",
        "failed to inject devices: ",
        "creating cdi registry: ",
        "oci runtime error: ",
        "preparing container ",
        "container create failed",
        "crun: ",
        "runc: ",
    ];
    let line = line.trim_start().to_ascii_lowercase();
    if ERROR_PREFIXES.iter().any(|own| line.starts_with(own)) {
        return true;
    }
    // The text before is the name of a program or a time, not a sentence.
    let is_prefix = |before: &str| {
        before.is_empty()
            || before.ends_with(": ") && !before.contains(['"', '`', '/']) && before.split(' ').count() <= 2
            || before.ends_with(' ')
                && before.bytes().all(|byte| byte.is_ascii_digit() || b" -:.+tz".contains(&byte))
    };
    ["error: ", "error response from daemon: "]
        .iter()
        .any(|error| line.find(error).is_some_and(|place| is_prefix(&line[..place])))
}

/// The name of an image may contain any of the words that are searched for.
fn is_image_error(line: &str) -> bool {
    [
        "image not known",
        "did not resolve to an alias",
        "initializing source ",
        "reading manifest ",
        "invalid reference format",
    ]
    .iter()
    .any(|text| line.contains(text))
}

fn mentions_keep_groups(line: &str) -> bool {
    let said = strip_quoted(line);
    ["keep-groups", "keep_original_groups", "run.oci.keep_original_groups"]
        .iter()
        .any(|words| contains_phrase(&said, words))
}

fn is_toolkit_error(line: &str) -> bool {
    let says = TOOLKIT_PROGRAMS.iter().any(|program| {
        // A program's own message, also where a runtime quotes it with an escaped end of line.
        line.match_indices(program).any(|(place, _)| {
            let before = &line[..place];
            line[place + program.len()..].starts_with(": ")
                && (before.ends_with("\\n") || !before.ends_with(is_name_char))
        })
    });
    says || file_after(line, "hook")
        .is_some_and(|file| TOOLKIT_PROGRAMS.iter().any(|program| file.starts_with(program)))
}

fn mentions_cdi(line: &str) -> bool {
    let said = strip_quoted(line);
    let phrases = ["CDI device", "CDI devices", "CDI host device", "CDI registry", "cdi.k8s.io"];
    phrases.iter().any(|words| contains_phrase(&said, words))
        || CDI_KINDS.iter().any(|kind| {
            said.match_indices(kind).any(|(place, _)| {
                let after = &said[place + kind.len()..];
                let is_device = after.starts_with('=') || after.starts_with(": ") || after.is_empty();
                is_device && !said[..place].ends_with(is_name_char)
            })
        })
}

/// Returns whether the OCI runtime looked for a file of a driver version that was removed. That
/// happens with a CDI spec that is older than the driver. podman then only says that a command was
/// not found, and does not mention CDI.
fn misses_driver_file(line: &str) -> bool {
    ["stat'ing file `", "cannot stat `", "error mounting \"", "hook"]
        .iter()
        .filter_map(|before| file_after(line, before))
        .any(|file| file.contains("nvidia") || file.starts_with("libcuda"))
}

/// Returns the last component of the first absolute path after a text.
fn file_after<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    let begin = line.find(before)? + before.len();
    let slash = line[begin..].match_indices('/').map(|(place, _)| begin + place);
    let path = slash
        .into_iter()
        .find(|slash| !line[..*slash].ends_with(is_name_char))
        .map(|slash| &line[slash..])?;
    let end = path.find(['`', '"', ' ', ':', '\'']).unwrap_or(path.len());
    path[..end].rsplit('/').next()
}

/// Returns the line without texts in double quotation marks or backticks, and without paths up to
/// the next colon.
fn strip_quoted(line: &str) -> String {
    let mut said = String::with_capacity(line.len());
    let mut until: Option<char> = None;
    for character in line.chars() {
        match until {
            // Blanks do not end a path.
            Some(end) if character == end => until = None,
            Some(_) => continue,
            None if matches!(character, '"' | '`') => until = Some(character),
            None if character == '/' && said.ends_with([' ', '\'', '=']) => {
                until = Some(':');
                continue;
            }
            None => {}
        }
        said.push(character);
    }
    said
}

/// Returns whether the words stand in the text, and not as part of a longer name.
fn contains_phrase(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(place, _)| {
        // A colon ends the words, unless a tag follows it. A slash may follow the prefix of an
        // annotation.
        let after = &text[place + words.len()..];
        let continues =
            after.starts_with(|next| next != '/' && is_name_char(next)) && !after.starts_with(": ");
        !continues && !text[..place].ends_with(is_name_char)
    })
}

/// Returns whether a character can be part of a name.
fn is_name_char(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '/' | '@' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stderr: &str, expected: Option<GpuFailure>) {
        assert_eq!(GpuFailure::recognise(stderr), expected, "{stderr}");
        match (check_gpu_error(stderr), expected) {
            (Ok(()), None) => {}
            (Err(error), Some(failure)) => {
                assert!(error.message().contains(stderr.trim_end()) && error.hint() == failure.hint());
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_of_podman_4_3_and_5_4_about_specs() {
        for text in [
            // run and start, no spec, unknown device or kind, malformed spec, bad version,
            // conflict.
            "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
            "Error: unable to start container \"5d99\": setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
            "Error: setting up CDI devices: failed to inject devices: failed to stat CDI host device \"/dev/nosuch\": no such \
             file or directory",
            "Error: creating CDI registry: failed to watch",
            // A name that is no CDI name, and any name before podman 4.1.
            "Error: stat nvidia.com/gpu: no such file or directory",
            "Error: stat amd.com/gpu=0: no such file or directory",
            "Error: annotation cdi.k8s.io/devices cannot be parsed",
            "time=\"x\" level=warning msg=\"slow\"\nError: setting up CDI devices: unresolvable CDI devices intel.com/gpu=0\n",
        ] {
            check(text, Some(GpuFailure::CdiSpec));
        }
    }

    #[test]
    fn texts_of_crun_and_runc_about_files_that_are_gone() {
        for text in [
            "Error: unable to start container \"3cc4\": crun: error stat'ing file `/usr/lib/libEGL_nvidia.so.535.1`: No such \
             file or directory: OCI runtime attempted to invoke a command that was not found",
            "Error: crun: cannot stat `/usr/lib/libcuda.so.535.1`: No such file or directory: OCI runtime attempted to invoke \
             a command that was not found",
            "Error: unable to start container \"5f63\": runc: runc create failed: unable to start container process: error \
             during container init: error mounting \"/usr/lib/libEGL_nvidia.so.535.1\" to rootfs at \"/usr/lib/x\": stat \
             /usr/lib/libEGL_nvidia.so.535.1: no such file or directory: OCI runtime attempted to invoke a command that was \
             not found",
            "Error: OCI runtime error: unable to start container \"2300\": crun: {\"msg\":\"error executing hook \
             `/usr/bin/nvidia-cdi-hook` (exit code: 1)\",\"level\":\"error\",\"time\":\"2026-11-22T02:12:26.711953Z\"}",
            "Error: unable to start container \"741d\": runc: runc create failed: unable to start container process: error \
             during container init: error running hook #0: fork/exec /usr/bin/nvidia-ctk: no such file or directory: OCI \
             runtime attempted to invoke a command that was not found",
        ] {
            check(text, Some(GpuFailure::CdiSpec));
        }
    }

    #[test]
    fn an_engines_error_is_known_however_it_begins() {
        let said = "setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all";
        for before in [
            "",
            "Error: ",
            "error: ",
            "ERROR: ",
            "podman: Error: ",
            "podman: ",
            "docker: Error response from daemon: ",
            "Error response from daemon: ",
            "2026-11-28T20:00:00Z Error: ",
            "  Error: ",
            "unable to start container \"5d99\": ",
            "OCI runtime error: crun: ",
        ] {
            let known = before != "podman: ";
            check(&format!("{before}{said}"), known.then_some(GpuFailure::CdiSpec));
        }
        for text in [
            "my program said: no CDI device found",
            "warning: CDI device missing",
            "see /x/Error: CDI device",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn texts_of_the_toolkit() {
        for text in [
            "Error: OCI runtime error: crun: error executing hook `/usr/bin/nvidia-container-toolkit` (exit code: 1)",
            "Error: OCI runtime error: crun: error executing hook `/usr/bin/nvidia-container-runtime-hook` (exit code: 1)",
            "nvidia-container-cli: mount error: failed to add device rules: bpf_prog_query(BPF_CGROUP_DEVICE) failed: \
             operation not permitted\nError: OCI runtime error: crun: error executing hook",
            "Error: OCI runtime error: runc: runc create failed: unable to start container process: error during container \
             init: error running hook #0: error running hook: exit status 1, stdout: , stderr: Auto-detected mode as \
             'legacy'\nnvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: unknown",
            "Error: runc: stderr: Auto-detected mode as 'legacy'\\nnvidia-container-cli: initialization error: unknown",
        ] {
            check(text, Some(GpuFailure::NvidiaToolkit));
        }
    }

    #[test]
    fn texts_about_groups() {
        for text in [
            "Error: the '--group-add keep-groups' option is not supported in remote mode",
            "Error: OCI runtime error: runc: unknown annotation run.oci.keep_original_groups",
            "Error: keep-groups: not supported by this runtime",
        ] {
            check(text, Some(GpuFailure::KeepGroups));
        }
    }

    #[test]
    fn names_and_paths_are_no_texts_about_gpus() {
        for text in [
            "",
            "CDI device nvidia.com/gpu=all",
            "Error: localhost/CDI: image not known",
            "Error: nvidia.com/gpu: image not known",
            "Error: nvidia-container-cli: image not known",
            "Error: short-name \"nvidia.com/gpu=all\" did not resolve to an alias and no unqualified-search registries",
            "Error: initializing source docker://nvidia.com/gpu:latest: pinging container registry nvidia.com: refused",
            "Error: no container with name or ID \"keep-groups\" found: no such container",
            "Error: statfs /srv/CDI device: no such file or directory",
            "Error: statfs /srv/my CDI device/keep-groups: no such file or directory",
            "Error: stat management.nvidia.com/gpu: no such file or directory",
            "Error: stat nvidia.com/gpu-legacy: no such file or directory",
            "Error: stat /opt/nvidia.com/gpu: no such file or directory",
            "Error: crun: executable file `nvidia-smi` not found in $PATH: No such file or directory: OCI runtime attempted to \
             invoke a command that was not found",
            "Error: crun: executable file `CDI device` not found in $PATH: No such file or directory: OCI runtime attempted to \
             invoke a command that was not found",
            "Error: crun: error stat'ing file `/home/me/nvidia/data`: No such file or directory: OCI runtime attempted to \
             invoke a command that was not found",
            "time=\"x\" level=warning msg=\"unresolvable CDI devices\"\nError: workdir \"/nosuch\" does not exist on container 1",
            "Error: unable to find user cdi: no matching entries in passwd file",
        ] {
            check(text, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_classifier_panic(text in "(Error: )?(\\PC|`|\"|hook|/|CDI device|nvidia.com/gpu){0,30}") {
            let _ = check_gpu_error(&text);
        }
    }
}
