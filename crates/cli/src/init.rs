//! `casemate init`.

use crate::kek;
use crate::local::{Setup, provision};
use crate::pem::certificates;
use crate::serve::NvmShape;
use crate::users::{FirstUser, UserOptions};
use crate::value::{object_number, say};
use anyhow::{Context, Result, anyhow, bail, ensure};
use casemate_nvm::ObjectStore;
use casemate_posix::flash::give_name;
use casemate_protocol::{Flags, Label, Metadata, ObjectId};
use casemate_server::Config;
use casemate_x509::Certificate;
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};

/// Set up the object store of a new server: key-encryption key, administrator, trusted roots
///
/// Makes the file that `casemate serve --nvm` runs on, or no file if anything fails. A file that exists is never touched.
/// A trusted key-encryption key can be brought into a server only so (or with `serve --trusted-key`), never by a client.
///
/// docs/key-ceremony.md goes through a ceremony from the first step to the last.
#[derive(Args)]
pub(crate) struct Init {
    /// The file to make
    #[arg(long, value_name = "FILE")]
    nvm: PathBuf,
    /// Whose the key-encryption key is, 1 to 15, or 0 for all clients; and its number, 1 to 255
    #[arg(long, value_name = "CLIENT:ID", value_parser = kek::place, requires = "kek_part")]
    kek: Option<kek::Place>,
    /// A part of the key-encryption key (`casemate key part`); give each officer's. A single one is the key itself
    #[arg(long, value_name = "FILE", requires = "kek")]
    kek_part: Vec<PathBuf>,
    /// Demand this check value of the key-encryption key
    #[arg(long, value_name = "DIGITS", requires = "kek")]
    kek_check: Option<String>,
    /// A root certificate that clients verify chains with, and its object's identifier; may be given several times
    #[arg(long = "root", value_name = "ID:FILE", value_parser = root)]
    roots: Vec<Root>,
    #[command(flatten)]
    nvm_shape: NvmShape,
    #[command(flatten)]
    users: FirstUser,
}

#[derive(Clone)]
struct Root {
    id: ObjectId,
    file: PathBuf,
}

fn root(text: &str) -> Result<Root, String> {
    let Some((id, file)) = text.split_once(':') else {
        return Err("write ID:FILE, such as 1:root.pem".to_owned());
    };
    Ok(Root { id: ObjectId(object_number(id)?), file: file.into() })
}

impl Init {
    pub(crate) fn run(&self) -> Result<()> {
        if self.nvm.symlink_metadata().is_ok() {
            bail!("{} exists, so that server is set up already; it is left as it is", self.nvm.display());
        }
        // Whatever can be wrong with the arguments is found before anything is made.
        let key = self.kek.is_some().then(|| kek::join(&self.kek_part)).transpose()?;
        let check = key.as_ref().map(|key| kek::check_value(key)).transpose()?;
        if let (Some(expected), Some(check)) = (&self.kek_check, &check) {
            ensure!(
                expected.eq_ignore_ascii_case(check),
                "the parts make a key with the check value {check}, not {expected}"
            );
        }
        let roots = self.roots.iter().map(|root| Ok((root, read_root(&root.file)?)));
        let roots = roots.collect::<Result<Vec<_>>>()?;

        let users = UserOptions::from(self.users.clone());
        let setup = Setup {
            config: Config { users: users.policy(), ..Config::default() },
            nvm_size: self.nvm_shape.nvm_size,
            nvm_objects: self.nvm_shape.nvm_objects,
            erased_byte: self.nvm_shape.nvm_erased_byte,
            checksums: self.nvm_shape.nvm_checksums,
            ..Setup::default()
        };
        let folder =
            self.nvm.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let place = tempfile::Builder::new().prefix(".casemate-init").tempdir_in(folder);
        let place = place.with_context(|| format!("cannot write in {}", folder.display()))?;
        let unfinished = place.path().join("nvm");
        let store = setup.file_store(&unfinished)?;
        let log = |event: &dyn std::fmt::Display| eprintln!("{event}");
        let (device_key, made) = users.device_key(Some(&self.nvm), &store, log)?;
        if device_key.is_some() && made.is_none() {
            log(&"using the device key that was there before");
        }
        let new_device_key = NewFile(made);
        let server = setup.server_with_key(store, device_key)?;
        users.prepare(&server, log)?;
        let kek = match (&self.kek, &key) {
            (Some(place), Some(key)) => Some(provision(&server, place.owner, place.number, key)?),
            _ => None,
        };
        for (root, certificate) in &roots {
            let metadata = Metadata {
                id: root.id,
                access: Metadata::ACCESS_ANY,
                flags: Flags::NONMODIFIABLE | Flags::NONDESTROYABLE,
                length: 0,
                label: Label::from("trusted_cert"),
            };
            let outcome = server.with_store(|store| store.add_with_reclaim(&metadata, certificate));
            let outcome = outcome.context("the object store cannot be reached")?;
            outcome.map_err(|error| anyhow!("{error}")).with_context(|| format!("root {}", root.id))?;
        }
        drop(server);
        // Unlike a rename this does not replace a file that has come meanwhile.
        let named = give_name(&unfinished, &self.nvm);
        let named = named.with_context(|| format!("cannot make {}", self.nvm.display()))?;
        ensure!(named, "{} has come meanwhile; it is left as it is", self.nvm.display());
        new_device_key.keep();
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .context("cannot make the file durable")?;

        say(format_args!("Object store        {}, {} bytes", self.nvm.display(), setup.nvm_size))?;
        match (kek, check) {
            (Some(id), Some(check)) => {
                say(format_args!("Key-encryption key  object {id}, trusted, check value {check}"))?;
            }
            _ => say("Key-encryption key  none: keys can be neither backed up nor wrapped")?,
        }
        match setup.config.users {
            Some(_) => say(format_args!("Administrator       {}", users.administrator()))?,
            None => say("Users               none: every client can use the server")?,
        }
        for (root, certificate) in &roots {
            say(format_args!("Root                object {}, {} bytes", root.id, certificate.len()))?;
        }
        Ok(())
    }
}

/// A file that is made on the way, and removed again if the way does not lead to its end.
struct NewFile(Option<PathBuf>);

impl NewFile {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// One certificate, in DER.
fn read_root(path: &Path) -> Result<Vec<u8>> {
    let certificate = certificates(path)?;
    Certificate::decode(&certificate)
        .map_err(|error| anyhow!("{}: no root certificate, or more than one: {error}", path.display()))?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_named_by_object_and_file() {
        let root = root("0x10:a:b.pem").unwrap();
        assert_eq!((root.id, root.file.to_str()), (ObjectId(16), Some("a:b.pem")));
        assert!(super::root("a.pem").is_err() && super::root("0:a.pem").is_err());
    }
}
