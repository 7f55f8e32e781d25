//! `casemate key rotate`.

use super::algorithm::Algorithm;
use super::name::{Name, described};
use crate::backup::{Opened, store};
use crate::connection::Hsm;
use crate::value::{flag_names, key_number, say};
use anyhow::{Context, Result, bail, ensure};
use casemate_client::{Error, NewKey};
use casemate_protocol::{ClientId, Flags, KeyId, Status};
use clap::Args;
use zeroize::Zeroizing;

/// Replace a key by a new one of the same kind, with the same flags and label
///
/// Programs know keys by their numbers, so with --keep-as and --discard the new key gets the number, and everything that
/// is encrypted or signed from then on is so with the new key. What the old key has encrypted can be decrypted only
/// with the old one: keep it until nothing is left. With --new-id the old key keeps its number, and programs move over
/// one by one.
///
/// A command that was interrupted can be repeated: until the new key is stored, the old one has its number.
#[derive(Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    name: Name,
    /// Keep the old key under this number, without the usages encrypt and sign. It must not be nonexportable, since it
    /// passes through this program. Of a global key the number is another global one, such as 0x10c
    #[arg(long, value_name = "KEY", value_parser = key_number, group = "old")]
    keep_as: Option<u16>,
    /// The old key is lost, and with it what only it decrypts
    #[arg(long, group = "old")]
    discard: bool,
    /// Give the new key this number; the old one stays as it is
    #[arg(long, value_name = "KEY", value_parser = key_number, group = "old",
          required_unless_present_any = ["keep_as", "discard"])]
    new_id: Option<u16>,
    /// With --new-id: take all usage from the old key for good
    #[arg(long, requires = "new_id")]
    revoke_old: bool,
    /// Check everything and say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What a new key is made of.
enum Kind {
    Pair(Algorithm),
    Random(u16),
}

impl Rotate {
    pub(crate) fn run(&self, hsm: &mut Hsm, client: ClientId) -> Result<()> {
        let id = self.name.id();
        if let Some(number) = self.keep_as {
            ensure!(KeyId(number) != id, "the new key gets the number {id}; keep the old one as another");
            ensure!(
                (number ^ id.0) & KeyId::GLOBAL == 0,
                "keys {id} and {} do not have the same owner: a global key is kept as a global one (number plus 0x100), a \
                 client's key as the client's",
                KeyId(number)
            );
        }
        let (_, metadata) = described(hsm, id, client)?;
        if metadata.flags.contains(Flags::TRUSTED) {
            bail!(
                "key {id} is trusted, and no client can replace it: provide a new one with `casemate serve --trusted-key`, \
                 and make new backups under it"
            );
        }
        let kind = Algorithm::of(hsm, id, metadata.length)?.map_or(Kind::Random(metadata.length), Kind::Pair);
        let new = NewKey { id: self.new_id.map_or(id, KeyId), flags: metadata.flags, label: metadata.label };
        if new.id == id && metadata.flags.contains(Flags::NONMODIFIABLE) {
            bail!(
                "key {id} is nonmodifiable (or revoked), and stays; give the new key another number with --new-id"
            );
        }
        if let Some(number) = self.new_id {
            free(hsm, KeyId(number))?;
            if metadata.flags.contains(Flags::NONMODIFIABLE) && !metadata.flags.intersects(Flags::USAGE_ANY) {
                bail!(
                    "key {id} is revoked, and does not say what a new key shall be for; use `casemate key generate`"
                );
            }
        }
        let kept = self.keep_as.map(|number| self.kept(hsm, &new, KeyId(number))).transpose()?;
        let verb = if self.dry_run { "would be" } else { "is" };
        if let Some(kept) = &kept {
            store(hsm, client, kept, false, self.dry_run)
                .with_context(|| format!("the old key cannot be kept as key {}", kept.new.id))?;
            say(format_args!(
                "the old key {verb} kept as key {} ({})",
                kept.new.id,
                flag_names(kept.new.flags)
            ))?;
        }
        if !self.dry_run {
            let made = match kind {
                Kind::Pair(algorithm) => algorithm.generate(hsm, &new),
                Kind::Random(length) => hsm.key_cache_random(&new, length),
            };
            let made = made.context("the new key was not made; the old one is as it was")?;
            if let Err(error) = hsm.key_commit(made) {
                let _ = hsm.key_evict(made);
                return Err(error).context("the new key could not be stored; the old one is as it was");
            }
        }
        say(format_args!("key {} {verb} new ({})", new.id, flag_names(new.flags)))?;
        if self.revoke_old {
            if !self.dry_run {
                hsm.key_revoke(id).with_context(|| format!("key {id} could not be revoked; revoke it"))?;
            }
            say(format_args!("key {id} {verb} revoked"))?;
        }
        if self.discard {
            say(format_args!("the old key {verb} gone"))?;
        }
        Ok(())
    }

    /// The old key as it is kept: derive and wrap work in both directions, so they cannot be taken from it.
    fn kept(&self, hsm: &mut Hsm, old: &NewKey, number: KeyId) -> Result<Opened> {
        let mut key = Zeroizing::new(vec![0; hsm.data_length()]);
        let (length, _) = hsm.key_export(old.id, &mut key).map_err(|error| {
            let is_protected = error.status() == Some(Status::ACCESS);
            let error = anyhow::Error::new(error);
            if is_protected {
                error.context(format!(
                    "key {} is nonexportable, so it cannot be kept under another number; use --new-id or --discard",
                    old.id
                ))
            } else {
                error
            }
        })?;
        key.truncate(length);
        let flags = old.flags.without(Flags::USAGE_ENCRYPT | Flags::USAGE_SIGN);
        Ok(Opened::exported(*old, key).changed(number, |_| flags))
    }
}

/// Refuses a number that a key has already, stored or only cached. Servers do not show the metadata of all keys, but they
/// answer every export.
fn free(hsm: &mut Hsm, id: KeyId) -> Result<()> {
    let mut key = Zeroizing::new(vec![0; hsm.data_length()]);
    match hsm.key_export(id, &mut key) {
        Err(error) if error.status() == Some(Status::NOT_FOUND) => Ok(()),
        Err(error)
            if error.status() != Some(Status::ACCESS) && !matches!(error, Error::OutputTooSmall { .. }) =>
        {
            Err(error).with_context(|| format!("whether there is a key {id} cannot be found out"))
        }
        Ok(_) | Err(_) => bail!("there is a key {id} already"),
    }
}
