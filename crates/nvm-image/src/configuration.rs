//! What an image shall hold.

use crate::description::{Description, Source};
use crate::{Error, Format, original, tables};
use casemate_protocol::Metadata;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// An object: its record, whose length is that of the data, and its data. They are wiped when dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Identifier, access, flags, label.
    pub metadata: Metadata,
    /// At most 65535 bytes.
    pub data: Zeroizing<Vec<u8>>,
}

/// The largest data of an object, in bytes.
const MAX_DATA: u64 = 65_535;
/// The largest configuration that is read, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// A configuration: objects, and a format if the file names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The format, from the table `image` of a TOML file.
    pub format: Option<Format>,
    /// The objects in the order in which they are stored.
    pub objects: Vec<Object>,
}

impl Configuration {
    /// Reads a configuration and the files that it names.
    ///
    /// A file whose name ends in `.toml` is TOML, and names of files in it are relative to its folder. Any other is a
    /// configuration of the original's image tool (document 02, §8.2), and names in it are relative to the current
    /// folder, as that tool has it. Two things differ from that tool: a line may be of any length, and spaces before
    /// a label's quotation mark do no harm.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Configuration`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = Zeroizing::new(read_limited(path, MAX_TEXT)?);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
            let text = std::str::from_utf8(&text).map_err(|error| {
                Error::configuration(
                    path.display(),
                    format!("not UTF-8 text, from byte {} on", error.valid_up_to()),
                )
            })?;
            let (format, descriptions) = tables::parse(text)?;
            Ok(Self { format, objects: load(descriptions, path.parent())? })
        } else {
            Ok(Self { format: None, objects: load(original::parse(&text)?, None)? })
        }
    }
}

fn load(descriptions: Vec<Description>, folder: Option<&Path>) -> Result<Vec<Object>, Error> {
    descriptions
        .into_iter()
        .map(|Description { place, metadata, source, length }| {
            let fault = |reason: String| Error::configuration(&place, reason);
            let data = match source {
                Source::Bytes(bytes) => bytes,
                Source::File(name) => {
                    let path = folder.map_or_else(|| name.clone(), |folder| folder.join(&name));
                    Zeroizing::new(read_limited(&path, MAX_DATA).map_err(|error| fault(error.to_string()))?)
                }
            };
            if let Some(length) = length.filter(|&length| length != data.len()) {
                return Err(fault(format!("has {} bytes of data; it takes {length}", data.len())));
            }
            let Ok(length) = u16::try_from(data.len()) else {
                return Err(fault(format!(
                    "has {} bytes of data; an object holds at most {MAX_DATA}",
                    data.len()
                )));
            };
            Ok(Object { metadata: Metadata { length, ..metadata }, data })
        })
        .collect()
}

fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let fault = |source| Error::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(fault)?;
    let size = file.metadata().map_err(fault)?.len();
    // Read in one piece, so that no copy of a secret stays behind in memory that grew.
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or(0).saturating_add(1));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fault)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(fault(std::io::Error::other(format!("it has more than {limit} bytes"))));
    }
    Ok(bytes)
}
