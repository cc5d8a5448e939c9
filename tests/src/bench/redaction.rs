//! Command lines and text without their secrets, and a plain copy of the same bytes, in CPU time:
//! nothing here waits, and what else the machine does is none of it.

use std::ffi::OsString;
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use rt_gpu::{Scrubber, redact_env_args};
use rt_protocol::Secret;
use rustix::time::{ClockId, clock_gettime};

use super::rounds::{Turn, measured_in_turns};
use crate::bench::outcome::Outcome;
use crate::bench::row::{Row, Target, Unit};
use crate::live::Live;

const ROUNDS: u32 = 12;

/// How often a command line is read in one turn.
const READINGS: u32 = 1000;

/// How much text goes through the scrubber, and in which pieces.
const TEXT: usize = 64 << 20;
const PIECE: usize = 64 << 10;

/// 64 MiB at 500 MiB/s.
const SCRUBBED_WITHIN: f64 = 64.0 / 500.0;

pub(super) fn measure_argv(_: &Live) -> Outcome<Row> {
    let argv = argv();
    let ours = || {
        for _ in 0..READINGS {
            black_box(redact_env_args(black_box(&argv)));
        }
        Ok(())
    };
    let theirs = || {
        let mut copy = Vec::new();
        for _ in 0..READINGS {
            copy.clear();
            for word in black_box(&argv) {
                copy.extend_from_slice(word.as_encoded_bytes());
            }
            black_box(&copy);
        }
        Ok(())
    };
    let rounds = in_turns_of_cpu(ours, theirs)?;
    let each = |(ours, theirs)| (ours / f64::from(READINGS), theirs / f64::from(READINGS));
    let rounds: Vec<_> = rounds.into_iter().map(each).collect();
    let what = "1,000 words, 400 of them variables, 100 of these secret, and a copy of the bytes; CPU time";
    Ok(Row::of("redaction-argv", what, Unit::Seconds, Target::Ours(50e-6), &rounds))
}

/// Secrets as generators make them.
pub(super) fn measure_scrubber(_: &Live) -> Outcome<Row> {
    // Fibonacci hashing: digits without a pattern, and the same in every run.
    let secrets = (1..=8_u64).map(|number| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let rounds = scrub(secrets)?;
    let what = "64 MiB of a log through the scrubber, 8 random secrets, and a copy; CPU time";
    Ok(Row::of("redaction-scrubber", what, Unit::Seconds, Target::Ours(SCRUBBED_WITHIN), &rounds))
}

/// Secrets that share their bytes with each other and with the text: what the search skips by is
/// everywhere.
pub(super) fn measure_scrubber_of_words(_: &Live) -> Outcome<Row> {
    let rounds = scrub((1..=8).map(|number| format!("correct-horse-{number}-battery")))?;
    let what = "the same with 8 secrets of the same words, as the text has them; CPU time";
    Ok(Row::of("redaction-scrubber-words", what, Unit::Seconds, Target::Ours(SCRUBBED_WITHIN), &rounds))
}

fn scrub(secrets: impl Iterator<Item = String>) -> Outcome<Vec<(f64, f64)>> {
    let secrets: Vec<String> = secrets.collect();
    let text = text(&secrets[3]);
    let secrets: Vec<Secret> = secrets.into_iter().map(Secret::from).collect();
    let scrubber = Scrubber::new(&secrets);
    // Memory that both fill again and again: a copy to nowhere would be none.
    let (mut sink, mut other_sink) = (vec![0; PIECE * 2], vec![0; PIECE * 2]);
    let ours = || {
        let mut writer = scrubber.writer(Overwriting(&mut sink));
        text.chunks(PIECE).try_for_each(|piece| writer.write_all(black_box(piece)))?;
        writer.finish()?;
        Ok(())
    };
    let theirs = || {
        let mut writer = Overwriting(&mut other_sink);
        Ok(text.chunks(PIECE).try_for_each(|piece| writer.write_all(black_box(piece)))?)
    };
    in_turns_of_cpu(ours, theirs)
}

/// The CPU time of this thread, in seconds.
fn in_turns_of_cpu(
    mut ours: impl FnMut() -> Outcome,
    mut theirs: impl FnMut() -> Outcome,
) -> Outcome<Vec<(f64, f64)>> {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(time).map(|time| time.as_secs_f64())
    };
    measured_in_turns(ROUNDS, |turn| {
        let begin = now()?;
        match turn {
            Turn::Ours => ours()?,
            Turn::Theirs => theirs()?,
        }
        Ok(now()? - begin)
    })
}

/// `podman run` with 400 variables in all ways to write them, 100 of them secret, and 196 labels.
fn argv() -> Vec<OsString> {
    let mut words: Vec<String> = ["podman", "run", "--rm"].map(String::from).to_vec();
    for number in 0..100 {
        words.extend(["--env".into(), format!("PLAIN_{number}=/usr/share/{number}")]);
        words.extend(["-e".into(), format!("API_TOKEN_{number}=s3cret-{number}")]);
        words.push(format!("--env=MODE_{number}=production"));
        words.push(format!("-eLEVEL_{number}=info"));
    }
    for number in 0..196 {
        words.extend(["--label".into(), format!("org.example.part-{number}=value-{number}")]);
    }
    words.extend(["localhost/image", "sh", "-c", "true", "end"].map(String::from));
    words.into_iter().map(OsString::from).collect()
}

/// Lines of a log; in one of a thousand stands the secret.
fn text(secret: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(TEXT + 256);
    for number in 0.. {
        let word = if number % 1000 == 0 { secret } else { "a perfectly plain word" };
        let line =
            format!("2026-01-01T00:00:00.{number:09}Z INFO worker{}: {word} of request\n", number % 16);
        text.extend_from_slice(line.as_bytes());
        if text.len() >= TEXT {
            text.truncate(TEXT);
            break;
        }
    }
    text
}

/// Writes everything over the beginning of the same memory.
struct Overwriting<'a>(&'a mut [u8]);

impl Write for Overwriting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = bytes.len().min(self.0.len());
        self.0[..count].copy_from_slice(&bytes[..count]);
        black_box(&mut *self.0);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_a_thousand_words_and_a_hundred_secrets() {
        let argv = argv();
        let shown = redact_env_args(&argv);
        let masked = shown.iter().filter(|word| word.to_string_lossy().contains(rt_gpu::MASK)).count();
        assert_eq!((argv.len(), masked), (1000, 100));
    }
}
