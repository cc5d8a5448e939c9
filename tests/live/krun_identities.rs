//! Key files of the programs that make keys: those that log in, and those that are refused for what
//! they are.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rt_krun::{KrunTransport, check_identity};
use rt_process::{ExitStatus, ProcessSpec, Program};
use rt_protocol::{ErrorKind, ExecRequest, OutputLimit, Source, Until};
use rt_tests::krun::{LoopbackGuest, transport_to};
use rt_tests::live::Live;
use rt_tests::ssh_lab::loopback::Settings;
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};

pub(crate) const CASES: &[Case] = &[
    ("krun: every key of ssh-keygen, openssl and dropbearkey that a server takes logs in", accepted),
    ("krun: every other key of theirs is refused for what it is", refused),
];

/// A P-521 key whose scalar begins with a zero, as a quarter of them do.
const SHORT_SCALAR: &str = include_str!("../../crates/rt-krun/src/ssh/auth/private_key/p521_short_scalar");

/// Makes the file `$1`.
const ACCEPTED: &[&str] = &[
    "ssh-keygen -q -t ed25519 -N '' -f $1",
    "ssh-keygen -q -t rsa -b 1024 -N '' -f $1",
    "ssh-keygen -q -t rsa -b 3072 -N '' -f $1",
    "ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f $1",
    "ssh-keygen -q -t rsa -b 2048 -m PKCS8 -N '' -f $1",
    "ssh-keygen -q -t ecdsa -b 256 -N '' -f $1",
    "ssh-keygen -q -t ecdsa -b 384 -N '' -f $1",
    "ssh-keygen -q -t ecdsa -b 521 -N '' -f $1",
    "ssh-keygen -q -t ecdsa -b 256 -m PEM -N '' -f $1",
    "ssh-keygen -q -t ecdsa -b 384 -m PKCS8 -N '' -f $1",
    "ssh-keygen -q -t ecdsa -b 521 -m PEM -N '' -f $1",
    "openssl ecparam -genkey -name prime256v1 -out $1",
    "openssl ecparam -genkey -name secp384r1 -out $1",
    "openssl ecparam -genkey -name secp521r1 -out $1",
    "openssl ecparam -genkey -noout -name prime256v1 -out $1",
    "openssl genrsa -out $1 2048",
    "openssl genrsa -traditional -out $1 2048",
    "openssl genrsa -primes 3 -out $1 2048",
    "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out $1",
    "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1",
    "openssl genpkey -algorithm ED25519 -out $1",
    "openssl ecparam -genkey -name prime256v1 | openssl ec -text -out $1",
    "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout $1.key -out $1.crt; cat $1.crt $1.key > $1",
    "ssh-keygen -q -t ed25519 -N '' -f $1; sed -i 's/$/\\r/' $1",
    "dropbearkey -t rsa -s 2048 -f $1.own; dropbearconvert dropbear openssh $1.own $1",
    "dropbearkey -t ecdsa -s 256 -f $1.own; dropbearconvert dropbear openssh $1.own $1",
    "dropbearkey -t ecdsa -s 521 -f $1.own; dropbearconvert dropbear openssh $1.own $1",
    "dropbearkey -t ed25519 -f $1.own; dropbearconvert dropbear openssh $1.own $1",
];

/// The same, and what the error says.
const REFUSED: &[(&str, &str)] = &[
    // OpenSSH 10 makes no such key any more.
    ("ssh-keygen -q -t dsa -N '' -f $1 || openssl dsaparam -genkey -out $1 1024", "not supported"),
    ("openssl dsaparam -genkey -noout -out $1 1024", "not supported"),
    ("openssl ecparam -genkey -name secp256k1 -out $1", "not supported"),
    ("openssl ecparam -genkey -name prime256v1 -param_enc explicit -out $1", "not supported"),
    ("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1 -out $1", "not supported"),
    ("openssl genpkey -algorithm ED448 -out $1", "not supported"),
    ("openssl genpkey -algorithm X25519 -out $1", "not supported"),
    ("openssl genpkey -quiet -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out $1", "not supported"),
    ("openssl genrsa -out $1 512", "less than 1,024 bits"),
    ("ssh-keygen -q -t ed25519 -N hunter2 -f $1", "encrypted"),
    ("ssh-keygen -q -t rsa -b 2048 -m PEM -N hunter2 -f $1", "encrypted"),
    ("ssh-keygen -q -t ecdsa -m PKCS8 -N hunter2 -f $1", "encrypted"),
    ("openssl genrsa -aes256 -passout pass:hunter2 -out $1 2048", "encrypted"),
    ("openssl genrsa -traditional -aes256 -passout pass:hunter2 -out $1 2048", "encrypted"),
    (
        "openssl ecparam -genkey -name prime256v1 | openssl ec -aes256 -passout pass:hunter2 -out $1",
        "encrypted",
    ),
    ("openssl genpkey -algorithm ED25519 -outform DER -out $1", "DER"),
    ("openssl genpkey -algorithm ED25519 | openssl pkey -pubout -out $1", "public key"),
    ("openssl ecparam -name prime256v1 -out $1", "no private key"),
    ("dropbearkey -t rsa -s 1024 -f $1", "Dropbear"),
    ("dropbearkey -t ed25519 -f $1", "Dropbear"),
];

/// The line of `$1` for `authorized_keys`. ssh-keygen reads no Ed25519 key in PKCS#8 before OpenSSH
/// 9.6.
const PUBLIC: &str = "cat $1.pub || ssh-keygen -y -f $1 || {
    printf 'ssh-ed25519 '
    { printf '\\000\\000\\000\\013ssh-ed25519\\000\\000\\000 '; openssl pkey -in $1 -pubout -outform DER | tail -c 32; } |
        base64 -w 0
}";

fn run(script: &str, file: &Path) -> Result<String, Problem> {
    let spec = ProcessSpec::new(&Program::find("sh")?)
        .args(["-euc", &format!("umask 077\n{script}"), "sh"])
        .arg(file);
    let limit = OutputLimit::UNLIMITED;
    let done = rt_process::capture(&spec, Source::empty(), limit, limit, &Until::after(LIMIT))?;
    assert_eq!(done.status, Some(ExitStatus::Code(0)), "{script}: {}", done.stderr_capture.text());
    Ok(done.stdout_capture.text().into_owned())
}

const LIMIT: Duration = Duration::from_secs(60);

fn accepted(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings { is_forgiving: true, ..Settings::default() })?;
    let keys = TempDir::new()?;
    let mut files = Vec::new();
    let mut authorized = Vec::new();
    for (number, script) in ACCEPTED.iter().enumerate() {
        let file = keys.path().join(number.to_string());
        run(script, &file)?;
        files.push((*script, file));
    }
    let short = keys.path().join("short");
    fs::write(&short, SHORT_SCALAR)?;
    run("chmod 600 $1", &short)?;
    files.push(("a short scalar", short));
    for (script, file) in &files {
        let public = run(PUBLIC, file).map_err(|error| format!("{script}: {error}"))?;
        authorized.push(String::from(public.trim()));
    }
    fs::write(guest.sshd.inside("/etc/ssh/authorized_keys"), authorized.join("\n") + "\n")?;
    for (script, file) in &files {
        check_identity(file).map_err(|error| format!("{script}: {error}"))?;
        let transport = transport_to(guest.sshd.address(), file).build();
        let done = transport.exec(&guest.container, &ExecRequest::new(["true"])?, &Until::after(LIMIT));
        assert!(done.map_err(|error| format!("{script}: {error}"))?.success(), "{script}");
    }
    Ok(())
}

fn refused(_live: &Live) -> Outcome {
    let keys = TempDir::new()?;
    for (number, (script, expected)) in REFUSED.iter().enumerate() {
        let file = keys.path().join(number.to_string());
        run(script, &file)?;
        let error = check_identity(&file).expect_err(script);
        assert_eq!(error.kind(), ErrorKind::BadIdentity, "{script}");
        assert!(error.message().contains(expected) && error.hint().is_some(), "{script}: {error}");
    }
    Ok(())
}
