//! Finding known secrets in a text, in every encoding that is looked for, and below escapes. What the encodings are stands in
//! `encodings`.

use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Match, Span, packed};
use rt_protocol::Secret;

use super::decoded::Decoded;
use super::encodings;
use super::escape::Scheme;

/// Shorter secrets are not looked for, in bytes: masking each `dev` would spoil a text and hide nothing.
pub const MIN_SECRET_BYTES: usize = 6;

/// Finds known secrets.
pub(super) struct SecretMatcher {
    /// `None` without any secret.
    prefixes: Option<PrefixSearch>,
    /// In order: those that begin alike stand together, the shorter first.
    encodings: Vec<Vec<u8>>,
    /// For each prefix, in order, which of the encodings begin with it.
    groups: Vec<Range<usize>>,
    /// Which bytes may begin an encoding.
    first: [bool; 256],
    passed_over: usize,
}

/// How a text is searched: for what the encodings begin with, which is the same for many of them. What a text has in common with
/// a secret, a word or two, is most often not that; and where it is, the few encodings that begin so are compared one by one.
enum PrefixSearch {
    /// By vector instructions, while the prefixes are few and the processor has them.
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

/// How many escapes may stand around each other: a JSON text in a log line of JSON in another.
const MAX_ESCAPE_DEPTH: usize = 3;

/// How many bytes of each encoding are searched for. None is shorter than [`MIN_SECRET_BYTES`].
const PREFIX_BYTES: usize = MIN_SECRET_BYTES;

impl PrefixSearch {
    fn new(prefixes: &[&[u8]]) -> Option<Self> {
        if let Some(searcher) = packed::Config::new().builder().extend(prefixes).build() {
            return Some(Self::Packed(searcher));
        }
        // It can only fail for more states than 32 bits can count: secrets of gigabytes.
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

/// Up to some 8 MiB of memory, the automaton is compiled to its fastest kind.
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

    /// How many secrets are not looked for, because they are too short.
    pub(super) fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// What a text shows of secrets. It is searched once as it stands and once for each way in which escapes of it decode,
    /// from its beginning to its end: what is open falls out of the same search, and nothing is decoded for one place alone.
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
        // What begins inside an escape would be read as something else in the next piece.
        while let Some(escape) = chains.iter().find_map(|chain| chain.escape_around(matches.open)) {
            matches.open = escape;
        }
        matches
    }

    /// Looks through the escapes of a text, and through those of what comes out. `above` are the decodings that led to it.
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
                // What has no escape was found as it stands, or is none: there a `+` is no blank.
                if decoded.has_escape(&find) {
                    finds.push(chain.source_range(find));
                }
            });
            matches.work += decoded.bytes.len();
            matches.finds.append(&mut finds);
            // Before an escape that is not complete yet, nothing can be said of it.
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

    /// The longest find at each place where one begins. Answers the first place from which on all bytes before `end` are the
    /// beginning of an encoding and not the whole of it; the length of all bytes where there is none.
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

    /// Whether an encoding begins with these bytes, fewer than those of a prefix.
    fn is_prefix(&self, bytes: &[u8]) -> bool {
        self.first[usize::from(bytes[0])] && {
            let place = self.encodings.partition_point(|encoding| encoding.as_slice() < bytes);
            self.encodings.get(place).is_some_and(|encoding| encoding.starts_with(bytes))
        }
    }
}

/// What a text shows of secrets.
pub(super) struct Matches {
    /// Where they are, in order; overlapping finds are one.
    pub(super) finds: Vec<Range<usize>>,
    /// The first place from which on a find may begin whose end is not there yet; the length where there is none.
    pub(super) open: usize,
    /// How many bytes were looked at.
    pub(super) work: usize,
}

/// A text that was decoded once or several times, the outermost escapes first.
struct DecodeChain(Vec<Rc<Decoded>>);

impl DecodeChain {
    /// Where a range of the decoded bytes comes from in the text.
    fn source_range(&self, range: Range<usize>) -> Range<usize> {
        self.0.iter().rev().fold(range, |range, decoded| decoded.source_range(range))
    }

    /// Where the escape begins that this place of the text is within.
    fn escape_around(&self, place: usize) -> Option<usize> {
        let (last, outer) = self.0.split_last()?;
        let inner = outer.iter().fold(place, |place, decoded| decoded.decoded_offset(place));
        let escape = last.escape_around(inner)?;
        let from = outer.iter().rev().fold(escape, |range, decoded| decoded.source_range(range)).start;
        (from < place).then_some(from)
    }
}
