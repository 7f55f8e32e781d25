//! What users write and read: numbers, flags, bytes.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use casemate_posix::audit::timestamp;
use casemate_protocol::{ClientId, Flags, Label, ObjectId, ObjectType};
use clap::Args;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// The largest input that any command takes; no object or key is longer than 65535 bytes.
const MAX_INPUT: u64 = 65_535;

/// A number in decimal, or in hexadecimal after `0x`.
fn number(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "write a number, such as 18 or 0x12".to_owned())
}

/// A 16-bit number.
pub(crate) fn word(text: &str) -> Result<u16, String> {
    u16::try_from(number(text)?).map_err(|_| "the largest number here is 65535 (0xffff)".to_owned())
}

/// An object identifier: 1 to 65535.
pub(crate) fn object_number(text: &str) -> Result<u16, String> {
    match word(text)? {
        0 => Err("identifier 0 names no object; use 1 to 65535".to_owned()),
        id => Ok(id),
    }
}

/// A key identifier: 1 to 255 in the low byte, and flags above it.
pub(crate) fn key_number(text: &str) -> Result<u16, String> {
    match word(text)? {
        id if id & 0xFF == 0 => Err("a key identifier is 1 to 255".to_owned()),
        id if id > 0x07FF => Err("a key identifier is 1 to 255, plus 0x100 for a global key".to_owned()),
        id => Ok(id),
    }
}

/// A counter identifier: 1 to 255.
pub(crate) fn counter_number(text: &str) -> Result<u8, String> {
    match u8::try_from(number(text)?) {
        Ok(id @ 1..) => Ok(id),
        _ => Err("a counter identifier is 1 to 255".to_owned()),
    }
}

/// A client identifier: 1 to 15.
pub(crate) fn client_id(text: &str) -> Result<ClientId, String> {
    ClientId::new(number(text)?).ok_or_else(|| "a client identifier is 1 to 15".to_owned())
}

/// A byte.
pub(crate) fn byte(text: &str) -> Result<u8, String> {
    u8::try_from(number(text)?).map_err(|_| "a byte is 0 to 255 (0x00 to 0xff)".to_owned())
}

/// A size in bytes, perhaps with the suffix K or M.
pub(crate) fn size(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1024),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1024 * 1024),
            None => (text, 1),
        },
    };
    let size = number(digits).map_err(|_| "write a size, such as 65536, 64K or 1M".to_owned())?;
    size.checked_mul(unit).ok_or_else(|| "the size is too large".to_owned())
}

/// Seconds, with decimals allowed.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let advice = || "write a number of seconds above 0, such as 5 or 0.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| advice())?;
    if seconds <= 0.0 {
        return Err(advice());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| advice())
}

/// A label of at most 24 bytes.
pub(crate) fn label(text: &str) -> Result<Label, String> {
    match text.len() {
        0..=24 => Ok(Label::from(text)),
        length => Err(format!("the label has {length} bytes; at most 24 are kept")),
    }
}

/// Flags by name, separated by commas, or as a number.
pub(crate) fn flags(text: &str) -> Result<Flags, String> {
    let mut flags = Flags::NONE;
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let named = Flags::NAMES.iter().find(|(_, name)| *name == word).map(|(flag, _)| *flag);
        let flag = match (named, word) {
            (Some(flag), _) => flag,
            (None, "any") => Flags::USAGE_ANY,
            (None, "none") => Flags::NONE,
            (None, _) => Flags(self::word(word).map_err(|_| {
                let names: Vec<_> = Flags::NAMES.iter().map(|(_, name)| *name).collect();
                format!(
                    "`{word}` is no flag; there are {}, any (every usage), none, and numbers",
                    names.join(", ")
                )
            })?),
        };
        flags = flags | flag;
    }
    Ok(flags)
}

/// Flags as text, as [`flags`] reads them.
pub(crate) fn flag_names(flags: Flags) -> String {
    let mut names = Vec::new();
    let mut rest = flags;
    if rest.contains(Flags::USAGE_ANY) {
        names.push("any".to_owned());
        rest = rest.without(Flags::USAGE_ANY);
    }
    for (flag, name) in Flags::NAMES {
        if rest.contains(flag) {
            names.push(name.to_owned());
            rest = rest.without(flag);
        }
    }
    if rest != Flags::NONE {
        names.push(format!("{:#06x}", rest.0));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

/// What an object is, in a word.
pub(crate) fn object_kind(id: ObjectId) -> &'static str {
    match id.object_type() {
        ObjectType::OBJECT => "object",
        ObjectType::CRYPTO => "key",
        ObjectType::SHE => "SHE key",
        ObjectType::COUNTER => "counter",
        _ => "other",
    }
}

/// The number of the client that owns an object, where objects of its kind have owners.
pub(crate) fn object_owner(id: ObjectId) -> String {
    match (id.object_type(), id.owner().get()) {
        (ObjectType::CRYPTO | ObjectType::SHE | ObjectType::COUNTER, 0) => "all".to_owned(),
        (ObjectType::CRYPTO | ObjectType::SHE | ObjectType::COUNTER, owner) => owner.to_string(),
        _ => "-".to_owned(),
    }
}

/// Where a command's data come from.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct Input {
    /// Read the data from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The data in hexadecimal
    #[arg(long, value_name = "DIGITS")]
    hex: Option<String>,
    /// The data as text
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

impl Input {
    /// The bytes; from standard input if no option says otherwise.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>> {
        if let Some(path) = &self.file {
            return read_file(path);
        }
        if let Some(digits) = &self.hex {
            let digits: Zeroizing<String> = Zeroizing::new(digits.split_whitespace().collect());
            let bytes = hex::decode(&*digits);
            return bytes
                .map(Zeroizing::new)
                .context("--hex takes an even number of the digits 0 to 9 and a to f");
        }
        if let Some(text) = &self.text {
            return Ok(Zeroizing::new(text.clone().into_bytes()));
        }
        let input = io::stdin();
        if input.is_terminal() {
            bail!("no data: give --file, --hex or --text, or pipe the data into this command");
        }
        read_limited(input).context("cannot read standard input")
    }
}

/// Reads a file of at most 65535 bytes.
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = || format!("cannot read {}", path.display());
    read_limited(File::open(path).with_context(failed)?).with_context(failed)
}

fn read_limited(source: impl Read) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    source.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_INPUT {
        bail!("it has more than {MAX_INPUT} bytes, which no object can hold");
    }
    Ok(bytes)
}

/// In which form bytes are written.
#[derive(Args, Debug, Clone, Copy, Default)]
#[group(multiple = false)]
pub(crate) struct Form {
    /// Write in hexadecimal
    #[arg(long)]
    hex: bool,
    /// Write in Base64
    #[arg(long)]
    base64: bool,
    /// Write the bytes as they are
    #[arg(long)]
    raw: bool,
}

impl Form {
    /// Writes `bytes` to a file, or to standard output; `default_hex` says what happens there without an option.
    pub(crate) fn write(&self, bytes: &[u8], out: Option<&Path>, default_hex: bool) -> Result<()> {
        let to_standard_output = out.is_none();
        let mut text = Zeroizing::new(Vec::new());
        // Unprintable bytes would only upset a terminal.
        let unfit = to_standard_output
            && !self.raw
            && io::stdout().is_terminal()
            && bytes.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t'));
        if self.base64 {
            text.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            text.push(b'\n');
        } else if self.hex || (to_standard_output && !self.raw && (default_hex || unfit)) {
            text.extend_from_slice(hex::encode(bytes).as_bytes());
            text.push(b'\n');
        } else {
            text.extend_from_slice(bytes);
        }
        match out {
            Some(path) => write_private(path, &text),
            None => {
                let mut output = io::stdout().lock();
                output.write_all(&text)?;
                output.flush()?;
                Ok(())
            }
        }
    }
}

/// Writes a file that only its owner may read; an existing file keeps its permissions.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let open = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open()
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Who may read a file that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permissions {
    /// Only its owner.
    Private,
    /// Everybody whom the process's umask lets.
    Public,
}

/// Writes a file as a whole or not at all; it is on disk when this returns.
pub(crate) fn write_file(path: &Path, bytes: &[u8], force: bool, permissions: Permissions) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    if !force && fs::symlink_metadata(path).is_ok() {
        bail!("{} exists; --force replaces it", path.display());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = match permissions {
        Permissions::Private => 0o600,
        Permissions::Public => 0o644,
    };
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
        .with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map_err(|error| error.error).with_context(failed)?;
    // The name outlasts a loss of power only then.
    let entry = File::open(folder).and_then(|folder| folder.sync_all());
    entry.with_context(|| format!("cannot make {} durable", path.display()))
}

/// Prints a line to standard output.
pub(crate) fn say(text: impl std::fmt::Display) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Prints text that already ends with a line end.
pub(crate) fn print(text: impl std::fmt::Display) -> Result<()> {
    write!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// One line to standard error, after the time. Nobody who could read a complaint is left if that fails.
pub(crate) fn log(event: impl std::fmt::Display) {
    let line = format!("{} {event}\n", timestamp(SystemTime::now()));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes() {
        assert_eq!(number("0x1F"), Ok(31));
        assert_eq!(size("64K"), Ok(65536));
        assert_eq!(size("1M"), Ok(1 << 20));
        assert!(size("5000M").is_err());
        assert!(object_number("0").is_err());
        assert!(object_number("65536").is_err());
        assert!(key_number("0x100").is_err());
        assert_eq!(key_number("0x105"), Ok(0x105));
        assert!(counter_number("256").is_err());
        assert!(client_id("16").is_err());
        assert!(seconds("0").is_err() && seconds("nan").is_err());
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn flags_read_back_as_they_are_written() {
        for value in [0, 0x1205, 0x07E0, 0x0FFF, 0xFFFF, 0x2020] {
            assert_eq!(flags(&flag_names(Flags(value))), Ok(Flags(value)), "{}", flag_names(Flags(value)));
        }
        assert_eq!(flags("encrypt, decrypt"), Ok(Flags(0x60)));
        assert!(flags("encypt").unwrap_err().contains("nonexportable"));
    }
}
