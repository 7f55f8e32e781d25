//! `casemate user`.

use crate::connection::{Connection, Hsm, Open};
use crate::pem::certificates;
use crate::pin::{Pin, Source};
use crate::users::user_name;
use crate::value::{print, say, word};
use anyhow::{Context, Result, anyhow, bail};
use casemate_client::authentication::{Credential, Permissions, UserId, UserName};
use casemate_protocol::{Group, Kind};
use clap::{Args, Subcommand};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Manage a server's users
///
/// Users log in with --user and a PIN, on every command. What they may do is said for each message group, and for each
/// action in it. Administrators add and remove users; the server never lets the last of them go.
#[derive(Args)]
pub(crate) struct User {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum Action {
    /// Add a user
    Add {
        /// Its name: 1 to 31 bytes
        #[arg(value_parser = user_name)]
        name: UserName,
        #[command(flatten)]
        rights: Rights,
        /// Without a PIN: the user cannot log in until it gets one
        #[arg(long, conflicts_with = "new_pin_file")]
        no_pin: bool,
        /// With a certificate instead of a PIN: that of an authority whose certificates let the user in, or the user's own
        #[arg(long, value_name = "FILE", conflicts_with_all = ["no_pin", "new_pin_file"])]
        certificate: Option<PathBuf>,
        #[command(flatten)]
        new_pin: NewPin,
    },
    /// Show what users may do
    ///
    /// Shows users by name, or the one who is logged in. The protocol has no message that lists all of them.
    List {
        /// Their names
        #[arg(value_name = "NAME", value_parser = user_name)]
        names: Vec<UserName>,
    },
    /// Remove a user
    Delete {
        /// Its name
        #[arg(value_parser = user_name)]
        name: UserName,
    },
    /// Change what a user may do, and show it
    Permissions {
        /// Its name
        #[arg(value_parser = user_name)]
        name: UserName,
        #[command(flatten)]
        rights: Rights,
        /// Begin with nothing allowed, instead of what the user may do now
        #[arg(long)]
        only: bool,
    },
    /// Set a user's PIN
    ///
    /// The present PIN is needed too, also by an administrator. One's own is the one that was used to log in.
    Pin {
        /// Its name; oneself if none is given
        #[arg(value_parser = user_name)]
        name: Option<UserName>,
        /// A file with the user's present PIN; otherwise from the environment variable CASEMATE_CURRENT_PIN, or asked
        /// for
        #[arg(long, value_name = "FILE")]
        current_pin_file: Option<PathBuf>,
        /// The user has no PIN yet
        #[arg(long, conflicts_with = "current_pin_file")]
        no_current_pin: bool,
        /// Remove the PIN: the user cannot log in any more
        #[arg(long, conflicts_with = "new_pin_file")]
        remove: bool,
        #[command(flatten)]
        new_pin: NewPin,
    },
    /// Set the certificate that a user logs in with
    ///
    /// It takes the place of the present PIN or certificate, which is needed too.
    Certificate {
        /// The user's name
        #[arg(value_parser = user_name)]
        name: UserName,
        /// The new certificate
        file: PathBuf,
        /// A file with the user's present certificate
        #[arg(long, value_name = "FILE", conflicts_with_all = ["current_pin_file", "no_current"])]
        current_certificate: Option<PathBuf>,
        /// A file with the user's present PIN; otherwise from the environment variable CASEMATE_CURRENT_PIN, or asked
        /// for
        #[arg(long, value_name = "FILE")]
        current_pin_file: Option<PathBuf>,
        /// The user has neither yet
        #[arg(long, conflicts_with = "current_pin_file")]
        no_current: bool,
    },
    /// Let a user in again that was locked after failed logins
    Unlock {
        /// Its name
        #[arg(value_parser = user_name)]
        name: UserName,
    },
    /// End all sessions of a user
    Logout {
        /// Its name
        #[arg(value_parser = user_name)]
        name: UserName,
    },
}

/// Permissions, as changes to those that are there.
#[derive(Args)]
struct Rights {
    /// Make it an administrator with every right
    #[arg(long)]
    admin: bool,
    /// Make it no administrator
    #[arg(long, conflicts_with = "admin")]
    no_admin: bool,
    /// Allow messages: `GROUP`, `GROUP:ACTION,FIRST-LAST,...` or `all`. Groups are comm, nvm, key, crypto, she, counter,
    /// custom, crypto-dma, cert and auth; actions are numbers. May be given several times
    #[arg(long, value_name = "MESSAGES", value_parser = messages)]
    allow: Vec<Messages>,
    /// Forbid messages, after what --allow allows
    #[arg(long, value_name = "MESSAGES", value_parser = messages)]
    deny: Vec<Messages>,
    /// Allow this key only: 1 to 255 (plus 0x100 for a global key) of the client that the session is for, or an
    /// identifier with type and owner, such as 0x1c05. May be given twice
    #[arg(long = "key", value_name = "ID", value_parser = word)]
    keys: Vec<u16>,
    /// Allow every key
    #[arg(long, conflicts_with = "keys")]
    every_key: bool,
}

/// Where a new PIN comes from.
#[derive(Args)]
struct NewPin {
    /// A file with the new PIN; otherwise from the environment variable CASEMATE_NEW_PIN, or asked for
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
}

impl NewPin {
    fn read(&self, name: &UserName) -> Result<Pin> {
        let pin = Source {
            question: &format!("New PIN of {name}"),
            file: self.new_pin_file.as_deref(),
            option: "--new-pin-file",
            variable: "CASEMATE_NEW_PIN",
            twice: true,
        }
        .read()?;
        if pin.is_empty() {
            bail!("the new PIN is empty");
        }
        Ok(pin)
    }
}

/// The groups that can be permitted, by name.
const GROUPS: [(&str, Group); 10] = [
    ("comm", Group::COMM),
    ("nvm", Group::NVM),
    ("key", Group::KEY),
    ("crypto", Group::CRYPTO),
    ("she", Group::SHE),
    ("counter", Group::COUNTER),
    ("custom", Group::CUSTOM),
    ("crypto-dma", Group::CRYPTO_DMA),
    ("cert", Group::CERT),
    ("auth", Group::AUTH),
];

/// Some messages.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Messages {
    All,
    Group(Group),
    Actions(Group, Vec<(u8, u8)>),
}

fn messages(text: &str) -> Result<Messages, String> {
    if text == "all" {
        return Ok(Messages::All);
    }
    let (name, actions) = text.split_once(':').map_or((text, None), |(name, actions)| (name, Some(actions)));
    let Some((_, group)) = GROUPS.iter().find(|(group, _)| *group == name) else {
        let names: Vec<_> = GROUPS.iter().map(|(name, _)| *name).collect();
        return Err(format!("`{name}` is no group; there are {}, and all", names.join(", ")));
    };
    let Some(actions) = actions else { return Ok(Messages::Group(*group)) };
    let number = |text: &str| {
        word(text)
            .ok()
            .and_then(|number| u8::try_from(number).ok())
            .ok_or_else(|| format!("`{text}` is no action; write numbers from 0 to 255, such as 4,7-9"))
    };
    let ranges = actions.split(',').map(|part| match part.split_once('-') {
        Some((first, last)) => Ok((number(first)?, number(last)?)),
        None => number(part).map(|action| (action, action)),
    });
    Ok(Messages::Actions(*group, ranges.collect::<Result<_, String>>()?))
}

impl Messages {
    fn apply(&self, permissions: &mut Permissions, allowed: bool) {
        match self {
            Self::All => GROUPS.iter().for_each(|(_, group)| permissions.set_group(*group, allowed)),
            Self::Group(group) => permissions.set_group(*group, allowed),
            Self::Actions(group, ranges) => {
                for action in ranges.iter().flat_map(|&(first, last)| first..=last) {
                    permissions.set_action(Kind::new(*group, action), allowed);
                }
            }
        }
    }
}

impl Rights {
    fn apply(&self, mut permissions: Permissions) -> Result<Permissions> {
        if self.admin {
            permissions.set_administrator(true);
            Messages::All.apply(&mut permissions, true);
        }
        if self.no_admin {
            permissions.set_administrator(false);
        }
        self.allow.iter().for_each(|messages| messages.apply(&mut permissions, true));
        self.deny.iter().for_each(|messages| messages.apply(&mut permissions, false));
        let keys: Vec<u32> = self.keys.iter().copied().map(u32::from).collect();
        if (self.every_key || !keys.is_empty()) && !permissions.set_keys(&keys) {
            bail!("a user can have a list of two keys at most");
        }
        Ok(permissions)
    }
}

/// What a user may do, as lines.
fn describe(name: &UserName, id: UserId, permissions: &Permissions) -> String {
    let role = if permissions.is_administrator() { ", administrator" } else { "" };
    let mut text = format!("{name}: user {id}{role}\n");
    for (group_name, group) in GROUPS {
        if !permissions.has_group(group) {
            continue;
        }
        let actions =
            ranges(&(0..=u8::MAX).map(|a| permissions.has_action(Kind::new(group, a))).collect::<Vec<_>>());
        // Writing to a string cannot fail.
        let _ = match actions.as_str() {
            "" => Ok(()),
            "0-255" => writeln!(text, "  {group_name}"),
            actions => writeln!(text, "  {group_name}:{actions}"),
        };
    }
    let (keys, count) = permissions.key_list();
    for key in keys.iter().take(count) {
        let _ = writeln!(text, "  key {key:#x}");
    }
    if count == 0 {
        text.push_str("  every key\n");
    }
    text
}

/// Where `set` is true, as `1,4-7`.
fn ranges(set: &[bool]) -> String {
    let mut parts = Vec::new();
    let mut index = 0;
    for run in set.chunk_by(|one, other| one == other) {
        let last = index + run.len() - 1;
        match run {
            [false, ..] => {}
            [_] => parts.push(index.to_string()),
            _ => parts.push(format!("{index}-{last}")),
        }
        index = last + 1;
    }
    parts.join(",")
}

fn present_pin(name: &UserName, file: Option<&Path>) -> Result<Pin> {
    Source {
        question: &format!("Present PIN of {name}"),
        file,
        option: "--current-pin-file",
        variable: "CASEMATE_CURRENT_PIN",
        twice: false,
    }
    .read()
}

fn get(hsm: &mut Hsm, name: UserName) -> Result<(UserId, Permissions)> {
    hsm.user_get(name).map_err(|error| anyhow!(error)).with_context(|| format!("user {name}"))
}

impl User {
    pub(crate) fn run(&self) -> Result<()> {
        // Whoever has to type something types it before the connection is open.
        match &self.action {
            Action::Add { name, rights, no_pin, certificate, new_pin } => {
                let permissions = rights.apply(Permissions::NONE)?;
                let certificate = certificate.as_deref().map(certificates).transpose()?;
                let pin = if *no_pin || certificate.is_some() { None } else { Some(new_pin.read(name)?) };
                let mut hsm = self.open()?;
                let credential = match (&pin, &certificate) {
                    (Some(pin), _) => Some(Credential::Pin(pin)),
                    (None, certificate) => certificate.as_deref().map(Credential::Certificate),
                };
                let id = hsm
                    .user_add(*name, &permissions, credential)
                    .map_err(|error| anyhow!(error))
                    .with_context(|| format!("user {name}"))?;
                hsm.close()?;
                say(format_args!("{name} is user {id}"))
            }
            Action::List { names } => {
                let own = self.connection.user.into_iter();
                let names: Vec<_> = if names.is_empty() { own.collect() } else { names.clone() };
                let mut hsm = self.open()?;
                let mut text = String::new();
                for name in names {
                    let (id, permissions) = get(&mut hsm, name)?;
                    text.push_str(&describe(&name, id, &permissions));
                }
                hsm.close()?;
                print(text)
            }
            Action::Delete { name } => self.on(*name, |hsm, id, _| Ok(hsm.user_delete(id)?)),
            Action::Permissions { name, rights, only } => {
                let mut hsm = self.open()?;
                let (id, present) = get(&mut hsm, *name)?;
                let permissions = rights.apply(if *only { Permissions::NONE } else { present })?;
                hsm.user_set_permissions(id, &permissions)
                    .map_err(|error| anyhow!(error))
                    .with_context(|| format!("user {name}"))?;
                hsm.close()?;
                print(describe(name, id, &permissions))
            }
            Action::Pin { name, current_pin_file, no_current_pin, remove, new_pin } => {
                let own = self.connection.user;
                let Some(name) = name.or(own) else { bail!("log in with --user to set a PIN") };
                let current = if *no_current_pin {
                    Pin::default()
                } else if Some(name) == own && current_pin_file.is_none() {
                    self.connection.pin()?
                } else {
                    present_pin(&name, current_pin_file.as_deref())?
                };
                let new = if *remove { Pin::default() } else { new_pin.read(&name)? };
                self.on(name, |hsm, id, _| {
                    Ok(hsm.user_set_credential(id, &current, Credential::Pin(&new))?)
                })
            }
            Action::Certificate { name, file, current_certificate, current_pin_file, no_current } => {
                let new = certificates(file)?;
                let current = match current_certificate {
                    Some(file) => Pin::new(certificates(file)?),
                    None if *no_current => Pin::default(),
                    None => present_pin(name, current_pin_file.as_deref())?,
                };
                self.on(*name, |hsm, id, _| {
                    Ok(hsm.user_set_credential(id, &current, Credential::Certificate(&new))?)
                })
            }
            // Setting the same permissions again forgets the failed logins.
            Action::Unlock { name } => {
                self.on(*name, |hsm, id, permissions| Ok(hsm.user_set_permissions(id, permissions)?))
            }
            Action::Logout { name } => self.on(*name, |hsm, id, _| Ok(hsm.logout(id)?)),
        }
    }

    fn open(&self) -> Result<Open> {
        if self.connection.user.is_none() {
            bail!("log in with --user NAME to manage users");
        }
        self.connection.open()
    }

    /// Does something with one user.
    fn on(
        &self,
        name: UserName,
        work: impl FnOnce(&mut Hsm, UserId, &Permissions) -> Result<()>,
    ) -> Result<()> {
        let mut hsm = self.open()?;
        let (id, permissions) = get(&mut hsm, name)?;
        work(&mut hsm, id, &permissions).with_context(|| format!("user {name}"))?;
        hsm.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_named_by_group_and_action() {
        assert_eq!(messages("all"), Ok(Messages::All));
        assert_eq!(messages("she"), Ok(Messages::Group(Group::SHE)));
        assert_eq!(messages("nvm:4,0x7-9"), Ok(Messages::Actions(Group::NVM, vec![(4, 4), (7, 9)])));
        assert!(messages("nvm:256").is_err() && messages("nvm:").is_err());
        assert!(messages("nwm").unwrap_err().contains("crypto-dma"));
    }

    #[test]
    fn permissions_are_shown_as_they_are_written() {
        let rights = |allow: &[&str], deny: &[&str], keys: &[u16]| Rights {
            admin: false,
            no_admin: false,
            allow: allow.iter().map(|text| messages(text).unwrap()).collect(),
            deny: deny.iter().map(|text| messages(text).unwrap()).collect(),
            keys: keys.to_vec(),
            every_key: false,
        };
        let name = UserName::new(b"x").unwrap();
        let permissions = rights(&["crypto", "nvm:1-8", "key"], &["nvm:4,7", "key"], &[0x1C05])
            .apply(Permissions::NONE)
            .unwrap();
        let shown = "x: user 2\n  nvm:1-3,5-6,8\n  crypto\n  key 0x1c05\n";
        assert_eq!(describe(&name, UserId(2), &permissions), shown);
        assert!(rights(&[], &[], &[1, 2, 3]).apply(Permissions::NONE).is_err());
        let administrator = Rights { admin: true, ..rights(&[], &[], &[]) };
        let permissions = administrator.apply(Permissions::NONE).unwrap();
        assert!(describe(&name, UserId(1), &permissions).starts_with("x: user 1, administrator\n  comm\n"));
        assert!(permissions.allows(Kind::new(Group::AUTH, 5)));
    }
}
