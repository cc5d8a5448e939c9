//! Finds known secrets in a text, in every encoding of `encodings`, and inside of escapes.

use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Match, Span, packed};
use rt_protocol::Secret;

use super::decoded::Decoded;
use super::encodings;
use super::escape::Scheme;

/// The length of the shortest secret that is searched for, in bytes. Masking each `dev` would spoil
/// a text and hide nothing.
pub const MIN_SECRET_BYTES: usize = 6;

/// Finds known secrets.
pub(super) struct SecretMatcher {
    /// `None` if there are no secrets.
    prefixes: Option<PrefixSearch>,
    /// Sorted, so that encodings with the same prefix are neighbours, the shorter first.
    encodings: Vec<Vec<u8>>,
    /// For each prefix, in order, the range of the encodings that start with it.
    groups: Vec<Range<usize>>,
    /// The bytes with which encodings start.
    first: [bool; 256],
    passed_over: usize,
}

/// The search for prefixes, which many encodings share. Few texts contain a prefix; where one does,
/// the encodings with this prefix are compared one by one.
enum PrefixSearch {
    /// Uses vector instructions, if the prefixes are few and the processor has them.
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

/// How many levels of escapes are decoded: JSON in a log line of JSON in another one.
const MAX_ESCAPE_DEPTH: usize = 3;

/// The length of a prefix, in bytes. No encoding is shorter than [`MIN_SECRET_BYTES`].
const PREFIX_BYTES: usize = MIN_SECRET_BYTES;

impl PrefixSearch {
    fn new(prefixes: &[&[u8]]) -> Option<Self> {
        if let Some(searcher) = packed::Config::new().builder().extend(prefixes).build() {
            return Some(Self::Packed(searcher));
        }
        // Only fails with more states than 32 bits can count, which takes gigabytes of secrets.
        AhoCorasick::builder().kind(automaton_kind(prefixes.len())).build(prefixes).ok().map(Self::Automaton)
    }

    fn find(&self, bytes: &[u8], from: usize) -> Option<Match> {
        let span = Span { start: from, end: bytes.len() };
        match self {
            Self::Packed(searcher) => searcher.find_in(bytes, span),
            Self::Automaton(automaton) => automaton.find(aho_corasick::Input::new(bytes).span(span)),
        }
    }
}

/// Compiles the automaton to its fastest kind, up to about 8 MiB of memory.
fn automaton_kind(prefixes: usize) -> Option<AhoCorasickKind> {
    (prefixes * PREFIX_BYTES <= 8 << 10).then_some(AhoCorasickKind::DFA)
}

impl SecretMatcher {
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut passed_over = 0;
        let mut encodings = Vec::new();
        for secret in secrets {
            let secret = secret.expose().as_bytes();
            if secret.len() < MIN_SECRET_BYTES {
                passed_over += 1;
            } else {
                encodings::add_encodings(secret, &mut encodings);
            }
        }
        encodings.sort();
        encodings.dedup();
        let mut groups: Vec<Range<usize>> = Vec::new();
        for (place, encoding) in encodings.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if encodings[group.start][..PREFIX_BYTES] == encoding[..PREFIX_BYTES] => {
                    group.end = place + 1;
                }
                _ => groups.push(place..place + 1),
            }
        }
        let prefixes: Vec<&[u8]> =
            groups.iter().map(|group| &encodings[group.start][..PREFIX_BYTES]).collect();
        let prefixes = if prefixes.is_empty() { None } else { PrefixSearch::new(&prefixes) };
        let mut first = [false; 256];
        for encoding in &encodings {
            first[usize::from(encoding[0])] = true;
        }
        Self { prefixes, encodings, groups, first, passed_over }
    }

    /// Returns how many secrets are ignored because they are too short.
    pub(super) fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// Finds the secrets of a text. The text is searched once unchanged and once for each way to
    /// decode its escapes, always from its beginning to its end. The same search finds the open
    /// end.
    pub(super) fn find_all(&self, bytes: &[u8]) -> Matches {
        let mut matches = Matches { finds: Vec::new(), open: bytes.len(), work: bytes.len() };
        if self.prefixes.is_none() {
            return matches;
        }
        matches.open = self.search(bytes, bytes.len(), |find| matches.finds.push(find));
        let mut chains = Vec::new();
        self.find_decoded(bytes, bytes.len(), &mut Vec::new(), &mut chains, &mut matches);
        matches.finds.sort_by_key(|find| find.start);
        matches.finds.dedup_by(|next, find| {
            let overlaps = next.start < find.end;
            if overlaps {
                find.end = find.end.max(next.end);
            }
            overlaps
        });
        // The next piece must not begin inside an escape: its rest would be read differently.
        while let Some(escape) = chains.iter().find_map(|chain| chain.escape_around(matches.open)) {
            matches.open = escape;
        }
        matches
    }

    /// Decodes the escapes of a text and searches the result, level by level. `above` are the
    /// decodings that led to `bytes`.
    fn find_decoded(
        &self,
        bytes: &[u8],
        certain: usize,
        above: &mut Vec<Rc<Decoded>>,
        chains: &mut Vec<DecodeChain>,
        matches: &mut Matches,
    ) {
        for scheme in Scheme::ALL {
            matches.work += bytes.len();
            let Some(decoded) = Decoded::of(scheme, bytes, certain) else { continue };
            let (decoded, mut finds) = (Rc::new(decoded), Vec::new());
            above.push(Rc::clone(&decoded));
            let chain = DecodeChain(above.clone());
            let open = self.search(&decoded.bytes, decoded.certain_len, |find| {
                // Without an escape it was found unchanged, or does not count: there a `+` is not a
                // blank.
                if decoded.has_escape(&find) {
                    finds.push(chain.source_range(find));
                }
            });
            matches.work += decoded.bytes.len();
            matches.finds.append(&mut finds);
            // The bytes before an incomplete escape may still change.
            let open = open.min(decoded.certain_len);
            if open < decoded.bytes.len() {
                matches.open = matches.open.min(chain.source_range(open..open).start);
            }
            chains.push(chain);
            if above.len() < MAX_ESCAPE_DEPTH {
                self.find_decoded(&decoded.bytes, decoded.certain_len, above, chains, matches);
            }
            above.pop();
        }
    }

    /// Reports the longest match at each position. Returns the first position whose bytes up to
    /// `end` are the beginning of an encoding, but not all of it; the length of `bytes` if there is
    /// none.
    fn search(&self, bytes: &[u8], end: usize, mut found: impl FnMut(Range<usize>)) -> usize {
        let Some(prefixes) = &self.prefixes else { return bytes.len() };
        let mut open = None;
        let mut from = 0;
        while let Some(prefix) = prefixes.find(bytes, from) {
            let begin = prefix.start();
            let group = &self.encodings[self.groups[prefix.pattern().as_usize()].clone()];
            let mut longest_first = group.iter().rev();
            if let Some(encoding) = longest_first.find(|encoding| bytes[begin..].starts_with(encoding)) {
                found(begin..begin + encoding.len());
            }
            if open.is_none() && begin + PREFIX_BYTES <= end {
                let rest = &bytes[begin..end];
                let continues =
                    |encoding: &Vec<u8>| encoding.len() > rest.len() && encoding.starts_with(rest);
                open = group.iter().any(continues).then_some(begin);
            }
            from = begin + 1;
        }
        open.or_else(|| {
            (end.saturating_sub(PREFIX_BYTES - 1)..end).find(|place| self.is_prefix(&bytes[*place..end]))
        })
        .unwrap_or(bytes.len())
    }

    /// Returns whether an encoding starts with these bytes, which are shorter than a prefix.
    fn is_prefix(&self, bytes: &[u8]) -> bool {
        self.first[usize::from(bytes[0])] && {
            let place = self.encodings.partition_point(|encoding| encoding.as_slice() < bytes);
            self.encodings.get(place).is_some_and(|encoding| encoding.starts_with(bytes))
        }
    }
}

/// The secrets in a text.
pub(super) struct Matches {
    /// Their ranges, in order. Overlapping ones are merged.
    pub(super) finds: Vec<Range<usize>>,
    /// The first position at which an incomplete match may begin; the length of the text if there
    /// is none.
    pub(super) open: usize,
    /// How many bytes were searched or decoded.
    pub(super) work: usize,
}

/// A text that was decoded once or several times, the outermost escapes first.
struct DecodeChain(Vec<Rc<Decoded>>);

impl DecodeChain {
    /// Returns the range of the original text from which a decoded range came.
    fn source_range(&self, range: Range<usize>) -> Range<usize> {
        self.0.iter().rev().fold(range, |range, decoded| decoded.source_range(range))
    }

    /// Returns the start of the escape around this position of the original text.
    fn escape_around(&self, place: usize) -> Option<usize> {
        let (last, outer) = self.0.split_last()?;
        let inner = outer.iter().fold(place, |place, decoded| decoded.decoded_offset(place));
        let escape = last.escape_around(inner)?;
        let from = outer.iter().rev().fold(escape, |range, decoded| decoded.source_range(range)).start;
        (from < place).then_some(from)
    }
}
