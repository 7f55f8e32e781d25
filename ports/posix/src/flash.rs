//! Flash in a file.
//!
//! The file is the raw image, with no header: the bytes of partition 0, then those of partition 1 (document 02, §2.3).
//! Images of wolfHSM's NVM tool and of its file flash can be used, and the reverse.

use crate::locked::LockedFile;
use casemate_nvm::Flash;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Shape of the flash in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFlashOptions {
    /// Size of each of the two partitions in bytes: a multiple of 8, at most 2 GiB minus 8.
    pub partition_size: u32,
    /// The value of every erased byte.
    pub erased_byte: u8,
}

impl Default for FileFlashOptions {
    /// Two partitions of 512 KiB that erase to 0xFF.
    fn default() -> Self {
        Self { partition_size: 0x8_0000, erased_byte: 0xFF }
    }
}

/// NOR flash in a file: erased bytes can be written once, in units of 8 bytes.
///
/// The file is locked against every other process that opens it this way, for as long as this value lives. A copy of
/// the content is held in memory, so reading costs no system call and what was read once cannot change underneath; it
/// is wiped when dropped.
///
/// Writes and erasures are in the file, and survive the end of this process, when they return. They survive the end of
/// the operating system when [`commit`](Flash::commit) has returned; before that, any part of those since the last
/// commit may be lost or torn.
#[derive(Debug)]
pub struct FileFlash {
    file: LockedFile,
    path: PathBuf,
    image: Zeroizing<Vec<u8>>,
    erased_byte: u8,
    /// Something was changed since the last commit.
    is_dirty: bool,
    is_locked: bool,
    /// It is no longer known what the file holds.
    is_failed: bool,
}

/// Why an operation on a [`FileFlash`] failed, and on which file.
#[derive(Debug)]
pub struct FileFlashError {
    path: PathBuf,
    problem: FileFlashProblem,
}

/// What a [`FileFlashError`] is about.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileFlashProblem {
    /// The operating system refused something.
    System {
        /// What was attempted, as a verb with its object.
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The name belongs to something that is not a regular file.
    NotAFile,
    /// Another process has the file open as flash.
    InUse,
    /// The file exists with another size; it was left as it is.
    Size {
        /// Size of the file in bytes.
        found: u64,
        /// Size of two partitions in bytes.
        expected: u64,
    },
    /// The partition size is 0, not a multiple of 8, or too large.
    PartitionSize(u32),
    /// The range does not lie inside the flash.
    OutOfBounds,
    /// Offset or size is not a multiple of 8.
    NotAligned,
    /// A byte to be written is not erased.
    NotBlank,
    /// The flash is locked against changes.
    Locked,
    /// An earlier failure left it unknown what the file holds.
    Failed,
}

impl FileFlashError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The reason.
    #[must_use]
    pub const fn problem(&self) -> &FileFlashProblem {
        &self.problem
    }
}

impl fmt::Display for FileFlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use FileFlashProblem as Problem;
        write!(f, "flash file {}: ", self.path.display())?;
        match &self.problem {
            Problem::System { action, source } => {
                write!(f, "cannot {action}: {source}")?;
                f.write_str(match source.kind() {
                    io::ErrorKind::NotFound => "; create its directory first",
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                        "; it and its directory must be writable"
                    }
                    _ => "",
                })
            }
            Problem::NotAFile => f.write_str("this is not a regular file; choose another name"),
            Problem::InUse => f.write_str("another server uses it; stop that one, or choose another file"),
            Problem::Size { found, expected } => {
                write!(
                    f,
                    "it has {found} bytes, but two partitions of {} bytes take {expected}",
                    expected / 2
                )?;
                if *found > 0 && found.is_multiple_of(16) {
                    write!(f, "; set the partition size to {} if it is a flash image", found / 2)?;
                }
                f.write_str("; nothing was changed")
            }
            Problem::PartitionSize(size) => write!(
                f,
                "a partition size of {size} bytes is not a multiple of 8 between 8 and {MAXIMUM_PARTITION}"
            ),
            Problem::OutOfBounds => f.write_str("the range does not lie inside the flash"),
            Problem::NotAligned => f.write_str("offset or size is not a multiple of 8"),
            Problem::NotBlank => f.write_str("a byte to be written is not erased"),
            Problem::Locked => f.write_str("the flash is locked against changes"),
            Problem::Failed => {
                f.write_str("an earlier failure left it unknown what the file holds; restart the server")
            }
        }
    }
}

// No source: the text has it already.
impl std::error::Error for FileFlashError {}

impl NorFlashError for FileFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self.problem {
            FileFlashProblem::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            FileFlashProblem::NotAligned => NorFlashErrorKind::NotAligned,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// The unit of writing and erasing.
const UNIT: usize = 8;
/// Two partitions have to be addressed with 32 bits.
const MAXIMUM_PARTITION: u32 = u32::MAX / 2 - 7;

/// How often opening starts over when the file is created, replaced or removed by somebody else meanwhile.
const ATTEMPTS: usize = 4;

fn system(action: &'static str) -> impl FnOnce(io::Error) -> FileFlashProblem {
    move |source| FileFlashProblem::System { action, source }
}

impl FileFlash {
    /// Opens the flash in the file `path`, or creates the file, erased, readable and writable by its owner only.
    ///
    /// A file that exists is never changed here. A file that is created appears under its name only when it is
    /// complete and durable.
    ///
    /// # Errors
    /// [`FileFlashProblem::InUse`] if another process has it open, [`FileFlashProblem::Size`] if the file exists with
    /// a size other than that of two partitions, [`FileFlashProblem::NotAFile`],
    /// [`FileFlashProblem::PartitionSize`], and [`FileFlashProblem::System`] for whatever the operating system
    /// refuses.
    pub fn open(path: impl AsRef<Path>, options: FileFlashOptions) -> Result<Self, FileFlashError> {
        let path = path.as_ref();
        Self::open_inner(path, options).map_err(|problem| FileFlashError { path: path.to_owned(), problem })
    }

    fn open_inner(path: &Path, options: FileFlashOptions) -> Result<Self, FileFlashProblem> {
        let FileFlashOptions { partition_size, erased_byte } = options;
        if partition_size == 0
            || !partition_size.is_multiple_of(UNIT as u32)
            || partition_size > MAXIMUM_PARTITION
        {
            return Err(FileFlashProblem::PartitionSize(partition_size));
        }
        let expected = u64::from(partition_size) * 2;
        let file = acquire(path, expected, erased_byte)?;
        let found = file.metadata().map_err(system("read its size"))?.len();
        if found != expected {
            return Err(FileFlashProblem::Size { found, expected });
        }
        let size = usize::try_from(expected).map_err(|_| FileFlashProblem::PartitionSize(partition_size))?;
        let mut image = Zeroizing::new(vec![0; size]);
        file.read_exact_at(&mut image, 0).map_err(system("read it"))?;
        let path = path.to_owned();
        Ok(Self { file, path, image, erased_byte, is_dirty: false, is_locked: false, is_failed: false })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content.
    #[must_use]
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    fn error(&self, problem: FileFlashProblem) -> FileFlashError {
        FileFlashError { path: self.path.clone(), problem }
    }

    /// The range as indices, if it can be accessed.
    fn range(&self, offset: u32, length: usize, unit: usize) -> Result<Range<usize>, FileFlashError> {
        if self.is_failed {
            return Err(self.error(FileFlashProblem::Failed));
        }
        let start = offset as usize;
        if !start.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(self.error(FileFlashProblem::NotAligned));
        }
        match start.checked_add(length) {
            Some(end) if end <= self.image.len() => Ok(start..end),
            _ => Err(self.error(FileFlashProblem::OutOfBounds)),
        }
    }

    /// Puts `bytes` into the file and then into the copy.
    fn put(&mut self, range: Range<usize>, bytes: &[u8]) -> Result<(), FileFlashError> {
        self.is_dirty = true;
        let at = range.start as u64;
        if let Err(source) = self.file.write_all_at(bytes, at) {
            // Some of it may have been written: the copy has to show what the file holds.
            self.is_failed = self.file.read_exact_at(&mut self.image[range], at).is_err();
            return Err(self.error(FileFlashProblem::System { action: "write it", source }));
        }
        self.image[range].copy_from_slice(bytes);
        Ok(())
    }
}

impl ErrorType for FileFlash {
    type Error = FileFlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FileFlashError> {
        let range = self.range(offset, bytes.len(), 1)?;
        bytes.copy_from_slice(&self.image[range]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.image.len()
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = UNIT;
    const ERASE_SIZE: usize = UNIT;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FileFlashError> {
        let length = to.checked_sub(from).ok_or_else(|| self.error(FileFlashProblem::OutOfBounds))?;
        let range = self.range(from, length as usize, UNIT)?;
        if self.is_locked {
            return Err(self.error(FileFlashProblem::Locked));
        }
        if self.image[range.clone()].iter().all(|&byte| byte == self.erased_byte) {
            return Ok(());
        }
        let blank = vec![self.erased_byte; range.len()];
        self.put(range, &blank)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FileFlashError> {
        let range = self.range(offset, bytes.len(), UNIT)?;
        if self.image[range.clone()].iter().any(|&byte| byte != self.erased_byte) {
            return Err(self.error(FileFlashProblem::NotBlank));
        }
        if self.is_locked {
            return Err(self.error(FileFlashProblem::Locked));
        }
        self.put(range, bytes)
    }
}

impl Flash for FileFlash {
    fn erased_byte(&self) -> u8 {
        self.erased_byte
    }

    fn lock(&mut self, _: u32, _: u32) -> Result<(), FileFlashError> {
        self.is_locked = true;
        Ok(())
    }

    fn unlock(&mut self, _: u32, _: u32) -> Result<(), FileFlashError> {
        self.is_locked = false;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), FileFlashError> {
        if self.is_failed {
            return Err(self.error(FileFlashProblem::Failed));
        }
        if self.is_dirty {
            if let Err(source) = self.file.sync_data() {
                // The system may have dropped the pages it could not write, and says so only once.
                self.is_failed = true;
                return Err(self.error(FileFlashProblem::System { action: "make it durable", source }));
            }
            self.is_dirty = false;
        }
        Ok(())
    }
}

/// Opens or creates the file and locks it.
fn acquire(path: &Path, size: u64, erased_byte: u8) -> Result<LockedFile, FileFlashProblem> {
    let mut last = io::Error::other("it keeps being replaced");
    for _ in 0..ATTEMPTS {
        // Asked before opening: opening a pipe or a device can have effects.
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => return Err(FileFlashProblem::NotAFile),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => match create(path, size, erased_byte)? {
                Some(file) => return Ok(file),
                None => {
                    last = error;
                    continue;
                }
            },
            Err(error) => return Err(system("open it")(error)),
        }
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                last = error;
                continue;
            }
            Err(error) => return Err(system("open it for reading and writing")(error)),
        };
        let file = lock(file)?;
        // The name may have got another file since; the lock would then protect the wrong one.
        let ours = file.metadata().map_err(system("read its size"))?;
        match fs::metadata(path) {
            Ok(named) if named.ino() == ours.ino() && named.dev() == ours.dev() => return Ok(file),
            _ => {}
        }
    }
    Err(system("open it")(last))
}

fn lock(file: File) -> Result<LockedFile, FileFlashProblem> {
    LockedFile::try_new(file).map_err(|error| match error {
        TryLockError::WouldBlock => FileFlashProblem::InUse,
        TryLockError::Error(source) => system("lock it")(source),
    })
}

/// Creates the file, or returns `None` if the name is taken by now.
///
/// It is filled under another name, made durable, locked, and only then given its own name.
fn create(path: &Path, size: u64, erased_byte: u8) -> Result<Option<LockedFile>, FileFlashProblem> {
    let name = path.file_name().ok_or(FileFlashProblem::NotAFile)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (draft, file) = open_draft(directory, name)?;
    let result = (|| {
        fill(&file, size, erased_byte).map_err(system("fill it"))?;
        file.sync_all().map_err(system("make it durable"))?;
        let file = lock(file)?;
        if !give_name(&draft, path).map_err(system("create it"))? {
            return Ok(None);
        }
        let entry = File::open(directory).and_then(|directory| directory.sync_all());
        entry.map_err(system("make its directory entry durable"))?;
        Ok(Some(file))
    })();
    // A second name if the first one was given, an unfinished file if not. (Or already renamed, then nothing.)
    let _ = fs::remove_file(&draft);
    result
}

/// A new file in the directory whose name nobody else uses.
fn open_draft(directory: &Path, name: &std::ffi::OsStr) -> Result<(PathBuf, File), FileFlashProblem> {
    let mut number = 0;
    loop {
        let mut draft = OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}.{number}.new", std::process::id()));
        let draft = directory.join(draft);
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&draft) {
            Ok(file) => return Ok((draft, file)),
            // Left over from a process of the same number that was killed, or of another thread of this one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
            Err(error) => return Err(system("create it")(error)),
        }
    }
}

fn fill(file: &File, size: u64, byte: u8) -> io::Result<()> {
    let block = [byte; 0x1_0000];
    let mut at = 0;
    while at < size {
        let count = (size - at).min(block.len() as u64);
        file.write_all_at(&block[..count as usize], at)?;
        at += count;
    }
    Ok(())
}

/// Gives a file its final name unless that is taken; `false` if it is. The name `draft` may be left as a second one.
///
/// # Errors
/// What the operating system answers.
pub fn give_name(draft: &Path, path: &Path) -> io::Result<bool> {
    match fs::hard_link(draft, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // Some file systems have no second names; renaming could replace a file, hence the look before.
        Err(_) if fs::symlink_metadata(path).is_ok() => Ok(false),
        Err(_) => fs::rename(draft, path).map(|()| true),
    }
}
