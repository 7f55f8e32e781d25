//! The device key in a file.
//!
//! A process has no fuses. The nearest to them is a file that only the server's user can read, kept elsewhere than the
//! flash image: then a copy of the image alone reveals nothing about users, and a changed one is noticed.

use crate::flash::give_name;
use casemate_crypto::{Entropy, Error as CryptoError};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Size of a device key in bytes.
pub const DEVICE_KEY_SIZE: usize = 32;

/// A device key.
pub type DeviceKey = Zeroizing<[u8; DEVICE_KEY_SIZE]>;

/// Why there is no device key.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceKeyError {
    /// The file cannot be read or made.
    File(PathBuf, io::Error),
    /// The file does not hold 32 bytes.
    Size(PathBuf),
    /// Others than the owner may read or write the file.
    Permissions(PathBuf, u32),
    /// The operating system gives no random numbers.
    Entropy(CryptoError),
}

impl fmt::Display for DeviceKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "device key {}: {error}", path.display()),
            Self::Size(path) => {
                write!(f, "device key {}: the file has to hold {DEVICE_KEY_SIZE} bytes", path.display())
            }
            Self::Permissions(path, mode) => write!(
                f,
                "device key {}: others than its owner can use it (mode {mode:03o}); run chmod 600",
                path.display()
            ),
            Self::Entropy(error) => write!(f, "no device key can be made: {error}"),
        }
    }
}

// No source: the text has it already.
impl std::error::Error for DeviceKeyError {}

/// A new device key from the operating system's random numbers.
///
/// # Errors
/// [`DeviceKeyError::Entropy`].
pub fn generate() -> Result<DeviceKey, DeviceKeyError> {
    let mut key = Zeroizing::new([0; DEVICE_KEY_SIZE]);
    crate::entropy::OsEntropy.fill(key.as_mut_slice()).map_err(DeviceKeyError::Entropy)?;
    Ok(key)
}

/// Reads the device key.
///
/// # Errors
/// [`DeviceKeyError`] if the file cannot be read, has another size, or can be used by others than its owner.
pub fn load(path: &Path) -> Result<DeviceKey, DeviceKeyError> {
    let failed = |error| DeviceKeyError::File(path.to_owned(), error);
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(DeviceKeyError::Permissions(path.to_owned(), metadata.mode() & 0o777));
    }
    let mut key = Zeroizing::new([0; DEVICE_KEY_SIZE]);
    if metadata.len() != DEVICE_KEY_SIZE as u64 {
        return Err(DeviceKeyError::Size(path.to_owned()));
    }
    file.read_exact(key.as_mut_slice()).map_err(failed)?;
    Ok(key)
}

/// Makes a new device key in a new file that only its owner can use. The key is on disk when this returns.
///
/// # Errors
/// [`DeviceKeyError`], among others if there is such a file already: it is not touched.
pub fn create(path: &Path) -> Result<DeviceKey, DeviceKeyError> {
    let failed = |error| DeviceKeyError::File(path.to_owned(), error);
    let key = generate()?;
    // Under its name it is either whole or not there.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(key.as_slice())?;
        file.sync_all()?;
        if !give_name(&unfinished, path)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    let outcome = write().map_err(failed);
    // It is a second name of the key, or useless.
    let _ = fs::remove_file(&unfinished);
    outcome.map(|()| key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        assert!(matches!(load(&path), Err(DeviceKeyError::File(..))));
        let key = create(&path).unwrap();
        assert_ne!(*key, [0; 32]);
        assert_eq!(load(&path).unwrap(), key);
        assert!(matches!(create(&path), Err(DeviceKeyError::File(..))));
        assert_eq!(load(&path).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_ne!(generate().unwrap(), key);
    }

    #[test]
    fn a_key_that_others_can_read_or_of_another_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(&path), Err(DeviceKeyError::Permissions(_, 0o640))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, [1; 31]).unwrap();
        assert!(matches!(load(&path), Err(DeviceKeyError::Size(_))));
    }
}
