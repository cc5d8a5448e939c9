//! The kept connections of each guest, and the limits on new ones.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use rt_podman::{PodmanContainer, Warmth};
use rt_protocol::sync::{Notify, lock};
use rt_protocol::{Container, ContainerName, Env, Error, ErrorKind, Result, Until, UntilError};

use super::connect::{self, Connection};
use super::shared_session::SessionConfig;
use super::tcp::Watch;
use super::{SessionPermit, SshSession};
use crate::ssh::auth::host_key::{HostKey, HostKeyPolicy};
use crate::ssh::auth::identity::IdentityFile;
use crate::ssh::warm::agent_place::AgentPlace;
use crate::{EndpointResolver, SshUser};

/// The most commands that share one connection. OpenSSH's `MaxSessions` is 10 channels; the other
/// two are for the channel that is opened ahead and for ending a command.
pub const CHANNELS_PER_CONNECTION: usize = 8;

/// The most connections of one user of one guest; further commands wait. They are opened one after
/// another, which stays far below OpenSSH's `MaxStartups` (10 unauthenticated connections at once).
pub const CONNECTIONS_PER_GUEST: usize = 8;

/// Chooses the host key policy for the guest of a container.
pub(crate) type ChoosePolicy = dyn Fn(&dyn Container) -> Result<HostKeyPolicy> + Send + Sync;

/// The settings for making connections.
pub(crate) struct Settings {
    pub(crate) identity: IdentityFile,
    pub(crate) resolver: Arc<dyn EndpointResolver>,
    pub(crate) policy: Arc<ChoosePolicy>,
    pub(crate) config: SessionConfig,
}

/// All connections of one transport.
pub(crate) struct Pool {
    pub(crate) settings: Arc<Settings>,
    guests: Mutex<HashMap<ContainerName, Guest>>,
    notify: Notify,
}

/// What is kept for one container.
#[derive(Debug, Default)]
struct Guest {
    /// The id of the container to which the rest belongs.
    id: Option<String>,
    /// The first host key that it showed.
    pin: Option<HostKey>,
    sessions: Vec<(SshUser, SshSession)>,
    agents: Vec<(SshUser, Arc<AgentPlace>)>,
}

/// How long closing connections waits for their threads.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

impl Pool {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings: Arc::new(settings), guests: Mutex::default(), notify: Notify::default() })
    }

    /// Returns a permit for one command: on an existing connection, otherwise on a new one,
    /// otherwise as soon as one is free.
    pub(crate) fn permit(
        self: &Arc<Self>,
        container: &Arc<dyn Container>,
        user: &SshUser,
        until: &Until,
    ) -> Result<std::result::Result<SessionPermit, UntilError>> {
        match self.notify.wait_for(until, || self.permit_now(container, user).transpose()) {
            Ok(permit) => permit.map(Ok),
            Err(stop) => Ok(Err(stop)),
        }
    }

    fn permit_now(
        self: &Arc<Self>,
        container: &Arc<dyn Container>,
        user: &SshUser,
    ) -> Result<Option<SessionPermit>> {
        let mut guests = self.lock();
        let guest = guests.entry(container.key().name.clone()).or_default();
        guest.sessions.retain(|(_, session)| !session.is_gone());
        let own = || guest.sessions.iter().filter(|(owner, _)| owner == user).map(|(_, session)| session);
        // Prefers the ready connection with the fewest commands, then one that will be ready.
        let mut order: Vec<_> =
            own().map(|session| (session.is_connecting(), session.permits(), session)).collect();
        order.sort_by_key(|(is_connecting, permits, _)| (*is_connecting, *permits));
        if let Some(permit) = order.iter().find_map(|(_, _, session)| session.permit()) {
            return Ok(Some(permit));
        }
        if own().any(SshSession::is_connecting) || own().count() >= CONNECTIONS_PER_GUEST {
            return Ok(None);
        }
        let session = self.open(container, user).map_err(|cause| {
            Error::out_of_resources("exec in", "a thread or a pipe was refused")
                .in_container(&container.key().name)
                .with_source(cause)
        })?;
        let permit = session.permit();
        guest.sessions.push((user.clone(), session));
        Ok(permit)
    }

    /// Returns the place of the agent of a user of a guest.
    pub(crate) fn agent_place(&self, name: &ContainerName, user: &SshUser) -> Arc<AgentPlace> {
        let mut guests = self.lock();
        let agents = &mut guests.entry(name.clone()).or_default().agents;
        if let Some((_, place)) = agents.iter().find(|(owner, _)| owner == user) {
            return Arc::clone(place);
        }
        let place = Arc::<AgentPlace>::default();
        agents.push((user.clone(), Arc::clone(&place)));
        place
    }

    /// Returns how commands of the user get into the guest now, if any has gone there.
    pub(crate) fn warmth(&self, name: &ContainerName, user: &SshUser) -> Option<Warmth> {
        let guests = self.lock();
        let (_, place) = guests.get(name)?.agents.iter().find(|(owner, _)| owner == user)?;
        place.warmth()
    }

    /// Starts a connection. Its thread also calls podman and the resolver, so that no caller waits
    /// for them longer than it wants.
    fn open(self: &Arc<Self>, container: &Arc<dyn Container>, user: &SshUser) -> std::io::Result<SshSession> {
        let (pool, settings) = (Arc::downgrade(self), Arc::clone(&self.settings));
        let (config, notify) = (settings.config, self.notify.clone());
        let (weak, name) = (pool.clone(), container.key().name.clone());
        let (container, user) = (Arc::clone(container), user.clone());
        let connect = move |watch: &Watch<'_>| {
            connect(&pool, &settings, container.as_ref(), &user, watch)
                .map_err(|error| error.during("exec in").in_container(&container.key().name))
        };
        SshSession::open(config, CHANNELS_PER_CONNECTION, notify, connect, move || {
            if let Some(pool) = weak.upgrade() {
                pool.drop_ended_sessions(&name);
            }
        })
    }

    /// Removes connections that have ended, since each holds a pipe. Keeps nothing for a guest
    /// without connections or a pinned key.
    fn drop_ended_sessions(&self, name: &ContainerName) {
        let mut guests = self.lock();
        let Some(guest) = guests.get_mut(name) else { return };
        guest.sessions.retain(|(_, session)| !session.is_gone());
        guest.agents.iter().for_each(|(_, place)| place.sweep());
        if guest.sessions.is_empty() && guest.id.is_none() {
            guests.remove(name);
        }
    }

    /// Records the id of the container. If it is another id than before, everything of the old
    /// container is removed. Returns the key that this container has shown before, if any.
    fn check_identity(&self, name: &ContainerName, id: &str) -> Option<HostKey> {
        let mut guests = self.lock();
        let guest = guests.entry(name.clone()).or_default();
        if guest.id.as_deref() != Some(id) {
            for (_, session) in guest.sessions.iter().filter(|(_, session)| !session.is_connecting()) {
                session.cut();
            }
            guest.id = Some(id.to_owned());
            guest.pin = None;
        }
        guest.pin.clone()
    }

    /// Keeps the first key of a container. If another key is kept already, returns that one.
    fn pin(&self, name: &ContainerName, id: &str, key: &HostKey) -> Option<HostKey> {
        let mut guests = self.lock();
        let guest = guests.get_mut(name).filter(|guest| guest.id.as_deref() == Some(id))?;
        let pinned = guest.pin.get_or_insert_with(|| key.clone());
        (pinned != key).then(|| pinned.clone())
    }

    /// Returns the first key that a container has shown.
    pub(crate) fn pinned(&self, name: &ContainerName) -> Option<HostKey> {
        self.lock().get(name)?.pin.clone()
    }

    /// Makes a separate connection up to the host key and closes it, to learn the key.
    pub(crate) fn learn_host_key(
        self: &Arc<Self>,
        container: &dyn Container,
        watch: &Watch<'_>,
    ) -> Result<HostKey> {
        let (id, connection) = identify_guest(&Arc::downgrade(self), &self.settings, container, watch)?;
        keep_first_key(&Arc::downgrade(self), container, &id, &connection)?;
        Ok(connection.host_key)
    }

    /// Closes the connections of a container; those with commands end after the commands.
    pub(crate) fn forget(&self, name: &ContainerName) {
        let sessions = self.lock().get_mut(name).map(|guest| {
            // Those of calls that are on their way are replaced when the connection ends.
            guest.agents.clear();
            std::mem::take(&mut guest.sessions)
        });
        self.close_sessions(sessions.unwrap_or_default());
    }

    /// Removes everything of a container.
    pub(crate) fn remove(&self, name: &ContainerName) {
        let sessions = self.lock().remove(name).map(|guest| guest.sessions).unwrap_or_default();
        self.close_sessions(sessions);
    }

    fn close_sessions(&self, sessions: Vec<(SshUser, SshSession)>) {
        for (_, session) in &sessions {
            session.retire();
        }
        let let_go = || sessions.iter().all(|(_, session)| session.has_ended() || session.permits() > 0);
        // Those that take longer end by themselves.
        let _ = self.notify.wait_for(&Until::after(CLOSE_WAIT), || let_go().then_some(()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerName, Guest>> {
        lock(&self.guests)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let guests = std::mem::take(&mut *self.lock());
        self.close_sessions(guests.into_values().flat_map(|guest| guest.sessions).collect());
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("guests", &*self.lock()).finish_non_exhaustive()
    }
}

/// Makes a connection on which commands can run.
fn connect(
    pool: &Weak<Pool>,
    settings: &Settings,
    container: &dyn Container,
    user: &SshUser,
    watch: &Watch<'_>,
) -> Result<Connection> {
    // First of all: with a bad identity, nothing is sent or asked.
    let identity = settings.identity.read()?;
    let (id, connection) = identify_guest(pool, settings, container, watch)?;
    connection.authenticate(user, &settings.identity, &identity, watch)?;
    keep_first_key(pool, container, &id, &connection)?;
    connection.try_login_shell(user, watch)?;
    Ok(connection)
}

/// Makes a connection to the guest of a running container, up to its host key, and returns the
/// container's id too.
fn identify_guest(
    pool: &Weak<Pool>,
    settings: &Settings,
    container: &dyn Container,
    watch: &Watch<'_>,
) -> Result<(String, Connection)> {
    let with_container = |kind, message: String, hint: &'static str| {
        Err(Error::new(kind, "connect to", message).with_hint(hint))
    };
    let until = Until::forever();
    // Reads the variables together with the id, so that they belong to this container, whichever
    // container has the name later.
    let described = match container.as_any().downcast_ref::<PodmanContainer>() {
        Some(podmans) => podmans.inspect_with_env(&until)?,
        None => container.inspect(&until)?.map(|info| (info, Env::default())),
    };
    let Some((info, env)) = described else {
        return with_container(ErrorKind::NoSuchContainer, String::new(), "create it first");
    };
    if !info.state.is_running() {
        return Err(Error::not_serving(&container.key().name, &info, "connect to", |options, until| {
            container.logs(options, until)
        }));
    }
    let Some(kept) = pool.upgrade() else {
        return with_container(
            ErrorKind::Cancelled,
            String::from("its transport is gone"),
            "keep the transport",
        );
    };
    let pinned = kept.check_identity(&container.key().name, info.id.as_str());
    drop(kept);
    let endpoint = settings.resolver.resolve(container)?;
    let policy = (settings.policy)(container)?;
    let connection = connect::open(&endpoint, &policy, pinned.as_ref(), watch)?;
    Ok((info.id.into(), Connection { env, ..connection }))
}

fn keep_first_key(
    pool: &Weak<Pool>,
    container: &dyn Container,
    id: &str,
    connection: &Connection,
) -> Result<()> {
    let other = pool.upgrade().and_then(|pool| pool.pin(&container.key().name, id, &connection.host_key));
    match other {
        None => Ok(()),
        Some(pinned) => {
            let message = format!(
                "it shows {}, and {} before",
                connection.host_key.fingerprint(),
                pinned.fingerprint()
            );
            Err(Error::new(ErrorKind::HostKeyMismatch, "connect to", message)
                .with_hint("somebody else may be answering"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TcpEndpoint, TcpSshTransport};

    #[test]
    fn a_host_key_is_remembered_for_one_container() {
        let transport =
            TcpSshTransport::builder("/no/such", |_: &dyn Container| Ok(TcpEndpoint::on_loopback(1)?))
                .build();
        let pool = &transport.context.pool;
        let name = ContainerName::new("vm").unwrap();
        let key: HostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
            .parse()
            .unwrap();
        assert_eq!(pool.check_identity(&name, "a"), None);
        assert_eq!(pool.pin(&name, "a", &key), None);
        assert_eq!(pool.check_identity(&name, "a"), Some(key));
        // Recreated by others under the same name.
        assert_eq!(pool.check_identity(&name, "b"), None);
    }
}
