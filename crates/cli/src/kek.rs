//! Key-encryption keys in files: parts of them, and check values.

use crate::value::{Permissions, byte, read_file, write_file};
use anyhow::{Result, bail, ensure};
use casemate_crypto::{Entropy, NoRandom, Software, cmac, constant_time_equal};
use casemate_posix::entropy::OsEntropy;
use casemate_protocol::ClientId;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes of a check value.
const CHECK_SIZE: usize = 5;

/// Whose a key-encryption key is, and its number.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// None for all clients.
    pub(crate) owner: ClientId,
    pub(crate) number: u8,
}

/// `CLIENT:ID`.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    let advice = || "write CLIENT:ID, such as 12:254, or 0:254 for a key of all clients".to_owned();
    let (client, number) = text.split_once(':').ok_or_else(advice)?;
    let owner = match byte(client).map_err(|_| advice())? {
        0 => ClientId::NONE,
        client => ClientId::new(client.into()).ok_or("the client is 1 to 15, or 0 for all clients")?,
    };
    match byte(number).map_err(|_| advice())? {
        0 => Err("the key identifier is 1 to 255".to_owned()),
        number => Ok(Place { owner, number }),
    }
}

/// Makes a part, random bytes of the operating system in a new file, and returns its check value.
pub(crate) fn make_part(path: &Path, length: usize) -> Result<String> {
    let mut part = Zeroizing::new(vec![0; length]);
    OsEntropy
        .fill(&mut part)
        .map_err(|error| anyhow::anyhow!("the operating system gives no random numbers: {error}"))?;
    write_file(path, &part, false, Permissions::Private)?;
    check_value(&part)
}

/// The first 5 bytes of the AES-CMAC of 16 zero bytes (as in ANSI X9.24-1): tells keys apart, and nothing about them.
pub(crate) fn check_value(key: &[u8]) -> Result<String> {
    let mut value = [0; 16];
    cmac(&Software::new(NoRandom), key, &[&[0; 16]], &mut value)?;
    Ok(hex::encode_upper(value.get(..CHECK_SIZE).unwrap_or_default()))
}

/// The key that parts make: their exclusive or. One part is the key itself.
pub(crate) fn join(files: &[PathBuf]) -> Result<Zeroizing<Vec<u8>>> {
    let mut parts: Vec<Zeroizing<Vec<u8>>> = Vec::with_capacity(files.len());
    for file in files {
        let part = read_file(file)?;
        if !matches!(part.len(), 16 | 24 | 32) {
            bail!(
                "{} has {} bytes; a key-encryption key and its parts have 16, 24 or 32",
                file.display(),
                part.len()
            );
        }
        for (earlier, name) in parts.iter().zip(files) {
            ensure!(part.len() == earlier.len(), "{} is not as long as the parts before it", file.display());
            // Two equal parts cancel each other out, and the key is that of the others.
            ensure!(
                !constant_time_equal(&part, earlier),
                "{} and {} are the same part; was one given twice?",
                name.display(),
                file.display()
            );
        }
        parts.push(part);
    }
    let mut parts = parts.into_iter();
    let Some(mut key) = parts.next() else { bail!("no part of the key-encryption key was given") };
    for part in parts {
        key.iter_mut().zip(part.iter()).for_each(|(byte, part)| *byte ^= part);
    }
    ensure!(
        key.iter().fold(0, |all, byte| all | byte) != 0,
        "the parts cancel each other out: the key is zero"
    );
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn check_values_are_of_the_cmac() {
        // AES-CMAC of 16 zero bytes under the key of RFC 4493, computed with OpenSSL 3.0:
        // openssl mac -cipher AES-128-CBC -macopt hexkey:... -in zeros CMAC
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        assert_eq!(check_value(&key).unwrap(), "7AD386C376");
    }

    #[test]
    fn parts_are_joined() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let (first, second) = (file("a", &[0x0F; 32]), file("b", &[0xF1; 32]));
        let short = file("c", &[1; 16]);
        assert_eq!(*join(&[first.clone(), second.clone()]).unwrap(), [0xFE; 32]);
        assert_eq!(*join(std::slice::from_ref(&first)).unwrap(), [0x0F; 32]);
        let refused = |files: &[PathBuf], reason: &str| {
            let error = join(files).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        refused(&[first.clone(), first.clone()], "are the same part");
        // The key would be the first part.
        refused(&[first.clone(), second.clone(), file("again", &[0xF1; 32])], "are the same part");
        refused(&[first.clone(), second, file("sum", &[0xFE; 32])], "cancel");
        assert!(join(&[first, short]).is_err());
        assert!(join(&[file("d", &[1; 17])]).is_err());
        assert!(join(&[]).is_err());
    }

    #[test]
    fn places() {
        let named = place("12:0xfe").unwrap();
        assert_eq!((named.owner.get(), named.number), (12, 254));
        assert_eq!(place("0:1").unwrap().owner, ClientId::NONE);
        for wrong in ["", "1", "16:1", "1:0", "1:256", "a:1"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_part_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        make_part(&path, 32).unwrap();
        let part = fs::read(&path).unwrap();
        assert_eq!(part.len(), 32);
        assert!(make_part(&path, 32).is_err());
        assert_eq!(fs::read(&path).unwrap(), part);
    }
}
