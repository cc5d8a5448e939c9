//! Known secrets, taken out of a text of any length: finding them, in every form that is looked for, and masking them. What
//! the forms are stands in `scrubber/forms`; text that comes in pieces is `scrubber/stream`'s.

mod decoded;
mod escape;
mod forms;
mod stream;
mod writer;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Match, Span, packed};
use rt_protocol::Secret;

use self::decoded::Decoded;
use self::escape::Scheme;
use crate::MASK;
pub use stream::ScrubStream;
pub use writer::ScrubWriter;

/// Shorter secrets are not looked for, in bytes: masking each `dev` would spoil a text and hide nothing.
pub const MIN_SECRET_BYTES: usize = 6;

/// Masks known secrets in texts: the output of a program that may print them, a log, an error message.
///
/// A secret is found
/// - as it stands, and in base64: wherever it lies in what was encoded, in both alphabets, with padding and without;
/// - escaped, any of its bytes or all: percent-encoded (each blank as `+`, as `%20` or as it is), with the backslashes of
///   JSON, C, Rust and `$'…'` of shells (`\"`, `\/`, `\n`, `\u0026`, `\x41`, `\101`), as HTML entities (`&quot;`, `&#39;`,
///   `&#x27;`; of the names those of ASCII characters). Letter case does not matter. Escapes of escapes are found up to three
///   deep, in any order: `%2522`, JSON in JSON;
/// - quoted: between a shell's quotes (`'\''`, `'"'"'`, `\$`) and with doubled quotes (`''`, `""`).
///
/// Of a base64 text in which the secret is only a part, the characters that hold nothing but its bits are masked; up to
/// four of its bits, which share a character with their neighbours, stay. Every byte that belongs to any find is masked;
/// finds that overlap share one mask. Other disguises, such as compression, hexadecimal digits or base64 broken into lines,
/// are not looked for.
///
/// Secrets of fewer than [`MIN_SECRET_BYTES`] are passed over; [`passed_over`](Self::passed_over) counts them.
///
/// Cloning is cheap. `Debug` shows no secret.
///
/// ```
/// use rt_gpu::Scrubber;
///
/// let scrubber = Scrubber::new(&["hunter2".into()]);
/// assert_eq!(scrubber.scrub_text("PGPASSWORD=hunter2 aHVudGVyMg== hunt%65r2"), "PGPASSWORD=<redacted> <redacted> <redacted>");
/// ```
#[derive(Clone)]
pub struct Scrubber {
    forms: Arc<Forms>,
}

struct Forms {
    /// `None` without any secret.
    heads: Option<Heads>,
    /// In order: those that begin alike stand together, the shorter first.
    sorted: Vec<Vec<u8>>,
    /// For each head, in order, which of the sorted forms begin with it.
    groups: Vec<Range<usize>>,
    /// Which bytes may begin a form.
    first: [bool; 256],
    passed_over: usize,
}

/// How a text is searched: for what the forms begin with, which is the same for many of them. What a text has in common with
/// a secret, a word or two, is most often not that; and where it is, the few forms that begin so are compared one by one.
enum Heads {
    /// By vector instructions, while the heads are few and the processor has them.
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

/// How many escapes may stand around each other: a JSON text in a log line of JSON in another.
const MOST_ESCAPED: usize = 3;

/// How many bytes of each form are searched for. No form is shorter than [`MIN_SECRET_BYTES`].
const HEAD: usize = MIN_SECRET_BYTES;

impl Heads {
    fn new(heads: &[&[u8]]) -> Option<Self> {
        if let Some(searcher) = packed::Config::new().builder().extend(heads).build() {
            return Some(Self::Packed(searcher));
        }
        // It can only fail for more states than 32 bits can count: secrets of gigabytes.
        AhoCorasick::builder().kind(automaton_kind(heads.len())).build(heads).ok().map(Self::Automaton)
    }

    fn find(&self, bytes: &[u8], from: usize) -> Option<Match> {
        let span = Span { start: from, end: bytes.len() };
        match self {
            Self::Packed(searcher) => searcher.find_in(bytes, span),
            Self::Automaton(automaton) => automaton.find(aho_corasick::Input::new(bytes).span(span)),
        }
    }
}

/// Up to some 8 MiB of memory, the automaton is compiled to its fastest kind.
fn automaton_kind(heads: usize) -> Option<AhoCorasickKind> {
    (heads * HEAD <= 8 << 10).then_some(AhoCorasickKind::DFA)
}

impl Scrubber {
    /// A scrubber for these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut passed_over = 0;
        let mut sorted = Vec::new();
        for secret in secrets {
            let secret = secret.expose().as_bytes();
            if secret.len() < MIN_SECRET_BYTES {
                passed_over += 1;
            } else {
                forms::of(secret, &mut sorted);
            }
        }
        sorted.sort();
        sorted.dedup();
        let mut groups: Vec<Range<usize>> = Vec::new();
        for (place, form) in sorted.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if sorted[group.start][..HEAD] == form[..HEAD] => group.end = place + 1,
                _ => groups.push(place..place + 1),
            }
        }
        let heads: Vec<&[u8]> = groups.iter().map(|group| &sorted[group.start][..HEAD]).collect();
        let heads = if heads.is_empty() { None } else { Heads::new(&heads) };
        let mut first = [false; 256];
        for form in &sorted {
            first[usize::from(form[0])] = true;
        }
        Self { forms: Arc::new(Forms { heads, sorted, groups, first, passed_over }) }
    }

    /// How many secrets are not looked for, because they are too short.
    pub fn passed_over(&self) -> usize {
        self.forms.passed_over
    }

    /// The bytes with every find masked; borrowed where there is none.
    pub fn scrub<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Seen { finds, .. } = self.look(bytes);
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

    /// The text with every find masked. Where a secret that is no text ends inside a character, the rest of that becomes
    /// U+FFFD.
    pub fn scrub_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.scrub(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        }
    }

    /// For text that comes in pieces.
    pub fn stream(&self) -> ScrubStream {
        ScrubStream::new(self.clone())
    }

    /// A writer that hands on what is written to it, masked.
    pub fn writer<W: std::io::Write>(&self, inner: W) -> ScrubWriter<W> {
        ScrubWriter::new(self.clone(), inner)
    }

    /// What a text shows of secrets. It is searched once as it stands and once for each way in which escapes of it decode,
    /// from its beginning to its end: what is open falls out of the same search, and nothing is decoded for one place alone.
    fn look(&self, bytes: &[u8]) -> Seen {
        let mut seen = Seen { finds: Vec::new(), open: bytes.len(), work: bytes.len() };
        if self.forms.heads.is_none() {
            return seen;
        }
        seen.open = self.search(bytes, bytes.len(), |find| seen.finds.push(find));
        let mut layers = Vec::new();
        self.look_below(bytes, bytes.len(), &mut Vec::new(), &mut layers, &mut seen);
        seen.finds.sort_by_key(|find| find.start);
        seen.finds.dedup_by(|next, find| {
            let overlaps = next.start < find.end;
            if overlaps {
                find.end = find.end.max(next.end);
            }
            overlaps
        });
        // What begins inside an escape would be read as something else in the next piece.
        while let Some(escape) = layers.iter().find_map(|layer| layer.escape_around(seen.open)) {
            seen.open = escape;
        }
        seen
    }

    /// Looks through the escapes of a text, and through those of what comes out. `above` are the decodings that led to it.
    fn look_below(
        &self,
        bytes: &[u8],
        certain: usize,
        above: &mut Vec<Rc<Decoded>>,
        layers: &mut Vec<Layer>,
        seen: &mut Seen,
    ) {
        for scheme in Scheme::ALL {
            seen.work += bytes.len();
            let Some(decoded) = Decoded::of(scheme, bytes, certain) else { continue };
            let (decoded, mut finds) = (Rc::new(decoded), Vec::new());
            above.push(Rc::clone(&decoded));
            let layer = Layer(above.clone());
            let open = self.search(&decoded.bytes, decoded.whole, |find| {
                // What has no escape was found as it stands, or is none: there a `+` is no blank.
                if decoded.has_escape(&find) {
                    finds.push(layer.origin(find));
                }
            });
            seen.work += decoded.bytes.len();
            seen.finds.append(&mut finds);
            // Before an escape that is not complete yet, nothing can be said of it.
            let open = open.min(decoded.whole);
            if open < decoded.bytes.len() {
                seen.open = seen.open.min(layer.origin(open..open).start);
            }
            layers.push(layer);
            if above.len() < MOST_ESCAPED {
                self.look_below(&decoded.bytes, decoded.whole, above, layers, seen);
            }
            above.pop();
        }
    }

    /// The longest find at each place where one begins. Answers the first place from which on all bytes before `end` are the
    /// beginning of a form and not the whole of it; the length of all bytes where there is none.
    fn search(&self, bytes: &[u8], end: usize, mut found: impl FnMut(Range<usize>)) -> usize {
        let Some(heads) = &self.forms.heads else { return bytes.len() };
        let mut open = None;
        let mut from = 0;
        while let Some(head) = heads.find(bytes, from) {
            let begin = head.start();
            let group = &self.forms.sorted[self.forms.groups[head.pattern().as_usize()].clone()];
            let mut longest_first = group.iter().rev();
            if let Some(form) = longest_first.find(|form| bytes[begin..].starts_with(form)) {
                found(begin..begin + form.len());
            }
            if open.is_none() && begin + HEAD <= end {
                let rest = &bytes[begin..end];
                let goes_on = |form: &Vec<u8>| form.len() > rest.len() && form.starts_with(rest);
                open = group.iter().any(goes_on).then_some(begin);
            }
            from = begin + 1;
        }
        open.or_else(|| (end.saturating_sub(HEAD - 1)..end).find(|place| self.begins(&bytes[*place..end])))
            .unwrap_or(bytes.len())
    }

    /// Whether a form begins with these bytes, fewer than those of a head.
    fn begins(&self, bytes: &[u8]) -> bool {
        self.forms.first[usize::from(bytes[0])] && {
            let place = self.forms.sorted.partition_point(|form| form.as_slice() < bytes);
            self.forms.sorted.get(place).is_some_and(|form| form.starts_with(bytes))
        }
    }
}

/// What a text shows of secrets.
struct Seen {
    /// Where they are, in order; overlapping finds are one.
    finds: Vec<Range<usize>>,
    /// The first place from which on a find may begin whose end is not there yet; the length where there is none.
    open: usize,
    /// How many bytes were looked at.
    work: usize,
}

/// A text that was decoded once or several times, the outermost escapes first.
struct Layer(Vec<Rc<Decoded>>);

impl Layer {
    /// Where a range of the decoded bytes comes from in the text.
    fn origin(&self, range: Range<usize>) -> Range<usize> {
        self.0.iter().rev().fold(range, |range, decoded| decoded.origin(range))
    }

    /// Where the escape begins that this place of the text is within.
    fn escape_around(&self, place: usize) -> Option<usize> {
        let (last, outer) = self.0.split_last()?;
        let inner = outer.iter().fold(place, |place, decoded| decoded.place_of(place));
        let escape = last.escape_around(inner)?;
        let from = outer.iter().rev().fold(escape, |range, decoded| decoded.origin(range)).start;
        (from < place).then_some(from)
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber").field("passed_over", &self.passed_over()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
