//! Makes an authenticated SSH session for an endpoint, step by step under one deadline.

use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;

use rt_protocol::{Env, Error, ErrorKind, Result};
use rustix::event::PollFlags;
use ssh2::ErrorCode;

use super::banner;
use super::tcp::{self, Watch, unreachable};
use crate::ssh::auth::algorithms;
use crate::ssh::auth::host_key::{HostKey, HostKeyPolicy, Policy};
use crate::ssh::auth::identity::{Identity, IdentityFile};
use crate::ssh::raw::inbox::OPENING;
use crate::ssh::raw::libssh2::{Disconnect, RawSession};
use crate::{SshUser, TcpEndpoint};

/// An SSH session whose guest has proved its identity.
pub(crate) struct Connection {
    pub(crate) raw_session: Rc<RawSession>,
    /// The session's own socket.
    pub(crate) socket: Arc<TcpStream>,
    pub(crate) host_key: HostKey,
    /// The variables of the container, from its image and its launch.
    pub(crate) env: Env,
}

/// The most that a guest may send before the login is done, in bytes. A key exchange and a login
/// need about 4 KiB. libssh2 keeps everything that was not asked for.
const MOST_BEFORE_LOGIN: u64 = 256 << 10;

/// libssh2's number for "try again".
const AGAIN: ErrorCode = ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_EAGAIN);

/// Connects and exchanges keys. The host key is checked before anything else is sent.
pub(crate) fn open(
    endpoint: &TcpEndpoint,
    policy: &HostKeyPolicy,
    pinned: Option<&HostKey>,
    watch: &Watch<'_>,
) -> Result<Connection> {
    if policy.0 == Policy::FirstUse && !endpoint.is_loopback() {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "connect to",
            "beyond loopback, the first key proves nothing",
        )
        .with_hint("give the guest's host key"));
    }
    let socket = Arc::new(tcp::open(endpoint, watch)?);
    let refused = |error: ssh2::Error| {
        Error::new(ErrorKind::System, "connect to", "libssh2 refused a session").with_source(error)
    };
    let raw_session = RawSession::new(Arc::clone(&socket)).map_err(refused)?;
    let session = raw_session.session();
    algorithms::restrict(session, &policy.algorithms(pinned)).map_err(refused)?;
    until_done(&raw_session, &socket, watch, "the key exchange", || session.clone().handshake())?.map_err(
        |error| {
            let opening = raw_session.inbox().opening();
            // libssh2 skips lines before the banner (RFC 4253, section 4.2, allows them), and then
            // only reports that the banner is missing.
            let heard_banner = banner::shows_banner(&opening) || opening.len() == OPENING;
            if heard_banner {
                key_exchange_failed(&error)
            } else {
                banner::missing(&opening).with_source(error)
            }
        },
    )?;
    let shown = session
        .host_key()
        .and_then(|(blob, _)| HostKey::from_blob(blob))
        .ok_or_else(|| unreachable("it showed no host key that can be read"))?;
    policy.check(&shown, pinned).map_err(|expected| {
        let message = format!("it shows {}, and {expected} was expected", shown.fingerprint());
        Error::new(ErrorKind::HostKeyMismatch, "connect to", message)
            .with_hint("somebody else may be answering; if the guest was rebuilt, give its new key")
    })?;
    Ok(Connection { raw_session, socket, host_key: shown, env: Env::default() })
}

impl Connection {
    /// Logs in by public key only.
    pub(crate) fn authenticate(
        &self,
        user: &SshUser,
        file: &IdentityFile,
        identity: &Identity,
        watch: &Watch<'_>,
    ) -> Result<()> {
        let session = self.raw_session.session();
        let attempt = || session.userauth_pubkey_memory(user.as_str(), None, identity.expose(), None);
        until_done(&self.raw_session, &self.socket, watch, "the authentication", attempt)?.map_err(|error| {
            match error.code() {
                _ if is_refusal(&error, self.raw_session.disconnect().as_ref()) => Error::new(
                    ErrorKind::AuthenticationRefused,
                    "log in to",
                    format!("the guest's sshd refuses `{}` for user `{user}`", file.path().display()),
                )
                .with_hint(
                    "add its public key to the user's authorized keys in the guest; OpenSSH also refuses users that it does \
                     not know, and those whose login shell does not exist or cannot be executed",
                ),
                ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
                    if error.message().starts_with("Callback") =>
                {
                    file.unusable().with_source(error)
                }
                ErrorCode::Session(
                    libssh2_sys::LIBSSH2_ERROR_FILE | libssh2_sys::LIBSSH2_ERROR_METHOD_NOT_SUPPORTED,
                ) => file.unusable().with_source(error),
                _ => unreachable("the connection ended during the authentication").with_source(error),
            }
        })
    }
}

/// Returns whether an sshd refused a key. libssh2 uses one number for that and for a connection
/// that broke. Its own texts, which never come from the guest, distinguish the two. An sshd that
/// allows one attempt (`MaxAuthTries`) refuses by ending the connection.
fn is_refusal(error: &ssh2::Error, disconnect: Option<&Disconnect>) -> bool {
    /// RFC 4253, section 11.1; OpenSSH uses the first for many purposes.
    const PROTOCOL_ERROR: i32 = 2;
    const NO_MORE_METHODS: i32 = 14;
    let is_last_attempt = disconnect.is_some_and(|disconnect| match disconnect.reason {
        NO_MORE_METHODS => true,
        PROTOCOL_ERROR => disconnect.words.starts_with(b"Too many authentication failures"),
        _ => false,
    });
    match error.code() {
        ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED) => true,
        ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) => {
            is_last_attempt || error.message().starts_with("Invalid signature")
        }
        _ => is_last_attempt,
    }
}

/// Repeats an attempt until it is done, waiting for the socket in between.
fn until_done<T>(
    raw_session: &RawSession,
    socket: &TcpStream,
    watch: &Watch<'_>,
    what: &'static str,
    mut attempt: impl FnMut() -> std::result::Result<T, ssh2::Error>,
) -> Result<std::result::Result<T, ssh2::Error>> {
    loop {
        raw_session.inbox().begin_turn();
        match attempt() {
            Err(error) if error.code() == AGAIN => {}
            done => return Ok(done),
        }
        if raw_session.inbox().count() > MOST_BEFORE_LOGIN {
            return Err(unreachable(format!("{what} never ends: its sshd sends more than any needs to")));
        }
        raw_session
            .outbox()
            .flush()
            .map_err(|cause| unreachable(format!("{what} broke off")).with_source(cause))?;
        let flags =
            if raw_session.outbox().is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        watch.wait(socket, flags, what)?;
    }
}

fn key_exchange_failed(error: &ssh2::Error) -> Error {
    let ErrorCode::Session(code) = error.code() else {
        return unreachable("the key exchange failed");
    };
    match code {
        // The same number means no common algorithm, and a server that hangs up in between.
        libssh2_sys::LIBSSH2_ERROR_METHOD_NONE | libssh2_sys::LIBSSH2_ERROR_KEX_FAILURE => unreachable(format!(
            "the key exchange failed ({})",
            error.message()
        ))
        .with_hint(
            "see the log of its sshd; it must offer algorithms of rt_krun::KEY_EXCHANGES, HOST_KEY_ALGORITHMS, CIPHERS, MACS",
        ),
        _ => unreachable(format!("the key exchange failed ({})", error.message())),
    }
}
