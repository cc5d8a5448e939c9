//! Removes known secrets from texts of any length. `scrubber/matcher` finds them; `scrubber/stream`
//! handles text that arrives in pieces.

mod decoded;
mod encodings;
mod escape;
mod matcher;
mod stream;
mod writer;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rt_protocol::Secret;

use self::matcher::{Matches, SecretMatcher};
use crate::MASK;
pub use matcher::MIN_SECRET_BYTES;
pub use stream::ScrubStream;
pub use writer::ScrubWriter;

/// Masks known secrets in texts: a program's output, a log, an error message.
///
/// It finds a secret in these forms:
///
/// - Unchanged.
/// - In base64: both alphabets, with or without padding, and as any part of the encoded text.
/// - Escaped, some or all of its bytes: percent-encoded (with each blank as `+`, as `%20` or
///   unchanged), with the backslashes of JSON, C, Rust and the shell's `$'…'` (`\"`, `\/`, `\n`,
///   `\u0026`, `\x41`, `\101`), or as HTML entities (`&quot;`, `&#39;`, `&#x27;`; named ones only
///   for ASCII characters). Letter case does not matter. Escapes of escapes are found up to three
///   levels deep, in any order: `%2522`, JSON in JSON.
/// - Quoted, by a shell (`'\''`, `'"'"'`, `\$`) or with doubled quotes (`''`, `""`).
///
/// If a secret is only a part of a base64 text, the characters that hold nothing but its bits are
/// masked. Up to four of its bits remain, in characters that they share with their neighbours.
/// Overlapping matches are masked as one. Other encodings are not recognised, such as compression,
/// hexadecimal digits, or base64 with line breaks.
///
/// Secrets shorter than [`MIN_SECRET_BYTES`] are ignored; [`passed_over`](Self::passed_over) counts
/// them.
///
/// Cloning is cheap. `Debug` shows no secret.
///
/// ```
/// use rt_gpu::Scrubber;
///
/// let scrubber = Scrubber::new(&["hunter2".into()]);
/// let clean = scrubber.scrub_text("PGPASSWORD=hunter2 aHVudGVyMg== hunt%65r2");
/// assert_eq!(clean, "PGPASSWORD=<redacted> <redacted> <redacted>");
/// ```
#[derive(Clone)]
pub struct Scrubber {
    matcher: Arc<SecretMatcher>,
}

impl Scrubber {
    /// Creates a scrubber for these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self { matcher: Arc::new(SecretMatcher::new(secrets)) }
    }

    /// Returns how many secrets are ignored because they are too short.
    pub fn passed_over(&self) -> usize {
        self.matcher.passed_over()
    }

    /// Returns the bytes with every secret masked; borrowed if there is none.
    pub fn scrub<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Matches { finds, .. } = self.matcher.find_all(bytes);
        if finds.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut kept = 0;
        for find in finds {
            clean.extend_from_slice(&bytes[kept..find.start]);
            clean.extend_from_slice(MASK.as_bytes());
            kept = find.end;
        }
        clean.extend_from_slice(&bytes[kept..]);
        Cow::Owned(clean)
    }

    /// Returns the text with every secret masked. If a secret ends inside a multi-byte character,
    /// the rest of that character becomes U+FFFD.
    pub fn scrub_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.scrub(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        }
    }

    /// Returns a scrubber for text that arrives in pieces.
    pub fn stream(&self) -> ScrubStream {
        ScrubStream::new(Arc::clone(&self.matcher))
    }

    /// Returns a writer that masks what is written to it and passes it on to `inner`.
    pub fn writer<W: std::io::Write>(&self, inner: W) -> ScrubWriter<W> {
        ScrubWriter::new(self.stream(), inner)
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber").field("passed_over", &self.passed_over()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
