//! An HTTPS server whose private key is in an HSM: `https ADDRESS KEY CERTIFICATE LISTEN`, for instance
//!
//! ```text
//! cargo run -p casemate-rustls --features hsm --example https -- unix:///tmp/hsm.sock 5 web.pem 127.0.0.1:4433
//! ```
//!
//! ADDRESS is the HSM server's, KEY the number of client 12's key, CERTIFICATE a PEM file with its certificate. It answers
//! every request with one line of text, one connection at a time.

use casemate_client::Client;
use casemate_crypto::{Entropy, Error as CryptoError, Random, Software};
use casemate_posix::entropy::OsEntropy;
use casemate_posix::{ClientLink, LinkOptions, MonotonicClock, TlsFiles};
use casemate_protocol::{ClientId, Header, KeyId, MAX_DATA_LENGTH};
use casemate_rustls::{DriverSource, HsmKey, provider};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, Stream};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        OsEntropy.fill(output)
    }
}

#[derive(Debug)]
struct Here;

impl DriverSource for Here {
    type Driver = Software<SystemRandom>;

    fn driver() -> &'static Self::Driver {
        static DRIVER: Software<SystemRandom> = Software::new(SystemRandom);
        &DRIVER
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, key, certificate, listen] = arguments.as_slice() else {
        return Err("usage: https ADDRESS KEY CERTIFICATE LISTEN".into());
    };

    let packet = MAX_DATA_LENGTH + Header::SIZE;
    let timeout = Duration::from_secs(10);
    let options = LinkOptions { maximum_packet: packet, timeout, tls: TlsFiles::default() };
    let link = ClientLink::connect(address, &options)?;
    let mut client = Client::with_timeout(link, vec![0; packet], MonotonicClock::new(), timeout);
    client.init(ClientId::new(12).ok_or("a client identifier is 1 to 15")?)?;
    client.learn_limits()?;

    let key = HsmKey::<Here, _, _, _>::new(client, KeyId(key.parse()?))?;
    println!("{key:?}");
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let resolver: Arc<dyn ResolvesServerCert> =
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, Arc::new(key))));
    let config = ServerConfig::builder_with_provider(Arc::new(provider::<Here>()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    let config = Arc::new(config);
    for stream in TcpListener::bind(listen)?.incoming() {
        if let Err(error) = answer(&config, stream?) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn answer(config: &Arc<ServerConfig>, mut socket: TcpStream) -> Result<(), Box<dyn Error>> {
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut connection = ServerConnection::new(Arc::clone(config))?;
    let mut stream = BufReader::new(Stream::new(&mut connection, &mut socket));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let text = "The key of this server is in an HSM.\n";
    let stream = stream.get_mut();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len())?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
