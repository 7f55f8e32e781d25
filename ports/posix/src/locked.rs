//! Files that one process at a time writes.

use std::fs::{File, TryLockError};
use std::ops::{Deref, DerefMut};
use std::process;

/// A file under an exclusive lock (`flock`), which ends with this value.
///
/// Closing the file would not always end it: a child process that another thread starts at that moment has the file open, and with
/// it the lock, until it runs its own program.
#[derive(Debug)]
pub(crate) struct LockedFile {
    file: File,
    /// The process that took the lock. One that was forked off it must not end it.
    owner: u32,
}

impl LockedFile {
    /// Locks the file.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if it is locked already; the operating system's reason.
    pub(crate) fn try_new(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self { file, owner: process::id() })
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl DerefMut for LockedFile {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.file
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        if self.owner == process::id() {
            // If this fails, the lock ends when the file is closed.
            let _ = self.file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_ends_with_the_value_whoever_else_has_the_file_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let locked = LockedFile::try_new(File::create(&path).unwrap()).unwrap();
        // What a child process has that is about to run its own program.
        let inherited = locked.try_clone().unwrap();
        let open = || LockedFile::try_new(File::open(&path).unwrap());
        assert!(matches!(open(), Err(TryLockError::WouldBlock)));
        drop(locked);
        open().unwrap();
        drop(inherited);
    }
}
