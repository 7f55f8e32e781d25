//! One key out of its blob, and into a server.

use crate::connection::Hsm;
use anyhow::{Context, Result, bail, ensure};
use casemate_client::{Error, NewKey};
use casemate_posix::LinkError;
use casemate_protocol::{ClientId, Flags, KeyId, ObjectId, ObjectType, Status};
use zeroize::Zeroizing;

/// A key in the clear, with what its blob says about it.
pub(crate) struct Opened {
    pub(crate) new: NewKey,
    key: Zeroizing<Vec<u8>>,
}

/// What a failure of a wrap operation means for its key-encryption key.
pub(super) fn kek_error(kek: KeyId, error: Error<LinkError>) -> anyhow::Error {
    let advice = match error.status() {
        Some(Status::NOT_FOUND) => format!("there is no key-encryption key {kek}"),
        Some(Status::USAGE) => format!("key {kek} may not wrap keys: it has not the usage wrap"),
        Some(Status::ACCESS) => format!(
            "key {kek} is not trusted, and servers give keys away only under a trusted one: see `casemate init --kek` \
             and `casemate serve --trusted-key`"
        ),
        Some(Status::CRYPTO_ARGUMENT) => format!("key {kek} is no AES key"),
        _ => format!("key-encryption key {kek}"),
    };
    anyhow::Error::new(error).context(advice)
}

/// Opens a blob (document 03, §7.1) of a key of `client`, or of a global one.
pub(crate) fn open_blob(hsm: &mut Hsm, kek: KeyId, blob: &[u8], client: ClientId) -> Result<Opened> {
    let mut key = Zeroizing::new(vec![0; blob.len()]);
    let (length, metadata) = match hsm.key_unwrap_export(kek, blob, &mut key) {
        Ok(read) => read,
        Err(error) => {
            let advice = match error.status() {
                Some(Status::AES_GCM_AUTHENTICATION) => {
                    format!("the blob was not made under key-encryption key {kek}, or was changed")
                }
                Some(Status::ACCESS) => {
                    "the key in the blob is another client's, or nonexportable".to_owned()
                }
                _ => return Err(kek_error(kek, error)),
            };
            return Err(anyhow::Error::new(error).context(advice));
        }
    };
    key.truncate(length);
    let owner = metadata.id.owner();
    ensure!(
        metadata.id.object_type() == ObjectType::WRAPPED
            && metadata.id.number() != 0
            && (owner == client || owner == ClientId::NONE)
            && usize::from(metadata.length) == key.len(),
        "what the blob says about its key makes no sense"
    );
    let global = if owner == ClientId::NONE { KeyId::GLOBAL } else { 0 };
    let id = KeyId(u16::from(metadata.id.number()) | global);
    Ok(Opened { new: NewKey { id, flags: metadata.flags, label: metadata.label }, key })
}

/// What storing a key came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stored {
    New,
    /// The same key, with the same flags and label, was there.
    Same,
    /// The same key with the same label was there; the server does not tell its flags.
    SameButFlags,
    /// Another key was there, and is gone.
    Replaced,
}

/// What has a key's number already.
enum Present {
    Nothing,
    Same,
    SameButFlags,
    Other(&'static str),
}

impl Opened {
    /// The key with another number, and with the flags that `change` makes of its own.
    pub(crate) fn changed(mut self, id: KeyId, change: impl FnOnce(Flags) -> Flags) -> Self {
        self.new.id = id;
        self.new.flags = change(self.new.flags);
        self
    }

    /// A key that was read from the server.
    pub(crate) fn exported(new: NewKey, key: Zeroizing<Vec<u8>>) -> Self {
        Self { new, key }
    }
}

/// Stores a key, or finds out what storing it would do.
pub(crate) fn store(
    hsm: &mut Hsm,
    client: ClientId,
    opened: &Opened,
    replace: bool,
    dry_run: bool,
) -> Result<Stored> {
    let stored = match present(hsm, client, opened)? {
        Present::Same => {
            commit_cached(hsm, opened.new.id, dry_run)?;
            return Ok(Stored::Same);
        }
        Present::SameButFlags if !replace => {
            commit_cached(hsm, opened.new.id, dry_run)?;
            return Ok(Stored::SameButFlags);
        }
        Present::Nothing => Stored::New,
        Present::SameButFlags => Stored::Replaced,
        Present::Other(what) if !replace => bail!("{what} has this number; --replace replaces it"),
        Present::Other(_) => Stored::Replaced,
    };
    if !dry_run {
        put(hsm, &opened.new, &opened.key)?;
    }
    Ok(stored)
}

/// Stores a key that is there, perhaps in the cache only. One that is not in the cache is stored.
fn commit_cached(hsm: &mut Hsm, id: KeyId, dry_run: bool) -> Result<()> {
    if dry_run {
        return Ok(());
    }
    match hsm.key_commit(id) {
        Err(error) if error.status() != Some(Status::NOT_FOUND) => {
            Err(error).context("it is in the server's cache, but the server could not store it")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Caches a key and commits it. If it cannot be committed, it is not left in the cache either.
pub(crate) fn put(hsm: &mut Hsm, new: &NewKey, key: &[u8]) -> Result<()> {
    let id = hsm.key_cache(new, key).map_err(|error| {
        let is_protected = error.status() == Some(Status::ACCESS);
        let error = anyhow::Error::new(error);
        if is_protected {
            error.context("the flags of the key that has this number forbid to replace it")
        } else {
            error
        }
    })?;
    if let Err(error) = hsm.key_commit(id) {
        let _ = hsm.key_evict(id);
        return Err(error).context("the server could not store it");
    }
    Ok(())
}

fn present(hsm: &mut Hsm, client: ClientId, opened: &Opened) -> Result<Present> {
    let id = opened.new.id;
    let mut bytes = Zeroizing::new(vec![0; hsm.data_length()]);
    let (length, label) = match hsm.key_export(id, &mut bytes) {
        Ok(read) => read,
        Err(error) => match error.status() {
            Some(Status::NOT_FOUND) => return Ok(Present::Nothing),
            Some(Status::ACCESS) => return Ok(Present::Other("a nonexportable key")),
            _ => return Err(error).with_context(|| format!("key {id} cannot be compared")),
        },
    };
    let is_same = label == opened.new.label
        && casemate_crypto::constant_time_equal(bytes.get(..length).unwrap_or_default(), &opened.key);
    let is_same = if is_same { Some(flags(hsm, client, id)?) } else { None };
    Ok(match is_same {
        Some(Some(flags)) if flags == opened.new.flags => Present::Same,
        Some(None) => Present::SameButFlags,
        _ => Present::Other("another key, or one with other flags or label,"),
    })
}

/// The flags of a committed key, if the server tells.
fn flags(hsm: &mut Hsm, client: ClientId, id: KeyId) -> Result<Option<Flags>> {
    let owner = if id.0 & KeyId::GLOBAL != 0 { ClientId::NONE } else { client };
    match hsm.nvm_metadata(ObjectId::new(ObjectType::CRYPTO, owner, id.number())) {
        Ok(metadata) => Ok(Some(metadata.flags)),
        Err(error) if error.status().is_some() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
