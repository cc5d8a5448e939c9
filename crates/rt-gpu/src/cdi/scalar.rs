//! The meaning of unquoted scalars to the YAML reader of engines (YAML 1.1, as Go's yaml.v2 reads
//! it). `fields` decides which type a field takes.

/// An unquoted scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Bool(bool),
    Whole(i64),
    Float(f64),
    /// The scalar is the text itself.
    Text,
}

impl Scalar {
    pub(super) fn read(text: &str) -> Self {
        match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
                return Self::Bool(true);
            }
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
                return Self::Bool(false);
            }
            _ => {}
        }
        if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
            return Self::Text;
        }
        let plain = text.replace('_', "");
        if let Some(whole) = whole(&plain) {
            return Self::Whole(whole);
        }
        if is_float(&plain) { plain.parse().map_or(Self::Text, Self::Float) } else { Self::Text }
    }

    /// Returns the text that an engine reads: `true` for `yes`, `31` for `0x1f`.
    pub(super) fn as_text(&self, written: &str) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Whole(value) => value.to_string(),
            Self::Float(value) => shortest(*value),
            Self::Text => written.to_owned(),
        }
    }
}

/// Parses `12`, `-0x1f`, `0o17`, `017` and `0b11`.
fn whole(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok().map(|value| sign * value)
}

/// Matches `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`.
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (before, behind) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(before)
        && digits(behind)
        && !(before.is_empty() && behind.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// Formats like Go's shortest form (`%g`): with an exponent from a million up and below a
/// ten-thousandth.
fn shortest(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:e}");
        let (number, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{number}e{sign}{exponent:0>2}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_texts_are_what_podman_4_3_1_takes_them_for() {
        for (written, taken) in [
            ("yes", "true"),
            ("Y", "true"),
            ("on", "true"),
            ("n", "false"),
            ("False", "false"),
            ("1e3", "1000"),
            ("0x1f", "31"),
            ("017", "15"),
            ("0o17", "15"),
            ("1_000", "1000"),
            ("0b11", "3"),
            ("1.5", "1.5"),
            ("1e7", "1e+07"),
            ("-12", "-12"),
            ("all", "all"),
            ("0.5.0", "0.5.0"),
            ("2001-01-01", "2001-01-01"),
            ("GPU-1f", "GPU-1f"),
            ("mig1:0", "mig1:0"),
            ("08", "8"),
            ("yEs", "yEs"),
            ("1e", "1e"),
        ] {
            assert_eq!(Scalar::read(written).as_text(written), taken, "{written}");
        }
    }
}
