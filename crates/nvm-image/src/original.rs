//! Configuration files of the original's image tool (document 02, §8.2).

use crate::Error;
use crate::description::{Description, Source, client, she_metadata};
use casemate_protocol::{Flags, Label, Metadata, ObjectId, ObjectType};
use std::path::PathBuf;

/// Labels in images of that tool have a zero at the end.
const LABEL: usize = 23;

/// The objects of the file, in its order.
///
/// # Errors
/// [`Error::Configuration`] with the number of the line.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Description>, Error> {
    let mut descriptions = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let place = format!("line {}", index.saturating_add(1));
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
        if !line.is_empty() {
            let description = entry(line, &place).map_err(|reason| Error::configuration(&place, reason))?;
            descriptions.push(description);
        }
    }
    Ok(descriptions)
}

fn entry(line: &[u8], place: &str) -> Result<Description, String> {
    let (kind, rest) = line.split_at_checked(3).ok_or_else(unknown)?;
    let mut words = Words(rest);
    let access = |words: &mut Words<'_>| words.number("access", 0, 0xFFFF);
    let flags = |words: &mut Words<'_>| words.number("flags", 0, 0xFFFF).map(Flags);
    let (metadata, length) = match kind {
        b"obj" => {
            let id = ObjectId(words.number("identifier", 1, 0xFFFF)?);
            let (access, flags) = (access(&mut words)?, flags(&mut words)?);
            (Metadata { id, access, flags, length: 0, label: words.label()? }, None)
        }
        b"key" => {
            let client = client(words.number("client", 0, 15)?);
            let number = words.number("key identifier", 1, 255)?;
            let id = ObjectId::new(ObjectType::CRYPTO, client, number);
            let (access, flags) = (access(&mut words)?, flags(&mut words)?);
            (Metadata { id, access, flags, length: 0, label: words.label()? }, None)
        }
        b"she" => {
            let client = client(words.number("client", 0, 15)?);
            let slot: u8 = words.number("slot", 0, 15)?;
            let counter: u32 = words.number("counter", 0, 0x0FFF_FFFF)?;
            let flags: u32 = words.number("flags", 0, 0x1F)?;
            (she_metadata(client, slot, counter, flags)?, Some(16))
        }
        _ => return Err(unknown()),
    };
    let file = words.next().ok_or("the name of the file with the data is missing")?;
    let file = std::str::from_utf8(file).map_err(|_| "the name of the file is not UTF-8")?;
    Ok(Description { place: place.to_owned(), metadata, source: Source::File(PathBuf::from(file)), length })
}

fn unknown() -> String {
    "an entry begins with obj, key or she".to_owned()
}

/// What is left of a line.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The next word: up to a space.
    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0.trim_ascii_start();
        let end = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// The next word as a number: decimal (also with leading zeros), or hexadecimal after `0x`.
    fn number<T: TryFrom<u32>>(&mut self, name: &str, lowest: u32, highest: u32) -> Result<T, String> {
        let advice = || format!("the {name} is a number from {lowest} to {highest}, in decimal or after 0x");
        let word = self.next().ok_or_else(advice)?;
        let text = std::str::from_utf8(word).map_err(|_| advice())?;
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        let number = parsed.ok().filter(|number| (lowest..=highest).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("`{}`: {}", text.escape_default(), advice()))
    }

    fn label(&mut self) -> Result<Label, String> {
        let advice = "after the flags comes a label in quotation marks, which is not empty";
        let text = self.0.trim_ascii_start().strip_prefix(b"\"").ok_or(advice)?;
        let end = text.iter().position(|&byte| byte == b'"').filter(|&end| end > 0).ok_or(advice)?;
        let (label, rest) = text.split_at_checked(end).ok_or(advice)?;
        self.0 = rest.strip_prefix(b"\"").unwrap_or(rest);
        Ok(Label::from_bytes(label.get(..LABEL).unwrap_or(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Metadata, String> {
        let entry = parse(line.as_bytes()).map_err(|error| error.to_string())?;
        Ok(entry.into_iter().next().unwrap().metadata)
    }

    #[test]
    fn entries() {
        let text = b"# a comment\r\n\n  obj 14 0xFFFF 0x0800 \"greeting\" a.bin # trailing\r\nobj1 010 +0 \"x y\"  b\nkey 12 0xFE 0 0x1205 \"kek\" k\nshe 12 4 5 0x01 k.bin ignored";
        let entries = parse(text).unwrap();
        let ids: Vec<_> = entries.iter().map(|entry| entry.metadata.id.0).collect();
        assert_eq!(ids, [14, 1, 0x1CFE, 0x2C04]);
        assert_eq!(entries[0].place, "line 3");
        assert_eq!(entries[1].metadata.access, 10);
        assert_eq!(entries[1].metadata.label, Label::from("x y"));
        assert_eq!(entries[2].metadata.flags, Flags(0x1205));
        assert_eq!(entries[3].metadata.label, Label::from_bytes(&[0, 0, 0, 5, 0, 0, 0, 1]));
        assert_eq!(entries[3].length, Some(16));
        assert!(matches!(&entries[3].source, Source::File(path) if path.as_os_str() == "k.bin"));
    }

    #[test]
    fn a_label_keeps_23_bytes() {
        let metadata = one(&format!("obj 1 0 0 \"{}\" f", "x".repeat(30))).unwrap();
        assert_eq!(metadata.label.text().len(), 23);
    }

    #[test]
    fn faults_name_the_line_and_the_remedy() {
        for (line, part) in [
            ("obj 0 0 0 \"a\" f", "identifier is a number from 1 to 65535"),
            ("obj 65536 0 0 \"a\" f", "`65536`"),
            ("obj -1 0 0 \"a\" f", "identifier"),
            ("obj 0X1 0 0 \"a\" f", "`0X1`"),
            ("obj 1 0", "flags is a number"),
            ("obj 1 0 0 a f", "quotation marks"),
            ("obj 1 0 0 \"\" f", "not empty"),
            ("obj 1 0 0 \"a f", "quotation marks"),
            ("obj 1 0 0 \"a\"", "file"),
            ("key 16 1 0 0 \"a\" f", "client"),
            ("key 1 0 0 0 \"a\" f", "key identifier"),
            ("she 1 14 0 0 f", "RAM key"),
            ("she 1 4 0x10000000 0 f", "counter"),
            ("she 1 4 1 32 f", "flags"),
            ("ob", "begins with"),
            ("OBJ 1 0 0 \"a\" f", "begins with"),
        ] {
            let message = one(line).unwrap_err();
            assert!(message.starts_with("line 1: ") && message.contains(part), "{line}: {message}");
        }
    }
}
