//! The policy of names: which variables, labels and build arguments hold secrets. Values are looked at in `secret_value`.

/// Words that make a name secret.
struct Words {
    /// What they begin with. Hardly a place of a name that holds no secret begins so.
    beginning: [u8; 3],
    /// Secret wherever they stand in a name: `PGPASSWORD`, `GITHUBTOKEN`.
    anywhere: &'static [&'static [u8]],
    /// Secret where they stand for themselves: `API_URL`, `sshKeyFile`.
    alone: &'static [&'static [u8]],
    /// Secret as the last word of a name, behind another: `GITHUB_PAT`.
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

/// For each first letter, by its place in the alphabet, and each second one, a bit for each third one with which words
/// begin.
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

/// Whole names: addresses of repositories, often with a token in them.
const SECRET_NAMES: [&[u8]; 2] = [b"CODE_REPO", b"CLONE_FROM"];

/// Secret at the end of a name, whatever stands before it, digits behind it or not: `SSHKEY`, `SSHPASS`, `DBPW2`.
const SECRET_SUFFIXES: [&[u8]; 5] = [b"KEY", b"PASS", b"PWD", b"PW", b"COOKIE"];

/// Of these, what is none as a whole name: a switch and a directory.
const NAME_EXCEPTIONS: [&[u8]; 2] = [b"PASS", b"PWD"];

/// Words that only end so.
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

/// What says that a session or a signature is not that itself, but something about it, by the beginning of the next word.
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

/// Whose sessions are those of a screen.
const DESKTOP_PREFIXES: [&[u8]; 6] = [b"XDG_", b"DBUS_", b"DESKTOP_", b"GNOME_", b"KDE_", b"GDM_"];

/// Whole names that hold none, though the rule says otherwise.
const ALLOWED_NAMES: [&[u8]; 1] = [b"TOKENIZERS_PARALLELISM"];

/// Whether what goes by this name (a variable, a label, an annotation, a build argument) is to be kept out of texts.
///
/// Letter case does not matter, but a change of it begins a new word, as `_`, `-`, `.` and digits do.
///
/// - PASSWORD, PASSWD, PASSPHRASE, PASSCODE, PSWD, SECRET, TOKEN, CREDENTIAL, PRIVATE, APIKEY, BEARER, JWT, SIGNATURE,
///   SESSIONID and SESSID: anywhere in the name.
/// - KEY, API, AUTH, AUTHORIZATION, OAUTH, COOKIE, CRED and SESSION (their plurals too): as words of their own.
/// - KEY, COOKIE, PASS, PWD and PW at the end of the name (`SSHKEY`, `PGPASS`, `MYSQL_PWD`, `BINDPW2`), except in words such
///   as MONKEY and BYPASS. PASS and PWD alone are none.
/// - PAT: as the last word, behind another.
/// - A session or signature that the next word says something about is none (`SESSION_MANAGER`, `SESSION_TIMEOUT`,
///   `SIGNATURE_ALGORITHM`), nor is that of a screen (`XDG_SESSION_ID`).
/// - `CODE_REPO` and `CLONE_FROM`: as the whole name.
///
/// A cruder rule, any name that contains KEY or API, also hides names that this one shows: KEYBOARD, `KEYCLOAK_URL` and
/// KEYFRAMES (words that begin with a key hold none), CAPITAL, RAPID and THERAPIST (API inside a word is chance), the
/// exceptions of the third rule, and `TOKENIZERS_PARALLELISM` (a switch that many programs print).
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

/// Whether a word may begin with these three bytes. Most places of most names are done with here, so nothing else is in the
/// loop over them. What is no letter may pass, and has no words.
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

/// Whether what stands behind SESSION or SIGNATURE, or before it, says that this is none.
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

/// Whether a word ends and another begins before `place`.
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

/// Whether the name ends in one of [`SECRET_SUFFIXES`].
fn has_secret_suffix(name: &[u8]) -> bool {
    if NAME_EXCEPTIONS.iter().any(|whole| name.eq_ignore_ascii_case(whole)) {
        return false;
    }
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'_').count();
    let name = &name[..name.len() - digits];
    let ends = |name: &[u8], word: &[u8]| {
        name.len().checked_sub(word.len()).filter(|begin| name[*begin..].eq_ignore_ascii_case(word))
    };
    // The plural of a key, and of a compass.
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
