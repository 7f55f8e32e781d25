//! Which servers the slots are: a configuration file, or environment variables.

use casemate_client::authentication::UserName;
use casemate_posix::TlsFiles;
use casemate_protocol::ClientId;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fmt, fs, io};

/// A server as a function: from the request packet and the space for the response to the response's length; `None` ends
/// the connection.
pub type Handler = Box<dyn FnMut(&[u8], &mut [u8]) -> Option<usize> + Send>;

/// What makes connections to a server in the same process; `None` while there is no server.
pub type Connector = Arc<dyn Fn() -> Option<Handler> + Send + Sync>;

/// Where the server of a slot is.
#[derive(Clone)]
pub enum Target {
    /// At an address.
    Address {
        /// As [`ClientLink::connect`](casemate_posix::ClientLink::connect) takes it.
        server: String,
        /// The files for addresses that begin with `tls://`.
        tls: TlsFiles,
    },
    /// In the same process, for tests.
    Local(Connector),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { server, .. } => f.write_str(server),
            Self::Local(_) => f.write_str("in this process"),
        }
    }
}

/// One slot: a server, and who to be there.
#[derive(Debug, Clone)]
pub struct SlotOptions {
    /// The server.
    pub target: Target,
    /// The token's label; without, the one that `C_InitToken` stored, or `Casemate`.
    pub label: Option<String>,
    /// The client identifier to which the token's keys belong.
    pub client: ClientId,
    /// Who logs in as `CKU_USER` on a server with users.
    pub user: UserName,
    /// Who logs in as `CKU_SO` on a server with users.
    pub officer: UserName,
    /// How long to wait for a connection and for each response.
    pub timeout: Duration,
}

impl SlotOptions {
    /// Options with the usual values: client 12, users `user` and `admin`, 10 seconds.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            label: None,
            client: ClientId::new(DEFAULT_CLIENT).unwrap_or(ClientId::NONE),
            user: name("user").unwrap_or_default(),
            officer: name("admin").unwrap_or_default(),
            timeout: Duration::from_secs(DEFAULT_TIMEOUT),
        }
    }
}

const DEFAULT_CLIENT: u32 = 12;
const DEFAULT_TIMEOUT: u64 = 10;
const DEFAULT_SERVER: &str = "127.0.0.1:23456";
const SYSTEM_FILE: &str = "/etc/casemate/pkcs11.toml";

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// The file is not as it should be.
    Parse(PathBuf, toml::de::Error),
    /// A value cannot be used: where it stands, and why.
    Value(String, &'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Parse(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Value(place, reason) => write!(f, "{place}: {reason}"),
        }
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    slot: Vec<Slot>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Slot {
    server: Option<String>,
    label: Option<String>,
    client: Option<u32>,
    user: Option<String>,
    security_officer: Option<String>,
    timeout: Option<u64>,
    tls_trust: Option<PathBuf>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_server_name: Option<String>,
}

fn name(text: &str) -> Option<UserName> {
    UserName::new(text.as_bytes())
}

impl Slot {
    fn options(self, place: &str) -> Result<SlotOptions, ConfigError> {
        let wrong = |what: &str, reason| ConfigError::Value(format!("{place}, {what}"), reason);
        let user = |text: Option<String>, what, default: UserName| match text {
            None => Ok(default),
            Some(text) => name(&text).ok_or_else(|| wrong(what, "a user's name has 1 to 31 bytes")),
        };
        let server = self.server.unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let tls = TlsFiles {
            trust: self.tls_trust,
            certificate: self.tls_certificate,
            key: self.tls_key,
            server_name: self.tls_server_name,
            ..TlsFiles::default()
        };
        let usual = SlotOptions::new(Target::Address { server, tls });
        if self.label.as_ref().is_some_and(|label| label.len() > 32) {
            return Err(wrong("label", "a token's label has at most 32 bytes"));
        }
        let client = ClientId::new(self.client.unwrap_or(DEFAULT_CLIENT))
            .ok_or_else(|| wrong("client", "a client identifier is 1 to 15"))?;
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        if timeout == 0 {
            return Err(wrong("timeout", "0 seconds are too few for any response"));
        }
        Ok(SlotOptions {
            label: self.label,
            client,
            user: user(self.user, "user", usual.user)?,
            officer: user(self.security_officer, "security-officer", usual.officer)?,
            timeout: Duration::from_secs(timeout),
            ..usual
        })
    }

    fn from_environment() -> Result<Self, ConfigError> {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let number = |name: &str| {
            text(name)
                .map(|value| value.parse().map_err(|_| ConfigError::Value(name.to_owned(), "write a number")))
                .transpose()
        };
        Ok(Self {
            server: text("CASEMATE_SERVER"),
            label: text("CASEMATE_TOKEN_LABEL"),
            client: number("CASEMATE_CLIENT")?,
            user: text("CASEMATE_USER"),
            tls_trust: text("CASEMATE_TLS_TRUST").map(PathBuf::from),
            tls_certificate: text("CASEMATE_TLS_CERTIFICATE").map(PathBuf::from),
            tls_key: text("CASEMATE_TLS_KEY").map(PathBuf::from),
            ..Self::default()
        })
    }
}

/// The slots that a configuration file describes.
///
/// # Errors
/// [`ConfigError`] says where the file is wrong.
pub fn read(path: &Path) -> Result<Vec<SlotOptions>, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.to_owned(), error))?;
    let file: File = toml::from_str(&text).map_err(|error| ConfigError::Parse(path.to_owned(), error))?;
    file.slot
        .into_iter()
        .enumerate()
        .map(|(index, slot)| slot.options(&format!("{}, slot {index}", path.display())))
        .collect()
}

/// The slots: of the file that `CASEMATE_PKCS11_CONFIG` names; else the server of `CASEMATE_SERVER`; else of the file in
/// the user's or the system's configuration directory; else the address at which `casemate serve` listens by itself.
///
/// # Errors
/// [`ConfigError`]. A file in a usual place need not exist.
pub fn slots() -> Result<Vec<SlotOptions>, ConfigError> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = set("CASEMATE_PKCS11_CONFIG") {
        return read(Path::new(&path));
    }
    if set("CASEMATE_SERVER").is_none() {
        let own = set("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".config")))
            .map(|directory| directory.join("casemate/pkcs11.toml"));
        for path in own.into_iter().chain([PathBuf::from(SYSTEM_FILE)]) {
            match read(&path) {
                Err(ConfigError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => return outcome,
            }
        }
    }
    Ok(vec![Slot::from_environment()?.options("the environment")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<SlotOptions>, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        file.slot.into_iter().map(|slot| slot.options("test").map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn a_file_describes_slots_in_order() {
        let slots = parse(
            "[[slot]]\nserver = \"unix:///run/casemate.sock\"\nlabel = \"one\"\n\
             [[slot]]\nserver = \"tls://host:1\"\nclient = 3\nuser = \"worker\"\ntls-trust = \"ca.pem\"\ntimeout = 2",
        )
        .unwrap();
        assert_eq!(slots.len(), 2);
        assert_eq!(slots[0].label.as_deref(), Some("one"));
        assert_eq!(slots[0].client.get(), 12);
        assert_eq!(slots[1].client.get(), 3);
        assert_eq!(slots[1].user, name("worker").unwrap());
        assert_eq!(slots[1].timeout, Duration::from_secs(2));
        assert!(matches!(&slots[1].target, Target::Address { server, .. } if server == "tls://host:1"));
    }

    #[test]
    fn wrong_values_are_named() {
        for (text, word) in [
            ("[[slot]]\nsever = \"x\"", "sever"),
            ("[[slot]]\nclient = 16", "client"),
            ("[[slot]]\ntimeout = 0", "timeout"),
            ("[[slot]]\nlabel = \"123456789012345678901234567890123\"", "label"),
            ("[[slot]]\nuser = \"12345678901234567890123456789012345\"", "user"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }
}
