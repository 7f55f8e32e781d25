//! Configurations in TOML.

use crate::description::{Description, Source, client, she_metadata};
use crate::{Error, Format, Layout};
use casemate_protocol::{Flags, Label, Metadata, ObjectId, ObjectType};
use serde::Deserialize;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    image: Option<Image>,
    #[serde(default)]
    object: Vec<Object>,
    #[serde(default)]
    key: Vec<Key>,
    #[serde(default)]
    counter: Vec<Counter>,
    #[serde(default)]
    she: Vec<She>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Image {
    #[serde(default)]
    layout: LayoutName,
    partition_size: Option<u32>,
    erased_byte: Option<u8>,
    /// Directory entries, or the largest number of objects.
    objects: Option<u16>,
    checksums: Option<bool>,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum LayoutName {
    #[default]
    Flash,
    Log,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    id: u16,
    #[serde(default)]
    label: String,
    #[serde(default = "any_access")]
    access: u16,
    #[serde(default)]
    flags: FlagList,
    file: Option<PathBuf>,
    hex: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    #[serde(default)]
    client: u8,
    id: u8,
    #[serde(default)]
    label: String,
    #[serde(default = "any_access")]
    access: u16,
    #[serde(default)]
    flags: FlagList,
    file: Option<PathBuf>,
    hex: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Counter {
    client: u8,
    id: u8,
    value: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct She {
    client: u8,
    slot: u8,
    #[serde(default)]
    counter: u32,
    #[serde(default)]
    flags: u8,
    file: Option<PathBuf>,
    hex: Option<String>,
}

/// Flags by number, or by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum FlagList {
    Number(u16),
    Names(Vec<String>),
}

impl Default for FlagList {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl FlagList {
    fn flags(&self) -> Result<Flags, String> {
        match self {
            Self::Number(bits) => Ok(Flags(*bits)),
            Self::Names(names) => names.iter().try_fold(Flags::NONE, |flags, name| {
                let known = Flags::NAMES.iter().find(|(_, known)| known == name);
                let (flag, _) = known.ok_or_else(|| {
                    let known: Vec<_> = Flags::NAMES.iter().map(|(_, name)| *name).collect();
                    format!("`{name}` is no flag; there are {}", known.join(", "))
                })?;
                Ok(flags | *flag)
            }),
        }
    }
}

fn any_access() -> u16 {
    Metadata::ACCESS_ANY
}

fn label(text: &str) -> Result<Label, String> {
    match text.len() {
        0..=24 => Ok(Label::from(text)),
        length => Err(format!("the label has {length} bytes; an object keeps 24")),
    }
}

fn source(file: Option<PathBuf>, hex: Option<String>) -> Result<Source, String> {
    match (file, hex) {
        (Some(file), None) => Ok(Source::File(file)),
        (None, Some(digits)) => hex::decode(Zeroizing::new(digits).as_bytes())
            .map(|bytes| Source::Bytes(Zeroizing::new(bytes)))
            .map_err(|_| "`hex` takes an even number of the digits 0 to 9 and a to f".to_owned()),
        (None, None) => Err("the data are missing: add `file` or `hex`".to_owned()),
        (Some(_), Some(_)) => Err("has data twice: keep one of `file` and `hex`".to_owned()),
    }
}

impl Image {
    fn format(&self) -> Result<Format, Error> {
        let standard = Format::default();
        let objects = self.objects.unwrap_or(32);
        let layout = match (self.layout, self.checksums) {
            (LayoutName::Flash, checksums) => {
                Layout::Flash { entries: objects, checksums: checksums.unwrap_or(false) }
            }
            (LayoutName::Log, None | Some(false)) => Layout::Log { objects },
            (LayoutName::Log, Some(true)) => {
                return Err(Error::configuration("[image]", "the layout `log` has no checksums"));
            }
        };
        Ok(Format {
            layout,
            partition_size: self.partition_size.unwrap_or(standard.partition_size),
            erased_byte: self.erased_byte.unwrap_or(standard.erased_byte),
        })
    }
}

impl Object {
    fn describe(self, place: &str) -> Result<Description, String> {
        let Self { id, label: text, access, flags, file, hex, text: data } = self;
        if id == 0 {
            return Err("identifier 0 names no object; use 1 to 65535".to_owned());
        }
        let metadata =
            Metadata { id: ObjectId(id), access, flags: flags.flags()?, length: 0, label: label(&text)? };
        let source = match data {
            Some(text) if file.is_none() && hex.is_none() => Source::Bytes(Zeroizing::new(text.into_bytes())),
            Some(_) => return Err("has data twice: keep one of `file`, `hex` and `text`".to_owned()),
            None => source(file, hex)?,
        };
        Ok(Description { place: place.to_owned(), metadata, source, length: None })
    }
}

impl Key {
    fn describe(self, place: &str) -> Result<Description, String> {
        let Self { client: owner, id, label: text, access, flags, file, hex } = self;
        let id = ObjectId::new(ObjectType::CRYPTO, owner_of(owner, 0)?, number(id)?);
        let metadata = Metadata { id, access, flags: flags.flags()?, length: 0, label: label(&text)? };
        Ok(Description { place: place.to_owned(), metadata, source: source(file, hex)?, length: None })
    }
}

impl Counter {
    fn describe(self, place: &str) -> Result<Description, String> {
        let id = ObjectId::new(ObjectType::COUNTER, owner_of(self.client, 1)?, number(self.id)?);
        let metadata = Metadata {
            id,
            access: 0,
            flags: Flags::NONE,
            length: 0,
            label: Label::from_bytes(&self.value.to_le_bytes()),
        };
        let source = Source::Bytes(Zeroizing::new(Vec::new()));
        Ok(Description { place: place.to_owned(), metadata, source, length: None })
    }
}

impl She {
    fn describe(self, place: &str) -> Result<Description, String> {
        let Self { client: owner, slot, counter, flags, file, hex } = self;
        for (name, value, highest) in
            [("slot", u32::from(slot), 15), ("counter", counter, 0x0FFF_FFFF), ("flags", flags.into(), 31)]
        {
            if value > highest {
                return Err(format!("`{name}` is {value}; the highest is {highest}"));
            }
        }
        let metadata = she_metadata(owner_of(owner, 0)?, slot, counter, flags.into())?;
        Ok(Description { place: place.to_owned(), metadata, source: source(file, hex)?, length: Some(16) })
    }
}

fn owner_of(number: u8, lowest: u8) -> Result<casemate_protocol::ClientId, String> {
    if (lowest..=15).contains(&number) {
        Ok(client(number))
    } else {
        Err(format!("`client` is {number}; it is a number from {lowest} to 15"))
    }
}

fn number(id: u8) -> Result<u8, String> {
    if id == 0 { Err("identifier 0 names nothing; use 1 to 255".to_owned()) } else { Ok(id) }
}

/// The format, and the objects: objects, keys, counters, SHE keys, each in the order of the file.
///
/// # Errors
/// [`Error::Configuration`] with the line, or the table.
pub(crate) fn parse(text: &str) -> Result<(Option<Format>, Vec<Description>), Error> {
    let tables: Tables = toml::from_str(text).map_err(|error| {
        let line =
            error.span().and_then(|span| text.get(..span.start)).map(|before| before.split('\n').count());
        // The error's own text would show the line, and so perhaps a key.
        Error::configuration(
            line.map_or_else(|| "the TOML text".to_owned(), |line| format!("line {line}")),
            error.message().to_owned(),
        )
    })?;
    let mut descriptions = Vec::new();
    describe("object", tables.object, Object::describe, &mut descriptions)?;
    describe("key", tables.key, Key::describe, &mut descriptions)?;
    describe("counter", tables.counter, Counter::describe, &mut descriptions)?;
    describe("she", tables.she, She::describe, &mut descriptions)?;
    Ok((tables.image.as_ref().map(Image::format).transpose()?, descriptions))
}

fn describe<T>(
    name: &str,
    tables: Vec<T>,
    describe: fn(T, &str) -> Result<Description, String>,
    descriptions: &mut Vec<Description>,
) -> Result<(), Error> {
    for (index, table) in tables.into_iter().enumerate() {
        let place = format!("[[{name}]] number {}", index.saturating_add(1));
        let description = describe(table, &place).map_err(|reason| Error::configuration(&place, reason))?;
        descriptions.push(description);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table() {
        let (format, descriptions) = parse(
            r#"
            [image]
            layout = "log"
            partition-size = 0x1000
            erased-byte = 0
            objects = 20

            [[she]]
            client = 12
            slot = 4
            counter = 5
            flags = 1
            hex = "000102030405060708090a0b0c0d0e0f"

            [[object]]
            id = 14
            label = "greeting"
            flags = ["nondestroyable"]
            text = "hello wolf"

            [[key]]
            client = 12
            id = 0xfe
            access = 0
            flags = 0x1205
            label = "kek"
            file = "k.bin"

            [[counter]]
            client = 1
            id = 5
            value = 258
            "#,
        )
        .unwrap();
        let expected = Format { layout: Layout::Log { objects: 20 }, partition_size: 0x1000, erased_byte: 0 };
        assert_eq!(format, Some(expected));
        let ids: Vec<_> = descriptions.iter().map(|description| description.metadata.id.0).collect();
        assert_eq!(ids, [14, 0x1CFE, 0x3105, 0x2C04]);
        assert_eq!(descriptions[0].metadata.flags, Flags::NONDESTROYABLE);
        assert_eq!(descriptions[0].metadata.access, 0xFFFF);
        assert_eq!(descriptions[2].metadata.label, Label::from_bytes(&[2, 1]));
        assert_eq!(descriptions[3].metadata.label, Label::from_bytes(&[0, 0, 0, 5, 0, 0, 0, 1]));
    }

    #[test]
    fn faults_name_the_place_and_no_secret() {
        for (text, place, part) in [
            ("[image]\nlayout = \"fat\"", "line 2", "fat"),
            ("\n[[objekt]]\nid = 1", "line 2", "objekt"),
            ("[[object]]\nid = 70000", "line 2", "70000"),
            ("[[object]]\nid = 0\ntext = \"\"", "[[object]] number 1", "1 to 65535"),
            ("[[object]]\nid = 1", "[[object]] number 1", "data are missing"),
            ("[[object]]\nid = 1\ntext = \"a\"\nhex = \"00\"", "[[object]] number 1", "twice"),
            ("[[object]]\nid = 1\ntext = \"\"\nflags = [\"encypt\"]", "[[object]] number 1", "nonexportable"),
            ("[[key]]\nid = 1\nclient = 16\nhex = \"00\"", "[[key]] number 1", "0 to 15"),
            ("[[key]]\nid = 1\nhex = \"0\"", "[[key]] number 1", "even number"),
            ("[[counter]]\nid = 1\nclient = 0\nvalue = 1", "[[counter]] number 1", "1 to 15"),
            ("[[she]]\nclient = 1\nslot = 14\nhex = \"\"", "[[she]] number 1", "RAM key"),
            ("[[she]]\nclient = 1\nslot = 4\nflags = 32\nhex = \"\"", "[[she]] number 1", "highest is 31"),
            ("[image]\nlayout = \"log\"\nchecksums = true", "[image]", "no checksums"),
        ] {
            let message = parse(text).err().unwrap().to_string();
            assert!(message.starts_with(place) && message.contains(part), "{text}: {message}");
        }
        let message = parse("[[key]]\nid = 1\nhex = \"00c0ffee\" x").err().unwrap().to_string();
        assert!(message.starts_with("line 3") && !message.contains("c0ffee"), "{message}");
    }
}
