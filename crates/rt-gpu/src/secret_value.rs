//! The policy of values: secrets inside `NAME=VALUE` pairs and inside URLs, masked where they stand.

use crate::MASK;
use crate::secret_name::is_secret_name;

/// A value that may be `NAME=VALUE`, or several of them with commas, as podman's list options take them. From the first
/// secret name on nothing is shown: whether a comma ends the value depends on the option and on podman's version.
///
/// `None` where nothing is to be masked.
pub(crate) fn masked_pairs(value: &[u8]) -> Option<Vec<u8>> {
    let mut field = 0;
    let mut is_named = false;
    let mut has_url = false;
    // Values are short: to look at each byte costs less than to skip to the next one of these.
    for (place, byte) in value.iter().enumerate() {
        match byte {
            b',' => (field, is_named) = (place + 1, false),
            b'=' if !is_named => {
                is_named = true;
                let name = &value[field..place];
                if place + 1 < value.len() && is_secret_name(name.strip_prefix(b"\"").unwrap_or(name)) {
                    return Some([&value[..=place], MASK.as_bytes()].concat());
                }
            }
            b':' => has_url |= value[place..].starts_with(b"://"),
            _ => {}
        }
    }
    if has_url { masked_urls(value) } else { None }
}

/// URLs in a value: the password of `scheme://user:password@host`, the user of an `http` URL without a password (that is
/// where a token stands), and the values of secret names in a query.
///
/// `None` where nothing is to be masked.
pub(crate) fn masked_urls(value: &[u8]) -> Option<Vec<u8>> {
    let mut masked = Vec::new();
    let mut kept = 0;
    let mut from = 0;
    while let Some(colon) = scheme_end(&value[from..]) {
        let authority = from + colon + 3;
        let end = authority + value[authority..].iter().take_while(|byte| is_of_url(**byte)).count();
        let is_http = ends_with_any(&value[..from + colon], &[b"http", b"https"]);
        let credentials = credentials(&value[authority..end], is_http);
        let query_from = credentials.as_ref().map_or(authority, |hidden| authority + hidden.end);
        let hidden = credentials.map(|hidden| authority + hidden.start..authority + hidden.end);
        for hidden in hidden.into_iter().chain(query_values(value, query_from, end)) {
            masked.extend_from_slice(&value[kept..hidden.start]);
            masked.extend_from_slice(MASK.as_bytes());
            kept = hidden.end;
        }
        from = end;
    }
    (kept > 0).then(|| {
        masked.extend_from_slice(&value[kept..]);
        masked
    })
}

/// Where the secret stands in what follows `://`.
fn credentials(url: &[u8], is_http: bool) -> Option<std::ops::Range<usize>> {
    let authority = url.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(url.len());
    let at = if let Some(at) = url[..authority].iter().rposition(|byte| *byte == b'@') {
        at
    } else {
        // A password with a `/` that nobody encoded; what begins with a port has none.
        let colon = position(&url[..authority], b':')?;
        if url[colon + 1..authority].iter().all(u8::is_ascii_digit) {
            return None;
        }
        url.iter().rposition(|byte| *byte == b'@')?
    };
    match position(&url[..at], b':') {
        Some(colon) if colon + 1 < at => Some(colon + 1..at),
        None if is_http && at > 0 => Some(0..at),
        _ => None,
    }
}

/// The values of secret names in the query of a URL.
fn query_values(
    value: &[u8],
    from: usize,
    end: usize,
) -> impl Iterator<Item = std::ops::Range<usize>> + use<'_> {
    let query = position(&value[from..end], b'?').map_or(end, |mark| from + mark + 1);
    let mut start = query;
    value[query..end].split(|byte| matches!(byte, b'&' | b';' | b'#')).filter_map(move |parameter| {
        let begin = start;
        start += parameter.len() + 1;
        let equals = position(parameter, b'=')?;
        let is_hidden = equals + 1 < parameter.len() && is_secret_name(&parameter[..equals]);
        is_hidden.then_some(begin + equals + 1..begin + parameter.len())
    })
}

/// Whether a URL goes on with this byte, rather than the text around it. `<` and `>` are the mask's own.
fn is_of_url(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'`')
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    memchr::memchr(wanted, bytes)
}

/// Where `://` begins.
fn scheme_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b':', bytes).find(|colon| bytes[*colon..].starts_with(b"://"))
}

fn ends_with_any(bytes: &[u8], ends: &[&[u8]]) -> bool {
    ends.iter()
        .any(|end| bytes.len() >= end.len() && bytes[bytes.len() - end.len()..].eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        let masked = masked_pairs(value.as_bytes());
        let shown = masked.map_or_else(|| value.to_owned(), |bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(shown, expected);
        let again = masked_pairs(shown.as_bytes());
        assert!(again.is_none_or(|again| again == shown.as_bytes()), "twice: {shown}");
    }

    #[test]
    fn pairs_are_masked_by_their_names() {
        check("TOKEN=abc", "TOKEN=<redacted>");
        check("TOKEN=a,b=c", "TOKEN=<redacted>");
        check("a=1,token=b,c=d", "a=1,token=<redacted>");
        check("a=1,\"token=b,c\"", "a=1,\"token=<redacted>");
        check("TOKEN=", "TOKEN=");
        check("TOKEN", "TOKEN");
        check("MONKEY=abc", "MONKEY=abc");
        check("PATH=/bin:/usr/bin", "PATH=/bin:/usr/bin");
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        check("DB=postgres://u:p@host/db", "DB=postgres://u:<redacted>@host/db");
        check("DB=postgres://u:p@ss@host/db", "DB=postgres://u:<redacted>@host/db");
        check("DB=postgres://u:p/w@host/db", "DB=postgres://u:<redacted>@host/db");
        check("REMOTE=https://ghp_x@github.com/a/b", "REMOTE=https://<redacted>@github.com/a/b");
        check("A=http://u:p@a b=http://v:q@b", "A=http://u:<redacted>@a b=http://v:<redacted>@b");
        check("U=https://h/x?a=1&token=abc&b=2", "U=https://h/x?a=1&token=<redacted>&b=2");
        check("U=http://u:p@h/?api_key=q#f", "U=http://u:<redacted>@h/?api_key=<redacted>#f");
    }

    #[test]
    fn urls_without_secrets_stay_as_they_are() {
        for value in [
            "U=https://host/x",
            "U=ssh://git@host/x",
            "U=http://host:80/p@x",
            "U=postgres://u:@host",
            "U=postgres://u@host",
            "U=://",
            "U=http://",
            "U=http://h/?a=b&token=",
        ] {
            check(value, value);
        }
    }
}
