//! The backup file: keys as blobs that only their key-encryption key opens, and a list of what is in it.
//!
//! All numbers are big-endian. `docs/key-ceremony.md` says the same for people.
//!
//! | part | bytes | content |
//! |---|---|---|
//! | header | 8 | `CASEMATE` |
//! | | 8 | `.backup` and the version, 1 |
//! | | 1 | client identifier of the owner |
//! | | 1 | 0 |
//! | | 2 | key-encryption key, as clients name it |
//! | | 8 | when it was made: seconds since the Unix epoch |
//! | | 2 | number of entries |
//! | entry | 1 | 1: a key; 2: a key that is not in the backup |
//! | | 1 | 1: flags and label are known; 0: they are not, and 0 here |
//! | | 2 | key, as clients name it |
//! | | 2 | flags |
//! | | 2 | length of the key in bytes |
//! | | 24 | label |
//! | | 4 | why the key is not in the backup: a status of the server; 0 for a key that is |
//! | | 2 | length of the blob: that of the key and 60 more, or 0 |
//! | | n | blob (document 03, §7.1) |
//! | | 32 | SHA-256 of the entry up to here |
//! | seal | 56 | data blob (document 03, §7.1) of the SHA-224 of everything before it |
//!
//! The sums of entries find damage, and say where it is, without any key. The seal is made by the server with the
//! key-encryption key: who may not use that key cannot change the file, leave entries out or put others in. Every client
//! that may use it can make such a file and seal it; with an owner-bound key that is the owner alone. The seal is not over
//! a SHA-256 because servers of the original give wrong data when they open 32 bytes or more.

use anyhow::{Result, bail, ensure};
use casemate_crypto::{HashAlgorithm, NoRandom, Software, hash};
use casemate_protocol::message::key::{WRAP_HEADER_SIZE, WRAPPED_KEY_OVERHEAD};
use casemate_protocol::{ClientId, Flags, KeyId, Label, Status};

/// Both lines of the header that never change in this version.
const MAGIC: &[u8; 16] = b"CASEMATE.backup\x01";
const MAGIC_WITHOUT_VERSION: usize = 15;
const HEADER_SIZE: usize = 30;
const ENTRY_SIZE: usize = 38;
const SUM_SIZE: usize = 32;
const DIGEST_SIZE: usize = 28;
/// A data blob of a digest.
pub(super) const SEAL_SIZE: usize = WRAP_HEADER_SIZE + DIGEST_SIZE;
/// More entries than an object store of one client holds: 255 keys of its own and 255 global ones.
const MAX_ENTRIES: usize = 510;

pub(super) type Digest = [u8; DIGEST_SIZE];

/// SHA-256.
fn checksum(bytes: &[u8]) -> [u8; SUM_SIZE] {
    hashed(HashAlgorithm::Sha256, bytes)
}

/// SHA-256 of a whole file with its seal, for people's records.
pub(super) fn file_digest(file: &[u8]) -> String {
    hex::encode(checksum(file))
}

/// SHA-224 of a file, which is sealed.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    hashed(HashAlgorithm::Sha224, bytes)
}

fn hashed<const N: usize>(algorithm: HashAlgorithm, bytes: &[u8]) -> [u8; N] {
    let mut output = [0; N];
    // The software driver has both functions, and the output has the length of theirs.
    let outcome = hash(&Software::new(NoRandom), algorithm, &[bytes], &mut output);
    debug_assert!(outcome.is_ok());
    output
}

/// A key in a backup, or one that should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: KeyId,
    /// Flags and label, where the server tells.
    pub(super) description: Option<(Flags, Label)>,
    /// In bytes; of a key that is not in the backup 0 if it is not known.
    pub(super) length: u16,
    /// The blob, or why there is none.
    pub(super) content: Result<Vec<u8>, Status>,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backup {
    pub(super) owner: ClientId,
    pub(super) kek: KeyId,
    /// Seconds since the Unix epoch.
    pub(super) made: u64,
    pub(super) entries: Vec<Entry>,
}

impl Backup {
    /// The file without its seal.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        ensure!(self.entries.len() <= MAX_ENTRIES, "a backup holds at most {MAX_ENTRIES} keys");
        let mut file = MAGIC.to_vec();
        file.extend([self.owner.get(), 0]);
        file.extend(self.kek.0.to_be_bytes());
        file.extend(self.made.to_be_bytes());
        file.extend(u16::try_from(self.entries.len())?.to_be_bytes());
        for entry in &self.entries {
            let start = file.len();
            let (kind, status, blob): (u8, i32, &[u8]) = match &entry.content {
                Ok(blob) => (1, 0, blob),
                Err(status) => (2, status.0, &[]),
            };
            let (flags, label) = entry.description.unwrap_or_default();
            file.extend([kind, u8::from(entry.description.is_some())]);
            file.extend(entry.id.0.to_be_bytes());
            file.extend(flags.0.to_be_bytes());
            file.extend(entry.length.to_be_bytes());
            file.extend(label.0);
            file.extend(status.to_be_bytes());
            file.extend(u16::try_from(blob.len())?.to_be_bytes());
            file.extend(blob);
            let sum = checksum(file.get(start..).unwrap_or_default());
            file.extend(sum);
        }
        Ok(file)
    }

    /// Reads a file. The seal is not verified, since that takes the key-encryption key: the digest that it has to
    /// hold, and the seal, come with the backup.
    pub(super) fn decode(file: &[u8]) -> Result<(Self, Digest, [u8; SEAL_SIZE])> {
        let mut rest = file;
        let Some(header) = take::<HEADER_SIZE>(&mut rest) else { bail!("it is too short to be a backup") };
        let (magic, mut fields) = header.split_at(MAGIC.len());
        ensure!(magic.get(..MAGIC_WITHOUT_VERSION) == MAGIC.get(..MAGIC_WITHOUT_VERSION), "it is no backup");
        ensure!(magic == MAGIC, "it is a backup of a version that this program does not know");
        let [owner, zero] = take(&mut fields).unwrap_or_default();
        let kek = KeyId(u16::from_be_bytes(take(&mut fields).unwrap_or_default()));
        let made = u64::from_be_bytes(take(&mut fields).unwrap_or_default());
        let count = u16::from_be_bytes(take(&mut fields).unwrap_or_default());
        let Some(owner) = ClientId::new(owner.into()) else { bail!("its header names no client") };
        ensure!(zero == 0, "its header is damaged");
        ensure!(usize::from(count) <= MAX_ENTRIES, "its header announces {count} keys, which no client has");
        let mut entries: Vec<Entry> = Vec::new();
        for number in 1..=count {
            let entry = match decode_entry(&mut rest) {
                Ok(entry) => entry,
                Err(fault) => bail!("entry {number} of {count}{fault}"),
            };
            if entries.iter().any(|other| other.id == entry.id) {
                bail!("entry {number} of {count} is key {}, which is there already", entry.id);
            }
            entries.push(entry);
        }
        let digest = digest(file.get(..file.len().saturating_sub(rest.len())).unwrap_or_default());
        let Some(seal) = take::<SEAL_SIZE>(&mut rest) else {
            bail!("it ends inside the seal, behind entry {count} of {count}")
        };
        ensure!(rest.is_empty(), "it has {} bytes behind its seal, which do not belong there", rest.len());
        Ok((Self { owner, kek, made, entries }, digest, seal))
    }
}

/// The first `N` bytes, which are taken away.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

/// Reads one entry; a fault is said so that it continues "entry 3 of 7".
fn decode_entry(rest: &mut &[u8]) -> Result<Entry, String> {
    let whole = *rest;
    let fixed = take::<ENTRY_SIZE>(rest).ok_or(": the file ends inside it")?;
    let mut fields = fixed.as_slice();
    let [kind, known] = take(&mut fields).unwrap_or_default();
    let mut word = || u16::from_be_bytes(take(&mut fields).unwrap_or_default());
    let (id, flags, length) = (KeyId(word()), Flags(word()), word());
    let label = Label(take(&mut fields).unwrap_or_default());
    let status = Status(i32::from_be_bytes(take(&mut fields).unwrap_or_default()));
    let size = u16::from_be_bytes(take(&mut fields).unwrap_or_default());
    let blob = rest.get(..usize::from(size)).ok_or(format!(" (key {id}): the file ends inside it"))?;
    *rest = rest.get(blob.len()..).unwrap_or_default();
    let sum = take::<SUM_SIZE>(rest).ok_or(format!(" (key {id}): the file ends inside it"))?;
    let checked = whole.get(..ENTRY_SIZE.saturating_add(blob.len())).unwrap_or_default();
    if checksum(checked) != sum {
        return Err(format!(" (key {id}) is damaged: its checksum is wrong"));
    }
    let wrong = |what: &str| format!(" (key {id}) makes no sense: {what}");
    if id.number() == 0 || id.0 & !(0xFF | KeyId::GLOBAL) != 0 {
        return Err(wrong("it names no key of a client"));
    }
    let description = match known {
        0 if flags == Flags::NONE && label == Label::default() => None,
        1 => Some((flags, label)),
        _ => return Err(wrong("it does not say whether flags and label are known")),
    };
    let content = match (kind, status) {
        (1, Status::OK) if blob.len() == usize::from(length).saturating_add(WRAPPED_KEY_OVERHEAD) => {
            Ok(blob.to_vec())
        }
        (2, status) if blob.is_empty() && status != Status::OK => Err(status),
        _ => return Err(wrong("blob, length and status do not fit together")),
    };
    Ok(Entry { id, description, length, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Backup {
        let description = Some((Flags::USAGE_SIGN, Label::from("signing")));
        Backup {
            owner: ClientId::new(12).unwrap(),
            kek: KeyId(0x01FE),
            made: 1_900_000_000,
            entries: vec![
                Entry { id: KeyId(5), description, length: 16, content: Ok(vec![0xA5; 76]) },
                Entry { id: KeyId(6), description, length: 32, content: Err(Status::ACCESS) },
                Entry { id: KeyId(0x0105), description: None, length: 1, content: Ok(vec![0x5A; 61]) },
            ],
        }
    }

    fn sealed(backup: &Backup) -> Vec<u8> {
        let mut file = backup.encode().unwrap();
        file.extend([7; SEAL_SIZE]);
        file
    }

    #[test]
    fn what_was_written_is_read() {
        let backup = example();
        let (read, digest, seal) = Backup::decode(&sealed(&backup)).unwrap();
        assert_eq!((read, seal), (backup.clone(), [7; SEAL_SIZE]));
        assert_eq!(digest, super::digest(&backup.encode().unwrap()));
        let empty = Backup { entries: vec![], ..backup };
        assert_eq!(Backup::decode(&sealed(&empty)).unwrap().0, empty);
    }

    #[test]
    fn the_format_does_not_change() {
        let backup = Backup { entries: vec![example().entries[1].clone()], ..example() };
        let header = "434153454d4154452e6261636b757001 0c00 01fe 00000000713fb300 0001";
        let label = "7369676e696e670000000000000000000000000000000000";
        let entry = format!("0201 0006 0080 0020 {label} fffff7cb 0000");
        let expected = hex::decode(format!("{header}{entry}").replace(' ', "")).unwrap();
        let file = backup.encode().unwrap();
        assert_eq!(file[..HEADER_SIZE + ENTRY_SIZE], expected);
        assert_eq!(file[HEADER_SIZE + ENTRY_SIZE..], checksum(&expected[HEADER_SIZE..]));
    }

    #[test]
    fn every_truncation_is_refused_and_says_where() {
        let file = sealed(&example());
        for length in 0..file.len() {
            let error = Backup::decode(&file[..length]).unwrap_err().to_string();
            let first = HEADER_SIZE + ENTRY_SIZE + 76 + SUM_SIZE;
            let expected = match length {
                0..HEADER_SIZE => "too short",
                length if length < first => "entry 1 of 3",
                length if length < first + ENTRY_SIZE + SUM_SIZE => "entry 2 of 3",
                length if length < file.len() - SEAL_SIZE => "entry 3 of 3",
                _ => "inside the seal",
            };
            assert!(error.contains(expected), "{length}: {error}");
        }
        let longer = [&file[..], &[0]].concat();
        assert!(Backup::decode(&longer).unwrap_err().to_string().contains("behind its seal"));
    }

    #[test]
    fn every_changed_bit_is_refused_or_changes_the_digest() {
        let file = sealed(&example());
        let (_, digest, seal) = Backup::decode(&file).unwrap();
        let entries = HEADER_SIZE..file.len() - SEAL_SIZE;
        for place in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[place] ^= 1 << bit;
                match Backup::decode(&changed) {
                    Err(error) if entries.contains(&place) => {
                        assert!(error.to_string().starts_with("entry "), "{place}: {error}");
                    }
                    Err(_) => {}
                    Ok((_, changed_digest, changed_seal)) => {
                        assert!(!entries.contains(&place), "byte {place} can be changed unnoticed");
                        assert!(changed_digest != digest || changed_seal != seal, "{place}");
                    }
                }
            }
        }
    }

    #[test]
    fn entries_that_make_no_sense_are_refused() {
        let backup = example();
        let entry = backup.entries[0].clone();
        for (wrong, reason) in [
            (Entry { id: KeyId(0x0100), ..entry.clone() }, "names no key"),
            (Entry { id: KeyId(0x0405), ..entry.clone() }, "names no key"),
            (Entry { length: 17, ..entry.clone() }, "do not fit"),
            (Entry { content: Err(Status::OK), ..entry.clone() }, "do not fit"),
            (Entry { content: Ok(vec![]), ..entry.clone() }, "do not fit"),
        ] {
            let file = sealed(&Backup { entries: vec![wrong], ..backup.clone() });
            let error = Backup::decode(&file).unwrap_err().to_string();
            assert!(error.starts_with("entry 1 of 1") && error.contains(reason), "{error}");
        }
        let twice = Backup { entries: vec![entry.clone(), entry], ..backup };
        let error = Backup::decode(&sealed(&twice)).unwrap_err().to_string();
        assert!(error.contains("entry 2 of 2 is key 0x0005, which is there already"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_bytes_panic_and_what_is_read_is_what_was_there(
            tail in proptest::collection::vec(any::<u8>(), 0..400),
            count in 0_u16..4,
        ) {
            let mut file = MAGIC.to_vec();
            file.extend([12, 0, 1, 0xFE, 0, 0, 0, 0, 0, 0, 0, 1]);
            file.extend(count.to_be_bytes());
            file.extend(tail);
            if let Ok((backup, _, seal)) = Backup::decode(&file) {
                let again = [backup.encode().unwrap().as_slice(), &seal].concat();
                prop_assert_eq!(again, file);
            }
        }

        #[test]
        fn any_backup_is_read_back(
            keys in proptest::collection::btree_map(
                1_u16..0x200,
                (
                    any::<u16>(),
                    any::<[u8; 24]>(),
                    proptest::collection::vec(any::<u8>(), 0..80),
                    any::<bool>(),
                ),
                0..6,
            ),
            made in any::<u64>(),
        ) {
            let entries = keys.into_iter().filter(|(id, _)| id & 0xFF != 0).map(|(id, (flags, label, blob, known))| {
                let length = u16::try_from(blob.len()).unwrap();
                Entry {
                    id: KeyId(id),
                    description: known.then_some((Flags(flags), Label(label))),
                    length,
                    content: if flags & 1 == 0 { Ok([&[0; WRAPPED_KEY_OVERHEAD][..], &blob].concat()) } else { Err(Status::ACCESS) },
                }
            }).collect();
            let backup = Backup { entries, made, ..example() };
            prop_assert_eq!(Backup::decode(&sealed(&backup)).unwrap().0, backup);
        }
    }
}
