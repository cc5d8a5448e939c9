//! Every decoder of podman's answers behind one signature, for the fuzz targets and for the replay
//! of their findings. Compiled for these two only; the decoders themselves are in their own
//! modules.

use std::time::UNIX_EPOCH;

use rt_protocol::{ContainerName, PullProgress};
use serde_json::Value;

use crate::cli::failure;
use crate::events::line::EventLine;
use crate::exec::events::ExecEvents;
use crate::image;
use crate::pull::progress_line;
use crate::state::inspect;
use crate::state::profile::{PodmanProfile, PodmanVersion};

/// A decoder with the conditions that hold for every answer. It takes any bytes and panics on a
/// violation.
pub type Decoder = fn(&[u8]);

/// The decoders, by the names of their fuzz targets.
pub const DECODERS: [(&str, Decoder); 6] = [
    ("ps", ps),
    ("inspect", inspect),
    ("images", images),
    ("events", events),
    ("profile", profile),
    ("failure", failure),
];

/// Decodes `podman ps --format json`, with and without `--size`.
pub fn ps(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(rows) = inspect::rows("list", &text) else { return };
    let Ok(found) = inspect::decode_ps("list", &text) else { return };
    assert!(found.len() <= rows.len());
    for info in found.iter().map(|listed| &listed.info) {
        assert!(ContainerName::of_existing(info.name.as_str()).is_ok());
        assert!(info.started_at.is_none_or(|time| time > UNIX_EPOCH), "the year 1 is never");
        assert!(info.exit_code.is_none() || info.state.has_exited());
        assert!(info.ports.iter().all(|port| port.container_port > 0 && port.host_port > 0));
    }
    let sized = inspect::decode_ps_sizes("measure", &text).expect("what can be listed can be measured");
    assert!(sized.len() <= found.len(), "a row with a size is a row");
}

/// Decodes `podman container inspect`.
pub fn inspect(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(found) = inspect::decode_inspect("inspect", &text) else { return };
    assert!(found.pid != Some(0), "process 0 is nobody, and signals to it go to our own group");
    assert!(found.info.finished_at.is_none_or(|time| time > UNIX_EPOCH), "the year 1 is never");
    assert!(found.info.ports.is_sorted_by_key(|port| (port.container_port, port.host_port)));
}

/// Decodes `podman images` and `podman image inspect`.
pub fn images(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(found) = image::decode_images("list images", &text) {
        assert!(found.iter().all(|(_, listed)| listed.is_named()), "no column is ever empty");
    }
    if let Ok(info) = image::decode_inspect("inspect", &text) {
        assert!(rt_protocol::ImageRef::new(info.id.as_str()).is_ok(), "an id is a reference");
    }
}

/// Decodes `podman events`: as the lines of a stream, and as a log that is searched for execs.
pub fn events(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let EventLine::Told { event, latest } = EventLine::decode(line) {
            assert!(event.time > UNIX_EPOCH && latest >= event.time);
            assert!(event.exit_code.is_none() || event.action == rt_protocol::EventAction::Died);
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let name = ContainerName::new("x-ev").expect("a good name");
    let execs = ExecEvents::decode(&text, name.as_str());
    let told =
        text.lines().filter(|line| matches!(EventLine::decode(line.as_bytes()), EventLine::Told { .. }));
    assert!(execs.started + execs.ended.len() + told.count() <= text.lines().count(), "no line is both");
}

/// Decodes `{"version": …, "info": …}`: the answers of `podman version` and `podman info`.
pub fn profile(bytes: &[u8]) {
    let Ok(answers) = serde_json::from_slice::<Value>(bytes) else { return };
    let answer = |name: &str| answers.get(name).unwrap_or(&Value::Null);
    let Ok(profile) = PodmanProfile::decode(answer("version"), answer("info")) else { return };
    assert_eq!(PodmanVersion::parse(&profile.version.to_string()), Some(profile.version));
    assert_ne!(profile.server_version, Some(profile.version));
}

/// Classifies podman's stderr, and reads it as the progress of a pull.
pub fn failure(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for step in text.lines().filter_map(progress_line::step) {
        if let PullProgress::Layer { digest } | PullProgress::Config { digest } = step {
            assert!(!digest.is_empty() && !digest.contains(char::is_whitespace), "a digest is a word");
        }
    }
    assert_eq!(failure::classify(&text).is_some(), failure::error_line(&text).is_some());
    let shown = failure::shown(&text);
    assert!(!shown.is_empty() && shown.chars().count() <= 2001);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_fuzz_corpus_is_decoded_without_a_finding() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (name, decode) in DECODERS {
            let dir = corpora.join(name);
            let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
            let mut replayed = 0;
            for entry in entries {
                decode(&fs::read(entry.unwrap().path()).unwrap());
                replayed += 1;
            }
            assert!(replayed > 0, "the corpus of {name} is empty");
        }
    }

    #[test]
    fn every_decoder_has_a_fuzz_target() {
        let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
        for (name, _) in DECODERS {
            assert!(targets.join(format!("{name}.rs")).is_file(), "{name}");
        }
    }
}
