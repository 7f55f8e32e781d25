//! What `casemate serve` needs to know about users.

use crate::pin::{Pin, Source};
use crate::value::size;
use anyhow::{Context, Result, anyhow, bail};
use casemate_nvm::ObjectStore;
use casemate_posix::daemon::PosixPlatform;
use casemate_posix::device_key::{self, DeviceKey};
use casemate_protocol::ObjectId;
use casemate_protocol::message::authentication::{Permissions, UserName};
use casemate_server::{CertificateLogin, ImportedUsers, LoadedUsers, Lockout, Server, UserPolicy};
use clap::{Args, ValueEnum};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Whether there are users, and the first of them: what the making of an object store needs to know.
#[derive(Args, Clone)]
#[command(next_help_heading = "Users")]
pub(crate) struct FirstUser {
    /// Have users. An empty object store gets an administrator first; its PIN comes from --admin-pin-file, from the
    /// environment variable CASEMATE_ADMIN_PIN, or from the terminal. There is no default PIN, and no server without
    /// administrator
    #[arg(long)]
    users: bool,
    /// The name of the administrator
    #[arg(long, value_name = "NAME", default_value = "admin", value_parser = user_name, requires = "users")]
    admin: UserName,
    /// A file with that administrator's PIN
    #[arg(long, value_name = "FILE", requires = "users")]
    admin_pin_file: Option<PathBuf>,
    /// The key that seals the users in the object store: a file of 32 bytes that only its owner can read. It is made
    /// if there are no users yet. Keep it where copies of the object store are not kept [default: the --nvm file's name
    /// with .device-key behind it]
    #[arg(long, value_name = "FILE", requires = "users")]
    device_key: Option<PathBuf>,
    /// Do not seal: whoever can write the object store's file can then make itself an administrator
    #[arg(long, requires = "users", conflicts_with = "device_key")]
    no_device_key: bool,
    /// What a PIN costs whoever guesses: iterations of PBKDF2
    #[arg(long, value_name = "COUNT", default_value = "600000", value_parser = size, requires = "users")]
    pin_iterations: u32,
    /// Shortest new PIN in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..), requires = "users")]
    minimum_pin_length: u8,
}

/// Users. With them, clients have to log in, and can do what their user may.
#[derive(Args)]
#[command(next_help_heading = "Users")]
pub(crate) struct UserOptions {
    #[command(flatten)]
    first: FirstUser,
    /// Give the administrator of --admin every right and a new PIN again, whatever became of it
    #[arg(long, requires = "users")]
    reset_admin: bool,
    /// Take over the users of an object store that wolfHSM's server has used. PINs stay valid
    #[arg(long, requires = "users")]
    import_users: bool,
    /// Failed logins after which only an administrator lets a user in again. From the sixth on each costs waiting, from
    /// 1 second to 15 minutes
    #[arg(long, value_name = "COUNT", default_value_t = Lockout::default().limit, value_parser = clap::value_parser!(u8).range(1..), requires = "users")]
    failed_logins: u8,
    /// Count an attempt to log in in the object store before the PIN is compared, so that cutting the power in between
    /// gains nothing. Each login then writes twice
    #[arg(long, requires = "users")]
    count_logins_first: bool,
    /// Let a user with a list of keys use others too, as wolfHSM does
    #[arg(long, requires = "users")]
    ignore_key_lists: bool,
    /// Whether users can log in with a certificate
    #[arg(long, value_enum, value_name = "WHEN", default_value = "off", requires = "users")]
    certificate_logins: CertificateLogins,
}

impl From<FirstUser> for UserOptions {
    /// With the defaults of what matters only while a server runs.
    fn from(first: FirstUser) -> Self {
        Self {
            first,
            reset_admin: false,
            import_users: false,
            failed_logins: Lockout::default().limit,
            count_logins_first: false,
            ignore_key_lists: false,
            certificate_logins: CertificateLogins::Off,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CertificateLogins {
    /// Never
    Off,
    /// Over TLS, with the certificate that the client has shown and proven there
    Tls,
    /// Always, as with wolfHSM: whoever has seen a user's certificate can log in with it
    Replayable,
}

/// A user's name: 1 to 31 bytes.
pub(crate) fn user_name(text: &str) -> Result<UserName, String> {
    UserName::new(text.as_bytes()).ok_or_else(|| "a user's name has 1 to 31 bytes".to_owned())
}

/// The object that a user database has before it has users.
const ATTEMPTS: ObjectId = ObjectId(0xFE3F);

impl UserOptions {
    /// What holds for users, if there are to be any.
    pub(crate) fn policy(&self) -> Option<UserPolicy> {
        self.first.users.then(|| UserPolicy {
            pin_iterations: self.first.pin_iterations,
            minimum_pin_length: self.first.minimum_pin_length,
            lockout: Lockout {
                limit: self.failed_logins,
                count_first: self.count_logins_first,
                ..Lockout::default()
            },
            key_lists: !self.ignore_key_lists,
            certificates: match self.certificate_logins {
                CertificateLogins::Off => CertificateLogin::Off,
                CertificateLogins::Tls => CertificateLogin::Proven,
                CertificateLogins::Replayable => CertificateLogin::Replayable,
            },
        })
    }

    /// The administrator's name.
    pub(crate) fn administrator(&self) -> UserName {
        self.first.admin
    }

    fn device_key_path(&self, nvm: Option<&Path>) -> Option<PathBuf> {
        self.first.device_key.clone().or_else(|| {
            let mut name = nvm?.as_os_str().to_owned();
            name.push(".device-key");
            Some(name.into())
        })
    }

    /// Reads the device key if users are on and its file is there.
    pub(crate) fn check(&self, nvm: Option<&Path>) -> Result<()> {
        let path = self.device_key_path(nvm);
        if let Some(path) = path.filter(|path| self.first.users && !self.first.no_device_key && path.exists())
        {
            device_key::load(&path)?;
        }
        Ok(())
    }

    /// The device key, and the file that was made for it if there was none. `nvm` is the object store's file, if it is in
    /// one.
    pub(crate) fn device_key(
        &self,
        nvm: Option<&Path>,
        store: &impl ObjectStore,
        log: impl Fn(&dyn Display),
    ) -> Result<(Option<DeviceKey>, Option<PathBuf>)> {
        if !self.first.users {
            return Ok((None, None));
        }
        if self.first.no_device_key {
            log(
                &"warning: users are not sealed; whoever can write the object store can become an administrator",
            );
            return Ok((None, None));
        }
        // Users in RAM end with the key that seals them.
        let Some(path) = self.device_key_path(nvm) else { return Ok((Some(device_key::generate()?), None)) };
        if path.exists() {
            return Ok((Some(device_key::load(&path)?), None));
        }
        if store.attributes(ATTEMPTS).is_ok() {
            bail!(
                "the object store holds users, but their device key {} is missing; restore it from a backup",
                path.display()
            );
        }
        log(&format_args!("making device key {}; keep a backup of it", path.display()));
        Ok((Some(device_key::create(&path)?), Some(path)))
    }

    /// Loads the users, and makes the first one.
    pub(crate) fn prepare<S: ObjectStore>(
        &self,
        server: &Server<PosixPlatform<S>>,
        log: impl Fn(&dyn Display),
    ) -> Result<()> {
        if !self.first.users {
            return Ok(());
        }
        let failed = || "the users cannot be loaded";
        let LoadedUsers { mut users, attempts_lost, original } =
            server.load_users().map_err(|error| anyhow!(error)).with_context(failed)?;
        if self.import_users {
            let ImportedUsers { users: imported, without_pin } =
                server.import_users().map_err(|error| anyhow!(error)).context("cannot take over users")?;
            log(&format_args!("took over {imported} users; {without_pin} of them need a PIN to log in"));
            users = server.user_count()?;
        } else if original {
            log(&"the object store also holds users of the original's server; see --import-users");
        }
        if attempts_lost {
            log(&"warning: the counts of failed logins are lost: every user is locked until --reset-admin");
        }
        if users == 0 || self.reset_admin {
            let pin = self.admin_pin(users == 0)?;
            server
                .provision_user(self.first.admin, &Permissions::all(), &pin)
                .map_err(|error| anyhow!(error))
                .with_context(|| format!("administrator {}", self.first.admin))?;
            log(&format_args!(
                "administrator {} has all rights and the PIN that was given",
                self.first.admin
            ));
        }
        if self.certificate_logins == CertificateLogins::Replayable {
            log(&"warning: whoever has seen the certificate of a user can log in with it");
        }
        let count = server.user_count()?;
        log(&format_args!("{count} {}", if count == 1 { "user" } else { "users" }));
        Ok(())
    }

    fn admin_pin(&self, first: bool) -> Result<Pin> {
        let question = format!("New PIN of administrator {}", self.first.admin);
        let source = Source {
            question: &question,
            file: self.first.admin_pin_file.as_deref(),
            option: "--admin-pin-file",
            variable: "CASEMATE_ADMIN_PIN",
            twice: true,
        };
        let pin = source.read();
        if first { pin.context("there are no users yet, and the first one needs a PIN") } else { pin }
    }
}
