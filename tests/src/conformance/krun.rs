//! The conformance suite through rt-krun: on which guests, as whom, and which of its cases.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rt_conformance::{Case, Fixture, Group, Need, ServedImages, Suite};
use rt_krun::{KrunLaunchExt, KrunRuntime, PodmanPortResolver, SshUser, TcpSshTransport};
use rt_podman::{ExecPath, PodmanRuntime};
use rt_protocol::{ContainerName, ContainerRuntime, ImageRef, LaunchSpecBuilder, NamePrefix, Until};
use tempfile::TempDir;

use super::two_names;
use crate::krun::{transport_to, wait_until_reachable};
use crate::live::Live;
use crate::registry::served::ServedRegistries;
use crate::sandbox::Sandbox;
use crate::ssh_lab::container::{GuestImage, published_address, wait_for_banner};
use crate::ssh_lab::key::KeyPair;
use crate::ssh_lab::loopback::{Loopback, Settings};
use crate::ssh_lab::machine::MachineFiles;
use crate::ssh_lab::{DEV, DEV_ID, GUEST_PORT, Result};

/// Connections that a case has opened are leftovers of that case until they have been idle for so
/// long. Less than the suite waits for leftovers to go; but from case to case one stays, since
/// deadlines of a second do not count on a new one in an emulated machine.
const IDLE_LIMIT: Duration = Duration::from_secs(2);

/// How long a guest may take until its sshd listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A kind of guest, and who enters it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// sshd in containers of podman's, as root: every case.
    Container,
    /// The same as a user who is not root: the cases for guests that can only exec.
    ContainerAsDev,
    /// sshd on loopback, with this machine's shell and tools, as a user who is not root: what is
    /// about commands.
    Loopback,
    /// The same as root, who has been asked everything in a container: of it what a guest that can
    /// only exec is asked.
    LoopbackAsRoot,
    /// A virtual machine, as a user who is not root: the cases for guests that can only exec.
    Machine,
}

impl Ground {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Container, Self::ContainerAsDev, Self::Loopback, Self::LoopbackAsRoot, Self::Machine];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "krun, container, root",
            Self::ContainerAsDev => "krun, container, dev",
            Self::Loopback => "krun, loopback, dev",
            Self::LoopbackAsRoot => "krun, loopback, root",
            Self::Machine => "krun, machine, dev",
        }
    }

    /// Whether the case is run here.
    pub fn wants(self, case: &Case) -> bool {
        match self {
            Self::Container => true,
            Self::ContainerAsDev | Self::Machine => case.is_core(),
            Self::Loopback => is_about_commands(case),
            Self::LoopbackAsRoot => is_about_commands(case) && case.is_core(),
        }
    }

    /// Why there are no such guests here.
    pub fn missing(self, live: &Live) -> Option<&str> {
        if self == Self::Machine { live.machine().err() } else { live.sshd().err() }
    }

    fn user(self) -> &'static str {
        match self {
            Self::Container | Self::LoopbackAsRoot => "root",
            Self::ContainerAsDev | Self::Loopback | Self::Machine => DEV,
        }
    }

    /// Makes the guests, whose commands go by this path. What it returns keeps them, and removes
    /// them when it is dropped.
    ///
    /// # Errors
    /// When something is missing or refused.
    pub fn prepare(self, live: &'static Live, path: ExecPath) -> Result<KrunSuite> {
        let keys = TempDir::new()?;
        let identity = KeyPair::generate(keys.path())?;
        let sshd = live.sshd()?;
        let podman = || live.runtime.clone();
        let mut guests = Guests { _keys: Some(keys), ..Guests::default() };
        let (transport, image, standing) = match self {
            Self::Container | Self::ContainerAsDev => {
                let image = GuestImage::import(live, sshd, &identity)?;
                let resolver = PodmanPortResolver::new(podman()).guest_port(GUEST_PORT)?;
                let transport = TcpSshTransport::builder(identity.private(), resolver);
                (transport, image.reference().clone(), None)
            }
            Self::Loopback | Self::LoopbackAsRoot => {
                let guest = Loopback::start(sshd, &identity, Settings::default())?;
                let transport = transport_to(guest.address(), identity.private());
                guests.loopback = Some(guest);
                (transport, live.image.clone(), None)
            }
            Self::Machine => {
                let files = MachineFiles::make(live, live.machine()?, sshd, &identity)?;
                let machine = Sandbox::launch(&live.runtime, files.spec(live)?)?;
                let address = published_address(machine.container.as_ref())?;
                wait_for_banner(address)?;
                let name = machine.name.clone();
                (guests.machine, guests.files) = (Some(machine), Some(files));
                (transport_to(address, identity.private()), live.image.clone(), Some(name))
            }
        };
        if self == Self::Container {
            guests.registries = ServedRegistries::start(live)?;
        }
        let transport =
            transport.user(SshUser::new(self.user())?).exec_path(path).idle_limit(IDLE_LIMIT).build();
        let runtime = KrunRuntime::on(podman(), Arc::new(transport));
        let fixture = KrunFixture {
            ground: self,
            runtime: runtime.clone(),
            prefix: NamePrefix::new(format!("rtk{}", std::process::id()))?,
            image,
            podman: live.podman.clone(),
            standing,
            identity: identity.private().to_owned(),
            lacks_cgroups: live.cgroups().err(),
            registry: guests.registries.as_ref().map(ServedRegistries::images),
        };
        // The suite borrows both; they are small, and there are few.
        let suite = Suite::new(Box::leak(Box::new(runtime)), Box::leak(Box::new(fixture)));
        Ok(KrunSuite { suite, guests })
    }
}

fn is_about_commands(case: &Case) -> bool {
    use Group::{Errors, Exec, Limits, Spawn, Stdio, Surroundings, Terminals, Timeouts};
    matches!(case.group(), Exec | Surroundings | Stdio | Spawn | Terminals | Limits | Timeouts | Errors)
}

/// The suite, and the guests that it runs on.
#[derive(Debug)]
pub struct KrunSuite {
    /// The suite. Dropped first: it removes its containers.
    pub suite: Suite<'static>,
    /// Whatever runs for it.
    pub guests: Guests,
}

/// What runs for a suite; dropping it ends and removes everything.
#[derive(Debug, Default)]
pub struct Guests {
    loopback: Option<Loopback>,
    machine: Option<Sandbox<'static>>,
    registries: Option<ServedRegistries>,
    /// The machine reads them while it lives.
    files: Option<MachineFiles>,
    _keys: Option<TempDir>,
}

/// The surroundings of a run through rt-krun.
#[derive(Debug)]
struct KrunFixture {
    podman: PathBuf,
    ground: Ground,
    runtime: KrunRuntime,
    prefix: NamePrefix,
    image: ImageRef,
    standing: Option<ContainerName>,
    identity: PathBuf,
    lacks_cgroups: Option<&'static str>,
    registry: Option<ServedImages>,
}

impl Fixture for KrunFixture {
    fn prefix(&self) -> &NamePrefix {
        &self.prefix
    }

    fn image(&self) -> &ImageRef {
        &self.image
    }

    fn standing(&self) -> Option<ContainerName> {
        self.standing.clone()
    }

    fn lacks(&self, need: Need) -> Option<String> {
        let in_container = matches!(self.ground, Ground::Container | Ground::ContainerAsDev);
        let as_dev = matches!(self.ground, Ground::ContainerAsDev | Ground::Loopback | Ground::Machine);
        let reason = match need {
            Need::LaunchFailures if in_container => {
                "sshd is started first, and becomes the command, as a guest's init does"
            }
            Need::LaunchSettings => "sshd begins each command in its user's login",
            Need::Root if as_dev => "files are written as the user of the connection",
            Need::Offline => "sshd is reached over the network",
            Need::Groups => "sshd logs a user in with the groups that the guest says",
            Need::Cgroups => return self.lacks_cgroups.map(String::from),
            _ => return None,
        };
        Some(String::from(reason))
    }

    /// A machine has none that anybody could launch with variables.
    fn image_variable(&self) -> Option<(&'static str, &'static str)> {
        (self.ground != Ground::Machine).then_some(("RT_IMAGE", "image"))
    }

    fn image_with_two_names(&self) -> Option<ImageRef> {
        two_names(&self.podman)
    }

    fn registry(&self) -> Option<ServedImages> {
        self.registry.clone()
    }

    fn user(&self) -> (&'static str, u32) {
        (DEV, DEV_ID)
    }

    fn equip(&self, spec: LaunchSpecBuilder) -> LaunchSpecBuilder {
        match self.ground {
            Ground::Container | Ground::ContainerAsDev => spec.ssh_port(GUEST_PORT),
            _ => spec,
        }
    }

    /// Commands do not wait for a guest that boots.
    fn after_start(&self, container: &ContainerName) {
        // A guest whose command has ended already is none that the case enters.
        let _ = wait_until_reachable(self.runtime.container(container).as_ref(), &Until::after(PATIENCE));
    }

    fn broken(&self) -> Option<Arc<dyn ContainerRuntime>> {
        let broken = PodmanRuntime::builder().binary("false").build().ok()?;
        let resolver = PodmanPortResolver::new(broken.clone());
        let transport = TcpSshTransport::builder(&self.identity, resolver).build();
        Some(Arc::new(KrunRuntime::on(broken, Arc::new(transport))))
    }
}
