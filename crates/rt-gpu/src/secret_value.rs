//! Masks secrets inside of values: in `NAME=VALUE` pairs and in URLs.

use std::ops::Range;

use crate::MASK;
use crate::secret_name::is_secret_name;

/// Masks the secrets of a value that may be a pair `NAME=VALUE`, several pairs with commas between
/// them, or a pair whose value consists of pairs (`o=username=x,password=y`). `None` if there is no
/// secret.
///
/// Everything from the first secret name's value on is masked, because it depends on the option and
/// on podman's version whether a comma ends the value. URLs are masked as by [`masked_urls`].
pub(crate) fn masked_pairs(value: &[u8]) -> Option<Vec<u8>> {
    let mut name = 0;
    let mut is_nested = false;
    let mut has_url = false;
    let mut bytes = value.iter().enumerate();
    // Values are short: looking at each byte is faster than a search for the next of these.
    while let Some((place, byte)) = bytes.next() {
        match byte {
            b',' => (name, is_nested) = (place + 1, false),
            b'=' => {
                let behind = &value[place + 1..];
                if !behind.is_empty() && is_secret_name(without_quote(&value[name..place])) {
                    // At the end of a value, equals signs are the padding of base64.
                    if !is_nested || behind.iter().any(|byte| *byte != b'=') {
                        return if has_url {
                            masked_before(value, place + 1)
                        } else {
                            Some([&value[..=place], MASK.as_bytes()].concat())
                        };
                    }
                }
                (name, is_nested) = (place + 1, true);
            }
            // Names inside of a URL end at other characters, so the URL is skipped here.
            b':' if value[place..].starts_with(b"://") => {
                has_url = true;
                let length = length_while(&value[place..], |byte| is_url_byte(byte) && byte != b',');
                name = place + length;
                bytes.nth(length - 2);
            }
            _ => {}
        }
    }
    if has_url { masked_urls(value) } else { None }
}

/// Masks the secrets in the URLs of a value: the password of `scheme://user:password@host`, the
/// user of an `http` URL without a password (often a token), and the parameters with secret names.
/// `None` if there is no secret.
pub(crate) fn masked_urls(value: &[u8]) -> Option<Vec<u8>> {
    // Most values have no colon at all.
    scheme(value)?;
    masked_before(value, value.len())
}

/// Returns the value with the secrets of its URLs masked, and everything from `end` on masked as
/// one.
fn masked_before(value: &[u8], end: usize) -> Option<Vec<u8>> {
    let mut masked = Vec::new();
    let mut kept = 0;
    url_secrets(value, |hidden| {
        // A password may contain an equals sign, and extend beyond `end`.
        if hidden.start < end {
            masked.extend_from_slice(&value[kept..hidden.start]);
            masked.extend_from_slice(MASK.as_bytes());
            kept = hidden.end;
        }
    });
    if kept == 0 && end == value.len() {
        return None;
    }
    if kept < end {
        masked.extend_from_slice(&value[kept..end]);
        if end < value.len() {
            masked.extend_from_slice(MASK.as_bytes());
        }
    }
    Some(masked)
}

/// Calls `found` with the range of each secret in the URLs of a value, in order. Several URLs may
/// follow each other without a blank, so every `://` is looked at.
fn url_secrets(value: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut place = 0;
    while let Some(colon) = scheme(&value[place..]) {
        place += colon;
        let end = place + length_while(&value[place..], is_url_byte);
        let last_at = memchr::memrchr(b'@', &value[place..end]).map_or(place, |at| place + at);
        while place < end {
            let hidden = match value[place] {
                b':' if value[place..].starts_with(b"://") => {
                    let is_http = ends_with_any(&value[..place], &[b"http", b"https"]);
                    place += 3;
                    let url = &value[place..end];
                    credentials(url, last_at.checked_sub(place), is_http).or_else(|| parameter(url))
                }
                b'/' | b'?' | b'&' | b';' | b'#' | b',' => {
                    place += 1;
                    parameter(&value[place..end])
                }
                _ => {
                    place += 1;
                    continue;
                }
            };
            if let Some(hidden) = hidden {
                found(place + hidden.start..place + hidden.end);
                place += hidden.end;
            }
        }
    }
}

/// Returns the range of the secret in the text after `://`; `last_at` is the position of its last
/// `@`.
///
/// A password may contain characters that should have been encoded, so it extends to the last `@`.
/// `a://u:p@h,b://u:p@h` may be two URLs, or one with the password `p@h,b://u:p`; the two cannot be
/// distinguished.
fn credentials(url: &[u8], last_at: Option<usize>, is_http: bool) -> Option<Range<usize>> {
    let authority = &url[..length_while(url, |byte| !matches!(byte, b'/' | b'?' | b'#'))];
    let host = memchr::memrchr(b'@', authority).map_or(0, |at| at + 1);
    let has_password = position(&authority[..host], b':').is_some();
    let at = if has_password || has_invalid_port(&authority[host..], &url[authority.len()..]) {
        last_at?
    } else {
        host.checked_sub(1)?
    };
    let first_at = position(url, b'@')?;
    match position(&url[..at], b':') {
        Some(colon) if is_http && first_at < colon => Some(0..at),
        // Next to GitHub's tokens, the password is only a placeholder.
        Some(colon) if is_http && colon > 0 && is_placeholder_password(&url[colon + 1..first_at]) => {
            Some(0..if first_at == at { colon } else { at })
        }
        Some(colon) => (colon + 1 < at).then_some(colon + 1..at),
        None => (is_http && at > 0).then_some(0..at),
    }
}

/// Returns whether something other than a port follows the colon of `host:port`: a password with a
/// `/`.
fn has_invalid_port(host: &[u8], behind: &[u8]) -> bool {
    let Some(colon) = position(host, b':') else { return false };
    let port = &host[colon + 1..];
    if port.is_empty() && behind.starts_with(b"//") {
        // `host,scheme://` is a host and the next URL; in `user://` the password starts with the
        // first `/`.
        return host[..colon].iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(byte));
    }
    port.is_empty() || !port.iter().all(u8::is_ascii_digit)
}

fn is_placeholder_password(password: &[u8]) -> bool {
    password.is_empty() || password.eq_ignore_ascii_case(b"x-oauth-basic")
}

/// Returns the range of the value of `name=value` at the start of these bytes, if the name is
/// secret.
fn parameter(bytes: &[u8]) -> Option<Range<usize>> {
    let name = length_while(bytes, |byte| !matches!(byte, b'=' | b'/' | b'?' | b'&' | b';' | b'#' | b','));
    let begin = name + 1;
    if bytes.get(name) != Some(&b'=') || !is_secret_parameter(&bytes[..name]) {
        return None;
    }
    let length = length_while(&bytes[begin..], |byte| !matches!(byte, b'&' | b';' | b'#'));
    (length > 0).then_some(begin..begin + length)
}

/// Returns whether a query parameter is secret: by the rules for names, or as one of the short
/// names that mean something else outside of URLs.
fn is_secret_parameter(name: &[u8]) -> bool {
    const SHORT: [&[u8]; 4] = [b"sig", b"sid", b"pass", b"pwd"];
    is_secret_name(name) || SHORT.iter().any(|short| name.eq_ignore_ascii_case(short))
}

/// Returns whether this byte can be part of a URL. `'` may be part of a password (RFC 3986, section
/// 2.2); `<` and `>` are used by the mask.
fn is_url_byte(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && byte != b'"'
}

/// Returns the number of bytes at the start that satisfy the condition.
fn length_while(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !is_such(*byte)).unwrap_or(bytes.len())
}

fn without_quote(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"\"").unwrap_or(name)
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    memchr::memchr(wanted, bytes)
}

/// Returns the position of the first `://`.
fn scheme(bytes: &[u8]) -> Option<usize> {
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
        check("A=http://u:p@h,token=x", "A=http://u:<redacted>@h,token=<redacted>");
        check("A=http://h:80 token=x", "A=http://h:80 token=<redacted>");
        check("A=a://u:p,token=x@h", "A=a://u:<redacted>");
    }

    #[test]
    fn a_pair_in_a_pair_is_one_too() {
        check("o=password=s", "o=password=<redacted>");
        check("o=username=x,password=s", "o=username=x,password=<redacted>");
        check("type=volume,volume-opt=o=password=s,ro", "type=volume,volume-opt=o=password=<redacted>");
        check("OPTS=-Dtoken=s -Da=b", "OPTS=-Dtoken=<redacted>");
        check("TOKEN==", "TOKEN=<redacted>");
        for padded in ["X=YWJj=", "X=YWJj==", "X=YKEY=", "X=YKEY==", "=", "===", "a=b=c"] {
            check(padded, padded);
        }
    }

    #[test]
    fn signed_urls_show_no_signature() {
        check(
            "U=https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=ab12&x=1",
            "U=https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=<redacted>&x=1",
        );
        check("U=https://a.blob/c?sv=2020&sig=a%2Bb&se=1", "U=https://a.blob/c?sv=2020&sig=<redacted>&se=1");
        check("U=https://h/?SID=ab&pass=x", "U=https://h/?SID=<redacted>&pass=<redacted>");
        check("U=https://h/?side=a&sigma=b", "U=https://h/?side=a&sigma=b");
        check("sig=a", "sig=a");
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
    fn of_several_urls_each_counts() {
        check("R=a://u:s@h,b://u:s@h", "R=a://u:<redacted>@h");
        check("R=https://a:s@h|https://b:s@h", "R=https://a:<redacted>@h");
        check("R=https://s@h,https://b:s@h", "R=https://<redacted>@h,https://b:<redacted>@h");
        check("R=http://h:80/x,http://u:s@h/y", "R=http://h:80/x,http://u:<redacted>@h/y");
        check("R=ssh://git@h/x;https://s@h", "R=ssh://git@h/x;https://<redacted>@h");
        check(
            "R=https://h/?to=https://u:s@h/&token=s",
            "R=https://h/?to=https://u:<redacted>@h/&token=<redacted>",
        );
        check("R=https://h/?a=1,https://h/?token=s", "R=https://h/?a=1,https://h/?token=<redacted>");
        check("R=http://h:80,http://h:81", "R=http://h:80,http://h:81");
    }

    #[test]
    fn of_a_password_no_part_is_shown_whatever_is_in_it() {
        for password in [
            "x'y",
            "x`y",
            "x://y",
            "x,y",
            "x@y",
            "x/y",
            "x@b://y",
            "@b://y",
            "x@h,b://u:y",
            "x@y/z",
            "x?y",
            "x#y@z",
            "x&token=y",
            "x=y",
            ":x",
            "//x",
            "x//",
            "://",
        ] {
            check(&format!("postgres://u:{password}@h/db"), "postgres://u:<redacted>@h/db");
        }
        check("postgres://u:x@y,token=z@h", "postgres://u:<redacted>");
        check("smtp://me@example.com:x/y@h", "smtp://me@example.com:<redacted>@h");
    }

    #[test]
    fn of_an_http_url_without_a_password_the_user_is_the_secret() {
        check("https://s:x-oauth-basic@h/a", "https://<redacted>:x-oauth-basic@h/a");
        check("https://s:@h/a", "https://<redacted>:@h/a");
        check("https://s:@h/@a", "https://<redacted>@a");
        check("git+https://s@h/a", "git+https://<redacted>@h/a");
        check("http://:@h", "http://:@h");
    }

    #[test]
    fn urls_without_secrets_stay_as_they_are() {
        for value in [
            "U=https://host/x",
            "U=ssh://git@host/x",
            "U=ssh://git@host,ssh://git@host/x",
            "U=ssh://git@host:x/y",
            "U=ssh://git@host:/y",
            "U=http://host,http://host/@x",
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
