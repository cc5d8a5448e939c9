//! Registries of images on loopback: a real one (Debian's docker-registry), and in `stub` one that
//! answers what a test says; `served` has what the conformance suite pulls.

pub mod served;
pub mod stub;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use rt_process::{LineStream, ProcessSpec, Program};
use rt_protocol::{ImageRef, Until};
use tempfile::TempDir;

use crate::live::Live;
use crate::ssh_lab::Result;

/// The program.
const PROGRAM: &str = "docker-registry";

/// The user whom a registry with [`Access::Password`] lets in.
pub const USER: &str = "rt";

/// This user's password.
pub const PASSWORD: &str = "correct horse";

/// What a registry keeps of the password: bcrypt, which the registry takes alone.
const PASSWORD_HASH: &str = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";

/// Whom a registry lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Who says user and password.
    Password,
}

/// A registry without TLS, on a port of 127.0.0.1. Dropping the registry stops its server and
/// removes its images.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    _process: LineStream,
    directory: TempDir,
}

impl Registry {
    /// Whether there is one to start.
    ///
    /// # Errors
    /// Why not.
    pub fn installed() -> std::result::Result<(), String> {
        Program::find(PROGRAM).map(drop).map_err(|_| format!("{PROGRAM} is not installed"))
    }

    /// Starts an empty one.
    ///
    /// # Errors
    /// When it does not come up, with its own words.
    pub fn start(access: Access) -> Result<Self> {
        let directory = TempDir::new()?;
        let place = |name: &str| directory.path().join(name);
        let (settings, log) = (place("config.yml"), place("log"));
        let mut text = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:0', secret: rt}}\n",
            place("data").display()
        );
        if access == Access::Password {
            let users = place("users");
            fs::write(&users, format!("{USER}:{PASSWORD_HASH}\n"))?;
            writeln!(text, "auth: {{htpasswd: {{realm: rt, path: {}}}}}", users.display())?;
        }
        fs::write(&settings, text)?;
        // Its log goes to a file, since nobody reads along. A test that is killed takes it along.
        let spec = ProcessSpec::new(&Program::find("setpriv")?)
            .args(["--pdeathsig=KILL", "sh", "-c", r#"exec "$0" serve "$1" >"$2" 2>&1"#, PROGRAM])
            .args([&settings, &log]);
        let process = LineStream::spawn(&spec, 4096)?;
        let patience = Until::after(Duration::from_secs(60));
        loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let port = said.split("listening on ").nth(1).and_then(|rest| rest.split_once('"'));
            if let Some((address, _)) = port {
                return Ok(Self { address: address.parse()?, _process: process, directory });
            }
            if patience.sleep(Duration::from_millis(10)).is_err() {
                return Err(format!("{PROGRAM} does not come up: {said}").into());
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts an image into it under this name, by plain podman.
    ///
    /// # Errors
    /// podman's own words.
    pub fn push(&self, live: &Live, image: &ImageRef, name: &str) -> Result<()> {
        let auth = format!("--authfile={}", self.auth_file(PASSWORD)?.display());
        let target = format!("docker://{}/{name}", self.address);
        live.plain(&["push", "-q", "--tls-verify=false", &auth, image.as_str(), &target])?;
        Ok(())
    }

    /// A file that says the user with this password to the registry, as `podman login` writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn auth_file(&self, password: &str) -> Result<PathBuf> {
        let path = self.directory.path().join("auth.json");
        let auth = Base64::encode_string(format!("{USER}:{password}").as_bytes());
        fs::write(&path, format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, self.address))?;
        Ok(path)
    }
}
