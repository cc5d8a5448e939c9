//! A registry that answers what a test says.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use rt_protocol::ErrorKind;

/// A registry without TLS that answers what it is told. Dropping it ends it.
#[derive(Debug)]
pub struct StubRegistry {
    address: SocketAddr,
}

/// What a registry answers to a ping and to the question for a manifest, and the kind of error that
/// this is.
pub const ANSWERS: [(&str, &str, ErrorKind); 8] = [
    ("401", "401", ErrorKind::RegistryDenied),
    ("403", "403", ErrorKind::RegistryDenied),
    ("200", "401", ErrorKind::RegistryDenied),
    ("200", "403", ErrorKind::RegistryDenied),
    ("200", "404", ErrorKind::NoSuchImage),
    ("500", "500", ErrorKind::RegistryUnreachable),
    ("200", "500", ErrorKind::RegistryUnreachable),
    ("503", "503", ErrorKind::RegistryUnreachable),
];

const EMPTY: &str = "Content-Length: 0\r\nConnection: close\r\n\r\n";

impl StubRegistry {
    /// Starts one that answers with these codes and without a body.
    ///
    /// # Errors
    /// As for [`serve`](Self::serve).
    pub fn answering(ping: &'static str, manifest: &'static str) -> Result<Self, io::Error> {
        Self::serve(move |path| format!("{} x\r\n{EMPTY}", if path == "/v2/" { ping } else { manifest }))
    }

    /// Starts one whose manifests end before their end.
    ///
    /// # Errors
    /// As for [`serve`](Self::serve).
    pub fn cutting_manifests() -> Result<Self, io::Error> {
        Self::serve(|path| {
            let length = if path == "/v2/" { 0 } else { 1000 };
            format!("200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
        })
    }

    /// Starts one that answers `say` of a path: an HTTP answer without its version.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn serve(say: impl Fn(&str) -> String + Send + 'static) -> Result<Self, io::Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let Ok(reader) = stream.try_clone() else { return };
                let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
                // TLS is tried first; what it says is no request.
                let Some(request) = lines.next() else { continue };
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                if path == "/stop" {
                    return;
                }
                if request.starts_with("GET") || request.starts_with("HEAD") {
                    let _ = lines.find(String::is_empty);
                    let _ = write!(stream, "HTTP/1.1 {}", say(&path));
                }
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Its thread ends with it, as every case leaves no thread behind.
impl Drop for StubRegistry {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.write_all(b"GET /stop HTTP/1.1\r\n\r\n");
        }
    }
}
