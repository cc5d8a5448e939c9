//! Microbenchmarks of parts that touch nothing outside memory: `cargo bench -p rt-tests --features
//! micro`. With `RUSTFLAGS="--cfg fuzzing"` also what only fuzzing sees of rt-podman. What has a
//! target stands in `src/bench` instead.

use std::ffi::OsString;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rt_gpu::{Scrubber, is_secret_name, redact_env_args};
use rt_protocol::{Argv, Capture, ContainerName, LaunchSpec, OutputLimit, Secret, StreamEnd};

fn main() {
    divan::main();
}

/// A stream of 16 MiB in the pieces in which a pipe gives it.
const STREAM: usize = 16 << 20;
const PIECE: usize = 64 << 10;

#[divan::bench(args = [64 << 10, 1 << 20, usize::MAX])]
fn capture_of_16_mib(bencher: Bencher<'_, '_>, limit: usize) {
    let limit = if limit == usize::MAX { OutputLimit::UNLIMITED } else { OutputLimit::bytes(limit) };
    let piece = vec![b'x'; PIECE];
    bencher.counter(BytesCount::new(STREAM)).bench(|| {
        let mut capture = Capture::new(limit);
        for _ in 0..STREAM / PIECE {
            capture.push(divan::black_box(&piece));
        }
        capture.finish(StreamEnd::Eof)
    });
}

#[divan::bench(args = [0, 1, 64])]
fn scrub_of_a_megabyte(bencher: Bencher<'_, '_>, secrets: usize) {
    let secrets: Vec<Secret> =
        (0..secrets).map(|number| format!("correct-horse-{number}-battery").into()).collect();
    let scrubber = Scrubber::new(&secrets);
    let text = b"2026-01-01T00:00:00Z INFO worker: a perfectly plain line of a log\n".repeat(16 << 10);
    bencher.counter(BytesCount::new(text.len())).bench(|| scrubber.scrub(divan::black_box(&text)).len());
}

#[divan::bench(args = [10, 1000])]
fn redaction_of_a_command_line(bencher: Bencher<'_, '_>, words: usize) {
    let mut argv: Vec<OsString> = ["podman", "run"].map(OsString::from).to_vec();
    for number in 0.. {
        if argv.len() >= words {
            break;
        }
        argv.extend([OsString::from("-e"), OsString::from(format!("NAME_{number}=value"))]);
    }
    bencher.counter(ItemsCount::new(words)).bench(|| redact_env_args(divan::black_box(&argv)).len());
}

#[divan::bench(args = ["PATH", "API_TOKEN", "KEYBOARD_LAYOUT"])]
fn secret_name(name: &str) -> bool {
    is_secret_name(divan::black_box(name).as_bytes())
}

#[divan::bench]
fn container_name() -> bool {
    ContainerName::new(divan::black_box("project-7_web.1")).is_ok()
}

#[divan::bench(args = [1, 100])]
fn argv(words: usize) -> bool {
    Argv::new((0..words).map(|_| "word")).is_ok()
}

#[divan::bench]
fn launch_with_20_variables() -> bool {
    let mut spec = LaunchSpec::builder("web-1", "localhost/web").command(["serve", "--port", "80"]);
    for number in 0..20 {
        spec = spec.env(format!("NAME_{number}"), "value");
    }
    spec.build().is_ok()
}

/// The largest file of the kept corpus of a decoder, repeated as podman would with more to tell.
#[cfg(fuzzing)]
mod decoding {
    use std::fs;
    use std::path::Path;

    use divan::Bencher;
    use divan::counter::BytesCount;
    use rt_podman::fuzz;
    use serde_json::Value;

    fn largest(name: &str) -> Vec<u8> {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        let files = fs::read_dir(corpus).expect("a corpus").flatten();
        let texts = files.filter_map(|file| fs::read(file.path()).ok());
        texts
            .filter(|text| serde_json::from_slice::<Value>(text).is_ok())
            .max_by_key(Vec::len)
            .expect("a file")
    }

    #[divan::bench]
    fn ps_of_100_containers(bencher: Bencher<'_, '_>) {
        let rows: Value = serde_json::from_slice(&largest("ps")).expect("JSON");
        let rows = rows.as_array().expect("a list").iter().cycle().take(100).cloned().collect();
        let text = Value::Array(rows).to_string();
        bencher.counter(BytesCount::new(text.len())).bench(|| fuzz::ps(divan::black_box(text.as_bytes())));
    }

    #[divan::bench]
    fn inspect_of_a_container(bencher: Bencher<'_, '_>) {
        let text = largest("inspect");
        bencher.counter(BytesCount::new(text.len())).bench(|| fuzz::inspect(divan::black_box(&text)));
    }
}
