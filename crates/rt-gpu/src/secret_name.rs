//! Decides which names of variables, labels and build arguments are secret. `secret_value` looks at
//! values.

/// Words that make a name secret, with the same first three letters.
struct Words {
    /// The first three letters. They are rare in names that are not secret.
    beginning: [u8; 3],
    /// Secret anywhere in a name: `PGPASSWORD`, `GITHUBTOKEN`.
    anywhere: &'static [&'static [u8]],
    /// Secret as a word of their own: `API_URL`, `sshKeyFile`.
    alone: &'static [&'static [u8]],
    /// Secret as the last of several words: `GITHUB_PAT`.
    last: &'static [&'static [u8]],
}

const WORDS: [Words; 16] = {
    const fn words(
        beginning: [u8; 3],
        anywhere: &'static [&'static [u8]],
        alone: &'static [&'static [u8]],
        last: &'static [&'static [u8]],
    ) -> Words {
        Words { beginning, anywhere, alone, last }
    }
    [
        words(*b"API", &[b"APIKEY"], &[b"API"], &[]),
        words(*b"AUT", &[], &[b"AUTH", b"AUTHORIZATION"], &[]),
        words(*b"BEA", &[b"BEARER"], &[], &[]),
        words(*b"COO", &[], &[b"COOKIE", b"COOKIES"], &[]),
        words(*b"CRE", &[b"CREDENTIAL"], &[b"CRED", b"CREDS"], &[]),
        words(*b"JWT", &[b"JWT"], &[], &[]),
        words(*b"KEY", &[], &[b"KEY", b"KEYS"], &[]),
        words(*b"OAU", &[], &[b"OAUTH"], &[]),
        words(*b"PAS", &[b"PASSWORD", b"PASSWD", b"PASSPHRASE", b"PASSCODE"], &[], &[]),
        words(*b"PAT", &[], &[], &[b"PAT"]),
        words(*b"PRI", &[b"PRIVATE"], &[], &[]),
        words(*b"PSW", &[b"PSWD"], &[], &[]),
        words(*b"SEC", &[b"SECRET"], &[], &[]),
        words(*b"SES", &[b"SESSID", b"SESSIONID"], &[b"SESSION", b"SESSIONS"], &[]),
        words(*b"SIG", &[b"SIGNATURE"], &[], &[]),
        words(*b"TOK", &[b"TOKEN"], &[], &[]),
    ]
};

/// Indexed by the first and the second letter, as places in the alphabet. Each bit stands for a
/// third letter with which the words begin.
static TRIGRAMS: [[u32; 32]; 32] = {
    let mut table = [[0; 32]; 32];
    let mut number = 0;
    while number < WORDS.len() {
        let [first, second, third] = WORDS[number].beginning;
        table[(first & 31) as usize][(second & 31) as usize] |= 1 << (third & 31);
        number += 1;
    }
    table
};

/// Secret as a whole name: addresses of repositories, which often contain a token.
const SECRET_NAMES: [&[u8]; 2] = [b"CODE_REPO", b"CLONE_FROM"];

/// Secret at the end of a name, also with digits behind: `SSHKEY`, `SSHPASS`, `DBPW2`.
const SECRET_SUFFIXES: [&[u8]; 5] = [b"KEY", b"PASS", b"PWD", b"PW", b"COOKIE"];

/// Suffixes that are not secret as a whole name: a switch and a directory.
const NAME_EXCEPTIONS: [&[u8]; 2] = [b"PASS", b"PWD"];

/// Words with such a suffix that are not secret.
const SUFFIX_EXCEPTIONS: [&[u8]; 17] = [
    b"MONKEY",
    b"DONKEY",
    b"TURKEY",
    b"HOCKEY",
    b"JOCKEY",
    b"WHISKEY",
    b"LACKEY",
    b"MICKEY",
    b"HANKEY",
    b"COMPASS",
    b"ENCOMPASS",
    b"BYPASS",
    b"OVERPASS",
    b"UNDERPASS",
    b"SURPASS",
    b"TRESPASS",
    b"OLDPWD",
];

/// The beginnings of words that may follow SESSION or SIGNATURE. The name then holds something
/// about it, such as its timeout, and not the secret itself.
const QUALIFIERS: [&[u8]; 28] = [
    b"ALGO",
    b"BACKEND",
    b"BUS",
    b"CLASS",
    b"COUNT",
    b"DESKTOP",
    b"DIR",
    b"DOMAIN",
    b"DRIVER",
    b"ENGINE",
    b"EXPIR",
    b"LEADER",
    b"LIFETIME",
    b"LIMIT",
    b"LOG",
    b"MANAGER",
    b"MAX",
    b"METHOD",
    b"NAME",
    b"PATH",
    b"SEAT",
    b"STORE",
    b"TIMEOUT",
    b"TTL",
    b"TYPE",
    b"UID",
    b"VERIFI",
    b"VERSION",
];

/// Prefixes of desktop sessions, which are not secret.
const DESKTOP_PREFIXES: [&[u8]; 6] = [b"XDG_", b"DBUS_", b"DESKTOP_", b"GNOME_", b"KDE_", b"GDM_"];

/// Whole names that are not secret although the rules say so.
const ALLOWED_NAMES: [&[u8]; 1] = [b"TOKENIZERS_PARALLELISM"];

/// Returns whether the value of this name must be kept out of logs and errors. The name is that of
/// a variable, a label, an annotation or a build argument.
///
/// Letter case does not matter, except that a change of case starts a new word. `_`, `-`, `.` and
/// digits also separate words. Secret are names with:
///
/// - PASSWORD, PASSWD, PASSPHRASE, PASSCODE, PSWD, SECRET, TOKEN, CREDENTIAL, PRIVATE, APIKEY,
///   BEARER, JWT, SIGNATURE, SESSIONID or SESSID anywhere in the name;
/// - KEY, API, AUTH, AUTHORIZATION, OAUTH, COOKIE, CRED or SESSION as a word of its own, also in
///   the plural;
/// - KEY, COOKIE, PASS, PWD or PW at the end (`SSHKEY`, `PGPASS`, `MYSQL_PWD`, `BINDPW2`), except
///   in words such as MONKEY and BYPASS. PASS and PWD alone are not secret;
/// - PAT as the last of several words;
/// - `CODE_REPO` or `CLONE_FROM` as the whole name.
///
/// Not secret are a session or signature with a word after it that says something about it
/// (`SESSION_MANAGER`, `SESSION_TIMEOUT`, `SIGNATURE_ALGORITHM`), a desktop session
/// (`XDG_SESSION_ID`), and `TOKENIZERS_PARALLELISM`, a switch that many programs print.
///
/// A simpler rule, any name that contains KEY or API, would also hide KEYBOARD, `KEYCLOAK_URL`,
/// KEYFRAMES, CAPITAL, RAPID and THERAPIST. These are shown.
///
/// ```
/// use rt_gpu::is_secret_name;
///
/// assert!(is_secret_name("AWS_SECRET_ACCESS_KEY") && is_secret_name("apiKey"));
/// assert!(!is_secret_name("MONKEY") && !is_secret_name("CAPITAL"));
/// ```
pub fn is_secret_name(name: impl AsRef<[u8]>) -> bool {
    let name = name.as_ref();
    if ALLOWED_NAMES.iter().any(|whole| name.eq_ignore_ascii_case(whole)) {
        return false;
    }
    name.windows(3).enumerate().any(|(place, letters)| may_start_word(letters) && secret_word_at(name, place))
        || SECRET_NAMES.iter().any(|whole| name.eq_ignore_ascii_case(whole))
        || has_secret_suffix(name)
}

/// Returns whether a secret word may start with these three bytes. This settles most positions of
/// most names, so the loop does nothing else. Bytes that are no letters may pass; no word matches
/// them later.
fn may_start_word(letters: &[u8]) -> bool {
    let place = |byte: u8| usize::from(byte & 31);
    TRIGRAMS[place(letters[0])][place(letters[1])] >> place(letters[2]) & 1 == 1
}

#[inline(never)]
fn secret_word_at(name: &[u8], place: usize) -> bool {
    let beginning = &name[place..place + 3];
    let Some(Words { anywhere, alone, last, .. }) =
        WORDS.iter().find(|words| words.beginning.eq_ignore_ascii_case(beginning))
    else {
        return false;
    };
    let starts =
        |word: &[u8]| starts_with_ignore_case(&name[place..], word) && !is_qualified(name, place, word);
    anywhere.iter().any(|word| starts(word))
        || alone.iter().any(|word| {
            starts(word) && is_word_boundary(name, place) && is_word_boundary(name, place + word.len())
        })
        || last.iter().any(|word| {
            starts(word) && place > 0 && is_word_boundary(name, place) && place + word.len() == name.len()
        })
}

/// Returns whether the text before or after SESSION or SIGNATURE says that this is not the secret
/// itself.
fn is_qualified(name: &[u8], place: usize, word: &[u8]) -> bool {
    if !matches!(word, b"SESSION" | b"SESSIONS" | b"SIGNATURE") {
        return false;
    }
    let behind = &name[place + word.len()..];
    let next = &behind[behind.iter().take_while(|byte| !byte.is_ascii_alphanumeric()).count()..];
    QUALIFIERS.iter().any(|word| starts_with_ignore_case(next, word))
        || word != b"SIGNATURE"
            && DESKTOP_PREFIXES.iter().any(|desktop| starts_with_ignore_case(name, desktop))
}

fn starts_with_ignore_case(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
}

/// Returns whether a word boundary is before `place`.
fn is_word_boundary(name: &[u8], place: usize) -> bool {
    let (Some(before), Some(after)) = (place.checked_sub(1).and_then(|last| name.get(last)), name.get(place))
    else {
        return true;
    };
    if !before.is_ascii_alphabetic() || !after.is_ascii_alphabetic() {
        return true;
    }
    // `apiKey`, and `APIKey`, where the last capital begins the word.
    let next_is_small = name.get(place + 1).is_some_and(u8::is_ascii_lowercase);
    after.is_ascii_uppercase() && (before.is_ascii_lowercase() || next_is_small)
}

/// Returns whether the name ends with one of [`SECRET_SUFFIXES`].
fn has_secret_suffix(name: &[u8]) -> bool {
    if NAME_EXCEPTIONS.iter().any(|whole| name.eq_ignore_ascii_case(whole)) {
        return false;
    }
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'_').count();
    let name = &name[..name.len() - digits];
    let ends = |name: &[u8], word: &[u8]| {
        name.len().checked_sub(word.len()).filter(|begin| name[*begin..].eq_ignore_ascii_case(word))
    };
    // Covers the plurals of KEY and COMPASS.
    let singular = name.strip_suffix(b"S").or_else(|| name.strip_suffix(b"s"));
    [Some(name), singular].into_iter().flatten().any(|stem| {
        SECRET_SUFFIXES.iter().any(|word| ends(stem, word).is_some())
            && !SUFFIX_EXCEPTIONS
                .iter()
                .any(|word| ends(stem, word).is_some_and(|begin| is_word_boundary(name, begin)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_secrets() {
        for name in [
            "PASSWORD",
            "PGPASSWORD",
            "db_passwd",
            "GPG_PASSPHRASE",
            "SECRET",
            "DBSECRET",
            "GITHUBTOKEN",
            "token",
            "AWS_CREDENTIALS",
            "PRIVATE_REPO",
            "KEY",
            "API_KEY",
            "apiKey",
            "APIKey",
            "OPENAIAPIKEY2",
            "KEY_1",
            "KEY1",
            "SSHKEY",
            "SSHKEYS",
            "sshKeyFile",
            "AUTHORIZED_KEYS",
            "API",
            "API_URL",
            "com.example.api-key",
            "X_AUTH",
            "AuthUser",
            "HTTP_AUTHORIZATION",
            "SESSION_COOKIE",
            "Cookies",
            "CODE_REPO",
            "clone_from",
            "DB_PASS",
            "MYSQL_PWD",
            "SSHPASS",
            "PGPASS",
            "sshpass",
            "DB_PASS2",
            "DBPASS_1",
            "dbpwd",
            "ADMIN_PSWD",
            "BINDPW",
            "root_pw",
            "PASSCODE",
            "REDISCLI_AUTH",
            "OAUTH_CODE",
            "JWT",
            "ID_JWT",
            "jwtAssertion",
            "APPJWT",
            "BEARER",
            "bearerValue",
            "X-Amz-Signature",
            "HUBSIGNATURE",
            "SIGNATURE",
            "signatureV4",
            "SESSION",
            "BW_SESSION",
            "OP_SESSION_my",
            "session_id",
            "PHPSESSID",
            "JSESSIONID",
            "SESSIONID",
            "MAGICCOOKIE",
            "DB_CREDS",
            "GITHUB_PAT",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn names_that_hold_none() {
        for name in [
            "",
            "PATH",
            "PWD",
            "OLDPWD",
            "PASS",
            "COMPASS",
            "PASS_THROUGH",
            "CAPITAL",
            "RAPID",
            "THERAPIST",
            "MONKEY",
            "monkeys",
            "CHUNKY_MONKEY",
            "TURKEY",
            "WHISKEY",
            "KEYBOARD",
            "KEYBOARD_LAYOUT",
            "KEYCLOAK_URL",
            "AUTHOR",
            "AUTHORS",
            "GIT_AUTHOR_NAME",
            "COOKIECUTTER",
            "MY_CODE_REPO_DIR",
            "TOKENIZERS_PARALLELISM",
            "NVIDIA_VISIBLE_DEVICES",
            "SSL_BYPASS",
            "ENCOMPASS",
            "COMPASSES",
            "PASSES",
            "SESSION_MANAGER",
            "SESSION_TIMEOUT",
            "sessionTimeout",
            "SESSION_DRIVER",
            "XDG_SESSION_ID",
            "XDG_SESSION_TYPE",
            "DESKTOP_SESSION",
            "GDMSESSION",
            "KDE_FULL_SESSION",
            "DBUS_SESSION_BUS_ADDRESS",
            "SESSIONS_MAX",
            "OBSESSION",
            "SIGNATURE_ALGORITHM",
            "SIGNATURE_VERSION",
            "STOPSIGNAL",
            "PATH_PATTERN",
            "PATTERN",
            "CREDIT",
            "FORBEAR",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        assert!(is_secret_name(b"\xff_TOKEN\xfe"));
        assert!(!is_secret_name(b"\xff\xfe"));
    }
}
